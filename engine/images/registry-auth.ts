import { z } from 'zod';
import { InvalidParameterError } from '../base/errors.ts';

/** Credentials of one registry, as clients send them. Never logged. */
export interface RegistryAuth {
  readonly username: string;
  readonly password: string;
  /** OAuth refresh token, used instead of the password. */
  readonly identityToken: string;
  /** Bearer token sent as it is. */
  readonly registryToken: string;
  readonly serverAddress: string;
}

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');

const authSchema = z.object({
  username: text,
  password: text,
  auth: text,
  identitytoken: text,
  registrytoken: text,
  serveraddress: text,
});

function toAuth(value: unknown): RegistryAuth {
  const parsed = authSchema.safeParse(value ?? {});
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new InvalidParameterError(
      `invalid X-Registry-Auth header: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
    );
  }
  let { username, password } = parsed.data;
  if (username === '' && parsed.data.auth !== '') {
    const plain = Buffer.from(parsed.data.auth, 'base64').toString('utf8');
    const colon = plain.indexOf(':');
    username = colon < 0 ? plain : plain.slice(0, colon);
    // Old clients padded with NUL.
    password = colon < 0 ? '' : plain.slice(colon + 1).replace(/\0+$/, '');
  }
  return {
    username,
    password,
    identityToken: parsed.data.identitytoken,
    registryToken: parsed.data.registrytoken,
    serverAddress: parsed.data.serveraddress,
  };
}

function decodeJson(header: string): unknown {
  const isBase64 = /^[A-Za-z0-9_+/-]*={0,2}$/.test(header);
  if (!isBase64) {
    throw new InvalidParameterError('invalid X-Registry-Auth header: invalid base64');
  }
  const json = Buffer.from(header, 'base64url').toString('utf8');
  try {
    return JSON.parse(json) as unknown;
  } catch (cause) {
    throw new InvalidParameterError('invalid X-Registry-Auth header: invalid JSON', { cause });
  }
}

/**
 * Decodes the X-Registry-Auth header: base64url (plain base64 tolerated) of a JSON object.
 *
 * @returns undefined when the header is absent, empty or holds no credentials
 * @throws InvalidParameterError
 */
export function decodeRegistryAuth(header: string | undefined): RegistryAuth | undefined {
  if (header === undefined || header === '' || header === 'null') {
    return undefined;
  }
  const auth = toAuth(decodeJson(header));
  const isEmpty = auth.username === '' && auth.identityToken === '' && auth.registryToken === '';
  return isEmpty ? undefined : auth;
}

/** Decodes the body of POST /auth. @throws InvalidParameterError */
export function decodeAuthBody(body: unknown): RegistryAuth {
  return toAuth(body);
}

/**
 * Decodes X-Registry-Config (build): base64url of a JSON object from registry host to credentials.
 *
 * @throws InvalidParameterError
 */
export function decodeRegistryAuthMap(
  header: string | undefined,
): ReadonlyMap<string, RegistryAuth> {
  if (header === undefined || header === '') {
    return new Map();
  }
  const value = decodeJson(header);
  if (typeof value !== 'object' || value === null) {
    return new Map();
  }
  return new Map(Object.entries(value).map(([host, auth]) => [host, toAuth(auth)]));
}
