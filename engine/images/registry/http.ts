import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isAbortError } from '../../base/errors.ts';
import { protocolError, TransportError, transportErrorOf } from './errors.ts';

/** TLS settings of one registry host. */
export interface TlsSettings {
  /** PEM; absent means the system's authorities. */
  readonly ca?: readonly string[] | undefined;
  readonly clients?: readonly { readonly cert: string; readonly key: string }[] | undefined;
  /** False for registries that are configured as insecure. */
  readonly isVerified: boolean;
}

/** One request; redirects are followed for GET and HEAD. */
export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers: OutgoingHttpHeaders;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  readonly tls: TlsSettings;
  readonly signal?: AbortSignal | undefined;
}

/** The head of an answer; `body` must be read to its end or destroyed. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Where the answer came from, after redirects. */
  readonly url: URL;
  readonly body: IncomingMessage;
}

const MAX_REDIRECTS = 10;
/** A connection on which nothing moves for this long is given up (Docker waits without end). */
const DEFAULT_STALL_TIMEOUT_MS = 60_000;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** HTTP for registries: keep-alive, bounded waiting, redirects that leak no credentials. */
export class RegistryHttp implements Disposable {
  readonly #stallTimeoutMs: number;
  readonly #userAgent: string;
  readonly #proxyEnv: NodeJS.ProcessEnv | undefined;
  readonly #plain: HttpAgent;
  readonly #tlsAgents = new Map<string, HttpsAgent>();

  constructor(options: {
    readonly userAgent: string;
    readonly stallTimeoutMs?: number | undefined;
    /** HTTP_PROXY, HTTPS_PROXY, NO_PROXY. */
    readonly proxyEnv?: Readonly<Record<string, string>> | undefined;
  }) {
    this.#userAgent = options.userAgent;
    this.#stallTimeoutMs = options.stallTimeoutMs ?? DEFAULT_STALL_TIMEOUT_MS;
    this.#proxyEnv = options.proxyEnv;
    this.#plain = new HttpAgent({ keepAlive: true, ...this.#proxy() });
  }

  /** @throws TransportError  no answer;  SystemError  a redirect that must not be followed */
  async send(request: HttpRequest): Promise<HttpAnswer> {
    let { url } = request;
    let headers = request.headers;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
      const answer = await this.#once({ ...request, url, headers });
      const location = answer.headers.location;
      const isFollowed =
        REDIRECTS.has(answer.status) && (request.method === 'GET' || request.method === 'HEAD');
      if (!isFollowed || location === undefined) {
        return answer;
      }
      answer.body.resume();
      const next = redirectTarget(url, location, request.tls);
      if (next.host !== url.host || next.protocol !== url.protocol) {
        const { Authorization: _authorization, ...rest } = headers;
        headers = rest;
      }
      url = next;
    }
    throw protocolError(`${request.url.host} redirects more than ${MAX_REDIRECTS} times`);
  }

  [Symbol.dispose](): void {
    this.#plain.destroy();
    for (const agent of this.#tlsAgents.values()) {
      agent.destroy();
    }
  }

  #proxy(): { proxyEnv?: NodeJS.ProcessEnv } {
    return this.#proxyEnv === undefined ? {} : { proxyEnv: this.#proxyEnv };
  }

  #agentFor(tls: TlsSettings): HttpsAgent {
    const key = JSON.stringify(tls);
    let agent = this.#tlsAgents.get(key);
    if (agent === undefined) {
      const client = tls.clients?.[0];
      agent = new HttpsAgent({
        keepAlive: true,
        rejectUnauthorized: tls.isVerified,
        ...(tls.ca === undefined ? {} : { ca: [...tls.ca] }),
        ...(client === undefined ? {} : { cert: client.cert, key: client.key }),
        ...this.#proxy(),
      });
      this.#tlsAgents.set(key, agent);
    }
    return agent;
  }

  async #once(request: HttpRequest): Promise<HttpAnswer> {
    const { url, method, body, signal } = request;
    signal?.throwIfAborted();
    const isTls = url.protocol === 'https:';
    const length = body instanceof Uint8Array ? { 'Content-Length': body.length } : {};
    const outgoing = (isTls ? httpsRequest : httpRequest)(url, {
      method,
      agent: isTls ? this.#agentFor(request.tls) : this.#plain,
      headers: { 'User-Agent': this.#userAgent, ...length, ...request.headers },
      ...(signal === undefined ? {} : { signal }),
    });
    outgoing.setTimeout(this.#stallTimeoutMs, () => {
      outgoing.destroy(
        new TransportError(
          `${url.host} did not move a byte for ${Math.round(this.#stallTimeoutMs / 1000)} s: i/o timeout`,
        ),
      );
    });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve);
      outgoing.on('error', reject);
    });
    try {
      if (body === undefined || body instanceof Uint8Array) {
        outgoing.end(body);
      } else {
        // An answer before the end of the body (a refusal) wins over the broken upload.
        const sent = pipeline(Readable.from(body, { objectMode: false }), outgoing);
        sent.catch(() => {});
        await Promise.race([answered, sent.then(() => answered)]);
      }
      const message = await answered;
      message.on('error', () => {
        // Whoever reads the body sees it; nobody else needs to.
      });
      return { status: message.statusCode ?? 0, headers: message.headers, url, body: message };
    } catch (error) {
      outgoing.destroy();
      if (isAbortError(error)) {
        signal?.throwIfAborted();
      }
      throw transportErrorOf(error, method, url);
    }
  }
}

function redirectTarget(from: URL, location: string, tls: TlsSettings): URL {
  let next: URL;
  try {
    next = new URL(location, from);
  } catch (cause) {
    throw protocolError(`${from.host} redirects to an invalid address`, cause);
  }
  if (next.protocol !== 'http:' && next.protocol !== 'https:') {
    throw protocolError(`${from.host} redirects to unsupported scheme ${next.protocol}`);
  }
  if (from.protocol === 'https:' && next.protocol === 'http:' && tls.isVerified) {
    throw protocolError(`${from.host} redirects from https to http`);
  }
  return next;
}

/** Chunks of an answer's body; errors of the connection become TransportError. */
export async function* bodyChunks(
  answer: HttpAnswer,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    for await (const chunk of answer.body) {
      yield chunk as Buffer;
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw transportErrorOf(error, 'GET', answer.url);
  } finally {
    answer.body.destroy();
  }
}

/** A whole body of at most `maxBytes`. @throws SystemError  it is larger */
export async function readBody(
  answer: HttpAnswer,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bodyChunks(answer, signal)) {
    size += chunk.length;
    if (size > maxBytes) {
      throw protocolError(`${answer.url.host} sent more than ${maxBytes} bytes where few belong`);
    }
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}
