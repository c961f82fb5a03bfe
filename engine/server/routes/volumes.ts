import { NOT_A_SWARM_MANAGER } from '../../api/errors.ts';
import {
  boolFilter,
  type Filters,
  matchesExactly,
  matchesLabels,
  matchesPattern,
  matchesPruneLabels,
  validateFilters,
} from '../../api/filters.ts';
import { struct, text, textMap } from '../../api/types/wire.ts';
import { isBefore } from '../../api/versions.ts';
import { InvalidParameterError, UnavailableError } from '../../base/errors.ts';
import type { VolumeResource } from '../../volumes/contract.ts';
import type { Exchange } from '../exchange.ts';
import { type Route, route } from '../router.ts';
import type { Services } from '../services.ts';

const createSchema = struct({
  Name: text,
  Driver: text,
  DriverOpts: textMap,
  Labels: textMap,
  ClusterVolumeSpec: struct({}).optional(),
});

const LIST_FILTERS = ['dangling', 'name', 'driver', 'label'];
const PRUNE_FILTERS = ['label', 'label!', 'all'];

function list(exchange: Exchange, services: Services): void {
  const filters = exchange.query.filters();
  validateFilters(filters, LIST_FILTERS);
  const wantsDangling = filters.has('dangling')
    ? boolFilter(filters, 'dangling', false)
    : undefined;
  const users = services.containers.volumeUsers();
  const volumes = services.volumes
    .list()
    .filter(
      (volume) =>
        matchesExactly(filters, 'driver', volume.Driver) &&
        matchesPattern(filters, 'name', volume.Name) &&
        matchesLabels(filters, 'label', volume.Labels) &&
        (wantsDangling === undefined ||
          ((users.get(volume.Name)?.size ?? 0) === 0) === wantsDangling),
    );
  exchange.json(200, { Volumes: volumes, Warnings: null });
}

async function create(exchange: Exchange, services: Services): Promise<void> {
  const body = await exchange.readJson(createSchema);
  if (body.ClusterVolumeSpec !== undefined && !isBefore(exchange.version, '1.42')) {
    throw new UnavailableError(NOT_A_SWARM_MANAGER);
  }
  const volume = await services.volumes.create({
    Name: body.Name,
    Driver: body.Driver,
    DriverOpts: body.DriverOpts,
    Labels: body.Labels,
  });
  exchange.json(201, volume);
}

/** Since 1.42 only anonymous volumes go unless `all` says otherwise; volumes with mount options never. */
function pruneSelection(filters: Filters, exchange: Exchange, services: Services) {
  const all = filters.get('all') ?? [];
  if (all.length > 1) {
    throw new InvalidParameterError(
      `invalid filter 'all=[${all.join(' ')}]': only one value is expected`,
    );
  }
  const goesNamed = isBefore(exchange.version, '1.42') || boolFilter(filters, 'all', false);
  return (volume: VolumeResource): boolean =>
    Object.keys(volume.Options ?? {}).length === 0 &&
    (goesNamed || services.volumes.isAnonymous(volume.Name)) &&
    matchesPruneLabels(filters, volume.Labels);
}

async function prune(exchange: Exchange, services: Services): Promise<void> {
  const filters = exchange.query.filters();
  validateFilters(filters, PRUNE_FILTERS);
  const { deleted, reclaimedBytes } = await services.volumes.prune(
    pruneSelection(filters, exchange, services),
  );
  exchange.json(200, { VolumesDeleted: deleted, SpaceReclaimed: reclaimedBytes });
}

/** Volumes. */
export function volumeRoutes(services: Services): Route[] {
  return [
    route('GET /volumes', (exchange) => list(exchange, services)),
    route('GET /volumes/{name}', (exchange) => {
      exchange.json(200, services.volumes.inspect(exchange.param('name')));
    }),
    route('POST /volumes/create', (exchange) => create(exchange, services)),
    route('POST /volumes/prune', (exchange) => prune(exchange, services)),
    route('PUT /volumes/{name}', () => {
      throw new UnavailableError(
        'volume update only valid for cluster volumes, but swarm is unavailable',
      );
    }),
    route('DELETE /volumes/{name}', async (exchange) => {
      await services.volumes.remove(exchange.param('name'), {
        isForced: exchange.query.flag('force'),
      });
      exchange.empty(204);
    }),
  ];
}
