import type { RunSpec } from '../contract/run-spec.ts';

const NANOSECONDS = 1_000_000_000;

/** Without entries that are undefined: absent and null mean different things to the engine. */
function defined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function nanos(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.round(seconds * NANOSECONDS);
}

function portsOf(spec: RunSpec): { exposed: Record<string, object>; bindings: object } {
  const exposed: Record<string, object> = {};
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const port of spec.ports ?? []) {
    const key = `${port.containerPort}/${port.protocol}`;
    exposed[key] = {};
    bindings[key] ??= [];
    bindings[key].push({
      HostIp: port.hostIp ?? '',
      HostPort: port.hostPort === undefined ? '' : String(port.hostPort),
    });
  }
  return { exposed, bindings };
}

function mountOf(mount: NonNullable<RunSpec['mounts']>[number]): Record<string, unknown> {
  if (mount.type === 'tmpfs') {
    const options = mount.sizeBytes === undefined ? undefined : { SizeBytes: mount.sizeBytes };
    return defined({ Type: 'tmpfs', Target: mount.target, TmpfsOptions: options });
  }
  return defined({
    Type: mount.type,
    Source: mount.source === '' ? undefined : mount.source,
    Target: mount.target,
    ReadOnly: mount.isReadOnly,
  });
}

function healthcheckOf(check: RunSpec['healthcheck']): Record<string, unknown> | undefined {
  if (check === undefined) {
    return undefined;
  }
  return defined({
    Test: check.command === '' ? ['NONE'] : ['CMD-SHELL', check.command],
    Interval: nanos(check.intervalSec),
    Timeout: nanos(check.timeoutSec),
    StartPeriod: nanos(check.startPeriodSec),
    Retries: check.retries,
  });
}

function networkingOf(network: RunSpec['network']): Record<string, unknown> | undefined {
  if (network === undefined) {
    return undefined;
  }
  const { aliases, ipv4, ipv6, macAddress } = network;
  const ipam = defined({ IPv4Address: ipv4, IPv6Address: ipv6 });
  const endpoint = defined({
    Aliases: aliases,
    IPAMConfig: Object.keys(ipam).length === 0 ? undefined : ipam,
    MacAddress: macAddress,
  });
  return Object.keys(endpoint).length === 0
    ? undefined
    : { EndpointsConfig: { [network.mode]: endpoint } };
}

function hostConfigOf(spec: RunSpec, bindings: object): Record<string, unknown> {
  const restart = spec.restart;
  return defined({
    PortBindings: bindings,
    PublishAllPorts: spec.publishAll,
    Mounts: spec.mounts?.map(mountOf),
    NetworkMode: spec.network?.mode,
    AutoRemove: spec.autoRemove,
    RestartPolicy:
      restart === undefined
        ? undefined
        : { Name: restart.policy, MaximumRetryCount: restart.maxRetries ?? 0 },
    Dns: spec.dns,
    DnsSearch: spec.dnsSearch,
    ExtraHosts: spec.extraHosts,
    Memory: spec.memoryBytes,
    MemoryReservation: spec.memoryReservationBytes,
    MemorySwap: spec.memorySwapBytes,
    NanoCpus: nanos(spec.cpus),
    CpuShares: spec.cpuShares,
    CpusetCpus: spec.cpusetCpus,
    PidsLimit: spec.pidsLimit,
    ShmSize: spec.shmSizeBytes,
    Privileged: spec.isPrivileged,
    ReadonlyRootfs: spec.isReadOnly,
    CapAdd: spec.capAdd,
    CapDrop: spec.capDrop,
    SecurityOpt: spec.securityOpt,
    Devices: spec.devices?.map((device) => ({
      PathOnHost: device.hostPath,
      PathInContainer: device.containerPath,
      CgroupPermissions: device.permissions === '' ? 'rwm' : device.permissions,
    })),
    Sysctls: spec.sysctls,
    Ulimits: spec.ulimits?.map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
    Init: spec.init,
    Runtime: spec.runtime,
    LogConfig:
      spec.logDriver === undefined && spec.logOptions === undefined
        ? undefined
        : { Type: spec.logDriver ?? '', Config: spec.logOptions ?? {} },
  });
}

/** Body of POST /containers/create. */
export function createBody(spec: RunSpec): Record<string, unknown> {
  const { exposed, bindings } = portsOf(spec);
  return defined({
    Image: spec.image,
    Cmd: spec.command,
    Entrypoint: spec.entrypoint,
    WorkingDir: spec.workdir,
    User: spec.user,
    Hostname: spec.hostname,
    Domainname: spec.domainname,
    Env: spec.env?.map(({ name, value }) => `${name}=${value}`),
    Labels: spec.labels,
    Tty: spec.tty,
    OpenStdin: spec.stdin,
    ExposedPorts: exposed,
    Healthcheck: healthcheckOf(spec.healthcheck),
    StopSignal: spec.stopSignal,
    StopTimeout: spec.stopTimeoutSec,
    HostConfig: hostConfigOf(spec, bindings),
    NetworkingConfig: networkingOf(spec.network),
  });
}
