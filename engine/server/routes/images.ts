import { isBefore } from '../../api/versions.ts';
import { InvalidParameterError } from '../../base/errors.ts';
import { decodeRegistryAuth, parseAnyReference, type RegistryAuth } from '../../images/contract.ts';
import type { Exchange } from '../exchange.ts';
import { type Route, route } from '../router.ts';
import type { Services } from '../services.ts';
import { imageInspectFor, imageListItems } from './image-shapes.ts';
import { platformParameter, repoTag } from './references.ts';

/** Credentials of the request; what cannot be read counts as none, as Docker has it. */
export function registryAuth(exchange: Exchange): RegistryAuth | undefined {
  try {
    return decodeRegistryAuth(exchange.header('x-registry-auth'));
  } catch {
    // Anonymous access may do; the registry decides.
    return undefined;
  }
}

async function list(exchange: Exchange, services: Services): Promise<void> {
  const { query, version } = exchange;
  const filters = new Map(query.filters());
  const oldFilter = query.find('filter');
  if (oldFilter !== undefined && isBefore(version, '1.41')) {
    filters.set('reference', [...(filters.get('reference') ?? []), oldFilter]);
  }
  const images = await services.images.list({
    filters,
    hasIntermediate: query.flag('all'),
    hasSharedSize: !isBefore(version, '1.42') && query.flag('shared-size'),
    hasManifests: !isBefore(version, '1.47') && query.flag('manifests'),
  });
  exchange.json(200, imageListItems(images, version));
}

async function inspect(exchange: Exchange, services: Services): Promise<void> {
  const { query, version } = exchange;
  const hasManifests = !isBefore(version, '1.48') && query.flag('manifests');
  const platform = isBefore(version, '1.49') ? undefined : platformParameter(query);
  if (hasManifests && platform !== undefined) {
    throw new InvalidParameterError(
      'conflicting options: manifests and platform options cannot both be set',
    );
  }
  const image = await services.images.inspect(exchange.param('name'), { platform, hasManifests });
  exchange.json(200, imageInspectFor(image, version));
}

async function tag(exchange: Exchange, services: Services): Promise<void> {
  const target = repoTag(exchange.query);
  await services.images.tag(exchange.param('name'), {
    repo: target.repo ?? '',
    tag: target.tag ?? '',
  });
  exchange.empty(201);
}

async function remove(exchange: Exchange, services: Services): Promise<void> {
  const { query, version } = exchange;
  const name = exchange.param('name');
  if (name.trim() === '') {
    throw new InvalidParameterError('image name cannot be blank');
  }
  const removed = await services.images.remove(name, {
    isForced: query.flag('force'),
    hasPrune: !query.flag('noprune'),
    platform: isBefore(version, '1.50') ? undefined : platformParameter(query, 'platforms'),
  });
  exchange.json(200, removed);
}

async function prune(exchange: Exchange, services: Services): Promise<void> {
  const { deleted, reclaimedBytes } = await services.images.prune(exchange.query.filters(), {
    signal: exchange.signal,
  });
  exchange.json(200, {
    ImagesDeleted: deleted.length === 0 ? null : deleted,
    SpaceReclaimed: reclaimedBytes,
  });
}

async function search(exchange: Exchange, services: Services): Promise<void> {
  const { query } = exchange;
  const limit = query.int('limit');
  if (limit !== undefined && limit < 0) {
    throw new InvalidParameterError('invalid limit specified');
  }
  const results = await services.images.search(query.text('term'), {
    limit,
    filters: query.filters(),
    auth: registryAuth(exchange),
    signal: exchange.signal,
  });
  exchange.json(200, results);
}

async function distribution(exchange: Exchange, services: Services): Promise<void> {
  const name = exchange.param('name');
  const reference = parseAnyReference(name);
  if (reference.kind === 'digest') {
    throw new InvalidParameterError('no manifest found for full image ID');
  }
  const answer = await services.images.distributionInspect(reference.reference, {
    auth: registryAuth(exchange),
    signal: exchange.signal,
  });
  exchange.json(200, answer);
}

/** Images: everything that is one question and one answer. */
export function imageRoutes(services: Services): Route[] {
  return [
    route('GET /images/json', (exchange) => list(exchange, services)),
    route('GET /images/search', (exchange) => search(exchange, services)),
    route('GET /images/{name}/history', async (exchange) => {
      const platform = isBefore(exchange.version, '1.48')
        ? undefined
        : platformParameter(exchange.query);
      exchange.json(200, await services.images.history(exchange.param('name'), { platform }));
    }),
    route('GET /images/{name}/json', (exchange) => inspect(exchange, services)),
    route('POST /images/{name}/tag', (exchange) => tag(exchange, services)),
    route('POST /images/prune', (exchange) => prune(exchange, services)),
    route('DELETE /images/{name}', (exchange) => remove(exchange, services)),
    route('GET /distribution/{name}/json', (exchange) => distribution(exchange, services)),
  ];
}
