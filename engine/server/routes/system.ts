import { z } from 'zod';
import { NO_FILTERS } from '../../api/filters.ts';
import { encodeJson } from '../../api/json.ts';
import { parseUnixTimeNs } from '../../api/time.ts';
import { decode, struct, text } from '../../api/types/wire.ts';
import { isBefore } from '../../api/versions.ts';
import { InvalidParameterError } from '../../base/errors.ts';
import type { SystemInfo } from '../../system/contract.ts';
import type { Exchange } from '../exchange.ts';
import { parseJson, readWhole } from '../json-body.ts';
import { type Route, route } from '../router.ts';
import type { Services } from '../services.ts';
import { imageListItems } from './image-shapes.ts';

function nameOnly(option: string): string {
  return option.split(',').map((pair) => pair.split('='))[0]?.[1] ?? option;
}

/** Leaves out, puts back and renames what an older API version has differently. */
function infoFor(info: SystemInfo, version: string): Record<string, unknown> {
  const answer: Record<string, unknown> = { ...info };
  if (isBefore(version, '1.25')) {
    answer['SecurityOptions'] = info.SecurityOptions.map(nameOnly);
  }
  if (isBefore(version, '1.42')) {
    answer['KernelMemory'] = info.MemoryLimit;
  }
  if (isBefore(version, '1.44')) {
    answer['Runtimes'] = Object.fromEntries(
      Object.entries(info.Runtimes).map(([name, { path }]) => [name, { path }]),
    );
  }
  if (isBefore(version, '1.47')) {
    answer['RegistryConfig'] = {
      ...info.RegistryConfig,
      AllowNondistributableArtifactsCIDRs: null,
      AllowNondistributableArtifactsHostnames: null,
    };
  }
  if (isBefore(version, '1.49')) {
    delete answer['FirewallBackend'];
    for (const key of ['ContainerdCommit', 'RuncCommit', 'InitCommit'] as const) {
      answer[key] = { ...info[key], Expected: info[key].ID };
    }
  }
  if (isBefore(version, '1.50')) {
    delete answer['DiscoveredDevices'];
    answer['BridgeNfIptables'] = false;
    answer['BridgeNfIp6tables'] = false;
  }
  return answer;
}

async function events(exchange: Exchange, services: Services): Promise<void> {
  const { query, signal } = exchange;
  const sinceNs = parseUnixTimeNs(query.text('since'), 'since');
  const untilNs = parseUnixTimeNs(query.text('until'), 'until');
  if (sinceNs !== undefined && untilNs !== undefined && untilNs < sinceNs) {
    throw new InvalidParameterError(
      `\`since\` time (${query.text('since')}) cannot be after \`until\` time (${query.text('until')})`,
    );
  }
  // With an end but no beginning, everything that is remembered counts.
  const from = sinceNs ?? (untilNs === undefined ? undefined : 0n);
  const feed = services.events.subscribe({
    filters: query.filters(),
    ...(from === undefined ? {} : { sinceNs: from }),
    ...(untilNs === undefined ? {} : { untilNs }),
    signal,
  });
  const hidesImageCreate = isBefore(exchange.version, '1.46');
  const stream = exchange.stream('application/json');
  for await (const event of feed) {
    if (!(hidesImageCreate && event.Type === 'image' && event.Action === 'create')) {
      await stream.write(`${encodeJson(event)}\n`);
    }
  }
  stream.end();
}

const DISK_USAGE_TYPES = ['container', 'image', 'volume', 'build-cache'] as const;

function usageTypes(exchange: Exchange): ReadonlySet<string> {
  const asked = exchange.query.all('type');
  if (isBefore(exchange.version, '1.42') || asked.length === 0) {
    return new Set(DISK_USAGE_TYPES);
  }
  for (const type of asked) {
    if (!DISK_USAGE_TYPES.some((known) => known === type)) {
      throw new InvalidParameterError(`unknown object type: ${type}`);
    }
  }
  return new Set(asked);
}

async function imageUsage(services: Services, version: string) {
  const [usage, list] = await Promise.all([
    services.images.usage(),
    services.images.list({ filters: NO_FILTERS, hasSharedSize: true }),
  ]);
  return {
    LayersSize: usage.totalBytes,
    Images: imageListItems(list, version, { keepsCounts: true }),
  };
}

async function volumeUsage(services: Services) {
  const users = services.containers.volumeUsers();
  return await Promise.all(
    services.volumes.list().map(async (volume) => ({
      ...volume,
      UsageData: {
        Size: await services.volumes.sizeOf(volume.Name).catch(() => -1),
        RefCount: users.get(volume.Name)?.size ?? 0,
      },
    })),
  );
}

async function buildUsage(services: Services, version: string) {
  const records = await services.build.diskUsage();
  if (!isBefore(version, '1.42')) {
    return { BuildCache: records };
  }
  const total = records.reduce((sum, record) => sum + record.Size, 0);
  return {
    BuildCache: records.map((record) => {
      const { Parents, ...rest } = record;
      return { ...rest, Parent: Parents?.[0] ?? '' };
    }),
    ...(total === 0 ? {} : { BuilderSize: total }),
  };
}

async function diskUsage(exchange: Exchange, services: Services): Promise<void> {
  const types = usageTypes(exchange);
  const { version } = exchange;
  const [images, containers, volumes, cache] = await Promise.all([
    types.has('image') ? imageUsage(services, version) : { LayersSize: 0, Images: null },
    types.has('container')
      ? services.containers.list({ isAll: true, withSizes: true, filters: NO_FILTERS })
      : null,
    types.has('volume') ? volumeUsage(services) : null,
    types.has('build-cache') ? buildUsage(services, version) : { BuildCache: null },
  ]);
  exchange.json(200, { ...images, Containers: containers, Volumes: volumes, ...cache });
}

/** Credentials as the CLI sends them; keys in lower case on the wire. */
const authBodySchema = struct({
  username: text,
  password: text,
  email: text,
  serveraddress: text,
  identitytoken: text,
  registrytoken: text,
});

async function auth(exchange: Exchange, services: Services): Promise<void> {
  const json = parseJson(await readWhole(exchange.body()));
  const body = decode(
    z.preprocess((value) => value ?? {}, authBodySchema),
    json,
    'JSON',
  );
  const result = await services.images.checkAuth(
    {
      username: body.username ?? '',
      password: body.password ?? '',
      identityToken: body.identitytoken ?? '',
      registryToken: body.registrytoken ?? '',
      serverAddress: body.serveraddress ?? '',
    },
    { signal: exchange.signal },
  );
  exchange.json(200, result);
}

/** Engine and machine as a whole. */
export function systemRoutes(services: Services): Route[] {
  return [
    route('GET /info', async (exchange) => {
      exchange.json(200, infoFor(await services.system.info(), exchange.version));
    }),
    route('GET /version', async (exchange) => {
      exchange.json(200, await services.system.version());
    }),
    route('GET /events', (exchange) => events(exchange, services)),
    route('GET /system/df', (exchange) => diskUsage(exchange, services)),
    route('POST /auth', (exchange) => auth(exchange, services)),
  ];
}
