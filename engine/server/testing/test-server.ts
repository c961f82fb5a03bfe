import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jsonLogger, type Logger } from '../../base/logger.ts';
import { ApiServer } from '../api-server.ts';
import { allRoutes } from '../routes/index.ts';
import type { Services } from '../services.ts';

/** A complete answer. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** What to ask. */
export interface Ask {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text as it is; anything else as JSON with its content type. */
  readonly body?: unknown;
}

/** For tests: the real server on a unix socket in a folder of its own. */
export class TestServer implements AsyncDisposable {
  readonly socketPath: string;
  /** Lines of level warn and error. */
  readonly logLines: string[];
  readonly #server: ApiServer;
  readonly #folder: string;

  private constructor(parts: { folder: string; server: ApiServer; logLines: string[] }) {
    this.#folder = parts.folder;
    this.#server = parts.server;
    this.logLines = parts.logLines;
    this.socketPath = join(parts.folder, 'api.sock');
  }

  static async open(services: Services): Promise<TestServer> {
    const folder = await mkdtemp(join(tmpdir(), 'gantry-server-'));
    const logLines: string[] = [];
    const log: Logger = jsonLogger(
      (line) => logLines.push(line),
      () => 'warn',
    );
    const server = new ApiServer({ routes: allRoutes(services), engineVersion: '0.0.0', log });
    const opened = new TestServer({ folder, server, logLines });
    await server.listenUnix(opened.socketPath);
    return opened;
  }

  /** One request with its whole answer. */
  async ask({ method = 'GET', path, headers = {}, body }: Ask): Promise<Answer> {
    const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body);
    const json = text === body ? {} : { 'Content-Type': 'application/json' };
    const length = text === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(text)) };
    return await new Promise((resolve, reject) => {
      const request = httpRequest(
        {
          socketPath: this.socketPath,
          method,
          path,
          headers: { ...json, ...length, ...headers },
          agent: false,
        },
        (response) => {
          const parts: Buffer[] = [];
          response.on('data', (part: Buffer) => parts.push(part));
          response.on('error', reject);
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              text: Buffer.concat(parts).toString('utf8'),
            }),
          );
        },
      );
      request.on('error', reject);
      request.end(text);
    });
  }

  /** JSON of an answer. */
  async json(ask: Ask): Promise<unknown> {
    return JSON.parse((await this.ask(ask)).text) as unknown;
  }

  /** A bare connection that has sent `text`. */
  async raw(text: string): Promise<RawClient> {
    const socket = connect({ path: this.socketPath, allowHalfOpen: true });
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    socket.write(text);
    return new RawClient(socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** The client's end of a bare connection. */
export class RawClient implements Disposable {
  readonly socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #hasEnded = false;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    const end = (): void => {
      this.#hasEnded = true;
      this.#wake();
    };
    socket.on('end', end);
    socket.on('close', end);
    socket.on('error', end);
  }

  get received(): Buffer {
    return this.#received;
  }

  /** Resolves when `isEnough` says so. @throws Error  the connection ended before */
  async until(isEnough: (received: Buffer) => boolean): Promise<Buffer> {
    while (!isEnough(this.#received)) {
      if (this.#hasEnded) {
        throw new Error(`connection ended after: ${this.#received.toString('latin1')}`);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#received;
  }

  /** Resolves with everything when the server has ended its side. */
  async untilEnd(): Promise<Buffer> {
    while (!this.#hasEnded) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#received;
  }

  /** Head of the answer, and what follows so far. */
  async head(): Promise<{ readonly head: string; readonly rest: Buffer }> {
    const bytes = await this.until((received) => received.includes('\r\n\r\n'));
    const at = bytes.indexOf('\r\n\r\n');
    return { head: bytes.toString('latin1', 0, at), rest: bytes.subarray(at + 4) };
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
