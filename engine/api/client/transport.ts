/** One request. `path` begins with `/` and is complete, without the query. */
export interface ApiRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  /** Undefined values are left out, lists are repeated. */
  readonly query?: Readonly<
    Record<string, string | number | boolean | readonly string[] | undefined>
  >;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text is sent whole, an iterable is sent chunked as it comes. */
  readonly body?: string | AsyncIterable<Uint8Array> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The answer's head, with its body still to be read. */
export interface ApiResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Iterate once; leaving the loop early closes the connection. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** A connection that was taken over from HTTP (attach, exec). */
export interface ApiDuplex {
  /** Lower-case headers of the answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** What the other side sends; ends when it is done. Reading it slowly holds the other side back. */
  readonly output: AsyncIterable<Uint8Array>;
  /** Resolves when the bytes may be followed by more; rejects once the connection is gone. */
  write(bytes: Uint8Array): Promise<void>;
  /** No more input. */
  end(): void;
  /** Drops the connection. Idempotent. */
  close(): void;
}

/** Carries requests to an engine. Connection failures reject with `UnavailableError`. */
export interface ApiTransport {
  request(request: ApiRequest): Promise<ApiResponse>;
  /** Asks for a raw connection; an answer that is not a switch (101 or 200) is returned as a response instead. */
  upgrade(
    request: ApiRequest,
  ): Promise<{ readonly duplex: ApiDuplex } | { readonly response: ApiResponse }>;
}
