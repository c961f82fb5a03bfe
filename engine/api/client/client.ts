import { z } from 'zod';
import {
  ConflictError,
  type EngineError,
  ForbiddenError,
  InvalidParameterError,
  NotFoundError,
  NotImplementedError,
  SystemError,
  UnauthorizedError,
  UnavailableError,
} from '../../base/errors.ts';
import { readJsonLines, readText } from './bytes.ts';
import type { ApiDuplex, ApiRequest, ApiResponse, ApiTransport } from './transport.ts';

/** What a call may be given. */
export type CallOptions = Pick<ApiRequest, 'query' | 'headers' | 'signal'> & {
  /** JSON body; undefined = none. */
  readonly json?: unknown;
  /** Raw body, instead of `json`. */
  readonly body?: AsyncIterable<Uint8Array>;
};

const MAX_ERROR_BYTES = 64 * 1024;
/** Longest answer that is read whole; a list of 100,000 images is below. */
const MAX_JSON_BYTES = 512 * 1024 * 1024;

/** Segment of an API path: encoded, but `/` and `:` of references stay as the API expects them. */
export function pathSegment(name: string): string {
  return encodeURIComponent(name)
    .replaceAll('%2F', '/')
    .replaceAll('%3A', ':')
    .replaceAll('%40', '@');
}

/**
 * Thin client of the Docker Engine API: paths in, decoded answers out. It knows no resource; callers bring path and
 * decoder. Statuses of 400 and above are thrown as the error classes of `engine/base`, with the engine's message.
 *
 * @param prefix  version prefix of all paths, e.g. `/v1.44`; empty = the engine's newest
 */
export class ApiClient {
  readonly #transport: ApiTransport;
  readonly #prefix: string;

  constructor(transport: ApiTransport, prefix = '') {
    this.#transport = transport;
    this.#prefix = prefix;
  }

  /** JSON answer, decoded. */
  async get<T extends z.ZodType>(
    path: string,
    schema: T,
    options: CallOptions = {},
  ): Promise<z.output<T>> {
    return await this.#json('GET', path, schema, options);
  }

  /** JSON answer of a POST, decoded. */
  async post<T extends z.ZodType>(
    path: string,
    schema: T,
    options: CallOptions = {},
  ): Promise<z.output<T>> {
    return await this.#json('POST', path, schema, options);
  }

  /** JSON answer of a DELETE, decoded. */
  async delete<T extends z.ZodType>(
    path: string,
    schema: T,
    options: CallOptions = {},
  ): Promise<z.output<T>> {
    return await this.#json('DELETE', path, schema, options);
  }

  /** A request whose answer has nothing to read; returns its status (304 is no error). */
  async run(
    method: 'POST' | 'PUT' | 'DELETE',
    path: string,
    options: CallOptions = {},
  ): Promise<number> {
    const response = await this.#send(method, path, options);
    await readText(response.body, MAX_ERROR_BYTES);
    return response.status;
  }

  /** The bytes of an answer as they come. Leaving the loop closes the connection. */
  async bytes(
    method: 'GET' | 'POST',
    path: string,
    options: CallOptions = {},
  ): Promise<ApiResponse> {
    return await this.#send(method, path, options);
  }

  /** The values of a JSON stream, decoded; what does not fit is passed over. */
  async *lines<T extends z.ZodType>(
    method: 'GET' | 'POST',
    path: string,
    schema: T,
    options: CallOptions = {},
  ): AsyncGenerator<z.output<T>, void, void> {
    const response = await this.#send(method, path, options);
    for await (const value of readJsonLines(response.body)) {
      const parsed = schema.safeParse(value);
      if (parsed.success) {
        yield parsed.data;
      }
    }
  }

  /** Takes the connection over (attach, exec start). */
  async hijack(path: string, options: CallOptions = {}): Promise<ApiDuplex> {
    const answer = await this.#transport.upgrade(this.#request('POST', path, options));
    if ('duplex' in answer) {
      return answer.duplex;
    }
    throw await errorOf(answer.response, path);
  }

  async #json<T extends z.ZodType>(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    schema: T,
    options: CallOptions,
  ): Promise<z.output<T>> {
    const response = await this.#send(method, path, options);
    const text = await readText(response.body, MAX_JSON_BYTES);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw new SystemError(`the engine's answer to ${path} is not JSON`, { cause: error });
    }
    const parsed = schema.safeParse(value);
    if (!parsed.success) {
      throw new SystemError(
        `unexpected answer of the engine to ${path}: ${z.prettifyError(parsed.error)}`,
        { cause: parsed.error },
      );
    }
    return parsed.data;
  }

  async #send(
    method: ApiRequest['method'],
    path: string,
    options: CallOptions,
  ): Promise<ApiResponse> {
    const response = await this.#transport.request(this.#request(method, path, options));
    if (response.status >= 400) {
      throw await errorOf(response, path);
    }
    return response;
  }

  #request(method: ApiRequest['method'], path: string, options: CallOptions): ApiRequest {
    const { query, headers, signal, json, body } = options;
    return {
      method,
      path: `${this.#prefix}${path}`,
      ...(query === undefined ? {} : { query }),
      headers: {
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: json === undefined ? body : JSON.stringify(json),
      signal,
    };
  }
}

const messageSchema = z.object({ message: z.string() });

async function errorOf(response: ApiResponse, path: string): Promise<EngineError> {
  const text = await readText(response.body, MAX_ERROR_BYTES);
  let message =
    text.trim() === '' ? `the engine answered ${response.status} to ${path}` : text.trim();
  try {
    const parsed = messageSchema.safeParse(JSON.parse(text));
    if (parsed.success) {
      message = parsed.data.message;
    }
  } catch {
    // Plain text then, as proxies answer.
  }
  return errorOfStatus(response.status, message);
}

/** The error class of an HTTP status. */
export function errorOfStatus(status: number, message: string): EngineError {
  switch (status) {
    case 400:
      return new InvalidParameterError(message);
    case 401:
      return new UnauthorizedError(message);
    case 403:
      return new ForbiddenError(message);
    case 404:
      return new NotFoundError(message);
    case 409:
      return new ConflictError(message);
    case 501:
      return new NotImplementedError(message);
    case 503:
      return new UnavailableError(message);
    default:
      return status < 500 ? new InvalidParameterError(message) : new SystemError(message);
  }
}
