import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { delay } from '../../base/async.ts';
import {
  ConflictError,
  type EngineError,
  errnoOf,
  NotFoundError,
  SystemError,
  UnavailableError,
} from '../../base/errors.ts';
import {
  encodeRequest,
  PROTOCOL_VERSION,
  type Reply,
  type ReplyFrame,
  ReplyReader,
  type Request,
} from './protocol.ts';

/** Longest socket address is 107 bytes; a longer folder is reached through a descriptor of it. */
const MAX_ADDRESS_BYTES = 100;
const MAX_TAG = 0xffff;
const BUSY_RETRY_MS = 5;
const BUSY_ATTEMPTS = 400;

interface Pending {
  resolve(reply: Reply): void;
  reject(error: unknown): void;
}

/** What the holder of a {@link ShimConnection} is told. */
export interface ConnectionEvents {
  /** A frame that answers no pending request: output, pushes. */
  onFrame(frame: ReplyFrame): void;
  /** Once, after the last frame. */
  onClose(): void;
}

/** The error that stands for a refusal of the shim. */
export function errorOf(reply: Reply & { type: 'error' }): EngineError {
  if (reply.code === 'not-found') {
    return new NotFoundError(reply.message);
  }
  return reply.code === 'conflict'
    ? new ConflictError(reply.message)
    : new SystemError(`shim: ${reply.message}`);
}

/** One stream to a shim: frames out, answers matched by tag, everything else to the holder. */
export class ShimConnection implements Disposable {
  readonly #socket: Socket;
  readonly #events: ConnectionEvents;
  readonly #reader = new ReplyReader();
  readonly #pending = new Map<number, Pending>();
  #nextTag = 1;
  #isClosed = false;

  /** Owns `socket` and at once sends HELLO, whose answer is awaited by `hello`. */
  constructor(socket: Socket, events: ConnectionEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    // A shim that ends while we write to it is just gone: 'close' follows.
    socket.on('error', () => {});
    socket.once('close', () => this.#close());
    socket.once('end', () => socket.destroy());
  }

  /** Greets the shim. @throws SystemError  it speaks another version @throws UnavailableError  it is gone */
  async hello(): Promise<number> {
    const reply = await this.request({ type: 'hello', version: PROTOCOL_VERSION, wantsOom: true });
    if (reply.type !== 'helloOk' || reply.version !== PROTOCOL_VERSION) {
      throw new SystemError('the shim speaks another version of the protocol');
    }
    return reply.shimPid;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Stops and continues receiving (back-pressure to the shim). */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /**
   * Sends a request and waits for its answer.
   *
   * @throws NotFoundError | ConflictError | SystemError  the shim refused
   * @throws UnavailableError  the connection is lost
   */
  async request(request: Request): Promise<Reply> {
    if (this.#isClosed) {
      throw new UnavailableError('the shim is gone');
    }
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const tag = this.#takeTag();
    this.#pending.set(tag, { resolve, reject });
    this.#socket.write(encodeRequest(tag, request));
    const reply = await promise;
    if (reply.type === 'error') {
      throw errorOf(reply);
    }
    return reply;
  }

  /** Sends a request that has no answer; resolves when the socket has room again or is closed. */
  async send(request: Request): Promise<void> {
    if (this.#isClosed || this.#socket.write(encodeRequest(0, request))) {
      return;
    }
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#socket.off('drain', done);
        this.#socket.off('close', done);
        resolve();
      };
      this.#socket.once('drain', done);
      this.#socket.once('close', done);
    });
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #takeTag(): number {
    do {
      this.#nextTag = this.#nextTag === MAX_TAG ? 1 : this.#nextTag + 1;
    } while (this.#pending.has(this.#nextTag));
    return this.#nextTag;
  }

  #receive(chunk: Buffer): void {
    let frames: ReplyFrame[];
    try {
      frames = this.#reader.push(chunk);
    } catch (error) {
      this.#fail(error);
      this.#socket.destroy();
      return;
    }
    for (const frame of frames) {
      const pending = this.#pending.get(frame.tag);
      if (pending === undefined || frame.tag === 0) {
        this.#events.onFrame(frame);
      } else {
        this.#pending.delete(frame.tag);
        pending.resolve(frame.reply);
      }
    }
  }

  #fail(error: unknown): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const waiting of pending) {
      waiting.reject(error);
    }
  }

  #close(): void {
    this.#isClosed = true;
    this.#fail(new UnavailableError('the shim is gone'));
    this.#events.onClose();
  }
}

function dial(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

async function dialShort(runDir: string): Promise<Socket> {
  const path = `${runDir}/shim.sock`;
  if (Buffer.byteLength(path) <= MAX_ADDRESS_BYTES) {
    return await dial(path);
  }
  const folder = await open(runDir, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return await dial(`/proc/self/fd/${folder.fd}/shim.sock`);
  } finally {
    await folder.close();
  }
}

/** Connects to the socket in a run folder; undefined when no shim listens there. */
export async function dialShim(runDir: string, signal?: AbortSignal): Promise<Socket | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted();
    try {
      return await dialShort(runDir);
    } catch (error) {
      const code = errnoOf(error);
      // ECONNRESET: it ended with our connection still in its queue.
      if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ECONNRESET') {
        return undefined;
      }
      // Its queue of connections is full for the moment.
      if (code !== 'EAGAIN' || attempt === BUSY_ATTEMPTS) {
        throw new SystemError(`cannot connect to the shim in ${runDir}`, { cause: error });
      }
      await delay(BUSY_RETRY_MS, signal);
    }
  }
}
