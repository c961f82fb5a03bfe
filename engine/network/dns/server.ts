/**
 * The responder behind 127.0.0.11: listens on one loopback port of the host (UDP and TCP); the firewall sends it what
 * containers ask, with their own addresses as senders, and that is how it knows who asks.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { errnoOf, messageOf, SystemError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import { formatAddress, parseAddress, parseReverseName } from '../addresses.ts';
import { Forwarder } from './forwarder.ts';
import {
  type AnswerRecord,
  addressData,
  encodeAnswer,
  isInternetClass,
  nameData,
  parseQuery,
  type Query,
  RCODE,
  TYPE,
} from './message.ts';

/** What one container may know. */
export interface DnsView {
  /** Addresses of a name in one family; undefined = not a name of ours. A known name without addresses gives []. */
  resolveName(name: string, family: 4 | 6): readonly string[] | undefined;
  /** Full name of an address, or undefined when it is not ours. */
  resolveAddress(address: string): string | undefined;
  /** Name servers for everything else; empty = there is no way out. */
  readonly upstream: readonly string[];
  /** True when names without a dot must not be passed on (`ndots` was set by hand). */
  readonly keepsBareNames: boolean;
}

/** Finds the container that an address belongs to. */
export type DnsViewFinder = (sourceAddress: string) => DnsView | undefined;

/** Docker's life time of answers. */
const TTL_SEC = 600;
const FORWARD_TIMEOUT_MS = 4000;
const MAX_CONCURRENT_FORWARDS = 1024;
const TCP_IDLE_MS = 10_000;
const MAX_TCP_CONNECTIONS = 1024;
const LOOPBACK = '127.0.0.1';

function shuffled<T>(items: readonly T[]): T[] {
  const copy = [...items];
  for (let index = copy.length - 1; index > 0; index -= 1) {
    const other = Math.floor(Math.random() * (index + 1));
    const [a, b] = [copy[index], copy[other]];
    if (a !== undefined && b !== undefined) {
      copy[index] = b;
      copy[other] = a;
    }
  }
  return copy;
}

function addressRecords(addresses: readonly string[], type: number): AnswerRecord[] {
  return shuffled(addresses).flatMap((text) => {
    const address = parseAddress(text);
    return address === undefined
      ? []
      : [
          {
            type,
            ttlSec: TTL_SEC,
            data: addressData(address.value, address.family === 4 ? 4 : 16),
          },
        ];
  });
}

/** Own answer to a query: the records, or undefined when others have to be asked. */
export function answerLocally(query: Query, view: DnsView): readonly AnswerRecord[] | undefined {
  if (!isInternetClass(query) || query.opcode !== 0) {
    return undefined;
  }
  switch (query.type) {
    case TYPE.A:
    case TYPE.AAAA: {
      const addresses = view.resolveName(query.name, query.type === TYPE.A ? 4 : 6);
      if (addresses !== undefined) {
        return addressRecords(addresses, query.type);
      }
      return view.keepsBareNames && !query.name.includes('.') ? [] : undefined;
    }
    case TYPE.MX:
      // An empty answer makes mail programs fall back to the address.
      return view.resolveName(query.name, 4) === undefined ? undefined : [];
    case TYPE.PTR: {
      const address = parseReverseName(query.name);
      const name = address === undefined ? undefined : view.resolveAddress(formatAddress(address));
      return name === undefined
        ? undefined
        : [{ type: TYPE.PTR, ttlSec: TTL_SEC, data: nameData(name) }];
    }
    default:
      return undefined;
  }
}

/** UDP and TCP listener on 127.0.0.1. */
export class DnsServer implements AsyncDisposable {
  readonly #find: DnsViewFinder;
  readonly #log: Logger;
  readonly #forwarder = new Forwarder({
    timeoutMs: FORWARD_TIMEOUT_MS,
    maxConcurrent: MAX_CONCURRENT_FORWARDS,
  });
  readonly #connections = new Set<Socket>();
  #udp: UdpSocket | undefined;
  #tcp: Server | undefined;
  #port = 0;

  constructor(find: DnsViewFinder, log: Logger) {
    this.#find = find;
    this.#log = log;
  }

  /** Port it listens on; 0 before `listen`. */
  get port(): number {
    return this.#port;
  }

  /**
   * Opens both sockets on one port.
   *
   * @param preferredPort  the port of an earlier run, which rules may still name; 0 = none
   * @throws SystemError  no port is free for both
   */
  async listen(preferredPort: number): Promise<void> {
    const candidates = preferredPort === 0 ? [0, 0, 0] : [preferredPort, 0, 0, 0];
    let last: unknown;
    for (const candidate of candidates) {
      try {
        await this.#tryListen(candidate);
        return;
      } catch (error) {
        last = error;
        await this.#close();
        if (errnoOf(error) !== 'EADDRINUSE') {
          break;
        }
      }
    }
    throw new SystemError(`cannot listen for DNS queries: ${messageOf(last)}`, { cause: last });
  }

  /** Answer to one message, or undefined when it deserves none. */
  async respond(
    message: Uint8Array,
    source: string,
    transport: 'udp' | 'tcp',
  ): Promise<Uint8Array | undefined> {
    const query = parseQuery(message);
    const view = this.#find(source);
    if (query === undefined || view === undefined) {
      return undefined;
    }
    const records = answerLocally(query, view);
    if (records !== undefined) {
      return encodeAnswer(query, { rcode: RCODE.ok, records, transport });
    }
    const reply = await this.#forwarder.forward(query, message, {
      servers: view.upstream,
      transport,
    });
    if (reply === 'busy') {
      return encodeAnswer(query, { rcode: RCODE.refused, records: [], transport });
    }
    return reply ?? encodeAnswer(query, { rcode: RCODE.serverFailure, records: [], transport });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  async #tryListen(port: number): Promise<void> {
    const tcp = createServer((socket) => this.#serveTcp(socket));
    tcp.maxConnections = MAX_TCP_CONNECTIONS;
    this.#tcp = tcp;
    await new Promise<void>((resolve, reject) => {
      tcp.once('error', reject);
      tcp.listen({ host: LOOPBACK, port }, resolve);
    });
    tcp.on('error', (error) => this.#log.warn('DNS listener failed', { error }));
    tcp.unref();
    const bound = tcp.address();
    const actual = typeof bound === 'object' && bound !== null ? bound.port : 0;
    const udp = createSocket('udp4');
    this.#udp = udp;
    await new Promise<void>((resolve, reject) => {
      udp.once('error', reject);
      udp.bind(actual, LOOPBACK, resolve);
    });
    udp.on('error', (error) => this.#log.warn('DNS socket failed', { error }));
    udp.unref();
    udp.on('message', (message, remote) => {
      void this.respond(message, remote.address, 'udp').then((answer) => {
        if (answer !== undefined && this.#udp === udp) {
          // The container may be gone by now; nobody is left to be told.
          udp.send(answer, remote.port, remote.address, () => {});
        }
      });
    });
    this.#port = actual;
  }

  #serveTcp(socket: Socket): void {
    this.#connections.add(socket);
    socket.setTimeout(TCP_IDLE_MS, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#connections.delete(socket));
    const source = socket.remoteAddress ?? '';
    let held = Buffer.alloc(0);
    let tail = Promise.resolve();
    socket.on('data', (part) => {
      held = Buffer.concat([held, part]);
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const end = 2 + held.readUInt16BE(0);
        const message = Uint8Array.from(held.subarray(2, end));
        held = held.subarray(end);
        // One after the other: answers stay in order and a client cannot pile up work.
        socket.pause();
        tail = tail.then(async () => {
          const answer = await this.respond(message, source, 'tcp');
          if (answer === undefined) {
            socket.destroy();
          } else if (!socket.destroyed) {
            const length = Buffer.alloc(2);
            length.writeUInt16BE(answer.length);
            socket.write(Buffer.concat([length, answer]));
            socket.resume();
          }
        });
      }
    });
  }

  async #close(): Promise<void> {
    this.#port = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const socket of this.#connections) {
      socket.destroy();
    }
    const udp = this.#udp;
    this.#udp = undefined;
    try {
      udp?.close();
    } catch {
      // It never got as far as being bound.
    }
    const tcp = this.#tcp;
    this.#tcp = undefined;
    if (tcp?.listening === true) {
      tcp.close(() => resolve());
    } else {
      resolve();
    }
    await promise;
  }
}
