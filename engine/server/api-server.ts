import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { isBefore, MAX_API_VERSION, MIN_API_VERSION, versionProblem } from '../api/versions.ts';
import { InvalidParameterError, isAbortError, messageOf, NotFoundError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { Exchange } from './exchange.ts';
import { answerOf } from './http-status.ts';
import { Query } from './query.ts';
import { RawConnection } from './raw-connection.ts';
import { parseTarget, type Route, type RouteMatch, Router, type Target } from './router.ts';
import { listenUnix } from './unix-socket.ts';
import { readUpgradeBody } from './upgrade-body.ts';

/** Credentials come in headers: registry tokens of many registries need room. */
const MAX_HEADER_BYTES = 1024 * 1024;
const HEADERS_TIMEOUT_MS = 60_000;

/** Composition of an {@link ApiServer}. */
export interface ApiServerOptions {
  readonly routes: readonly Route[];
  /** Version of the engine, for the `Server` header. */
  readonly engineVersion: string;
  readonly log: Logger;
}

/** Certificate and key of the server, and the authority that clients' certificates must be signed by; PEM. */
export interface TlsOptions {
  readonly cert: string | Uint8Array;
  readonly key: string | Uint8Array;
  /** Undefined: clients are not asked for a certificate. */
  readonly clientCa?: string | Uint8Array | undefined;
}

/**
 * The Engine API over HTTP/1.1 on any number of unix sockets and TCP ports.
 * Disposing stops listening and breaks what is still open.
 */
export class ApiServer implements AsyncDisposable {
  readonly #options: ApiServerOptions;
  readonly #router: Router;
  readonly #servers: Server[] = [];
  readonly #upgraded = new Set<Duplex>();

  constructor(options: ApiServerOptions) {
    this.#options = options;
    this.#router = new Router(options.routes);
  }

  /** @throws SystemError  another engine answers there; InvalidParameterError  path or group cannot be used */
  async listenUnix(
    path: string,
    options: { readonly group?: string | undefined } = {},
  ): Promise<void> {
    const server = this.#makeServer();
    await listenUnix(server, path, options);
    this.#options.log.info('listening', { socket: path });
  }

  /**
   * @param port  0 = any free one
   * @returns the port
   */
  async listenTcp(
    host: string,
    port: number,
    options: { readonly tls?: TlsOptions | undefined } = {},
  ): Promise<number> {
    const server = this.#makeServer(options.tls);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    const actual = (server.address() as AddressInfo).port;
    this.#options.log.info('listening', { host, port: actual, hasTls: options.tls !== undefined });
    return actual;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#servers.splice(0).map(async (server) => {
        const closed = new Promise<void>((resolve) => {
          server.close(() => resolve());
        });
        server.closeAllConnections();
        for (const socket of this.#upgraded) {
          socket.destroy();
        }
        await closed;
      }),
    );
  }

  #makeServer(tls?: TlsOptions): Server {
    const settings = {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      // Uploads take as long as they take, and clients keep idle connections for later.
      requestTimeout: 0,
      keepAliveTimeout: 0,
      requireHostHeader: false,
      shouldUpgradeCallback: (request: IncomingMessage) => this.#takesUpgrade(request),
    };
    const server =
      tls === undefined
        ? createServer(settings)
        : createTlsServer({
            ...settings,
            cert: Buffer.from(tls.cert),
            key: Buffer.from(tls.key),
            ...(tls.clientCa === undefined
              ? {}
              : { ca: Buffer.from(tls.clientCa), requestCert: true, rejectUnauthorized: true }),
          });
    server.on('request', (request, response) => {
      void this.#serve(request, response);
    });
    server.on('upgrade', (request, socket, head) => {
      void this.#serveUpgrade(request, socket, head);
    });
    server.on('clientError', (error: Error, socket: Duplex) => {
      this.#options.log.debug('malformed request', { error });
      if (socket.writable) {
        socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      }
      socket.destroy();
    });
    this.#servers.push(server);
    return server;
  }

  #takesUpgrade(request: IncomingMessage): boolean {
    const target = parseTarget(request.url ?? '');
    const found = target && this.#router.find(request.method ?? '', target.path);
    return found?.route.isHijack === true;
  }

  async #serveUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    this.#upgraded.add(socket);
    // The handlers see a broken connection as its close.
    socket.on('error', () => {});
    socket.once('close', () => this.#upgraded.delete(socket));
    response.assignSocket(request.socket);
    response.on('finish', () => new RawConnection(socket).end());
    try {
      const body = await readUpgradeBody(request, socket, head);
      await this.#serve(request, response, { socket, body });
    } catch (error) {
      this.#options.log.debug('upgrade failed', { error });
      const message = Buffer.from(JSON.stringify({ message: messageOf(error) }));
      response
        .writeHead(answerOf(error).status, {
          'Content-Type': 'application/json',
          'Content-Length': message.length,
        })
        .end(message);
    }
  }

  /** Never rejects. */
  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
    upgrade?: { readonly socket: Duplex; readonly body: Uint8Array },
  ): Promise<void> {
    const target = parseTarget(request.url ?? '');
    const version = target?.version ?? MAX_API_VERSION;
    const { engineVersion, log } = this.#options;
    response.setHeader('Server', `Gantry/${engineVersion} (linux)`);
    response.setHeader('Api-Version', MAX_API_VERSION);
    response.setHeader('Docker-Experimental', 'false');
    response.setHeader('Ostype', 'linux');
    const makeExchange = (match: RouteMatch | undefined, query: Query): Exchange =>
      new Exchange({
        request,
        response,
        upgrade,
        path: target?.path ?? '',
        version,
        params: match?.params ?? {},
        query,
        log,
      });
    let exchange = makeExchange(undefined, new Query(''));
    try {
      const match = this.#match(request, target);
      exchange = makeExchange(match, new Query(target?.queryText ?? ''));
      await match.route.handler(exchange);
      log.debug('request', {
        method: exchange.method,
        path: exchange.path,
        status: response.statusCode,
      });
    } catch (error) {
      this.#fail(exchange, error);
    }
  }

  #match(request: IncomingMessage, target: Target | undefined): RouteMatch {
    if (target === undefined) {
      throw new InvalidParameterError('malformed URL path');
    }
    const match = this.#router.find(request.method ?? '', target.path);
    if (match === undefined) {
      if (request.method === 'OPTIONS') {
        return {
          route: {
            method: 'OPTIONS',
            pattern: '',
            isHijack: false,
            handler: (exchange) => exchange.empty(200),
          },
          params: {},
        };
      }
      throw new NotFoundError('page not found');
    }
    const problem = target.version === undefined ? undefined : versionProblem(target.version);
    if (problem !== undefined) {
      throw new InvalidParameterError(problem);
    }
    return match;
  }

  #fail(exchange: Exchange, error: unknown): void {
    const { log } = this.#options;
    const where = { method: exchange.method, path: exchange.path };
    if (exchange.isClientGone || (isAbortError(error) && exchange.hasAnswered)) {
      log.debug('client gone', where);
      exchange.breakOff();
      return;
    }
    const answer = answerOf(error);
    if (!answer.isClassified) {
      log.error('unforeseen error', { ...where, error });
    } else if (answer.status >= 500) {
      log.warn('request failed', { ...where, error });
    }
    if (exchange.hasAnswered) {
      log.debug('answer broken off', { ...where, error });
      exchange.breakOff();
    } else if (isBefore(exchange.version, MIN_API_VERSION)) {
      // Clients that old print the body as it is.
      exchange.text(answer.status, `${answer.message}\n`);
    } else {
      exchange.json(answer.status, { message: answer.message });
    }
  }
}
