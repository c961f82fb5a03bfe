import type {
  ContainerConfig,
  HealthConfig,
  HostConfig,
  Mount,
} from '../../api/types/container.ts';

/** Drops members that are undefined, so that they do not hide a default. */
function defined<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(value).filter(([, member]) => member !== undefined),
  ) as Partial<T>;
}

/** Drops members that Go's `omitempty` leaves out. */
function nonEmpty<T extends object>(value: T, keys: readonly (keyof T)[]): T {
  const result = { ...value };
  for (const key of keys) {
    const member = result[key];
    const isEmptyObject =
      typeof member === 'object' && member !== null && Object.keys(member).length === 0;
    if (
      member === undefined ||
      member === '' ||
      member === false ||
      member === 0 ||
      isEmptyObject
    ) {
      delete result[key];
    }
  }
  return result;
}

/** Lists that Go prints as null when they are empty. */
function emptyAsNull<T extends object>(value: T, keys: readonly (keyof T)[]): T {
  const nulls = keys.filter((key) => {
    const member = value[key];
    return member === undefined || (Array.isArray(member) && member.length === 0);
  });
  return { ...value, ...Object.fromEntries(nulls.map((key) => [key, null])) };
}

function wireHealthcheck(check: HealthConfig): HealthConfig {
  return nonEmpty(check, [
    'Test',
    'Interval',
    'Timeout',
    'StartPeriod',
    'StartInterval',
    'Retries',
  ]);
}

const CONFIG_DEFAULTS = {
  Hostname: '',
  Domainname: '',
  User: '',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Env: [],
  Cmd: null,
  Image: '',
  Volumes: null,
  WorkingDir: '',
  Entrypoint: null,
  OnBuild: null,
  Labels: {},
};

/** Config with every member that Docker always prints, null where Go has a nil list. */
export function wireConfig(config: ContainerConfig): ContainerConfig {
  const all = { ...CONFIG_DEFAULTS, ...defined(config) } as ContainerConfig;
  const kept = nonEmpty(all, [
    'ExposedPorts',
    'ArgsEscaped',
    'NetworkDisabled',
    'MacAddress',
    'StopSignal',
    'Shell',
  ]);
  return config.Healthcheck === undefined
    ? kept
    : { ...kept, Healthcheck: wireHealthcheck(config.Healthcheck) };
}

function wireMount(mount: Mount): Mount {
  return nonEmpty(mount, ['Source', 'ReadOnly', 'Consistency']);
}

const HOST_DEFAULTS = {
  Binds: null,
  ContainerIDFile: '',
  NetworkMode: 'default',
  PortBindings: {},
  AutoRemove: false,
  VolumeDriver: '',
  ConsoleSize: [0, 0],
  CgroupnsMode: '',
  Dns: [],
  DnsOptions: [],
  DnsSearch: [],
  IpcMode: '',
  Cgroup: '',
  OomScoreAdj: 0,
  PidMode: '',
  Privileged: false,
  PublishAllPorts: false,
  ReadonlyRootfs: false,
  UTSMode: '',
  UsernsMode: '',
  ShmSize: 0,
  Runtime: '',
  Isolation: '',
  CpuShares: 0,
  Memory: 0,
  NanoCpus: 0,
  CgroupParent: '',
  BlkioWeight: 0,
  BlkioWeightDevice: [],
  BlkioDeviceReadBps: [],
  BlkioDeviceWriteBps: [],
  BlkioDeviceReadIOps: [],
  BlkioDeviceWriteIOps: [],
  CpuPeriod: 0,
  CpuQuota: 0,
  CpuRealtimePeriod: 0,
  CpuRealtimeRuntime: 0,
  CpusetCpus: '',
  CpusetMems: '',
  Devices: [],
  MemoryReservation: 0,
  MemorySwap: 0,
  MemorySwappiness: null,
  OomKillDisable: null,
  PidsLimit: null,
  Ulimits: [],
  CpuCount: 0,
  CpuPercent: 0,
  IOMaximumIOps: 0,
  IOMaximumBandwidth: 0,
  MaskedPaths: null,
  ReadonlyPaths: null,
};

const NULL_LISTS = [
  'VolumesFrom',
  'CapAdd',
  'CapDrop',
  'ExtraHosts',
  'GroupAdd',
  'Links',
  'SecurityOpt',
  'DeviceCgroupRules',
  'DeviceRequests',
] as const satisfies readonly (keyof HostConfig)[];

/** HostConfig with every member that Docker always prints. */
export function wireHostConfig(host: HostConfig): HostConfig {
  const all = { ...HOST_DEFAULTS, ...defined(host) } as HostConfig;
  const log = host.LogConfig;
  const policy = host.RestartPolicy;
  return {
    ...emptyAsNull(
      nonEmpty(all, [
        'Annotations',
        'StorageOpt',
        'Tmpfs',
        'Sysctls',
        'Mounts',
        'KernelMemory',
        'KernelMemoryTCP',
      ]),
      NULL_LISTS,
    ),
    LogConfig: { Type: log?.Type ?? '', Config: log?.Config ?? {} },
    RestartPolicy: {
      Name: policy?.Name ?? 'no',
      MaximumRetryCount: policy?.MaximumRetryCount ?? 0,
    },
    ...(host.Mounts?.length ? { Mounts: host.Mounts.map(wireMount) } : {}),
  };
}
