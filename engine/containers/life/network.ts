import { readFile, writeFile } from 'node:fs/promises';
import type { PortBinding as PortSpec } from '../../api/types/container.ts';
import { ConflictError, InvalidParameterError, NotFoundError } from '../../base/errors.ts';
import type { PortBinding, Sandbox, SandboxRequest } from '../../network/contract.ts';
import type { SpecInput } from '../../runtime/contract.ts';
import { type Container, statusOf } from '../container.ts';
import type { ContainerCore } from '../core.ts';
import { containerMode } from '../create/validate.ts';
import { linkedContainers } from '../environment.ts';
import type { PortTable } from '../record.ts';
import { rewrap } from '../rewrap.ts';
import type { NetworkFiles } from './mounts.ts';

/** Network of one start. */
export interface OpenedNetwork {
  readonly network: SpecInput['network'];
  readonly files: NetworkFiles;
  /** Hostname of the container whose network is shared; else its own. */
  readonly hostname: string;
}

function ownFiles(core: ContainerCore, id: string): NetworkFiles {
  return {
    resolvConf: core.filePath(id, 'resolv.conf'),
    hostname: core.filePath(id, 'hostname'),
    hosts: core.filePath(id, 'hosts'),
  };
}

/** The container whose files and namespace a container uses. */
export function networkOwner(core: ContainerCore, container: Container): Container {
  const ref = containerMode(container.record.hostConfig.NetworkMode);
  const owner = ref === undefined ? undefined : core.registry.find(ref);
  return owner === undefined || owner === container ? container : networkOwner(core, owner);
}

/** Files that are bound to /etc of a container. */
export function networkFiles(core: ContainerCore, container: Container): NetworkFiles {
  return ownFiles(core, networkOwner(core, container).id);
}

function portNumber(key: string): { containerPort: number; protocol: PortBinding['protocol'] } {
  const [port = '0', protocol = 'tcp'] = key.toLowerCase().split('/');
  return {
    containerPort: Number(port),
    protocol: protocol === 'udp' || protocol === 'sctp' ? protocol : 'tcp',
  };
}

function toBinding(key: string, spec: PortSpec): PortBinding {
  const [from = '', to] = (spec.HostPort ?? '').split('-');
  return {
    ...portNumber(key),
    hostIp: (spec.HostIp ?? '').replace(/^\[(.*)\]$/, '$1'),
    hostPort: from === '' ? 0 : Number(from),
    ...(to === undefined ? {} : { hostPortEnd: Number(to) }),
  };
}

/** Ports of a container one by one: an exposed range `80-82/tcp` becomes three. */
function exposedKeys(container: Container): string[] {
  return Object.keys(container.record.config.ExposedPorts ?? {}).flatMap((key) => {
    const match = /^(\d+)-(\d+)(\/\w+)?$/.exec(key);
    if (match === null) {
      return [key.includes('/') ? key : `${key}/tcp`];
    }
    const [from, to] = [Number(match[1]), Math.min(Number(match[2]), 65_535)];
    return Array.from(
      { length: Math.max(0, to - from + 1) },
      (_, step) => `${from + step}${match[3] ?? '/tcp'}`,
    );
  });
}

/** What is to be published: asked for, and with `-P` what is exposed. */
export function requestedPorts(container: Container): PortBinding[] {
  const { hostConfig } = container.record;
  const asked = Object.entries(hostConfig.PortBindings ?? {}).flatMap(([key, specs]) =>
    (specs.length === 0 ? [{}] : specs).map((spec) => toBinding(key, spec)),
  );
  if (hostConfig.PublishAllPorts !== true) {
    return asked;
  }
  const taken = new Set(asked.map((port) => `${port.containerPort}/${port.protocol}`));
  const rest = exposedKeys(container).filter((key) => !taken.has(key.toLowerCase()));
  return [...asked, ...rest.map((key) => toBinding(key, {}))];
}

/** `NetworkSettings.Ports` of a running container. */
export function portTable(container: Container, actual: readonly PortBinding[]): PortTable {
  const table: PortTable = {};
  for (const key of exposedKeys(container)) {
    table[key] = null;
  }
  for (const port of actual) {
    const key = `${port.containerPort}/${port.protocol}`;
    const list = table[key] ?? [];
    // In routed mode the container's own port is opened, and there is none on the host.
    list.push({ HostIp: port.hostIp, HostPort: port.hostPort === 0 ? '' : String(port.hostPort) });
    table[key] = list;
  }
  return table;
}

/** What the network concept is asked for; also for running containers after an engine restart. */
export function sandboxRequest(core: ContainerCore, container: Container): SandboxRequest {
  const { config, hostConfig, name, networks } = container.record;
  const links =
    networks['bridge'] === undefined
      ? []
      : linkedContainers(core, container).map(({ alias, child }) => ({
          alias,
          names: [child.record.config.Hostname ?? '', child.record.name].filter(Boolean),
          ipAddress: child.record.networks['bridge']?.IPAddress ?? '',
        }));
  return {
    containerId: container.id,
    containerName: name,
    hostname: config.Hostname ?? '',
    domainName: config.Domainname ?? '',
    endpoints: new Map(Object.entries(networks)),
    ports: requestedPorts(container),
    dns: {
      servers: hostConfig.Dns ?? [],
      search: hostConfig.DnsSearch ?? [],
      options: hostConfig.DnsOptions ?? [],
    },
    extraHosts: hostConfig.ExtraHosts ?? [],
    links,
    sysctls: hostConfig.Sysctls ?? {},
  };
}

/** Takes over what the network concept has set up. */
export function applySandbox(container: Container, sandbox: Sandbox): void {
  const { record } = container;
  for (const [name, actual] of sandbox.endpoints) {
    record.networks[name] = { ...record.networks[name], ...actual };
  }
  record.ports = portTable(container, sandbox.ports);
  record.sandboxKey = sandbox.netnsPath;
  record.sandboxId = container.id.split('').toReversed().join('');
}

/** Forgets actual values; what was asked for stays. */
export function clearSandbox(container: Container): void {
  const { record } = container;
  for (const [name, settings] of Object.entries(record.networks)) {
    record.networks[name] = {
      ...settings,
      EndpointID: '',
      Gateway: '',
      IPAddress: '',
      IPPrefixLen: 0,
      IPv6Gateway: '',
      GlobalIPv6Address: '',
      GlobalIPv6PrefixLen: 0,
    };
  }
  record.ports = {};
  record.sandboxId = '';
  record.sandboxKey = '';
}

async function writeHostFiles(
  core: ContainerCore,
  container: Container,
  files: NetworkFiles,
): Promise<void> {
  const { hostConfig, config } = container.record;
  const hosts = await readFile('/etc/hosts', 'utf8').catch(() => '127.0.0.1\tlocalhost\n');
  const extra = (hostConfig.ExtraHosts ?? []).map((entry) => {
    const name = entry.split(/[:=]/, 1)[0] ?? '';
    const address = entry.slice(name.length + 1);
    return `${address === 'host-gateway' ? '127.0.0.1' : address}\t${name}\n`;
  });
  const own = [
    ...(hostConfig.Dns ?? []).map((server) => `nameserver ${server}`),
    ...(hostConfig.DnsSearch?.length ? [`search ${hostConfig.DnsSearch.join(' ')}`] : []),
    ...(hostConfig.DnsOptions?.length ? [`options ${hostConfig.DnsOptions.join(' ')}`] : []),
  ];
  const resolv =
    own.length > 0
      ? `${own.join('\n')}\n`
      : await readFile('/etc/resolv.conf', 'utf8').catch(() => '');
  await Promise.all([
    writeFile(files.hosts, hosts + extra.join(''), { mode: 0o644 }),
    writeFile(files.resolvConf, resolv, { mode: 0o644 }),
    writeFile(files.hostname, `${config.Hostname ?? ''}\n`, { mode: 0o644 }),
  ]);
}

/** Texts of a sandbox, written for the container to read. */
export async function writeSandboxFiles(
  core: ContainerCore,
  container: Container,
  sandbox: Sandbox,
): Promise<void> {
  const files = ownFiles(core, container.id);
  await Promise.all([
    writeFile(files.hosts, sandbox.hostsFile, { mode: 0o644 }),
    writeFile(files.resolvConf, sandbox.resolvConf, { mode: 0o644 }),
    writeFile(files.hostname, `${container.record.config.Hostname ?? ''}\n`, { mode: 0o644 }),
  ]);
}

function joinOther(core: ContainerCore, container: Container, ref: string): OpenedNetwork {
  let owner: Container;
  try {
    owner = core.registry.get(ref);
  } catch (error) {
    throw rewrap(
      error,
      `joining network namespace of container: ${error instanceof NotFoundError ? `No such container: ${ref}` : String(error)}`,
    );
  }
  if (owner === container) {
    throw new InvalidParameterError('cannot join own network namespace');
  }
  if (!owner.record.state.isRunning) {
    throw new ConflictError(
      `cannot join network namespace of a non running container: container ${owner.record.name} is ${statusOf(owner.record)}`,
    );
  }
  if (owner.record.state.isRestarting) {
    throw new ConflictError(
      `cannot join network namespace of container: Container ${owner.id} is restarting, wait until the container is running`,
    );
  }
  const base = networkOwner(core, owner);
  const isHost = base.record.hostConfig.NetworkMode === 'host';
  return {
    network: isHost
      ? { kind: 'host' }
      : { kind: 'path', path: `/proc/${owner.record.state.pid}/ns/net` },
    files: ownFiles(core, base.id),
    hostname: base.record.config.Hostname ?? '',
  };
}

/**
 * Opens the container's sandbox, or joins another's.
 *
 * @throws ConflictError  a taken port, a container that does not run; NotFoundError  a missing network
 */
export async function openNetwork(
  core: ContainerCore,
  container: Container,
): Promise<OpenedNetwork> {
  const { hostConfig, config } = container.record;
  const other = containerMode(hostConfig.NetworkMode);
  if (other !== undefined) {
    return joinOther(core, container, other);
  }
  const files = ownFiles(core, container.id);
  const hostname = config.Hostname ?? '';
  if (hostConfig.NetworkMode === 'host') {
    const [network] = await Promise.all([
      core.ports.networks.inspect('host').catch(() => undefined),
      writeHostFiles(core, container, files),
    ]);
    const settings = container.record.networks['host'] ?? {};
    container.record.networks['host'] = { ...settings, NetworkID: network?.Id ?? '' };
    return { network: { kind: 'host' }, files, hostname };
  }
  const sandbox = await core.ports.networks.openSandbox(sandboxRequest(core, container));
  applySandbox(container, sandbox);
  await writeSandboxFiles(core, container, sandbox);
  return { network: { kind: 'path', path: sandbox.netnsPath }, files, hostname };
}
