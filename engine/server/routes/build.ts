import {
  buildArgsSchema,
  buildLabelsSchema,
  buildUlimitsSchema,
  cacheFromSchema,
} from '../../api/types/build.ts';
import { decode } from '../../api/types/wire.ts';
import { isBefore } from '../../api/versions.ts';
import { InvalidParameterError, NotImplementedError } from '../../base/errors.ts';
import type { BuildRequest } from '../../build/contract.ts';
import { decodeRegistryAuthMap, type RegistryAuth } from '../../images/contract.ts';
import type { Exchange } from '../exchange.ts';
import type { Query } from '../query.ts';
import { type Route, route } from '../router.ts';
import type { Services } from '../services.ts';
import { ProgressAnswer } from './streaming.ts';

/** Unreadable numbers count as 0, as Docker has it. */
function numberOrZero(query: Query, name: string): number {
  const text = query.text(name);
  return /^-?\d{1,15}$/.test(text) ? Number(text) : 0;
}

function limitsOf(query: Query): BuildRequest['limits'] {
  const ulimits = query.json('ulimits', 'error reading ulimit settings') ?? [];
  return {
    memoryBytes: numberOrZero(query, 'memory'),
    memorySwapBytes: numberOrZero(query, 'memswap'),
    cpuShares: numberOrZero(query, 'cpushares'),
    cpuPeriod: numberOrZero(query, 'cpuperiod'),
    cpuQuota: numberOrZero(query, 'cpuquota'),
    cpusetCpus: query.text('cpusetcpus'),
    cpusetMems: query.text('cpusetmems'),
    cgroupParent: query.text('cgroupparent'),
    shmSizeBytes: query.int('shmsize') ?? 0,
    ulimits: decode(buildUlimitsSchema, ulimits, 'parameter ulimits').map((limit) => ({
      name: limit.Name ?? '',
      soft: limit.Soft ?? 0,
      hard: limit.Hard ?? 0,
    })),
  };
}

function authsOf(exchange: Exchange): ReadonlyMap<string, RegistryAuth> {
  try {
    return decodeRegistryAuthMap(exchange.header('x-registry-config'));
  } catch {
    // Anonymous access may do; the registries decide.
    return new Map();
  }
}

function checkVersion(query: Query): void {
  const version = query.text('version');
  if (version === '2') {
    throw new NotImplementedError(
      'BuildKit is not supported by this engine; build with DOCKER_BUILDKIT=0',
    );
  }
  if (version !== '' && version !== '1') {
    throw new InvalidParameterError(`invalid version ${JSON.stringify(version)}`);
  }
  if (query.all('securityopt').length > 0) {
    throw new InvalidParameterError('security options are not supported on linux');
  }
  const isolation = query.text('isolation').toLowerCase();
  if (isolation !== '' && isolation !== 'default') {
    throw new InvalidParameterError(`unsupported isolation: ${JSON.stringify(isolation)}`);
  }
  if (query.flag('squash')) {
    throw new InvalidParameterError('squash is only supported with experimental mode');
  }
}

function requestOf(exchange: Exchange, answer: ProgressAnswer): BuildRequest {
  const { query, version } = exchange;
  checkVersion(query);
  const buildArgs = query.json('buildargs', 'error reading build args') ?? {};
  const labels = query.json('labels', 'error reading labels') ?? {};
  const cacheFrom = query.json('cachefrom', 'error reading cache-from') ?? [];
  const isQuiet = query.flag('q');
  const hasAux = !isBefore(version, '1.30');
  return {
    context: exchange.body(),
    remote: query.find('remote'),
    dockerfile: query.find('dockerfile'),
    tags: query.all('t').filter((tag) => tag !== ''),
    buildArgs: new Map(Object.entries(decode(buildArgsSchema, buildArgs, 'parameter buildargs'))),
    labels: decode(buildLabelsSchema, labels, 'parameter labels'),
    target: query.text('target'),
    cacheFrom: decode(cacheFromSchema, cacheFrom, 'parameter cachefrom'),
    hasNoCache: query.flag('nocache'),
    pullsParent: query.flag('pull'),
    removes: query.flag('forcerm') || query.flag('rm', true) || query.text('rm') === '',
    forceRemoves: query.flag('forcerm'),
    isSquashed: false,
    isQuiet,
    networkMode: query.text('networkmode'),
    extraHosts: query.all('extrahosts'),
    platform: isBefore(version, '1.32') ? undefined : query.find('platform'),
    limits: limitsOf(query),
    buildId: query.text('buildid'),
    auths: authsOf(exchange),
    onProgress: (message) => {
      if (!isQuiet && (hasAux || message.aux === undefined)) {
        answer.sink(message);
      }
    },
    signal: exchange.signal,
  };
}

async function build(exchange: Exchange, services: Services): Promise<void> {
  const answer = new ProgressAnswer(exchange);
  const request = requestOf(exchange, answer);
  await answer.run(async () => {
    const { imageId } = await services.build.build(request);
    if (request.isQuiet) {
      answer.sink({ stream: `${imageId}\n` });
    }
  });
}

async function prune(exchange: Exchange, services: Services): Promise<void> {
  const { query, version } = exchange;
  const bytes = (name: string): number => {
    const text = query.text(name);
    if (!/^(?:-?\d{1,15})?$/.test(text)) {
      throw new InvalidParameterError(`${name} is in bytes and expects an integer, got ${text}`);
    }
    return Number(text);
  };
  const isOld = isBefore(version, '1.48');
  const { deleted, reclaimedBytes } = await services.build.prune({
    isAll: query.flag('all'),
    filters: query.filters(),
    reservedBytes: (isOld ? 0 : bytes('reserved-space')) || bytes('keep-storage'),
    maxUsedBytes: isOld ? 0 : bytes('max-used-space'),
    minFreeBytes: isOld ? 0 : bytes('min-free-space'),
  });
  exchange.json(200, {
    CachesDeleted: deleted.length === 0 ? null : deleted,
    SpaceReclaimed: reclaimedBytes,
  });
}

/** The classic builder. */
export function buildRoutes(services: Services): Route[] {
  return [
    route('POST /build', (exchange) => build(exchange, services)),
    route('POST /build/prune', (exchange) => prune(exchange, services)),
    route('POST /build/cancel', (exchange) => {
      const id = exchange.query.text('id');
      if (id === '') {
        throw new InvalidParameterError('build ID not provided');
      }
      services.build.cancel(id);
      exchange.empty(200);
    }),
  ];
}
