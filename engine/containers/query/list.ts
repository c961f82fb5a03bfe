import { Semaphore } from '../../base/async.ts';
import { InvalidParameterError, NotFoundError } from '../../base/errors.ts';
import type { Digest } from '../../snapshots/contract.ts';
import { type Container, statusOf } from '../container.ts';
import type { ContainerSummary, ListOptions } from '../contract.ts';
import type { ContainerCore } from '../core.ts';
import { ZERO_TIME } from '../times.ts';
import { assertKnownFilters, matchesLabels, matchesText } from './filters.ts';
import { portSummaries, summaryOf } from './summary.ts';

const KNOWN_FILTERS = new Set([
  'ancestor',
  'before',
  'exited',
  'id',
  'isolation',
  'label',
  'name',
  'status',
  'health',
  'since',
  'volume',
  'network',
  'is-task',
  'publish',
  'expose',
]);
const STATES = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'];
const HEALTHS = ['starting', 'healthy', 'unhealthy', 'none'];
/** Sizes are computed side by side, few at a time: each walks a file tree. */
const SIZE_CONCURRENCY = 4;

type Predicate = (container: Container) => boolean;

function isTrue(text: string): boolean | undefined {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) {
    return true;
  }
  return ['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text) ? false : undefined;
}

function checkValues(
  options: ListOptions,
  key: string,
  known: readonly string[],
  describe: (value: string) => string,
): void {
  for (const value of options.filters.get(key) ?? []) {
    if (!known.includes(value)) {
      throw new InvalidParameterError(`invalid filter '${key}=${value}': ${describe(value)}`);
    }
  }
}

function exitedPredicate(options: ListOptions): Predicate | undefined {
  const values = options.filters.get('exited');
  if (values === undefined || values.length === 0) {
    return undefined;
  }
  const codes = new Set(
    values.map((value) => {
      if (!/^-?\d+$/.test(value)) {
        throw new InvalidParameterError(
          `invalid filter 'exited=${value}': strconv.Atoi: parsing "${value}": invalid syntax`,
        );
      }
      return Number(value);
    }),
  );
  return ({ record: { state } }) =>
    !state.isRunning && state.startedAt !== ZERO_TIME && codes.has(state.exitCode);
}

/** `80`, `80/udp`, `8000-8010/tcp` -> keys `80/tcp` ... */
function portKeys(key: string, values: readonly string[]): Set<string> {
  const keys = new Set<string>();
  for (const value of values) {
    if (value.includes(':')) {
      throw new InvalidParameterError(`filter for '${key}' should not contain ':': ${value}`);
    }
    const match = /^(\d+)(?:-(\d+))?(?:\/(\w+))?$/.exec(value);
    const from = Number(match?.[1]);
    const to = Number(match?.[2] ?? match?.[1]);
    if (match === null || to < from || to > 65_535) {
      throw new InvalidParameterError(
        `error while looking up for ${key} ${value}: invalid port format for specified range`,
      );
    }
    for (let port = from; port <= to; port += 1) {
      keys.add(`${port}/${match[3]?.toLowerCase() ?? 'tcp'}`);
    }
  }
  return keys;
}

function portPredicate(options: ListOptions): Predicate | undefined {
  const publish = portKeys('publish', options.filters.get('publish') ?? []);
  const expose = portKeys('expose', options.filters.get('expose') ?? []);
  if (publish.size === 0 && expose.size === 0) {
    return undefined;
  }
  return (container) =>
    portSummaries(container.record.ports).some(
      (port) =>
        (port.PublicPort !== undefined && publish.has(`${port.PublicPort}/${port.Type}`)) ||
        expose.has(`${port.PrivatePort}/${port.Type}`),
    );
}

async function ancestorPredicate(
  core: ContainerCore,
  options: ListOptions,
): Promise<Predicate | undefined> {
  const refs = options.filters.get('ancestor');
  if (refs === undefined || refs.length === 0) {
    return undefined;
  }
  const ids = new Set<string>();
  const addWithChildren = (id: Digest): void => {
    if (!ids.has(id)) {
      ids.add(id);
      for (const child of core.ports.images.childrenOf(id)) {
        addWithChildren(child.id);
      }
    }
  };
  for (const ref of refs) {
    const image = await core.ports.images.find(ref).catch(() => undefined);
    if (image !== undefined) {
      addWithChildren(image.id);
    }
  }
  return ({ record }) => ids.has(record.imageId);
}

function volumePredicate(options: ListOptions): Predicate | undefined {
  const wanted = new Set(options.filters.get('volume'));
  if (wanted.size === 0) {
    return undefined;
  }
  return ({ record }) =>
    record.mounts.some(
      (mount) => wanted.has(mount.destination) || wanted.has(mount.name || mount.source),
    );
}

function networkPredicate(options: ListOptions): Predicate | undefined {
  const wanted = options.filters.get('network');
  if (wanted === undefined || wanted.length === 0) {
    return undefined;
  }
  return ({ record }) =>
    wanted.some(
      (value) =>
        Object.hasOwn(record.networks, value) ||
        Object.values(record.networks).some(
          (settings) => value !== '' && settings.NetworkID?.startsWith(value) === true,
        ),
    );
}

async function predicates(core: ContainerCore, options: ListOptions): Promise<Predicate[]> {
  const { filters } = options;
  checkValues(options, 'status', STATES, (value) => {
    const list = STATES.map((state) => `"${state}"`).join(', ');
    return `invalid value for state (${value}): must be one of ${list}`;
  });
  checkValues(options, 'health', HEALTHS, (value) => {
    const list = HEALTHS.map((health) => `"${health}"`).join(', ');
    return `invalid value for health (${value}): must be one of ${list}`;
  });
  const task = filters.get('is-task')?.map(isTrue);
  if (task?.includes(undefined) === true) {
    throw new InvalidParameterError(`invalid filter 'is-task=${filters.get('is-task')?.[0]}'`);
  }
  const list: (Predicate | undefined)[] = [
    ({ record }) =>
      matchesText(filters, 'name', record.name) || matchesText(filters, 'name', `/${record.name}`),
    idPredicate(core, options),
    task?.[0] === true ? () => false : undefined,
    ({ record }) => matchesLabels(filters.get('label'), record.config.Labels ?? {}),
    exitedPredicate(options),
    valuePredicate(filters.get('status'), ({ record }) => statusOf(record)),
    valuePredicate(filters.get('health'), ({ record }) => record.state.health?.Status ?? 'none'),
    volumePredicate(options),
    await ancestorPredicate(core, options),
    networkPredicate(options),
    portPredicate(options),
  ];
  return list.filter((predicate) => predicate !== undefined);
}

function valuePredicate(
  wanted: readonly string[] | undefined,
  of: (container: Container) => string,
): Predicate | undefined {
  return wanted === undefined || wanted.length === 0
    ? undefined
    : (container) => wanted.includes(of(container));
}

function idPredicate(core: ContainerCore, options: ListOptions): Predicate | undefined {
  const wanted = options.filters.get('id');
  if (wanted === undefined || wanted.length === 0) {
    return undefined;
  }
  const ids = new Set(
    wanted.flatMap((value) => {
      try {
        const found = core.registry.find(value);
        return found?.id.startsWith(value) === true ? [found.id] : [];
      } catch {
        // An ambiguous prefix matches nothing.
        return [];
      }
    }),
  );
  return ({ id }) => ids.has(id);
}

function anchor(core: ContainerCore, refs: readonly string[]): string | undefined {
  const last = refs.findLast((ref) => ref !== '');
  if (last === undefined) {
    return undefined;
  }
  const found = core.registry.find(last);
  if (found === undefined) {
    throw new NotFoundError(`No such container: ${last}`);
  }
  return found.id;
}

/** Newest first; equal times by id, so that pages are stable. */
function byCreation(a: Container, b: Container): number {
  const [x, y] = [a.record.createdAt, b.record.createdAt];
  // Fractions have no trailing zeros: compare them padded.
  const [left, right] = [sortable(x), sortable(y)];
  return left < right ? 1 : left > right ? -1 : a.id < b.id ? -1 : 1;
}

function sortable(time: string): string {
  return time.length === 30 ? time : time.slice(0, -1).padEnd(29, time.includes('.') ? '0' : ' ');
}

/** Rows that `docker ps` shows, before sizes. */
export async function selectContainers(
  core: ContainerCore,
  options: ListOptions,
): Promise<Container[]> {
  assertKnownFilters(options.filters, KNOWN_FILTERS);
  const tests = await predicates(core, options);
  const limit = options.limit ?? 0;
  const isAll = options.isAll || limit > 0 || (options.filters.get('status')?.length ?? 0) > 0;
  let beforeId = anchor(core, [...(options.filters.get('before') ?? []), options.before ?? '']);
  const sinceId = anchor(core, [...(options.filters.get('since') ?? []), options.since ?? '']);
  const selected: Container[] = [];
  for (const container of [...core.registry.all()].sort(byCreation)) {
    if (beforeId !== undefined) {
      beforeId = container.id === beforeId ? undefined : beforeId;
      continue;
    }
    if (container.id === sinceId || (limit > 0 && selected.length === limit)) {
      break;
    }
    const isShown = isAll || container.record.state.isRunning;
    if (isShown && tests.every((test) => test(container))) {
      selected.push(container);
    }
  }
  return selected;
}

/** The reference a container was made with, while it still names the container's image; else the image id. */
async function shownImages(
  core: ContainerCore,
  containers: readonly Container[],
): Promise<ReadonlyMap<string, string>> {
  const idOf = new Map<string, string>();
  const refs = new Set(containers.map(({ record }) => record.config.Image ?? ''));
  await Promise.all(
    [...refs].map(async (ref) => {
      const image =
        ref === '' ? undefined : await core.ports.images.find(ref).catch(() => undefined);
      idOf.set(ref, image?.id ?? '');
    }),
  );
  return idOf;
}

/** Bytes of a container's own layer and of everything it sees. */
export async function sizesOf(
  core: ContainerCore,
  container: Container,
): Promise<{ readonly SizeRw: number; readonly SizeRootFs: number }> {
  const own = await core.ports.snapshots.writableSize(container.id);
  const image = core.ports.images.get(container.record.imageId as Digest);
  return { SizeRw: own, SizeRootFs: own + (image?.sizeBytes ?? 0) };
}

/** Implements {@link ContainerService.list}. */
export async function listContainers(
  core: ContainerCore,
  options: ListOptions,
): Promise<readonly ContainerSummary[]> {
  const selected = await selectContainers(core, options);
  const imageIds = await shownImages(core, selected);
  const rows = selected.map((container) => {
    const { config, imageId } = container.record;
    const ref = config.Image ?? '';
    const shown = ref !== imageId && imageIds.get(ref) === imageId ? ref : imageId || ref;
    return summaryOf(container, core.registry.namesOf(container), shown);
  });
  if (!options.withSizes) {
    return rows;
  }
  const places = new Semaphore(SIZE_CONCURRENCY);
  return await Promise.all(
    selected.map(
      async (container, index) =>
        await places.run(async () => {
          const row = rows[index];
          const sizes = await sizesOf(core, container).catch(() => ({ SizeRw: 0, SizeRootFs: 0 }));
          return { ...(row ?? summaryOf(container, [], '')), ...sizes };
        }),
    ),
  );
}
