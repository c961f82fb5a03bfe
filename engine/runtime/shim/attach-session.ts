import type { Socket } from 'node:net';
import { type ConnectionEvents, ShimConnection } from './connection.ts';
import type {
  AttachEnd,
  AttachSession,
  ExecSession,
  LogPosition,
  OutputChunk,
  ProcessIdentity,
} from './contract.ts';
import { MAX_REQUEST_BYTES, type ReplyFrame } from './protocol.ts';

/** Held for a reader that is slower than the shim; then the connection is paused. */
const HIGH_WATER_BYTES = 256 * 1024;
const LOW_WATER_BYTES = 64 * 1024;

/** Output of one connection on its way to one reader. */
class OutputQueue implements AsyncIterable<OutputChunk> {
  readonly ended: Promise<AttachEnd>;
  readonly #resolveEnded: (end: AttachEnd) => void;
  readonly #onRoom: () => void;
  #chunks: OutputChunk[] = [];
  #bytes = 0;
  #end: AttachEnd | undefined;
  #wake: (() => void) | undefined;

  constructor(onRoom: () => void) {
    const { promise, resolve } = Promise.withResolvers<AttachEnd>();
    this.ended = promise;
    this.#resolveEnded = resolve;
    this.#onRoom = onRoom;
  }

  /** Adds a chunk; false when the reader should be waited for. */
  push(chunk: OutputChunk): boolean {
    if (this.#end === undefined) {
      this.#chunks.push(chunk);
      this.#bytes += chunk.data.length;
      this.#wake?.();
    }
    return this.#bytes < HIGH_WATER_BYTES;
  }

  /** The first reason counts. */
  finish(end: AttachEnd): void {
    this.#end ??= end;
    this.#settle();
    this.#wake?.();
  }

  /** Forgets what nobody will take. */
  drop(): void {
    this.#chunks = [];
    this.#bytes = 0;
    this.finish({ kind: 'closed' });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<OutputChunk, void, void> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#bytes -= chunk.data.length;
        if (this.#bytes <= LOW_WATER_BYTES) {
          this.#onRoom();
        }
        this.#settle();
        yield chunk;
      } else if (this.#end === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      } else {
        return;
      }
    }
  }

  #settle(): void {
    if (this.#end !== undefined && this.#chunks.length === 0) {
      this.#resolveEnded(this.#end);
    }
  }
}

/** Attach session over a connection of its own. Made by {@link openSession}. */
export class ShimAttachSession implements AttachSession, ConnectionEvents {
  readonly #connection: ShimConnection;
  readonly #queue: OutputQueue;
  position: LogPosition | undefined;
  #isStdinOver = false;

  /** Owns `socket`. */
  constructor(socket: Socket) {
    this.#queue = new OutputQueue(() => this.#connection.resume());
    this.#connection = new ShimConnection(socket, this);
  }

  get connection(): ShimConnection {
    return this.#connection;
  }

  get output(): AsyncIterable<OutputChunk> {
    return this.#queue;
  }

  get ended(): Promise<AttachEnd> {
    return this.#queue.ended;
  }

  async writeStdin(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length && !this.#isStdinOver; at += MAX_REQUEST_BYTES) {
      const part = data.subarray(at, at + MAX_REQUEST_BYTES);
      await this.#connection.send({ type: 'stdin', data: part });
    }
  }

  async closeStdin(): Promise<void> {
    if (!this.#isStdinOver) {
      this.#isStdinOver = true;
      await this.#connection.send({ type: 'closeStdin' });
    }
  }

  /** Detaches. Output not taken yet is dropped. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStdinOver = true;
    this.#connection[Symbol.dispose]();
    this.#queue.drop();
    await Promise.resolve();
  }

  onFrame({ reply }: ReplyFrame): void {
    if (reply.type === 'output') {
      if (!this.#queue.push({ stream: reply.stream, data: reply.data })) {
        this.#connection.pause();
      }
    } else if (reply.type === 'lagged') {
      this.#queue.finish({ kind: 'lagged', position: reply.position });
    } else if (reply.type === 'exit') {
      this.#isStdinOver = true;
      this.#queue.finish({ kind: 'exited', status: reply.status });
      this.#connection[Symbol.dispose]();
    }
  }

  onClose(): void {
    this.#isStdinOver = true;
    this.#queue.finish({ kind: 'closed' });
  }
}

/** Attach session of a process that was started through it. */
export class ShimExecSession extends ShimAttachSession implements ExecSession {
  readonly execId: string;
  process: ProcessIdentity = { pid: 0, startTicks: 0n };
  startedAtNs = 0n;

  constructor(socket: Socket, execId: string) {
    super(socket);
    this.execId = execId;
  }
}
