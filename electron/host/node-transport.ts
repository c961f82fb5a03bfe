import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type {
  ApiDuplex,
  ApiRequest,
  ApiResponse,
  ApiTransport,
} from '../../engine/api/client/transport.ts';
import { errnoOf, UnavailableError } from '../../engine/base/errors.ts';
import type { Endpoint } from './endpoint.ts';

/** A connection that hears nothing at all while connecting is given up after this. */
const CONNECT_TIMEOUT_MS = 15_000;

/**
 * Requests over a unix socket, TCP or TLS with `node:http`, one connection per request: engines keep unix sockets
 * cheap, and a connection that is never reused cannot be stale after an engine restart.
 */
export class NodeTransport implements ApiTransport {
  readonly #endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  async request(request: ApiRequest): Promise<ApiResponse> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const outgoing = this.#start(request, {});
    outgoing.once('response', resolve);
    outgoing.once('error', (error) => reject(this.#explain(error, request)));
    await this.#sendBody(outgoing, request, promise);
    const incoming = await promise;
    return responseOf(incoming, request.signal);
  }

  async upgrade(
    request: ApiRequest,
  ): Promise<{ readonly duplex: ApiDuplex } | { readonly response: ApiResponse }> {
    type Switched = { incoming: IncomingMessage; socket?: Socket; head?: Buffer };
    const { promise, resolve, reject } = Promise.withResolvers<Switched>();
    const outgoing = this.#start(request, { connection: 'Upgrade', upgrade: 'tcp' });
    outgoing.once('response', (incoming) => resolve({ incoming }));
    outgoing.once('upgrade', (incoming, socket, head) => resolve({ incoming, socket, head }));
    outgoing.once('error', (error) => reject(this.#explain(error, request)));
    await this.#sendBody(outgoing, request, promise);
    const { incoming, socket, head } = await promise;
    if (socket === undefined) {
      return { response: responseOf(incoming, request.signal) };
    }
    if (head !== undefined && head.length > 0) {
      socket.unshift(head);
    }
    return { duplex: duplexOf(incoming, socket, request.signal) };
  }

  #start(request: ApiRequest, extra: Record<string, string>): ClientRequest {
    const { host, port, socketPath, tls } = this.#endpoint.dial;
    const hasStream = request.body !== undefined && typeof request.body !== 'string';
    const options = {
      method: request.method,
      path: `${request.path}${queryOf(request.query)}`,
      headers: {
        host: 'docker',
        ...(typeof request.body === 'string'
          ? { 'content-length': String(Buffer.byteLength(request.body)) }
          : {}),
        ...(hasStream ? { 'transfer-encoding': 'chunked' } : {}),
        ...request.headers,
        ...extra,
      },
      agent: false as const,
      ...(socketPath === undefined ? { host, port } : { socketPath }),
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    };
    const outgoing =
      tls === undefined ? httpRequest(options) : httpsRequest({ ...options, ...tls });
    const timer = setTimeout(() => {
      outgoing.destroy(new Error(`no connection within ${CONNECT_TIMEOUT_MS / 1000} s`));
    }, CONNECT_TIMEOUT_MS);
    timer.unref();
    outgoing.once('socket', (socket) => {
      if (socket.connecting) {
        socket.once('connect', () => clearTimeout(timer));
      } else {
        clearTimeout(timer);
      }
    });
    outgoing.once('close', () => clearTimeout(timer));
    return outgoing;
  }

  /** Sends the body; an answer that comes before the whole body was read (a refusal) wins over the broken pipe. */
  async #sendBody(
    outgoing: ClientRequest,
    request: ApiRequest,
    answer: Promise<unknown>,
  ): Promise<void> {
    if (request.body === undefined || typeof request.body === 'string') {
      outgoing.end(request.body);
      return;
    }
    const sent = pipeline(request.body, outgoing);
    // Both outcomes are looked at below; none may count as unhandled meanwhile.
    sent.catch(() => {});
    answer.catch(() => {});
    await Promise.race([
      sent.catch(async (error: unknown) => {
        // Our own source failed: tell the engine nothing more. Else wait for its answer or the connection's error.
        if (!outgoing.destroyed) {
          outgoing.destroy(error instanceof Error ? error : undefined);
        }
        await answer;
      }),
      answer,
    ]);
  }

  #explain(error: unknown, request: ApiRequest): unknown {
    if (request.signal?.aborted === true) {
      return request.signal.reason;
    }
    const where = this.#endpoint.url;
    switch (errnoOf(error) ?? '') {
      case 'ENOENT':
        return new UnavailableError(`no engine listens on ${where}`, { cause: error });
      case 'ECONNREFUSED':
        return new UnavailableError(`the engine on ${where} does not answer`, { cause: error });
      case 'EACCES':
      case 'EPERM':
        return new UnavailableError(`no permission to use ${where}`, { cause: error });
      default:
        return new UnavailableError(
          `the connection to ${where} failed: ${error instanceof Error ? error.message : String(error)}`,
          { cause: error },
        );
    }
  }
}

function queryOf(query: ApiRequest['query']): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (Array.isArray(value)) {
      for (const element of value) {
        parameters.append(name, String(element));
      }
    } else if (value !== undefined) {
      parameters.set(name, String(value));
    }
  }
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}

function headersOf(incoming: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(incoming.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : (value ?? ''),
    ]),
  );
}

function responseOf(incoming: IncomingMessage, signal: AbortSignal | undefined): ApiResponse {
  return {
    status: incoming.statusCode ?? 0,
    headers: headersOf(incoming),
    body: readBody(incoming, signal),
  };
}

async function* readBody(
  incoming: Readable,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    for await (const chunk of incoming) {
      yield chunk as Buffer;
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw new UnavailableError('the engine closed the connection', { cause: error });
  } finally {
    incoming.destroy();
  }
}

function duplexOf(
  incoming: IncomingMessage,
  socket: Socket,
  signal: AbortSignal | undefined,
): ApiDuplex {
  socket.setTimeout(0);
  socket.setNoDelay(true);
  // An error shows up in the reader and the writer; without a listener it would end the process.
  socket.on('error', () => {});
  return {
    headers: headersOf(incoming),
    output: readBody(socket, signal),
    write: async (bytes) => {
      if (socket.destroyed || socket.writableEnded) {
        throw new UnavailableError('the connection is closed');
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const isRoomLeft = socket.write(bytes, (error) => {
        if (error) {
          reject(new UnavailableError('the connection is closed', { cause: error }));
        }
      });
      if (isRoomLeft) {
        resolve();
      } else {
        socket.once('drain', resolve);
        socket.once('close', () => reject(new UnavailableError('the connection is closed')));
      }
      await promise;
    },
    end: () => socket.end(),
    close: () => socket.destroy(),
  };
}
