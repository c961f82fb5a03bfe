import { containerConfigSchema, containerUpdateBodySchema } from '../../api/types/container.ts';
import { isBefore } from '../../api/versions.ts';
import {
  ConflictError,
  InvalidParameterError,
  messageOf,
  NotFoundError,
  NotImplementedError,
} from '../../base/errors.ts';
import type { ContainerInspect, ContainerSummary } from '../../containers/contract.ts';
import type { Exchange } from '../exchange.ts';
import { type Route, route } from '../router.ts';
import type { Services } from '../services.ts';
import { createContainer } from './container-create.ts';
import { repoTag } from './references.ts';
import { terminalSize } from './terminal-size.ts';

function summaryFor(container: ContainerSummary, version: string): Record<string, unknown> {
  const item: Record<string, unknown> = { ...container };
  if (isBefore(version, '1.46')) {
    const { Annotations: _dropped, ...hostConfig } = container.HostConfig;
    item['HostConfig'] = hostConfig;
  }
  if (isBefore(version, '1.48')) {
    delete item['ImageManifestDescriptor'];
  }
  return item;
}

async function list(exchange: Exchange, services: Services): Promise<void> {
  const { query, version } = exchange;
  const containers = await services.containers.list({
    isAll: query.flag('all'),
    limit: query.int('limit'),
    withSizes: query.flag('size'),
    filters: query.filters(),
    since: query.find('since'),
    before: query.find('before'),
  });
  exchange.json(
    200,
    isBefore(version, '1.48') ? containers.map((item) => summaryFor(item, version)) : containers,
  );
}

const PREDEFINED_NETWORKS = new Set(['bridge', 'host', 'none', 'default']);

function inspectFor(container: ContainerInspect, version: string): ContainerInspect {
  let answer = container;
  if (isBefore(version, '1.45')) {
    const own = [container.Id.slice(0, 12), container.Config.Hostname ?? ''].filter(
      (name) => name !== '',
    );
    const networks = Object.entries(container.NetworkSettings.Networks).map(([name, settings]) => [
      name,
      PREDEFINED_NETWORKS.has(name) || name.startsWith('container:')
        ? settings
        : { ...settings, Aliases: [...new Set([...(settings.Aliases ?? []), ...own])] },
    ]);
    answer = {
      ...answer,
      NetworkSettings: { ...answer.NetworkSettings, Networks: Object.fromEntries(networks) },
    };
  }
  if (isBefore(version, '1.48')) {
    const { ImageManifestDescriptor: _dropped, ...rest } = answer;
    answer = rest;
  }
  return answer;
}

function stopOptions(exchange: Exchange) {
  const { query, version } = exchange;
  return {
    timeoutSec: query.int('t'),
    stopSignal: isBefore(version, '1.42') ? undefined : query.find('signal'),
  };
}

async function start(exchange: Exchange, services: Services): Promise<void> {
  // An empty object is let through: 7 bytes are the shortest body with a field.
  if (exchange.bodyLength === undefined || exchange.bodyLength > 7) {
    throw new InvalidParameterError(
      'starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24',
    );
  }
  if (exchange.query.find('checkpoint') !== undefined) {
    throw new NotImplementedError('checkpoints are not supported by this engine');
  }
  const detachKeys = exchange.query.find('detachKeys');
  const result = await services.containers.start(
    exchange.param('name'),
    detachKeys === undefined ? {} : { detachKeys },
  );
  exchange.empty(result === 'already-running' ? 304 : 204);
}

const KILL_PREFIX = 'cannot kill container';

/** The CLI shows which of several containers could not be killed. */
function killError(error: unknown, name: string): unknown {
  const message = `${KILL_PREFIX}: ${name}: ${messageOf(error)}`;
  if (messageOf(error).startsWith(KILL_PREFIX)) {
    return error;
  }
  for (const kind of [ConflictError, NotFoundError, InvalidParameterError]) {
    if (error instanceof kind) {
      return new kind(message, { cause: error });
    }
  }
  return error;
}

async function kill(exchange: Exchange, services: Services): Promise<void> {
  const name = exchange.param('name');
  try {
    await services.containers.kill(name, exchange.query.find('signal'));
  } catch (error) {
    throw killError(error, name);
  }
  exchange.empty(204);
}

async function update(exchange: Exchange, services: Services): Promise<void> {
  const body = await exchange.readJson(containerUpdateBodySchema);
  if (isBefore(exchange.version, '1.40')) {
    delete body.PidsLimit;
  }
  if (!isBefore(exchange.version, '1.42')) {
    delete body.KernelMemory;
  }
  if (body.PidsLimit !== undefined && body.PidsLimit <= 0) {
    body.PidsLimit = 0;
  }
  const { warnings } = await services.containers.update(exchange.param('name'), { changes: body });
  exchange.json(200, { Warnings: warnings.length === 0 ? null : warnings });
}

async function commit(exchange: Exchange, services: Services): Promise<void> {
  const { query } = exchange;
  const config = await exchange.readJson(containerConfigSchema);
  const { id } = await services.containers.commit(query.text('container'), {
    ...repoTag(query),
    comment: query.text('comment'),
    author: query.text('author'),
    pauses: query.flag('pause', true),
    changes: query.all('changes'),
    config: Object.keys(config).length === 0 ? undefined : config,
  });
  exchange.json(201, { Id: id });
}

async function prune(exchange: Exchange, services: Services): Promise<void> {
  const { deleted, reclaimedBytes } = await services.containers.prune(exchange.query.filters());
  exchange.json(200, {
    ContainersDeleted: deleted.length === 0 ? null : deleted,
    SpaceReclaimed: reclaimedBytes,
  });
}

function noCheckpoints(): never {
  throw new NotImplementedError('checkpoints are not supported by this engine');
}

/** Containers: everything that is one question and one answer. */
export function containerRoutes(services: Services): Route[] {
  const { containers } = services;
  const act = (line: string, action: (exchange: Exchange) => Promise<void>, status = 204): Route =>
    route(line, async (exchange) => {
      await action(exchange);
      exchange.empty(status);
    });
  return [
    route('GET /containers/json', (exchange) => list(exchange, services)),
    route('GET /containers/{name}/changes', async (exchange) => {
      const changes = await containers.changes(exchange.param('name'));
      const rows = changes.map(({ path, kind }) => ({ Path: path, Kind: kind }));
      // Go's nil list.
      exchange.json(200, rows.length === 0 ? null : rows);
    }),
    route('GET /containers/{name}/json', async (exchange) => {
      const container = await containers.inspect(exchange.param('name'), {
        withSizes: exchange.query.flag('size'),
      });
      exchange.json(200, inspectFor(container, exchange.version));
    }),
    route('GET /containers/{name}/top', async (exchange) => {
      exchange.json(
        200,
        await containers.top(exchange.param('name'), exchange.query.find('ps_args')),
      );
    }),
    route('GET /containers/{name}/checkpoints', noCheckpoints),
    route('POST /containers/create', (exchange) => createContainer(exchange, services)),
    route('POST /containers/prune', (exchange) => prune(exchange, services)),
    route('POST /containers/{name}/checkpoints', noCheckpoints),
    route('DELETE /containers/{id}/checkpoints/{checkpoint}', noCheckpoints),
    route('POST /containers/{name}/kill', (exchange) => kill(exchange, services)),
    act('POST /containers/{name}/pause', (exchange) => containers.pause(exchange.param('name'))),
    act('POST /containers/{name}/unpause', (exchange) =>
      containers.unpause(exchange.param('name')),
    ),
    act('POST /containers/{name}/restart', (exchange) =>
      containers.restart(exchange.param('name'), stopOptions(exchange)),
    ),
    route('POST /containers/{name}/start', (exchange) => start(exchange, services)),
    route('POST /containers/{name}/stop', async (exchange) => {
      const result = await containers.stop(exchange.param('name'), stopOptions(exchange));
      exchange.empty(result === 'already-stopped' ? 304 : 204);
    }),
    act(
      'POST /containers/{name}/resize',
      (exchange) => containers.resize(exchange.param('name'), terminalSize(exchange.query)),
      200,
    ),
    act('POST /containers/{name}/rename', (exchange) =>
      containers.rename(exchange.param('name'), exchange.query.text('name')),
    ),
    route('POST /containers/{name}/update', (exchange) => update(exchange, services)),
    route('POST /commit', (exchange) => commit(exchange, services)),
    act('DELETE /containers/{name}', (exchange) =>
      containers.remove(exchange.param('name'), {
        isForced: exchange.query.flag('force'),
        withVolumes: exchange.query.flag('v'),
        isLink: exchange.query.flag('link'),
      }),
    ),
  ];
}
