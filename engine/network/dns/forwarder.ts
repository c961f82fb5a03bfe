/** Passing queries on to other name servers. */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { type Query, RCODE, rcodeOfReply, withId } from './message.ts';

/** Limits of {@link Forwarder}. */
export interface ForwarderLimits {
  /** Wait per server. */
  readonly timeoutMs: number;
  /** Queries under way at once; more are refused. */
  readonly maxConcurrent: number;
}

const MAX_SERVERS = 3;
const DNS_PORT = 53;

/** A name server: `ADDRESS` or, other than port 53, `ADDRESS#PORT`. */
function splitServer(server: string): { readonly host: string; readonly port: number } {
  const [host = '', port] = server.split('#');
  return { host, port: port === undefined ? DNS_PORT : Number(port) };
}

function exchangeUdp(
  server: string,
  message: Uint8Array,
  accept: (reply: Uint8Array) => boolean,
  timeoutMs: number,
): Promise<Uint8Array | undefined> {
  const { host, port } = splitServer(server);
  return new Promise((resolve) => {
    // A socket of its own per query: its random port makes forged answers hard.
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    let isDone = false;
    const finish = (reply: Uint8Array | undefined): void => {
      if (!isDone) {
        isDone = true;
        clearTimeout(timer);
        socket.close();
        resolve(reply);
      }
    };
    const timer = setTimeout(() => finish(undefined), timeoutMs);
    socket.on('error', () => finish(undefined));
    socket.on('message', (reply) => {
      if (accept(reply)) {
        finish(reply);
      }
    });
    socket.connect(port, host, () => {
      if (!isDone) {
        socket.send(message, (error) => {
          if (error) {
            finish(undefined);
          }
        });
      }
    });
  });
}

function exchangeTcp(
  server: string,
  message: Uint8Array,
  accept: (reply: Uint8Array) => boolean,
  timeoutMs: number,
): Promise<Uint8Array | undefined> {
  const { host, port } = splitServer(server);
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let held = Buffer.alloc(0);
    const finish = (reply: Uint8Array | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reply);
    };
    const timer = setTimeout(() => finish(undefined), timeoutMs);
    socket.on('error', () => finish(undefined));
    socket.on('close', () => finish(undefined));
    socket.on('connect', () => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(message.length);
      socket.write(Buffer.concat([length, message]));
    });
    socket.on('data', (part) => {
      held = Buffer.concat([held, part]);
      if (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const reply = held.subarray(2, 2 + held.readUInt16BE(0));
        finish(accept(reply) ? reply : undefined);
      }
    });
  });
}

/** Asks name servers in turn, over the transport that the client used. */
export class Forwarder {
  readonly #limits: ForwarderLimits;
  #running = 0;

  constructor(limits: ForwarderLimits) {
    this.#limits = limits;
  }

  /**
   * @param message  the query as it came
   * @returns the first useful reply under the query's own id; undefined when no server has one; 'busy' over the limit
   */
  async forward(
    query: Query,
    message: Uint8Array,
    options: { readonly servers: readonly string[]; readonly transport: 'udp' | 'tcp' },
  ): Promise<Uint8Array | undefined | 'busy'> {
    if (this.#running >= this.#limits.maxConcurrent) {
      return 'busy';
    }
    this.#running += 1;
    try {
      const exchange = options.transport === 'udp' ? exchangeUdp : exchangeTcp;
      for (const server of options.servers.slice(0, MAX_SERVERS)) {
        const id = randomInt(65_536);
        const accept = (reply: Uint8Array): boolean => rcodeOfReply(query, id, reply) !== undefined;
        const reply = await exchange(server, withId(message, id), accept, this.#limits.timeoutMs);
        const rcode = reply === undefined ? undefined : rcodeOfReply(query, id, reply);
        // A server that fails or refuses may do so for a while only; the next may know.
        if (reply !== undefined && rcode !== RCODE.serverFailure && rcode !== RCODE.refused) {
          return withId(reply, query.id);
        }
      }
      return undefined;
    } finally {
      this.#running -= 1;
    }
  }
}
