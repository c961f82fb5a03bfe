import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { z } from 'zod';
import { encodeJson } from '../api/json.ts';
import { decode } from '../api/types/wire.ts';
import type { Logger } from '../base/logger.ts';
import { checkJsonType, parseJson, readWhole } from './json-body.ts';
import type { Query } from './query.ts';
import { RawConnection } from './raw-connection.ts';

/** What the server knows about a request when it calls the handler. */
export interface ExchangeInit {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The connection, when the client asked to take it over; the body then comes separately. */
  readonly upgrade?: { readonly socket: Duplex; readonly body: Uint8Array } | undefined;
  readonly path: string;
  readonly version: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly log: Logger;
}

/** One request with its answer. Exactly one of the answering methods is to be called, at most once. */
export class Exchange {
  readonly #init: ExchangeInit;
  readonly #abort = new AbortController();
  #isHijacked = false;

  constructor(init: ExchangeInit) {
    this.#init = init;
    init.response.on('close', () => {
      if (!init.response.writableFinished && !this.#isHijacked) {
        this.#abort.abort();
      }
    });
  }

  /** Aborts when the client is gone before the answer is complete. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** True when nobody is left to answer. */
  get isClientGone(): boolean {
    const { request, response } = this.#init;
    return this.signal.aborted || response.destroyed || (request.destroyed && !request.complete);
  }

  get method(): string {
    return this.#init.request.method ?? '';
  }

  get path(): string {
    return this.#init.path;
  }

  /** API version of the request. */
  get version(): string {
    return this.#init.version;
  }

  get query(): Query {
    return this.#init.query;
  }

  get log(): Logger {
    return this.#init.log;
  }

  get headers(): IncomingHttpHeaders {
    return this.#init.request.headers;
  }

  /** Part of the path that the route's pattern names; '' when it has no such part. */
  param(name: string): string {
    return this.#init.params[name] ?? '';
  }

  /** First value of a header; undefined when absent. */
  header(name: string): string | undefined {
    const value = this.headers[name.toLowerCase()];
    return Array.isArray(value) ? value[0] : value;
  }

  /** True when the client asked to take over the connection. */
  get hasUpgrade(): boolean {
    return this.headers.upgrade !== undefined;
  }

  /** True when the answer has begun: errors can no longer have a status. */
  get hasAnswered(): boolean {
    return this.#isHijacked || this.#init.response.headersSent;
  }

  /** The raw body. */
  body(): AsyncIterable<Uint8Array> {
    const { upgrade, request } = this.#init;
    if (upgrade === undefined) {
      // A reader that stops early must not take the connection away from the answer.
      return request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
    }
    return (async function* whole(): AsyncGenerator<Uint8Array> {
      yield upgrade.body;
    })();
  }

  /** Declared length of the body in bytes; undefined when it comes in chunks. */
  get bodyLength(): number | undefined {
    if (this.headers['transfer-encoding'] !== undefined) {
      return undefined;
    }
    return Number(this.headers['content-length'] ?? 0);
  }

  /**
   * The body as JSON, decoded. Without a body: the decoder's answer to `{}`, or an error when one is required.
   *
   * @throws InvalidParameterError  type, syntax or a field is wrong
   */
  async readJson<T extends z.ZodType>(
    schema: T,
    options: { readonly isRequired?: boolean } = {},
  ): Promise<z.output<T>> {
    const hasBody = this.bodyLength !== 0;
    if (hasBody || this.header('content-type') !== undefined) {
      checkJsonType(this.header('content-type'));
    }
    if (!hasBody && options.isRequired !== true) {
      return decode(schema, {}, 'JSON');
    }
    const text = await readWhole(this.body());
    return decode(schema, parseJson(text) ?? {}, 'JSON');
  }

  setHeader(name: string, value: string): void {
    this.#init.response.setHeader(name, value);
  }

  /** Complete JSON answer. */
  json(status: number, value: unknown): void {
    const body = Buffer.from(`${encodeJson(value)}\n`);
    this.#init.response
      .writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': body.length })
      .end(this.method === 'HEAD' ? undefined : body);
  }

  /** Complete plain text answer. */
  text(status: number, text: string): void {
    const body = Buffer.from(text);
    this.#init.response
      .writeHead(status, {
        'Content-Type': 'text/plain; charset=utf-8',
        'Content-Length': body.length,
      })
      .end(this.method === 'HEAD' ? undefined : body);
  }

  /** Complete answer without a body. */
  empty(status: number): void {
    const headers = status === 204 || status === 304 ? {} : { 'Content-Length': 0 };
    this.#init.response.writeHead(status, headers).end();
  }

  /** Begins an answer of unknown length; headers go out at once. */
  stream(contentType: string | undefined, status = 200): ResponseStream {
    const { response } = this.#init;
    if (contentType !== undefined) {
      response.setHeader('Content-Type', contentType);
    }
    response.writeHead(status);
    response.flushHeaders();
    return new ResponseStream(response, this.signal);
  }

  /** Streams bytes as the whole answer; a failure half way breaks the connection, so that no client takes it for complete. */
  async pipe(contentType: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const stream = this.stream(contentType);
    for await (const chunk of bytes) {
      await stream.write(chunk);
    }
    stream.end();
  }

  /**
   * Takes over the connection: 101 when the client asked for it, else the old 200 without length.
   *
   * @param contentType  of what follows; only told with 101
   */
  hijack(contentType: string): RawConnection {
    const { upgrade, response } = this.#init;
    const head =
      upgrade === undefined
        ? 'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n'
        : `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${contentType}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n`;
    const own = Object.entries(response.getHeaders()).map(
      ([key, value]) => `${key}: ${String(value)}\r\n`,
    );
    const socket = this.#takeSocket();
    socket.write(`${head}${own.join('')}\r\n`);
    return new RawConnection(socket);
  }

  /** The bare connection after an upgrade, nothing written; undefined when the client did not ask for one. */
  takeUpgraded(): Duplex | undefined {
    return this.#init.upgrade === undefined ? undefined : this.#takeSocket();
  }

  #takeSocket(): Duplex {
    const { upgrade, request, response } = this.#init;
    this.#isHijacked = true;
    const socket = upgrade?.socket ?? request.socket;
    if (upgrade === undefined) {
      // The HTTP parser must see nothing of what follows.
      for (const event of ['data', 'end', 'drain', 'timeout']) {
        socket.removeAllListeners(event);
      }
    }
    response.detachSocket(request.socket);
    socket.on('close', () => this.#abort.abort());
    if (socket.destroyed) {
      this.#abort.abort();
    }
    return socket;
  }

  /** Breaks off an answer that has begun. */
  breakOff(): void {
    const { request, upgrade } = this.#init;
    (upgrade?.socket ?? request.socket).destroy();
  }
}

/** The body of an answer being written, with back-pressure. */
export class ResponseStream {
  readonly #response: ServerResponse;
  readonly #signal: AbortSignal;

  constructor(response: ServerResponse, signal: AbortSignal) {
    this.#response = response;
    this.#signal = signal;
  }

  /** Bytes handed over that the client has not taken yet. */
  get pendingBytes(): number {
    return this.#response.writableLength;
  }

  /** Resolves when there is room for more. @throws AbortError  the client is gone */
  async write(data: Uint8Array | string): Promise<void> {
    this.#signal.throwIfAborted();
    if (!this.#response.write(data)) {
      await once(this.#response, 'drain', { signal: this.#signal });
    }
  }

  /** One JSON value and a newline. @throws as `write` */
  async writeJson(value: unknown): Promise<void> {
    await this.write(`${encodeJson(value)}\n`);
  }

  /** Like `writeJson` without waiting; the caller minds `pendingBytes`. */
  pushJson(value: unknown): void {
    if (!this.#signal.aborted) {
      this.#response.write(`${encodeJson(value)}\n`);
    }
  }

  end(): void {
    this.#response.end();
  }
}
