import { expect, it } from 'vitest';
import type { ContainerLogs, StatsSample } from '../containers/contract.ts';
import type { ImageInspect } from '../images/contract.ts';
import type { NetworkResource } from '../network/contract.ts';
import type { SystemInfo, SystemVersion } from '../system/contract.ts';
import { allRoutes } from './routes/index.ts';
import type { Services } from './services.ts';
import {
  ERRORS,
  type FakeOverrides,
  FakeSession,
  fakeInspect,
  fakeServices,
} from './testing/fake-services.ts';
import { type RawClient, TestServer } from './testing/test-server.ts';

/** Requests per run; every route is met several times. */
const ROUNDS = 1500;
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_240_607);

/** Small generator with a seed, so that a failure can be repeated. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed % 2 ** 31;
  }

  below(limit: number): number {
    this.#state = (this.#state * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((this.#state / 2 ** 31) * limit);
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) {
      throw new Error('nothing to pick from');
    }
    return item;
  }

  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0;
  }
}

const random = new Random(SEED);

/** Every method of every service: a plausible answer, or one of the errors that its contract allows. */
function plausible(): Services {
  const maybe = async <T>(value: () => T): Promise<T> => {
    if (random.chance(5)) {
      throw random.pick(ERRORS)();
    }
    return await Promise.resolve(value());
  };
  async function* bytes(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('bytes');
    await Promise.resolve();
  }
  const drained = async (body: AsyncIterable<Uint8Array>): Promise<void> => {
    let size = 0;
    for await (const chunk of body) {
      size += chunk.byteLength;
    }
    expect(size).toBeGreaterThanOrEqual(0);
  };
  const session = (): FakeSession => {
    const made = new FakeSession(random.chance(2));
    made.say('stdout', 'out');
    made.finish();
    return made;
  };
  const pruned = () => ({ deleted: [], reclaimedBytes: 0 });
  const volume = {
    Name: 'v',
    Driver: 'local',
    Mountpoint: '/v',
    CreatedAt: '',
    Labels: null,
    Scope: 'local',
    Options: null,
  } as const;
  const network = {
    Name: 'n',
    Id: 'i',
    Driver: 'bridge',
    Scope: 'local',
    Labels: {},
    Created: '2024-01-01T00:00:00Z',
  } as NetworkResource;
  const overrides: FakeOverrides = {
    containers: {
      create: () => maybe(() => ({ id: 'c', warnings: [] })),
      start: () => maybe(() => random.pick(['started', 'already-running'] as const)),
      stop: () => maybe(() => random.pick(['stopped', 'already-stopped'] as const)),
      wait: () =>
        maybe(() => ({
          result: Promise.resolve({ statusCode: 1, error: random.chance(2) ? undefined : 'e' }),
        })),
      prune: () => maybe(pruned),
      changes: () => maybe(() => []),
      list: () => maybe(() => [{ HostConfig: { NetworkMode: 'bridge' } } as never]),
      inspect: (ref) => maybe(() => fakeInspect(ref)),
      stats: () =>
        maybe(async function* samples(): AsyncGenerator<StatsSample> {
          yield { id: 'x' } as StatsSample;
          await Promise.resolve();
        }),
      logs: () =>
        maybe(
          (): ContainerLogs => ({
            hasTty: random.chance(2),
            batches: (async function* batches() {
              yield [{ stream: 'stdout', timeNs: 1n, data: Buffer.from('x') }] as const;
              await Promise.resolve();
            })(),
          }),
        ),
      attach: () => maybe(session),
      update: () => maybe(() => ({ warnings: [] })),
      export: () => maybe(bytes),
      getArchive: () =>
        maybe(() => ({
          stat: { name: 'é', size: 1, mode: 1, mtime: '', linkTarget: '' },
          tar: bytes(),
        })),
      statArchive: () => maybe(() => ({ name: 'é', size: 1, mode: 1, mtime: '', linkTarget: '' })),
      putArchive: async (_ref, _path, tar) => {
        await drained(tar);
      },
      commit: () => maybe(() => ({ id: 'sha256:x' })),
      createExec: () => maybe(() => ({ id: 'e' })),
      startExec: (_id, { isDetached }) => maybe(() => (isDetached ? undefined : session())),
    },
    images: {
      list: () => maybe(() => [{ RepoTags: [], RepoDigests: [], Size: 1 } as never]),
      inspect: () => maybe(() => ({ Id: 'x', Size: 1, Config: {} }) as unknown as ImageInspect),
      prune: () => maybe(pruned),
      pull: (_reference, { onProgress }) =>
        maybe(() => onProgress?.({ status: 'x', progressDetail: { current: 1 } })),
      load: async (tar, { onProgress }) => {
        await drained(tar);
        onProgress?.({ stream: 'Loaded' });
        return [];
      },
      save: () => maybe(bytes),
      importTar: async (tar) => {
        await drained(tar);
        return 'sha256:x';
      },
      usage: () => maybe(() => ({ totalBytes: 1 }) as never),
    },
    networks: {
      create: () => maybe(() => ({ id: 'n', warning: '' })),
      list: () => maybe(() => [network]),
      inspect: () => maybe(() => network),
      prune: (select) => maybe(() => [network].filter(select).map((item) => item.Id)),
    },
    volumes: {
      list: () => [volume],
      inspect: () => volume,
      create: () => maybe(() => volume),
      prune: (select) => maybe(() => (select(volume) ? pruned() : pruned())),
      sizeOf: () => maybe(() => 1),
    },
    build: {
      build: async ({ context, onProgress }) => {
        await drained(context);
        onProgress({ stream: 'Step 1' });
        return { imageId: 'sha256:x' };
      },
      prune: () => maybe(pruned),
      diskUsage: () => maybe(() => [{ Size: 1 } as never]),
    },
    system: {
      info: () =>
        maybe(
          () =>
            ({
              SecurityOptions: ['name=x'],
              Runtimes: {},
              ContainerdCommit: {},
              RuncCommit: {},
              InitCommit: {},
              RegistryConfig: {},
            }) as unknown as SystemInfo,
        ),
      version: () => maybe(() => ({ Version: '1' }) as SystemVersion),
    },
  };
  return fakeServices(overrides, () => {
    if (random.chance(5)) {
      throw random.pick(ERRORS)();
    }
    return undefined;
  });
}

const VERSIONS = [
  '',
  '/v1.24',
  '/v1.30',
  '/v1.41',
  '/v1.44',
  '/v1.48',
  '/v1.51',
  '/v1.12',
  '/v9',
  '/v1..',
];
const NAMES = [
  'x',
  'a/b',
  'sha256:0',
  '..',
  '%2e%2e%2f',
  '',
  '%00',
  'ü',
  '%C3%BC',
  'x'.repeat(300),
  '%ff',
  '-',
];
const VALUES = [
  '',
  '0',
  '1',
  'true',
  '-1',
  '99999999999999999999',
  'x',
  '{}',
  '[]',
  '{"label":["a"]}',
  '{"dangling":{"x":true}}',
  '{"until":["1h"]}',
  '{"all":["1","2"]}',
  'null',
  '%zz',
  '%F0%9F',
  '1.5',
  'linux/amd64',
  '{"os":"linux","architecture":"amd64"}',
  'not-running',
  '2024-01-01',
];
const KEYS = [
  'filters',
  'all',
  'limit',
  'size',
  't',
  'signal',
  'condition',
  'h',
  'w',
  'since',
  'until',
  'tail',
  'stdout',
  'stderr',
  'stream',
  'logs',
  'path',
  'fromImage',
  'repo',
  'tag',
  'names',
  'platform',
  'type',
  'force',
  'buildargs',
  'labels',
  'ulimits',
  'cachefrom',
  'shmsize',
  'q',
  'version',
  'remote',
  'verbose',
  'changes',
  'detachKeys',
  'name',
  'manifests',
];
const FIELDS = [
  'Image',
  'Cmd',
  'Env',
  'HostConfig',
  'NetworkingConfig',
  'Healthcheck',
  'Labels',
  'Name',
  'Container',
  'EndpointConfig',
  'IPAM',
  'Memory',
  'Mounts',
  'Driver',
  'DriverOpts',
  'Detach',
  'Tty',
  'ConsoleSize',
  'PortBindings',
  'RestartPolicy',
  'EndpointsConfig',
  'ExposedPorts',
  'Sysctls',
  'MacAddress',
  '__proto__',
  'constructor',
  'PidsLimit',
  'Config',
  'Ulimits',
];

/** A JSON value, mostly objects with names that decoders know. */
function randomJson(depth: number): unknown {
  const kind = random.below(depth > 3 ? 6 : 9);
  switch (kind) {
    case 0:
      return null;
    case 1:
      return random.pick([0, -1, 1.5, 2 ** 53, 1e300, 80]);
    case 2:
      return random.chance(2);
    case 3:
    case 4:
    case 5:
      return random.pick(['', 'x', 'busybox', '80/tcp', 'a=b', '\u0000', '💥']);
    case 6:
      return Array.from({ length: random.below(4) }, () => randomJson(depth + 1));
    default:
      return Object.fromEntries(
        Array.from({ length: random.below(6) }, () => [random.pick(FIELDS), randomJson(depth + 1)]),
      );
  }
}

function randomBody(): string {
  const text = JSON.stringify(randomJson(0));
  return random.pick([
    text,
    text,
    text,
    text.slice(0, random.below(text.length + 1)),
    '',
    '[[[[',
    '\u0000',
  ]);
}

function randomTarget(pattern: string): string {
  const path = pattern.replaceAll(/\{\w+\}/g, () => random.pick(NAMES));
  const query = Array.from(
    { length: random.below(4) },
    () =>
      `${random.pick(KEYS)}=${random.pick(VALUES).replaceAll(/["{}[\] ]/g, (c) => encodeURIComponent(c))}`,
  ).join('&');
  return (
    encodeURI(`${random.pick(VERSIONS)}${path}`).replaceAll('%25', '%') +
    (query === '' ? '' : `?${query}`)
  );
}

function randomRequest(line: { method: string; pattern: string }): string {
  const body = random.chance(3) ? '' : randomBody();
  const type = random.pick([
    'application/json',
    'application/json',
    'application/json',
    'text/plain',
    '',
  ]);
  const upgrade = random.chance(4)
    ? random.pick([
        'Connection: Upgrade\r\nUpgrade: tcp\r\n',
        'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n',
        'Connection: Upgrade\r\nUpgrade: h2c\r\n',
      ])
    : 'Connection: close\r\n';
  const method = random.chance(10)
    ? random.pick(['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS'])
    : line.method;
  return `${method} ${randomTarget(line.pattern)} HTTP/1.1\r\nHost: d\r\n${
    type === '' ? '' : `Content-Type: ${type}\r\n`
  }${upgrade}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

async function statusOf(client: RawClient): Promise<number> {
  const text = (await client.until((received) => received.includes('\r\n'))).toString('latin1');
  return Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
}

it(`answers anything sensibly (seed ${SEED})`, async () => {
  const services = plausible();
  // Feeds that never end by themselves would hold up the run.
  const routes = allRoutes(services).filter((route) => route.pattern !== '/events');
  await using server = await TestServer.open(services);
  const statuses = new Map<number, number>();
  for (let round = 0; round < ROUNDS; round += 1) {
    const text = randomRequest(routes[round % routes.length] ?? random.pick(routes));
    using client = await server.raw(text);
    const status = await statusOf(client);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    expect(status, text).toBeGreaterThanOrEqual(101);
    const errors = server.logLines.filter((line) => line.includes('"level":"error"'));
    expect(errors, text).toEqual([]);
    server.logLines.splice(0);
  }
  expect([...statuses.keys()]).toEqual(expect.arrayContaining([200, 400, 404]));
  expect((await server.ask({ path: '/_ping' })).text).toBe('OK');
});
