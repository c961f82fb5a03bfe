import { z } from 'zod';
import { EngineError, errnoOf, messageOf, SystemError } from '../../base/errors.ts';

/** An error answer of a registry, with its code from the distribution specification. */
export class RegistryError extends EngineError {
  readonly code = 'system';
  /** Such as `MANIFEST_UNKNOWN`; empty when the answer had no readable body. */
  readonly registryCode: string;
  readonly status: number;

  constructor(
    message: string,
    details: { readonly registryCode: string; readonly status: number },
  ) {
    super(message);
    this.registryCode = details.registryCode;
    this.status = details.status;
  }
}

/** No connection, no TLS, or a connection that broke: another endpoint or another attempt may do better. */
export class TransportError extends EngineError {
  readonly code = 'system';
}

const bodySchema = z.object({
  errors: z
    .array(
      z.object({
        code: z.string().default('UNKNOWN'),
        message: z.string().nullish(),
      }),
    )
    .min(1),
});

const STATUS_TEXT: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

const DEFAULT_MESSAGES: Readonly<Record<string, string>> = {
  UNAUTHORIZED: 'authentication required',
  DENIED: 'requested access to the resource is denied',
  TOOMANYREQUESTS: 'too many requests',
};

function named(code: string, message: string, status: number): RegistryError {
  const words = code.toLowerCase().replaceAll('_', ' ');
  // Control characters of a hostile registry stay out of terminals and logs.
  // oxlint-disable-next-line no-control-regex
  const clean = message.replaceAll(/[\u0000-\u001f\u007f]+/g, ' ').slice(0, 1000);
  return new RegistryError(`${words}: ${clean}`, { registryCode: code, status });
}

/**
 * The error that an answer with a status of 400 or more stands for.
 *
 * @param challengeError  `error` of the WWW-Authenticate header, if any
 */
export function errorOfAnswer(
  status: number,
  body: Uint8Array,
  challengeError: string | undefined,
): RegistryError {
  if (status === 401 && challengeError === 'insufficient_scope') {
    return named('DENIED', DEFAULT_MESSAGES['DENIED'] ?? '', status);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    // Not JSON: the status alone speaks.
  }
  const result = bodySchema.safeParse(parsed);
  const first = result.success ? result.data.errors[0] : undefined;
  if (first !== undefined && status < 500) {
    const fallback = DEFAULT_MESSAGES[first.code] ?? first.code.toLowerCase().replaceAll('_', ' ');
    return named(first.code, first.message ?? fallback, status);
  }
  if (status === 401) {
    return named('UNAUTHORIZED', DEFAULT_MESSAGES['UNAUTHORIZED'] ?? '', status);
  }
  if (status === 429) {
    return named('TOOMANYREQUESTS', DEFAULT_MESSAGES['TOOMANYREQUESTS'] ?? '', status);
  }
  const text = STATUS_TEXT[status] ?? '';
  return new RegistryError(`received unexpected HTTP status: ${status} ${text}`.trimEnd(), {
    registryCode: '',
    status,
  });
}

const TLS_TEXTS: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'x509: certificate signed by unknown authority',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'x509: certificate signed by unknown authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'x509: certificate signed by unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'x509: certificate signed by unknown authority',
  UNABLE_TO_GET_ISSUER_CERT: 'x509: certificate signed by unknown authority',
  CERT_HAS_EXPIRED: 'x509: certificate has expired or is not yet valid',
  CERT_NOT_YET_VALID: 'x509: certificate has expired or is not yet valid',
};

/** Wraps an error of a connection in the words that Docker clients know. */
export function transportErrorOf(error: unknown, method: string, url: URL): unknown {
  if (error instanceof EngineError) {
    return error;
  }
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  const address = `${url.hostname}:${port}`;
  const code = errnoOf(error) ?? '';
  let what = messageOf(error);
  if (code === 'ECONNREFUSED') {
    what = `dial tcp ${address}: connect: connection refused`;
  } else if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    what = `dial tcp: lookup ${url.hostname}: no such host`;
  } else if (code === 'ECONNRESET') {
    what = `read tcp ${address}: connection reset by peer`;
  } else if (code === 'ETIMEDOUT' || code === 'EHOSTUNREACH' || code === 'ENETUNREACH') {
    what = `dial tcp ${address}: ${code === 'ETIMEDOUT' ? 'i/o timeout' : 'connect: no route to host'}`;
  } else if (TLS_TEXTS[code] !== undefined) {
    what = `tls: failed to verify certificate: ${TLS_TEXTS[code]}`;
  } else if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    what = `tls: failed to verify certificate: x509: certificate is not valid for ${url.hostname}`;
  } else if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) {
    what = 'http: server gave HTTP response to HTTPS client';
  }
  const verb = method.charAt(0) + method.slice(1).toLowerCase();
  return new TransportError(`${verb} "${url.href}": ${what}`, { cause: error });
}

/** True when doing the same again may succeed: broken connections, 5xx, 429. */
export function isWorthRetrying(error: unknown): boolean {
  if (error instanceof TransportError) {
    return true;
  }
  return error instanceof RegistryError && (error.status >= 500 || error.status === 429);
}

/** The registry does not keep to the protocol, or lies. */
export function protocolError(message: string, cause?: unknown): SystemError {
  return new SystemError(message, cause === undefined ? {} : { cause });
}
