import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { type WebSocket, WebSocketServer } from 'ws';
import { isAbortError, messageOf } from '../../engine/base/errors.ts';
import type { Logger } from '../../engine/base/logger.ts';
import { MAX_BYTES_PAYLOAD, MAX_PAGE_TEXT_LENGTH, type WireMessage } from '../contract/frames.ts';
import {
  CLOSE_UNAUTHORIZED,
  GREETING,
  TOKEN_PROTOCOL_PREFIX,
  WEB_SOCKET_PATH,
  WEB_SOCKET_PROTOCOL,
} from '../contract/page.ts';
import { Inbox, type Transport } from '../contract/transport.ts';
import { contentDisposition, DOWNLOAD_PATH } from '../host/downloads.ts';
import type { Host } from '../host/host.ts';
import { findStaticFile, SECURITY_HEADERS } from '../host/static-files.ts';

/** What the server needs. */
export interface WebServerOptions {
  readonly host: Pick<Host, 'serve' | 'downloads'>;
  /** Folder of the built page. */
  readonly pageRoot: string;
  /** 0 = any free port. */
  readonly port: number;
  /** Loopback address to listen on; default 127.0.0.1. */
  readonly address?: string;
  readonly log: Logger;
  /** For tests; default: 32 random bytes. */
  readonly token?: string;
}

/** A page that does not answer this often is gone, e.g. a laptop that sleeps. */
const PING_INTERVAL_MS = 30_000;
/** Sockets that wait for a token at once; more are refused. */
const MAX_CONNECTIONS = 64;

/** True for addresses that cannot be reached from another machine. */
export function isLoopback(address: string): boolean {
  return address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}

/**
 * Serves the page and its bridge on loopback only.
 *
 * Who can reach a loopback port is every program and every web page on this machine, and the engine behind it is
 * root's. So: requests must name us as `Host` (a foreign name that resolves to 127.0.0.1 does not), a WebSocket must
 * come from our own page (`Origin`), and must bring the token, which is only in the printed address's fragment and so in
 * no request line, no referrer and no log. There are no CORS headers. The page's files are no secret.
 */
export class WebServer implements AsyncDisposable {
  readonly token: string;
  readonly #options: WebServerOptions;
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  readonly #log: Logger;
  #pinger: NodeJS.Timeout | undefined;

  private constructor(options: WebServerOptions) {
    this.#options = options;
    this.#log = options.log.child({ component: 'web' });
    this.token = options.token ?? randomBytes(32).toString('base64url');
    this.#http = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        this.#log.warn('request failed', { path: pathOf(request), error });
        response.destroy();
      });
    });
    this.#sockets = new WebSocketServer({
      noServer: true,
      maxPayload: Math.max(MAX_PAGE_TEXT_LENGTH * 4, MAX_BYTES_PAYLOAD * 2),
      perMessageDeflate: false,
      handleProtocols: (protocols) =>
        protocols.has(WEB_SOCKET_PROTOCOL) ? WEB_SOCKET_PROTOCOL : false,
    });
    this.#http.on('upgrade', (request, socket, head) => {
      this.#upgrade(request, socket as Socket, head);
    });
  }

  /**
   * Starts listening.
   *
   * @throws Error  the port is taken, or the address is no loopback address
   */
  static async listen(options: WebServerOptions): Promise<WebServer> {
    const address = options.address ?? '127.0.0.1';
    if (!isLoopback(address)) {
      throw new Error(
        `refusing to listen on ${address}: the dashboard is as powerful as root, so it is served on loopback only. Use an ssh tunnel.`,
      );
    }
    const server = new WebServer(options);
    await new Promise<void>((resolve, reject) => {
      server.#http.once('error', reject);
      server.#http.listen(options.port, address, () => {
        server.#http.off('error', reject);
        resolve();
      });
    });
    server.#pinger = setInterval(() => server.#ping(), PING_INTERVAL_MS);
    server.#pinger.unref();
    return server;
  }

  /** Port in use. */
  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  /** The address to open, token included. */
  get url(): string {
    const address = this.#options.address ?? '127.0.0.1';
    const host = isIP(address) === 6 ? `[${address}]` : address;
    return `http://${host}:${this.port}/#token=${this.token}`;
  }

  /** Closes all connections and stops listening. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#pinger);
    for (const socket of this.#sockets.clients) {
      socket.terminate();
    }
    this.#sockets.close();
    await new Promise<void>((resolve) => {
      this.#http.close(() => resolve());
      this.#http.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
      response.setHeader(name, value);
    }
    if (!this.#isOurHost(request.headers.host)) {
      refuse(response, 421, 'This address is not served here.');
      return;
    }
    const origin = request.headers.origin;
    if (origin !== undefined && !this.#isOurOrigin(origin)) {
      refuse(response, 403, 'Requests of other sites are not answered.');
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      refuse(response, 405, 'Only GET and HEAD are understood.');
      return;
    }
    const path = pathOf(request);
    if (path.startsWith(DOWNLOAD_PATH)) {
      await this.#download(request, response, path);
      return;
    }
    await this.#file(request, response, path);
  }

  async #file(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const file = await findStaticFile(this.#options.pageRoot, path);
    if (file === undefined) {
      refuse(response, 404, 'There is nothing here.');
      return;
    }
    response.writeHead(200, {
      'content-type': file.mimeType,
      'content-length': file.sizeBytes,
      'cache-control': file.isImmutable ? 'public, max-age=31536000, immutable' : 'no-cache',
    });
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    await send(file.stream(), response);
  }

  async #download(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    // A HEAD, as link previews send it, must not use the ticket up.
    const download = request.method === 'GET' ? this.#options.host.downloads.take(path) : undefined;
    if (download === undefined) {
      refuse(response, 404, 'This download was used already or is too old. Start it again.');
      return;
    }
    const abort = new AbortController();
    response.once('close', () => abort.abort(new DOMException('receiver left', 'AbortError')));
    response.writeHead(200, {
      'content-type': download.mimeType,
      'content-disposition': contentDisposition(download.fileName),
      'cache-control': 'no-store',
    });
    try {
      await send(download.open(abort.signal), response);
    } catch (error) {
      // The head is out: only a broken transfer tells the receiver that the file is not whole.
      response.destroy();
      if (!isAbortError(error)) {
        this.#log.warn('download failed', { error });
      }
    }
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    // Errors of a socket that nobody owns yet would end the process.
    socket.on('error', () => {});
    const { host, origin } = request.headers;
    const isForeign = !this.#isOurHost(host) || origin === undefined || !this.#isOurOrigin(origin);
    const isElsewhere = pathOf(request) !== WEB_SOCKET_PATH;
    if (isForeign || isElsewhere || this.#sockets.clients.size >= MAX_CONNECTIONS) {
      const status = isElsewhere ? '404 Not Found' : '403 Forbidden';
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const isAllowed = this.#hasToken(request);
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      if (isAllowed) {
        this.#connected(webSocket);
      } else {
        webSocket.on('error', () => {});
        webSocket.close(CLOSE_UNAUTHORIZED, 'token refused');
      }
    });
  }

  #connected(webSocket: WebSocket): void {
    webSocket.send(GREETING);
    markAlive(webSocket);
    webSocket.on('pong', () => markAlive(webSocket));
    this.#options.host.serve(serverTransport(webSocket, this.#log));
  }

  #ping(): void {
    for (const webSocket of this.#sockets.clients) {
      if (!isAlive.delete(webSocket)) {
        webSocket.terminate();
      } else {
        webSocket.ping();
      }
    }
  }

  #hasToken(request: IncomingMessage): boolean {
    const header = request.headers['sec-websocket-protocol'] ?? '';
    const offered = header
      .split(',')
      .map((protocol) => protocol.trim())
      .find((protocol) => protocol.startsWith(TOKEN_PROTOCOL_PREFIX));
    const given = Buffer.from(offered?.slice(TOKEN_PROTOCOL_PREFIX.length) ?? '');
    const wanted = Buffer.from(this.token);
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  }

  #isOurHost(host: string | undefined): boolean {
    const names = ['127.0.0.1', 'localhost', '[::1]', this.#options.address ?? '127.0.0.1'];
    return names.some((name) => host === `${name}:${this.port}`);
  }

  #isOurOrigin(origin: string): boolean {
    return origin.startsWith('http://') && this.#isOurHost(origin.slice('http://'.length));
  }
}

/** Sockets that answered since the last ping. */
const isAlive = new WeakSet<WebSocket>();

function markAlive(webSocket: WebSocket): void {
  isAlive.add(webSocket);
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split(/[?#]/, 1)[0] ?? '/';
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(`${message}\n`);
}

async function send(source: AsyncIterable<Uint8Array>, response: ServerResponse): Promise<void> {
  try {
    await pipeline(source, response);
  } catch (error) {
    // The browser closed the tab or stopped the download.
    if (
      !(error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE')
    ) {
      throw error;
    }
  }
}

function serverTransport(webSocket: WebSocket, log: Logger): Transport {
  const inbox = new Inbox();
  webSocket.binaryType = 'nodebuffer';
  webSocket.on('message', (data, isBinary) => {
    // With `nodebuffer` every message is one Buffer.
    if (data instanceof Buffer) {
      inbox.deliver(isBinary ? data : data.toString('utf8'));
    }
  });
  webSocket.on('error', (error) =>
    log.debug('page connection failed', { reason: messageOf(error) }),
  );
  webSocket.on('close', () => inbox.close());
  return {
    send: (message: WireMessage) => {
      if (webSocket.readyState === webSocket.OPEN) {
        webSocket.send(message);
      }
    },
    listen: (receiver) => inbox.listen(receiver),
    close: () => webSocket.close(),
  };
}
