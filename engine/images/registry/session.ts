import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { z } from 'zod';
import { UnauthorizedError } from '../../base/errors.ts';
import { decodeWith, parseJson } from '../image-config.ts';
import type { RegistryAuth } from '../registry-auth.ts';
import type { Endpoint } from './endpoints.ts';
import { errorOfAnswer, protocolError } from './errors.ts';
import { type HttpAnswer, type HttpRequest, type RegistryHttp, readBody } from './http.ts';

const MAX_TOKEN_BYTES = 256 * 1024;
const MAX_ERROR_BYTES = 64 * 1024;
/** Lifetime when the token server names none (distribution specification). */
const DEFAULT_TOKEN_SECONDS = 60;
/** A token that ends sooner than this is not used any more. */
const TOKEN_MARGIN_MS = 5_000;
const CLIENT_ID = 'gantry';

const tokenSchema = z.object({
  token: z.string().nullish(),
  access_token: z.string().nullish(),
  refresh_token: z.string().nullish(),
  expires_in: z.number().nullish(),
});

/** A parsed WWW-Authenticate challenge. */
interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Parses one challenge: `Bearer realm="x",service="y"`. */
function parseChallenge(header: string): Challenge {
  const [, scheme = '', rest = ''] = /^\s*([A-Za-z]+)\s*(.*)$/s.exec(header) ?? [];
  const parameters: Record<string, string> = {};
  for (const [, name = '', quoted, plain] of rest.matchAll(
    /([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))/g,
  )) {
    parameters[name.toLowerCase()] = (quoted ?? plain ?? '').replaceAll(/\\(.)/g, '$1');
  }
  return { scheme: scheme.toLowerCase(), parameters };
}

function challengeOf(headers: IncomingHttpHeaders): Challenge | undefined {
  const header = headers['www-authenticate'];
  return header === undefined ? undefined : parseChallenge(header);
}

function basic(auth: RegistryAuth): string {
  return `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`;
}

/** A request within a session. A body is made anew for each attempt. */
export interface SessionRequest {
  readonly method: HttpRequest['method'];
  /** Path below the endpoint, or an absolute address that the registry gave. */
  readonly target: string | URL;
  /** Such as `repository:library/busybox:pull`. */
  readonly scopes: readonly string[];
  readonly headers?: OutgoingHttpHeaders | undefined;
  readonly body?: (() => Uint8Array | AsyncIterable<Uint8Array>) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Statuses of 400 and more that are answers, not errors. */
  readonly expected?: readonly number[] | undefined;
}

/** Requests to one endpoint with one set of credentials: answers challenges, keeps tokens, renews them. */
export class RegistrySession {
  readonly endpoint: Endpoint;
  readonly #http: RegistryHttp;
  readonly #auth: RegistryAuth | undefined;
  #challenge: Challenge | undefined;
  readonly #tokens = new Map<string, { readonly token: string; readonly endsAtMs: number }>();
  /** Refresh token that the token server handed out, for `auth`. */
  identityToken = '';

  constructor(options: {
    readonly endpoint: Endpoint;
    readonly http: RegistryHttp;
    readonly auth: RegistryAuth | undefined;
  }) {
    this.endpoint = options.endpoint;
    this.#http = options.http;
    this.#auth = options.auth;
  }

  /**
   * Sends a request; a 401 is answered with credentials or a fresh token, once each.
   *
   * @throws RegistryError  an error status;  TransportError  no answer
   */
  async send(request: SessionRequest): Promise<HttpAnswer> {
    const { signal } = request;
    const url = new URL(request.target, this.endpoint.baseUrl);
    for (let attempt = 0; ; attempt += 1) {
      const authorization = this.#isOwnHost(url)
        ? await this.#authorization(request.scopes, signal)
        : undefined;
      const answer = await this.#http.send({
        method: request.method,
        url,
        headers: {
          ...request.headers,
          ...(authorization === undefined ? {} : { Authorization: authorization }),
        },
        body: request.body?.(),
        tls: this.endpoint.tls,
        signal,
      });
      if (answer.status < 400 || request.expected?.includes(answer.status) === true) {
        return answer;
      }
      const challenge = challengeOf(answer.headers);
      const error = errorOfAnswer(
        answer.status,
        await readBody(answer, MAX_ERROR_BYTES, signal).catch(() => new Uint8Array()),
        challenge?.parameters['error'],
      );
      const isFirst = answer.status === 401 && challenge !== undefined && attempt === 0;
      if (!isFirst || !this.#canAnswer(challenge, authorization)) {
        throw error;
      }
      // Either the first challenge, or the token has ended early: get a new one.
      this.#challenge = challenge;
      this.#tokens.delete(scopeKey(request.scopes));
    }
  }

  /** Learns the challenge and checks the credentials. @throws UnauthorizedError */
  async check(signal?: AbortSignal): Promise<void> {
    const answer = await this.send({ method: 'GET', target: '/v2/', scopes: [], signal });
    answer.body.resume();
  }

  #isOwnHost(url: URL): boolean {
    return url.host === this.endpoint.baseUrl.host;
  }

  #canAnswer(challenge: Challenge, used: string | undefined): boolean {
    if (this.#auth?.registryToken !== undefined && this.#auth.registryToken !== '') {
      return used === undefined;
    }
    if (challenge.scheme === 'bearer') {
      return true;
    }
    if (challenge.scheme === 'basic' && used === undefined) {
      if (this.#auth === undefined || this.#auth.username === '') {
        throw new UnauthorizedError(
          `Get "${this.endpoint.baseUrl.href}v2/": no basic auth credentials`,
        );
      }
      return true;
    }
    return false;
  }

  async #authorization(
    scopes: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const challenge = this.#challenge;
    if (challenge === undefined) {
      return undefined;
    }
    if (this.#auth !== undefined && this.#auth.registryToken !== '') {
      return `Bearer ${this.#auth.registryToken}`;
    }
    if (challenge.scheme === 'basic') {
      return this.#auth === undefined ? undefined : basic(this.#auth);
    }
    const key = scopeKey(scopes);
    const known = this.#tokens.get(key);
    if (known !== undefined && known.endsAtMs - TOKEN_MARGIN_MS > Date.now()) {
      return `Bearer ${known.token}`;
    }
    const fresh = await this.#fetchToken(challenge, scopes, signal);
    this.#tokens.set(key, fresh);
    return `Bearer ${fresh.token}`;
  }

  async #fetchToken(
    challenge: Challenge,
    scopes: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<{ readonly token: string; readonly endsAtMs: number }> {
    const realm = this.#realmOf(challenge);
    const service = challenge.parameters['service'] ?? '';
    const auth = this.#auth;
    const hasIdentity = auth !== undefined && auth.identityToken !== '';
    const request: Pick<HttpRequest, 'method' | 'url' | 'headers' | 'body'> = hasIdentity
      ? {
          method: 'POST',
          url: realm,
          headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
          body: Buffer.from(
            new URLSearchParams({
              grant_type: 'refresh_token',
              refresh_token: auth.identityToken,
              service,
              client_id: CLIENT_ID,
              scope: scopes.join(' '),
            }).toString(),
          ),
        }
      : {
          method: 'GET',
          url: this.#tokenUrl(realm, service, scopes),
          headers: this.#basicHeader(),
        };
    const answer = await this.#http.send({ ...request, tls: this.endpoint.tls, signal });
    const body = await readBody(answer, MAX_TOKEN_BYTES, signal);
    if (answer.status >= 400) {
      throw errorOfAnswer(answer.status, body, undefined);
    }
    const decoded = decodeWith(tokenSchema, parseJson(body, 'token answer'), 'token answer');
    const token = decoded.token ?? decoded.access_token ?? '';
    if (token === '' || /[\r\n]/.test(token)) {
      throw protocolError('authorization server did not include a token in the response');
    }
    this.identityToken = decoded.refresh_token ?? this.identityToken;
    const seconds = Math.max(decoded.expires_in ?? DEFAULT_TOKEN_SECONDS, DEFAULT_TOKEN_SECONDS);
    return { token, endsAtMs: Date.now() + seconds * 1000 };
  }

  #realmOf(challenge: Challenge): URL {
    const text = challenge.parameters['realm'] ?? '';
    let realm: URL;
    try {
      realm = new URL(text, this.endpoint.baseUrl);
    } catch (cause) {
      throw protocolError(`invalid token auth challenge realm: ${text}`, cause);
    }
    const isPlain = realm.protocol === 'http:';
    if (!isPlain && realm.protocol !== 'https:') {
      throw protocolError(`invalid token auth challenge realm: ${text}`);
    }
    if (isPlain && this.endpoint.tls.isVerified) {
      throw protocolError(`token server ${realm.host} would get credentials without TLS`);
    }
    return realm;
  }

  #tokenUrl(realm: URL, service: string, scopes: readonly string[]): URL {
    const url = new URL(realm);
    if (service !== '') {
      url.searchParams.set('service', service);
    }
    for (const scope of scopes) {
      url.searchParams.append('scope', scope);
    }
    if (this.#auth !== undefined && this.#auth.username !== '') {
      url.searchParams.set('account', this.#auth.username);
      if (scopes.length === 0) {
        url.searchParams.set('offline_token', 'true');
        url.searchParams.set('client_id', CLIENT_ID);
      }
    }
    return url;
  }

  #basicHeader(): OutgoingHttpHeaders {
    return this.#auth === undefined || this.#auth.username === ''
      ? {}
      : { Authorization: basic(this.#auth) };
  }
}

function scopeKey(scopes: readonly string[]): string {
  return scopes.toSorted().join(' ');
}
