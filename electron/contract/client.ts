import {
  type CallName,
  channels,
  type Item,
  type Params,
  type Result,
  type StreamName,
  type UpItem,
} from './channels.ts';
import { BridgeError } from './error.ts';
import {
  decodeBytes,
  encodeBytes,
  type HostFrame,
  hostFrameSchema,
  MAX_BYTES_PAYLOAD,
  type PageFrame,
  parseJson,
  type WireMessage,
} from './frames.ts';
import type { Schema } from './method.ts';
import type { Transport } from './transport.ts';

/** Options of every request. */
export interface RequestOptions {
  /** Aborting cancels the work in the host. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * A stream as its reader sees it. Iterate it once; leaving the loop closes it.
 * Credit is granted as items are taken, so a reader that stops holds the host back.
 */
export interface BridgeStream<I, U> extends AsyncIterable<I | Uint8Array> {
  /** Next item or chunk of bytes; undefined at the end. Rejects with the stream's error. */
  next(): Promise<I | Uint8Array | undefined>;
  /** Sends an item up. Resolves when it has left, which waits for credit on `items` streams. */
  send(item: U): Promise<void>;
  /** Sends bytes up; resolves when all have left, which waits for credit. */
  sendBytes(bytes: Uint8Array): Promise<void>;
  /** No more input. */
  endInput(): void;
  /** Stops the stream. Idempotent. */
  close(): void;
}

interface PendingCall {
  readonly result: Schema;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** The page's half of the bridge, over one connection. After the transport closes every request fails with `disconnected`. */
export class BridgeClient {
  readonly #transport: Transport;
  readonly #calls = new Map<number, PendingCall>();
  readonly #streams = new Map<number, ClientStream>();
  readonly #closeListeners = new Set<() => void>();
  #lastId = 0;
  #isClosed = false;

  constructor(transport: Transport) {
    this.#transport = transport;
    transport.listen({
      onMessage: (message) => this.#receive(message),
      onClose: () => this.#closed(),
    });
  }

  /** True after the transport closed. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Calls `listener` when the transport closes, at once when it has. */
  onClose(listener: () => void): () => void {
    if (this.#isClosed) {
      listener();
      return () => {};
    }
    this.#closeListeners.add(listener);
    return () => this.#closeListeners.delete(listener);
  }

  /**
   * Calls a method.
   *
   * @throws BridgeError  whatever went wrong, see its `code`
   */
  async call<M extends CallName>(
    method: M,
    params: Params<M>,
    options: RequestOptions = {},
  ): Promise<Result<M>> {
    const { signal } = options;
    if (signal?.aborted === true) {
      throw new BridgeError('cancelled', 'cancelled', { cause: signal.reason });
    }
    if (this.#isClosed) {
      throw disconnected();
    }
    this.#lastId += 1;
    const id = this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#calls.set(id, { result: channels[method].result, resolve, reject });
    const onAbort = (): void => {
      if (this.#calls.delete(id)) {
        this.#send({ t: 'cancel', id });
        reject(new BridgeError('cancelled', 'cancelled', { cause: signal?.reason }));
      }
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#send({ t: 'request', id, method, params });
    try {
      return (await promise) as Result<M>;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Opens a stream. Failures to open come out of its first `next`. */
  open<M extends StreamName>(
    method: M,
    params: Params<M>,
    options: RequestOptions = {},
  ): BridgeStream<Item<M>, UpItem<M>> {
    const channel = channels[method];
    this.#lastId += 1;
    const id = this.#lastId;
    const { signal } = options;
    const onAbort = (): void => stream.close();
    const stream = new ClientStream({
      id,
      item: channel.item,
      unit: channel.unit,
      window: channel.window,
      send: (message) => this.#send(message),
      onDone: () => {
        this.#streams.delete(id);
        signal?.removeEventListener('abort', onAbort);
      },
    });
    if (this.#isClosed) {
      stream.fail(disconnected());
    } else if (signal?.aborted === true) {
      stream.close();
    } else {
      this.#streams.set(id, stream);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#send({ t: 'request', id, method, params, credit: channel.window });
    }
    return stream as BridgeStream<unknown, unknown> as BridgeStream<Item<M>, UpItem<M>>;
  }

  /** Closes the connection. */
  close(): void {
    this.#transport.close();
    this.#closed();
  }

  #send(frame: PageFrame | Uint8Array): void {
    if (!this.#isClosed) {
      this.#transport.send(frame instanceof Uint8Array ? frame : JSON.stringify(frame));
    }
  }

  #receive(message: WireMessage): void {
    if (typeof message !== 'string') {
      const bytes = decodeBytes(message);
      if (bytes !== undefined) {
        this.#streams.get(bytes.streamId)?.pushBytes(bytes.payload);
      }
      return;
    }
    const frame = hostFrameSchema.safeParse(parseJson(message));
    if (frame.success) {
      this.#dispatch(frame.data);
    } else {
      // Not our host, or a version we do not know: nothing sensible can follow.
      this.close();
    }
  }

  #dispatch(frame: HostFrame): void {
    if (frame.t === 'response' || frame.t === 'failure') {
      const pending = this.#calls.get(frame.id);
      this.#calls.delete(frame.id);
      if (pending === undefined) {
        return;
      }
      if (frame.t === 'failure') {
        pending.reject(BridgeError.fromData(frame.error));
        return;
      }
      const value = pending.result.safeParse(frame.value);
      if (value.success) {
        pending.resolve(value.data);
      } else {
        pending.reject(badAnswer(value.error));
      }
      return;
    }
    const stream = this.#streams.get(frame.id);
    if (frame.t === 'item') {
      stream?.pushItem(frame.value);
    } else if (frame.t === 'credit') {
      stream?.grant(frame.n);
    } else {
      stream?.finish(frame.error === undefined ? undefined : BridgeError.fromData(frame.error));
    }
  }

  #closed(): void {
    if (this.#isClosed) {
      return;
    }
    this.#isClosed = true;
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const pending of calls) {
      pending.reject(disconnected());
    }
    for (const stream of this.#streams.values()) {
      stream.fail(disconnected());
    }
    const listeners = [...this.#closeListeners];
    this.#closeListeners.clear();
    for (const listener of listeners) {
      listener();
    }
  }
}

function disconnected(): BridgeError {
  return new BridgeError('disconnected', 'the connection to the application was lost');
}

function badAnswer(cause: { message: string }): BridgeError {
  return new BridgeError('invalid-response', `unexpected answer: ${cause.message}`, { cause });
}

class ClientStream implements BridgeStream<unknown, unknown> {
  readonly #id: number;
  readonly #item: Schema;
  readonly #unit: 'items' | 'bytes';
  readonly #window: number;
  readonly #sendFrame: (frame: PageFrame | Uint8Array) => void;
  readonly #onDone: () => void;
  readonly #queue: unknown[] = [];
  #isOver = false;
  #error: Error | undefined;
  #wakeReader: (() => void) | undefined;
  #wakeWriters: (() => void)[] = [];
  /** What has been taken since the last grant. */
  #taken = 0;
  /** What we may still send. The host grants its window when it accepts the stream. */
  #credit = 0;

  constructor(options: {
    id: number;
    item: Schema;
    unit: 'items' | 'bytes';
    window: number;
    send: (frame: PageFrame | Uint8Array) => void;
    onDone: () => void;
  }) {
    this.#id = options.id;
    this.#item = options.item;
    this.#unit = options.unit;
    this.#window = options.window;
    this.#sendFrame = options.send;
    this.#onDone = options.onDone;
  }

  async next(): Promise<unknown> {
    for (;;) {
      if (this.#queue.length > 0) {
        const value = this.#queue.shift();
        this.#account(value);
        return value;
      }
      if (this.#error !== undefined) {
        throw this.#error;
      }
      if (this.#isOver) {
        return undefined;
      }
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<unknown, void, void> {
    try {
      for (;;) {
        const value = await this.next();
        if (value === undefined) {
          return;
        }
        yield value;
      }
    } finally {
      this.close();
    }
  }

  async send(item: unknown): Promise<void> {
    if (this.#unit === 'items') {
      await this.#waitForCredit();
      this.#credit -= 1;
    }
    this.#sendFrame({ t: 'up', id: this.#id, value: item });
  }

  async sendBytes(bytes: Uint8Array): Promise<void> {
    for (let offset = 0; offset < bytes.byteLength; offset += MAX_BYTES_PAYLOAD) {
      await this.#waitForCredit();
      const part = bytes.subarray(offset, offset + MAX_BYTES_PAYLOAD);
      this.#credit -= part.byteLength;
      this.#sendFrame(encodeBytes(this.#id, part));
    }
  }

  endInput(): void {
    if (!this.#isOver) {
      this.#sendFrame({ t: 'up-end', id: this.#id });
    }
  }

  close(): void {
    if (!this.#isOver) {
      this.#sendFrame({ t: 'cancel', id: this.#id });
      this.#queue.length = 0;
      this.finish(undefined);
    }
  }

  pushItem(value: unknown): void {
    if (this.#isOver) {
      return;
    }
    const parsed = this.#item.safeParse(value);
    if (parsed.success) {
      this.#push(parsed.data);
    } else {
      this.#sendFrame({ t: 'cancel', id: this.#id });
      this.finish(badAnswer(parsed.error));
    }
  }

  pushBytes(payload: Uint8Array): void {
    if (!this.#isOver && payload.byteLength > 0) {
      this.#push(payload);
    }
  }

  grant(units: number): void {
    this.#credit += units;
    this.#releaseWriters();
  }

  /** The stream is over; what is queued can still be read. */
  finish(error: Error | undefined): void {
    if (this.#isOver) {
      return;
    }
    this.#isOver = true;
    this.#error = error;
    this.#onDone();
    this.#wake();
    this.#releaseWriters();
  }

  fail(error: Error): void {
    this.finish(error);
  }

  #push(value: unknown): void {
    this.#queue.push(value);
    this.#wake();
  }

  #account(value: unknown): void {
    if (this.#unit === 'items') {
      this.#taken += 1;
    } else if (value instanceof Uint8Array) {
      this.#taken += value.byteLength;
    }
    // Granting in quarters keeps the pipe full without a frame per item.
    if (!this.#isOver && this.#taken > 0 && this.#taken * 4 >= this.#window) {
      this.#sendFrame({ t: 'credit', id: this.#id, n: this.#taken });
      this.#taken = 0;
    }
  }

  async #waitForCredit(): Promise<void> {
    while (!this.#isOver && this.#credit <= 0) {
      await new Promise<void>((resolve) => this.#wakeWriters.push(resolve));
    }
    if (this.#isOver) {
      throw this.#error ?? new BridgeError('cancelled', 'the stream is over');
    }
  }

  #wake(): void {
    const wake = this.#wakeReader;
    this.#wakeReader = undefined;
    wake?.();
  }

  #releaseWriters(): void {
    const writers = this.#wakeWriters;
    this.#wakeWriters = [];
    for (const wake of writers) {
      wake();
    }
  }
}
