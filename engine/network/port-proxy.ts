/**
 * Sockets behind published ports. A bound socket keeps other programs off the port (and finds out that one of them has it);
 * the kernel's address translation takes packets before they reach it, except where translation is impossible: IPv6 to a
 * container without IPv6, and ::1. Those are carried by this process, and so wait while it is not running.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { errnoOf, messageOf } from '../base/errors.ts';

/** Where a port leads at this moment; undefined = nowhere. */
export type ProxyTarget = () => { readonly address: string; readonly port: number } | undefined;

/** A bound host port. */
export interface HostSocket extends AsyncDisposable {
  readonly port: number;
}

/** Where to bind. */
export interface HostAddress {
  readonly address: string;
  readonly port: number;
}

const UDP_SESSION_IDLE_MS = 90_000;
const MAX_UDP_SESSIONS = 1024;
const CONNECT_TIMEOUT_MS = 10_000;

const BIND_REASONS: ReadonlyMap<string, string> = new Map([
  ['EADDRINUSE', 'address already in use'],
  ['EADDRNOTAVAIL', 'cannot assign requested address'],
  ['EACCES', 'permission denied'],
]);

/** What the C library says for the usual reasons why a port cannot be bound. */
export function bindReason(error: unknown): string {
  return BIND_REASONS.get(errnoOf(error) ?? '') ?? messageOf(error);
}

async function relay(
  client: Socket,
  target: ReturnType<ProxyTarget>,
  all: Set<Socket>,
): Promise<void> {
  if (target === undefined) {
    client.destroy();
    return;
  }
  const server = connect({ host: target.address, port: target.port, allowHalfOpen: true });
  all.add(server);
  server.setTimeout(CONNECT_TIMEOUT_MS, () => server.destroy());
  server.once('connect', () => server.setTimeout(0));
  try {
    await Promise.all([pipeline(client, server), pipeline(server, client)]);
  } catch {
    // Either side may break off at any time; both are closed below.
  } finally {
    client.destroy();
    server.destroy();
    all.delete(server);
  }
}

/** Binds a TCP port and relays what reaches it. Rejects with Node's system error. */
export async function openTcpPort(where: HostAddress, target: ProxyTarget): Promise<HostSocket> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (client) => {
    sockets.add(client);
    client.on('error', () => client.destroy());
    client.on('close', () => sockets.delete(client));
    void relay(client, target(), sockets);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: where.address, port: where.port, ipv6Only: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  // An accept that fails (too many open files) must not end the engine.
  server.on('error', () => {});
  server.unref();
  return {
    port: where.port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) {
        socket.destroy();
      }
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Binds a UDP port and relays what reaches it, one socket per client. Rejects with Node's system error. */
export async function openUdpPort(where: HostAddress, target: ProxyTarget): Promise<HostSocket> {
  const type = where.address.includes(':') ? 'udp6' : 'udp4';
  const front = createSocket({ type, ipv6Only: type === 'udp6' });
  const sessions = new Map<string, { readonly back: UdpSocket; timer: NodeJS.Timeout }>();
  let isClosed = false;
  const end = (key: string): void => {
    const session = sessions.get(key);
    if (session !== undefined) {
      sessions.delete(key);
      clearTimeout(session.timer);
      session.back.close();
    }
  };
  front.on('message', (message, client) => {
    const to = target();
    if (to === undefined) {
      return;
    }
    const key = `${client.address} ${client.port}`;
    let session = sessions.get(key);
    if (session === undefined) {
      const oldest = sessions.size >= MAX_UDP_SESSIONS ? sessions.keys().next().value : undefined;
      if (oldest !== undefined) {
        end(oldest);
      }
      const back = createSocket(to.address.includes(':') ? 'udp6' : 'udp4');
      back.unref();
      back.on('error', () => end(key));
      back.on('message', (reply) => {
        if (!isClosed) {
          front.send(reply, client.port, client.address, () => {});
        }
      });
      session = { back, timer: setTimeout(() => {}, 0) };
      sessions.set(key, session);
    }
    clearTimeout(session.timer);
    session.timer = setTimeout(() => end(key), UDP_SESSION_IDLE_MS);
    session.timer.unref();
    session.back.send(message, to.port, to.address, () => {});
  });
  await new Promise<void>((resolve, reject) => {
    front.once('error', reject);
    front.bind({ address: where.address, port: where.port, exclusive: true }, () => {
      front.off('error', reject);
      resolve();
    });
  });
  front.on('error', () => {});
  front.unref();
  return {
    port: where.port,
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      for (const key of sessions.keys()) {
        end(key);
      }
      await new Promise<void>((resolve) => {
        front.close(() => resolve());
      });
    },
  };
}
