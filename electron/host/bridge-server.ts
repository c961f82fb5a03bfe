import { z } from 'zod';
import { EngineError, isAbortError, messageOf } from '../../engine/base/errors.ts';
import type { Logger } from '../../engine/base/logger.ts';
import {
  type CallName,
  type Channels,
  channels,
  type DecodedParams,
  isMethod,
  type Method,
  type StreamName,
  type UpItem,
} from '../contract/channels.ts';
import { BridgeError, type BridgeErrorData } from '../contract/error.ts';
import {
  decodeBytes,
  encodeBytes,
  type HostFrame,
  MAX_BYTES_PAYLOAD,
  MAX_PAGE_TEXT_LENGTH,
  type PageFrame,
  pageFrameSchema,
  parseJson,
  type WireMessage,
} from '../contract/frames.ts';
import type { StreamMethod } from '../contract/method.ts';
import type { Transport } from '../contract/transport.ts';

/** What every handler gets. */
export interface CallContext {
  /** Aborts when the page cancels, closes the stream or disconnects. */
  readonly signal: AbortSignal;
}

/** A stream as its handler sees it. It ends when the handler returns or throws. */
export interface StreamContext<I, U> extends CallContext {
  /** Sends an item; resolves when it has left, which on `items` streams waits for credit. Rejects once the page is gone. */
  send(item: I): Promise<void>;
  /** Sends bytes (copied), in frames of bounded size; waits for credit. */
  sendBytes(bytes: Uint8Array): Promise<void>;
  /** Credit left at present; handlers that can merge updates may look. */
  hasCredit(): boolean;
  /** What the page sends; ends when the page ends its side. Credit is granted as it is read. Iterate once. */
  readonly input: AsyncIterable<U | Uint8Array>;
}

/** Item as the handler produces it. */
type OutItem<M extends StreamName> = z.input<Channels[M]['item']>;

/** One handler per method of the channel map. */
export type Handlers = {
  readonly [M in CallName]: (
    params: DecodedParams<M>,
    context: CallContext,
  ) => Promise<z.input<Channels[M]['result']>>;
} & {
  readonly [M in StreamName]: (
    params: DecodedParams<M>,
    context: StreamContext<OutItem<M>, UpItem<M>>,
  ) => Promise<void>;
};

/** Requests one page may have open at once; a page that needs more has a leak. */
const MAX_OPEN_REQUESTS = 2000;

type AnyCall = (params: unknown, context: CallContext) => Promise<unknown>;
type AnyStream = (params: unknown, context: StreamContext<unknown, unknown>) => Promise<void>;

/** The host's half of one connection. Everything it started ends with the transport. */
export class BridgeSession {
  readonly #transport: Transport;
  readonly #handlers: Handlers;
  readonly #log: Logger;
  readonly #open = new Map<number, { abort: AbortController; stream?: HostStream }>();
  #isClosed = false;
  readonly #closed = Promise.withResolvers<void>();

  constructor(transport: Transport, handlers: Handlers, log: Logger) {
    this.#transport = transport;
    this.#handlers = handlers;
    this.#log = log;
    transport.listen({
      onMessage: (message) => this.#receive(message),
      onClose: () => this.#end(),
    });
  }

  /** Resolves when the connection is over. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Requests and streams in progress. */
  get openCount(): number {
    return this.#open.size;
  }

  /** Closes the connection. */
  close(): void {
    this.#transport.close();
    this.#end();
  }

  #receive(message: WireMessage): void {
    if (typeof message !== 'string') {
      const bytes = decodeBytes(message);
      if (bytes !== undefined) {
        this.#open.get(bytes.streamId)?.stream?.pushInput(bytes.payload.slice());
      }
      return;
    }
    const frame =
      message.length > MAX_PAGE_TEXT_LENGTH
        ? undefined
        : pageFrameSchema.safeParse(parseJson(message)).data;
    if (frame === undefined) {
      this.#log.warn('bridge closed: not a frame', { length: message.length });
      this.close();
      return;
    }
    this.#dispatch(frame);
  }

  #dispatch(frame: PageFrame): void {
    if (frame.t === 'request') {
      this.#start(frame);
      return;
    }
    const open = this.#open.get(frame.id);
    if (open === undefined) {
      return;
    }
    switch (frame.t) {
      case 'cancel':
        open.abort.abort(new DOMException('the page cancelled', 'AbortError'));
        open.stream?.stop();
        break;
      case 'credit':
        open.stream?.grant(frame.n);
        break;
      case 'up-end':
        open.stream?.endInput();
        break;
      case 'up':
        open.stream?.pushItem(frame.value);
        break;
      default:
        frame satisfies never;
    }
  }

  #start(frame: Extract<PageFrame, { t: 'request' }>): void {
    const { id, method } = frame;
    if (this.#open.has(id) || this.#open.size >= MAX_OPEN_REQUESTS || !isMethod(method)) {
      const message = isMethod(method) ? 'too many requests at once' : `no method ${method}`;
      this.#refuse(frame, { code: 'invalid-request', message });
      return;
    }
    const channel = channels[method];
    const params = channel.params.safeParse(frame.params);
    if (!params.success) {
      const message = `${method}: ${z.prettifyError(params.error)}`;
      this.#refuse(frame, { code: 'invalid-request', message });
      return;
    }
    const abort = new AbortController();
    if (channel.kind === 'call') {
      this.#open.set(id, { abort });
      void this.#runCall(id, method, params.data, abort);
    } else {
      const stream = new HostStream({
        id,
        channel,
        credit: frame.credit ?? 0,
        abort,
        send: (message) => this.#send(message),
      });
      this.#open.set(id, { abort, stream });
      void this.#runStream(id, method, params.data, stream);
    }
  }

  async #runCall(
    id: number,
    method: Method,
    params: unknown,
    abort: AbortController,
  ): Promise<void> {
    // The map's type ties each handler to its schema, which has just decoded `params`.
    const handler = this.#handlers[method] as unknown as AnyCall;
    try {
      const value = await handler(params, { signal: abort.signal });
      this.#send({ t: 'response', id, ok: true, value });
    } catch (error) {
      this.#send({ t: 'failure', id, error: this.#describe(method, error) });
    } finally {
      this.#open.delete(id);
    }
  }

  async #runStream(id: number, method: Method, params: unknown, stream: HostStream): Promise<void> {
    const handler = this.#handlers[method] as unknown as AnyStream;
    try {
      await handler(params, stream);
      this.#send({ t: 'end', id });
    } catch (error) {
      this.#send({ t: 'end', id, error: this.#describe(method, error) });
    } finally {
      stream.stop();
      this.#open.delete(id);
    }
  }

  #refuse(frame: { id: number; credit?: number | undefined }, error: BridgeErrorData): void {
    // Only streams are asked for with credit; each side of the page waits for its own kind of answer.
    this.#send(
      frame.credit === undefined
        ? { t: 'failure', id: frame.id, error }
        : { t: 'end', id: frame.id, error },
    );
  }

  #describe(method: string, error: unknown): BridgeErrorData {
    const data = describeError(error);
    if (data.code === 'internal') {
      this.#log.error('bridge handler failed', { method, error });
    } else if (data.code !== 'cancelled') {
      this.#log.debug('bridge handler refused', { method, code: data.code, reason: data.message });
    }
    return data;
  }

  #send(message: HostFrame | Uint8Array): void {
    if (!this.#isClosed) {
      this.#transport.send(message instanceof Uint8Array ? message : JSON.stringify(message));
    }
  }

  #end(): void {
    if (this.#isClosed) {
      return;
    }
    this.#isClosed = true;
    for (const { abort, stream } of this.#open.values()) {
      abort.abort(new DOMException('the page is gone', 'AbortError'));
      stream?.stop();
    }
    this.#closed.resolve();
  }
}

/** Any failure as it crosses the bridge. What nobody classified is `internal`. */
export function describeError(error: unknown): BridgeErrorData {
  if (error instanceof BridgeError) {
    return error.toData();
  }
  if (error instanceof EngineError) {
    return { code: error.code, message: error.message };
  }
  if (isAbortError(error)) {
    return { code: 'cancelled', message: 'cancelled' };
  }
  return { code: 'internal', message: messageOf(error) };
}

class HostStream implements StreamContext<unknown, unknown> {
  readonly #id: number;
  readonly #channel: StreamMethod;
  readonly #abort: AbortController;
  readonly #sendFrame: (frame: HostFrame | Uint8Array) => void;
  readonly #inbox: unknown[] = [];
  #credit: number;
  #hasInputEnded = false;
  #wakeReader: (() => void) | undefined;
  #wakeWriters: (() => void)[] = [];
  /** Units the page may still send; a page that sends more than was granted is cut off. */
  #granted: number;
  #taken = 0;

  constructor(options: {
    id: number;
    channel: StreamMethod;
    credit: number;
    abort: AbortController;
    send: (frame: HostFrame | Uint8Array) => void;
  }) {
    this.#id = options.id;
    this.#channel = options.channel;
    this.#credit = options.credit;
    this.#abort = options.abort;
    this.#sendFrame = options.send;
    this.#granted = options.channel.window;
    this.#sendFrame({ t: 'credit', id: options.id, n: options.channel.window });
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  hasCredit(): boolean {
    return this.#credit > 0;
  }

  async send(item: unknown): Promise<void> {
    if (this.#channel.unit === 'items') {
      await this.#waitForCredit();
      this.#credit -= 1;
    }
    this.signal.throwIfAborted();
    this.#sendFrame({ t: 'item', id: this.#id, value: item });
  }

  async sendBytes(bytes: Uint8Array): Promise<void> {
    for (let offset = 0; offset < bytes.byteLength; offset += MAX_BYTES_PAYLOAD) {
      await this.#waitForCredit();
      const part = bytes.subarray(offset, offset + MAX_BYTES_PAYLOAD);
      this.#credit -= part.byteLength;
      this.#sendFrame(encodeBytes(this.#id, part));
    }
  }

  get input(): AsyncIterable<unknown> {
    return this.#readInput();
  }

  grant(units: number): void {
    this.#credit += units;
    this.#releaseWriters();
  }

  pushItem(value: unknown): void {
    const parsed = this.#channel.up.safeParse(value);
    if (parsed.success) {
      this.#push(parsed.data, this.#channel.unit === 'items' ? 1 : 0);
    } else {
      this.#fail(`not a valid item: ${z.prettifyError(parsed.error)}`);
    }
  }

  pushInput(bytes: Uint8Array): void {
    if (this.#channel.unit === 'bytes') {
      this.#push(bytes, bytes.byteLength);
    }
  }

  endInput(): void {
    this.#hasInputEnded = true;
    this.#wake();
  }

  /** Wakes everybody who waits; they find the signal aborted or the input ended. */
  stop(): void {
    if (!this.signal.aborted) {
      this.#abort.abort(new DOMException('the stream is over', 'AbortError'));
    }
    this.#wake();
    this.#releaseWriters();
  }

  #push(value: unknown, units: number): void {
    // One frame may overdraw; a second without credit breaks the contract and would grow memory without bound.
    if (units > 0 && this.#granted <= 0) {
      this.#fail('sent more than was granted');
      return;
    }
    this.#granted -= units;
    this.#inbox.push(value);
    this.#wake();
  }

  #fail(message: string): void {
    this.#abort.abort(new BridgeError('invalid-request', message));
    this.#wake();
    this.#releaseWriters();
  }

  async *#readInput(): AsyncGenerator<unknown, void, void> {
    for (;;) {
      this.signal.throwIfAborted();
      const value = this.#inbox.shift();
      if (value !== undefined) {
        this.#regrant(value);
        yield value;
      } else if (this.#hasInputEnded) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
      }
    }
  }

  #regrant(value: unknown): void {
    if (value instanceof Uint8Array) {
      this.#taken += value.byteLength;
    } else if (this.#channel.unit === 'items') {
      this.#taken += 1;
    }
    if (this.#taken * 4 >= this.#channel.window) {
      this.#granted += this.#taken;
      this.#sendFrame({ t: 'credit', id: this.#id, n: this.#taken });
      this.#taken = 0;
    }
  }

  async #waitForCredit(): Promise<void> {
    while (this.#credit <= 0 && !this.signal.aborted) {
      await new Promise<void>((resolve) => this.#wakeWriters.push(resolve));
    }
    this.signal.throwIfAborted();
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
