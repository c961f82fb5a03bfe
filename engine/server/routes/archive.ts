import { InvalidParameterError } from '../../base/errors.ts';
import type { ContainerPathStat } from '../../containers/contract.ts';
import type { Exchange } from '../exchange.ts';
import { type Route, route } from '../router.ts';
import type { Services } from '../services.ts';

function target(exchange: Exchange): { readonly name: string; readonly path: string } {
  const name = exchange.param('name');
  const path = exchange.query.text('path');
  if (name === '' || path === '') {
    throw new InvalidParameterError(
      `bad parameter: ${name === '' ? 'name' : 'path'} cannot be empty`,
    );
  }
  return { name, path };
}

function setStat(exchange: Exchange, stat: ContainerPathStat): void {
  exchange.setHeader(
    'X-Docker-Container-Path-Stat',
    Buffer.from(JSON.stringify(stat)).toString('base64'),
  );
}

/** Copying files into and out of containers. */
export function archiveRoutes({ containers }: Services): Route[] {
  return [
    route('HEAD /containers/{name}/archive', async (exchange) => {
      const { name, path } = target(exchange);
      setStat(exchange, await containers.statArchive(name, path));
      exchange.empty(200);
    }),
    route('GET /containers/{name}/archive', async (exchange) => {
      const { name, path } = target(exchange);
      const { stat, tar } = await containers.getArchive(name, path, { signal: exchange.signal });
      setStat(exchange, stat);
      await exchange.pipe('application/x-tar', tar);
    }),
    route('PUT /containers/{name}/archive', async (exchange) => {
      const { name, path } = target(exchange);
      await containers.putArchive(name, path, exchange.body(), {
        noOverwriteDirNonDir: exchange.query.flag('noOverwriteDirNonDir'),
        copiesUidGid: exchange.query.flag('copyUIDGID'),
        signal: exchange.signal,
      });
      exchange.empty(200);
    }),
  ];
}
