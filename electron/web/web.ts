import { errnoOf } from '../../engine/base/errors.ts';
import type { Logger } from '../../engine/base/logger.ts';
import { resolveEndpoint } from '../host/endpoint.ts';
import { Host } from '../host/host.ts';
import { settingsPath } from '../host/settings-file.ts';
import { WebServer } from './web-server.ts';

/** How to serve the dashboard. */
export interface WebOptions {
  /** Engine address; undefined = from the environment, see `resolveEndpoint`. */
  readonly engine: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `process.platform`. */
  readonly platform: string;
  readonly pageRoot: string;
  readonly port: number;
  /** False: the next free port is taken when `port` is in use. */
  readonly isPortFixed: boolean;
  readonly address?: string;
  readonly appVersion: string;
  readonly log: Logger;
}

/** A dashboard being served. */
export interface RunningWeb extends AsyncDisposable {
  /** Address with the token. */
  readonly url: string;
}

const PORTS_TRIED = 20;

/**
 * Starts host and server. Does not wait for the engine: the page shows how it stands.
 *
 * @throws InvalidParameterError  the engine's address; Error: the port is taken
 */
export async function startWeb(options: WebOptions): Promise<RunningWeb> {
  const endpoint = await resolveEndpoint({ explicit: options.engine, env: options.env });
  await using cleanup = new AsyncDisposableStack();
  const host = cleanup.use(
    await Host.open({
      endpoint,
      settingsPath: settingsPath(options.platform, options.env),
      shell: 'browser',
      appVersion: options.appVersion,
      log: options.log,
    }),
  );
  const server = cleanup.use(await listen(host, options));
  const owned = cleanup.move();
  return {
    url: server.url,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function listen(host: Host, options: WebOptions): Promise<WebServer> {
  for (let step = 0; ; step += 1) {
    try {
      return await WebServer.listen({
        host,
        pageRoot: options.pageRoot,
        port: options.port === 0 ? 0 : options.port + step,
        log: options.log,
        ...(options.address === undefined ? {} : { address: options.address }),
      });
    } catch (error) {
      const isTaken = errnoOf(error) === 'EADDRINUSE';
      if (!isTaken || options.isPortFixed || step >= PORTS_TRIED) {
        throw isTaken
          ? new Error(`port ${options.port} is in use; choose another with --port`, {
              cause: error,
            })
          : error;
      }
    }
  }
}
