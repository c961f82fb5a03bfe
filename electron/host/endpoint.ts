import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import { z } from 'zod';
import { InvalidParameterError } from '../../engine/base/errors.ts';
import { readTextIfThere } from '../../engine/base/node/atomic-file.ts';

/** Where an engine is and how to dial it. */
export interface Endpoint {
  /** For people and for `app.state`. */
  readonly url: string;
  readonly name: string;
  /** True when the engine shares this machine's files, ports and processes. */
  readonly isLocal: boolean;
  readonly dial: {
    readonly socketPath?: string;
    readonly host?: string;
    readonly port?: number;
    readonly tls?: SecureContextOptions;
  };
}

/** The socket of Gantry's own engine when it runs as root. */
export const DEFAULT_ENGINE_URL = 'unix:///run/gantry/docker.sock';

/**
 * Decodes `unix:///path`, `npipe:////./pipe/name`, `tcp://host:port`, `http://host:port` or `https://host:port`.
 *
 * @throws InvalidParameterError  anything else
 */
export function parseEndpoint(
  text: string,
  options: { name?: string; tls?: SecureContextOptions } = {},
): Endpoint {
  const name = options.name ?? 'Gantry';
  const socket = /^(?:unix|npipe):\/\/(.+)$/.exec(text);
  if (socket?.[1] !== undefined) {
    return { url: text, name, isLocal: true, dial: { socketPath: socket[1] } };
  }
  let url: URL;
  try {
    url = new URL(text.replace(/^tcp:/, 'http:'));
  } catch (error) {
    throw new InvalidParameterError(`not an engine address: ${text}`, { cause: error });
  }
  if (!['http:', 'https:'].includes(url.protocol) || url.hostname === '') {
    throw new InvalidParameterError(
      `not an engine address: ${text} (unix:///path, tcp://host:port or https://host:port)`,
    );
  }
  const isTls = url.protocol === 'https:' || options.tls !== undefined;
  return {
    // Never with credentials.
    url: `${isTls ? 'https' : 'tcp'}://${url.host}`,
    name,
    isLocal: false,
    dial: {
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? (isTls ? 2376 : 2375) : Number(url.port),
      ...(isTls ? { tls: options.tls ?? {} } : {}),
    },
  };
}

const configSchema = z.object({ currentContext: z.string().optional() });
const contextSchema = z.object({
  Name: z.string(),
  Endpoints: z.object({ docker: z.object({ Host: z.string() }).optional() }),
});

/**
 * Which engine to use: `explicit` (a flag), else `DOCKER_HOST`, else the context of `DOCKER_CONTEXT` or the docker
 * configuration when it is not `default`, else Gantry's own socket.
 *
 * @param env  the environment; `HOME`, `DOCKER_HOST`, `DOCKER_CONTEXT`, `DOCKER_CONFIG`, `DOCKER_CERT_PATH`, `DOCKER_TLS_VERIFY`
 * @throws InvalidParameterError  an address or a context that does not exist
 */
export async function resolveEndpoint(options: {
  explicit?: string | undefined;
  env: Readonly<Record<string, string | undefined>>;
}): Promise<Endpoint> {
  const { explicit, env } = options;
  if (explicit !== undefined && explicit !== '') {
    return parseEndpoint(explicit);
  }
  const dockerHost = env['DOCKER_HOST'];
  if (dockerHost !== undefined && dockerHost !== '') {
    const certPath = env['DOCKER_CERT_PATH'];
    const wantsTls = (env['DOCKER_TLS_VERIFY'] ?? '') !== '' && certPath !== undefined;
    return parseEndpoint(dockerHost, {
      name: 'DOCKER_HOST',
      ...(wantsTls ? { tls: await readTls(certPath) } : {}),
    });
  }
  const folder = env['DOCKER_CONFIG'] ?? join(env['HOME'] ?? '/', '.docker');
  const name = env['DOCKER_CONTEXT'] ?? (await currentContext(folder));
  if (name !== undefined && name !== '' && name !== 'default') {
    return await readContext(folder, name);
  }
  return parseEndpoint(DEFAULT_ENGINE_URL);
}

async function currentContext(folder: string): Promise<string | undefined> {
  const text = await readTextIfThere(join(folder, 'config.json'));
  try {
    return configSchema.parse(JSON.parse(text ?? '{}')).currentContext;
  } catch {
    // A broken docker configuration is docker's affair; we fall back to our own engine.
    return undefined;
  }
}

async function readContext(folder: string, name: string): Promise<Endpoint> {
  const hash = createHash('sha256').update(name).digest('hex');
  const text = await readTextIfThere(join(folder, 'contexts', 'meta', hash, 'meta.json'));
  if (text === undefined) {
    throw new InvalidParameterError(`there is no docker context named ${name}`);
  }
  const { Endpoints } = contextSchema.parse(JSON.parse(text));
  const host = Endpoints.docker?.Host;
  if (host === undefined) {
    throw new InvalidParameterError(`the docker context ${name} names no engine`);
  }
  const tlsFolder = join(folder, 'contexts', 'tls', hash, 'docker');
  const tls = host.startsWith('tcp:') ? await readTls(tlsFolder).catch(() => undefined) : undefined;
  return parseEndpoint(host, { name, ...(tls === undefined ? {} : { tls }) });
}

async function readTls(folder: string): Promise<SecureContextOptions> {
  const [ca, cert, key] = await Promise.all(
    ['ca.pem', 'cert.pem', 'key.pem'].map((file) => readFile(join(folder, file))),
  );
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}
