import { createSocket } from 'node:dgram';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { errnoOf } from '../../engine/base/errors.ts';
import type { ContainerSummary } from '../contract/container-channels.ts';

/** Protocols of a port. */
export type Protocol = 'tcp' | 'udp' | 'sctp';

/** Who has a port. */
export type PortOwner =
  | { kind: 'container'; id: string; name: string; project?: string }
  | { kind: 'process'; pid: number; name: string }
  | { kind: 'unknown' };

/** Suggestions stay above what only root may use on many machines, and below the ephemeral range where possible. */
const LOWEST_SUGGESTION = 1024;
const HIGHEST_PORT = 65_535;
const MAX_TRIES = 200;

function isWildcard(ip: string | undefined): boolean {
  return ip === undefined || ip === '' || ip === '0.0.0.0' || ip === '::';
}

/** The container that publishes a host port, running ones only: a stopped one holds nothing. */
export function containerWithPort(
  containers: Iterable<ContainerSummary>,
  wanted: { hostPort: number; protocol: Protocol; hostIp?: string | undefined },
): PortOwner | undefined {
  for (const container of containers) {
    const isHolding = ['running', 'paused', 'restarting'].includes(container.state);
    const holds = container.ports.some(
      (port) =>
        port.hostPort === wanted.hostPort &&
        port.protocol === wanted.protocol &&
        (isWildcard(port.hostIp) || isWildcard(wanted.hostIp) || port.hostIp === wanted.hostIp),
    );
    if (isHolding && holds) {
      return {
        kind: 'container',
        id: container.id,
        name: container.name,
        ...(container.project === undefined ? {} : { project: container.project.name }),
      };
    }
  }
  return undefined;
}

/** Whether the port can be bound on this machine right now. */
export async function canBind(port: number, protocol: Protocol, hostIp?: string): Promise<boolean> {
  if (protocol === 'sctp') {
    return true;
  }
  const hosts = isWildcard(hostIp) ? ['0.0.0.0', '::'] : [hostIp ?? ''];
  for (const host of hosts) {
    const code = protocol === 'tcp' ? await tryTcp(port, host) : await tryUdp(port, host);
    // No IPv6 on this machine, or not allowed to bind low ports: both say nothing about the engine.
    if (code === 'EADDRINUSE') {
      return false;
    }
  }
  return true;
}

function tryTcp(port: number, host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(errnoOf(error) ?? 'unknown'));
    server.listen({ port, host, exclusive: true, ipv6Only: true }, () =>
      server.close(() => resolve(undefined)),
    );
  });
}

function tryUdp(port: number, host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket({
      type: host.includes(':') ? 'udp6' : 'udp4',
      ipv6Only: host.includes(':'),
    });
    socket.once('error', (error) => {
      socket.close();
      resolve(errnoOf(error) ?? 'unknown');
    });
    socket.bind({ port, address: host, exclusive: true }, () =>
      socket.close(() => resolve(undefined)),
    );
  });
}

const TCP_LISTEN = '0A';

/** Inodes of the sockets that listen on a port, from the kernel's tables. */
async function listeningInodes(port: number, protocol: Protocol): Promise<Set<string>> {
  const inodes = new Set<string>();
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  for (const file of [protocol, `${protocol}6`]) {
    const text = await readFile(`/proc/net/${file}`, 'utf8').catch(() => '');
    for (const line of text.split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      const isListening = protocol === 'udp' || fields[3] === TCP_LISTEN;
      if (fields[1]?.endsWith(`:${hexPort}`) === true && isListening && fields[9] !== undefined) {
        inodes.add(`socket:[${fields[9]}]`);
      }
    }
  }
  return inodes;
}

/** The process that listens on a port; undefined when nobody does or it may not be seen. Linux only. */
export async function processWithPort(
  port: number,
  protocol: Protocol,
): Promise<PortOwner | undefined> {
  if (process.platform !== 'linux' || protocol === 'sctp') {
    return undefined;
  }
  const inodes = await listeningInodes(port, protocol);
  if (inodes.size === 0) {
    return undefined;
  }
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) {
      continue;
    }
    // Processes come and go, and those of others may not be read.
    const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const fd of fds) {
      const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
      if (inodes.has(target)) {
        const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
        return { kind: 'process', pid: Number(pid), name: name.trim() };
      }
    }
  }
  return { kind: 'unknown' };
}

/** Answers questions about host ports. */
export class Ports {
  readonly #containers: () => Iterable<ContainerSummary>;
  readonly #isLocal: boolean;

  constructor(options: {
    containers: () => Iterable<ContainerSummary>;
    /** False: the ports are another machine's, only containers are known. */
    isLocal: boolean;
  }) {
    this.#containers = options.containers;
    this.#isLocal = options.isLocal;
  }

  /** Serves `ports.check`. */
  async check(wanted: {
    hostPort: number;
    protocol: Protocol;
    hostIp?: string | undefined;
  }): Promise<{ isFree: boolean; owner?: PortOwner; suggestion?: number }> {
    const owner = await this.#ownerOf(wanted);
    if (owner === undefined) {
      return { isFree: true };
    }
    const suggestion = await this.#firstFree(wanted.hostPort + 1, wanted.protocol, new Set());
    return { isFree: false, owner, ...(suggestion === undefined ? {} : { suggestion }) };
  }

  /** Serves `ports.suggest`. */
  async suggest(params: {
    ports: readonly { containerPort: number; protocol: Protocol }[];
    taken?: readonly number[] | undefined;
  }): Promise<{ containerPort: number; protocol: Protocol; hostPort: number }[]> {
    const taken = new Set(params.taken ?? []);
    const result: { containerPort: number; protocol: Protocol; hostPort: number }[] = [];
    for (const { containerPort, protocol } of params.ports) {
      // 80 becomes 8080 and 443 8443, the numbers people try first.
      const wanted = containerPort < LOWEST_SUGGESTION ? containerPort + 8000 : containerPort;
      const hostPort = await this.#firstFree(wanted, protocol, taken);
      if (hostPort !== undefined) {
        taken.add(hostPort);
        result.push({ containerPort, protocol, hostPort });
      }
    }
    return result;
  }

  /** The container whose port it is, whatever the protocol's owner process. */
  async #ownerOf(wanted: {
    hostPort: number;
    protocol: Protocol;
    hostIp?: string | undefined;
  }): Promise<PortOwner | undefined> {
    const container = containerWithPort(this.#containers(), wanted);
    if (container !== undefined || !this.#isLocal) {
      return container;
    }
    if (await canBind(wanted.hostPort, wanted.protocol, wanted.hostIp)) {
      return undefined;
    }
    return (await processWithPort(wanted.hostPort, wanted.protocol)) ?? { kind: 'unknown' };
  }

  async #firstFree(
    from: number,
    protocol: Protocol,
    taken: ReadonlySet<number>,
  ): Promise<number | undefined> {
    for (let step = 0; step < MAX_TRIES; step += 1) {
      const port = from + step <= HIGHEST_PORT ? from + step : LOWEST_SUGGESTION + step;
      const isOurs = taken.has(port);
      if (
        !isOurs &&
        containerWithPort(this.#containers(), { hostPort: port, protocol }) === undefined &&
        (!this.#isLocal || (await canBind(port, protocol)))
      ) {
        return port;
      }
    }
    return undefined;
  }
}
