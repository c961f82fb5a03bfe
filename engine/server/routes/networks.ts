import { z } from 'zod';
import {
  boolFilter,
  type Filters,
  matchesExactly,
  matchesLabels,
  matchesPattern,
  matchesPrefix,
  matchesPruneLabels,
  validateFilters,
} from '../../api/filters.ts';
import { parseTimeNs } from '../../api/time.ts';
import { endpointSettingsSchema } from '../../api/types/container.ts';
import { flag, listOf, struct, text, textMap } from '../../api/types/wire.ts';
import { isBefore } from '../../api/versions.ts';
import { InvalidParameterError } from '../../base/errors.ts';
import type { NetworkResource } from '../../network/contract.ts';
import type { Exchange } from '../exchange.ts';
import { type Route, route } from '../router.ts';
import type { Services } from '../services.ts';

const createSchema = struct({
  Name: text,
  CheckDuplicate: flag,
  Driver: text,
  Scope: text,
  EnableIPv4: flag,
  EnableIPv6: flag,
  IPAM: struct({
    Driver: text,
    Options: textMap,
    Config: listOf(
      struct({
        Subnet: text,
        IPRange: text,
        Gateway: text,
        AuxiliaryAddresses: textMap,
        AuxAddress: textMap,
      }),
    ),
  }).optional(),
  Internal: flag,
  Attachable: flag,
  Ingress: flag,
  ConfigOnly: flag,
  ConfigFrom: struct({ Network: z.string().default('') }).optional(),
  Options: textMap,
  Labels: textMap,
});

const connectSchema = struct({
  Container: text,
  EndpointConfig: endpointSettingsSchema.optional(),
});
const disconnectSchema = struct({ Container: text, Force: flag });

const LIST_FILTERS = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type'];
const PRUNE_FILTERS = ['label', 'label!', 'until'];
const PREDEFINED = new Set(['bridge', 'host', 'none', 'default']);
const NS_PER_MS = 1_000_000n;

function matchesType(filters: Filters, network: NetworkResource): boolean {
  const types = filters.get('type');
  if (types === undefined || types.length === 0) {
    return true;
  }
  return types.some((type) => {
    if (type !== 'builtin' && type !== 'custom') {
      throw new InvalidParameterError(`invalid filter: 'type'='${type}'`);
    }
    return PREDEFINED.has(network.Name) === (type === 'builtin');
  });
}

async function list(exchange: Exchange, services: Services): Promise<void> {
  const filters = exchange.query.filters();
  validateFilters(filters, LIST_FILTERS);
  const wantsDangling = filters.has('dangling')
    ? boolFilter(filters, 'dangling', false)
    : undefined;
  const users = services.containers.networkUsers();
  const isUsed = (network: NetworkResource): boolean =>
    PREDEFINED.has(network.Name) ||
    (users.get(network.Id)?.length ?? 0) + (users.get(network.Name)?.length ?? 0) > 0;
  const all = await services.networks.list();
  const chosen = all.filter(
    (network) =>
      matchesPattern(filters, 'name', network.Name) &&
      matchesPrefix(filters, 'id', network.Id) &&
      matchesExactly(filters, 'driver', network.Driver) &&
      matchesExactly(filters, 'scope', network.Scope) &&
      matchesLabels(filters, 'label', network.Labels) &&
      matchesType(filters, network) &&
      (wantsDangling === undefined || isUsed(network) !== wantsDangling),
  );
  if (isBefore(exchange.version, '1.28')) {
    exchange.json(
      200,
      await Promise.all(chosen.map((network) => services.networks.inspect(network.Id))),
    );
    return;
  }
  exchange.json(
    200,
    chosen.map((network) => ({ ...network, Containers: {} })),
  );
}

async function inspect(exchange: Exchange, services: Services): Promise<void> {
  const verbose = exchange.query.text('verbose');
  if (verbose !== '' && !/^(?:1|t|T|true|TRUE|True|0|f|F|false|FALSE|False)$/.test(verbose)) {
    throw new InvalidParameterError(
      `invalid value for verbose: ${verbose}: strconv.ParseBool: parsing ${JSON.stringify(verbose)}: invalid syntax`,
    );
  }
  exchange.json(200, await services.networks.inspect(exchange.param('name')));
}

async function create(exchange: Exchange, services: Services): Promise<void> {
  const { CheckDuplicate: _ignored, ...body } = await exchange.readJson(createSchema);
  const { id, warning } = await services.networks.create({
    ...body,
    Name: body.Name ?? '',
    ...(isBefore(exchange.version, '1.48') ? { EnableIPv4: undefined } : {}),
  });
  exchange.json(201, { Id: id, Warning: warning });
}

async function connect(exchange: Exchange, services: Services): Promise<void> {
  const body = await exchange.readJson(connectSchema);
  const settings = { ...body.EndpointConfig };
  if (isBefore(exchange.version, '1.48')) {
    delete settings.GwPriority;
  }
  await services.containers.connectNetwork(body.Container ?? '', exchange.param('name'), settings);
  exchange.empty(200);
}

async function disconnect(exchange: Exchange, services: Services): Promise<void> {
  const body = await exchange.readJson(disconnectSchema);
  await services.containers.disconnectNetwork(body.Container ?? '', exchange.param('name'), {
    isForced: body.Force ?? false,
  });
  exchange.empty(200);
}

function untilNs(filters: Filters): bigint | undefined {
  const values = filters.get('until') ?? [];
  if (values.length > 1) {
    throw new InvalidParameterError('more than one until filter specified');
  }
  return values[0] === undefined ? undefined : parseTimeNs(values[0], Date.now());
}

async function prune(exchange: Exchange, services: Services): Promise<void> {
  const filters = exchange.query.filters();
  validateFilters(filters, PRUNE_FILTERS);
  const until = untilNs(filters);
  const users = services.containers.networkUsers();
  const deleted = await services.networks.prune(
    (network) =>
      (users.get(network.Id)?.length ?? 0) + (users.get(network.Name)?.length ?? 0) === 0 &&
      matchesPruneLabels(filters, network.Labels) &&
      (until === undefined || BigInt(Date.parse(network.Created)) * NS_PER_MS <= until),
  );
  exchange.json(200, { NetworksDeleted: deleted });
}

/** Networks. */
export function networkRoutes(services: Services): Route[] {
  return [
    route('GET /networks', (exchange) => list(exchange, services)),
    route('GET /networks/', (exchange) => list(exchange, services)),
    route('GET /networks/{name}', (exchange) => inspect(exchange, services)),
    route('POST /networks/create', (exchange) => create(exchange, services)),
    route('POST /networks/{name}/connect', (exchange) => connect(exchange, services)),
    route('POST /networks/{name}/disconnect', (exchange) => disconnect(exchange, services)),
    route('POST /networks/prune', (exchange) => prune(exchange, services)),
    route('DELETE /networks/{name}', async (exchange) => {
      await services.networks.remove(exchange.param('name'));
      exchange.empty(204);
    }),
  ];
}
