import { z } from 'zod';
import { pathSegment } from '../../engine/api/client/client.ts';
import {
  type ApiContainerListItem,
  type ApiDiskUsage,
  type ApiNetwork,
  containerInspectSchema,
  containerListItemSchema,
  imageDeleteSchema,
  imageInspectSchema,
  networkSchema,
} from '../../engine/api/client/responses.ts';
import { ConflictError, isAbortError, NotFoundError } from '../../engine/base/errors.ts';
import type { DiskKind, PruneItem } from '../contract/storage-channels.ts';
import type { StreamContext } from './bridge-server.ts';
import { describeError } from './bridge-server.ts';
import {
  diskItems,
  imageName,
  measureLogs,
  readDiskUsage,
  uniqueImageBytes,
} from './disk-usage.ts';
import type { EngineLink } from './engine-link.ts';
import { isAnonymousVolume, timeMs } from './normalise.ts';
import { splitReference } from './transfers.ts';

const PREDEFINED_NETWORKS = new Set(['bridge', 'host', 'none']);
const ENDED_STATES = new Set(['exited', 'dead', 'created']);

/** Parameters of `disk.preview`. */
export interface PreviewOptions {
  readonly kinds: readonly DiskKind[];
  readonly allImages?: boolean | undefined;
  readonly allVolumes?: boolean | undefined;
  readonly olderThanSec?: number | undefined;
}

function ago(ms: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - ms) / 1000));
  const units: readonly (readonly [number, string])[] = [
    [86_400, 'day'],
    [3600, 'hour'],
    [60, 'minute'],
  ];
  for (const [size, name] of units) {
    const count = Math.floor(seconds / size);
    if (count > 0) {
      return `${count} ${name}${count === 1 ? '' : 's'} ago`;
    }
  }
  return 'just now';
}

class Preview {
  readonly items: PruneItem[] = [];
  /** Containers in the list: what only they use can go too, since they go first. */
  readonly #going = new Set<string>();
  readonly #usage: ApiDiskUsage;
  readonly #options: PreviewOptions;
  readonly #nowMs = Date.now();

  constructor(usage: ApiDiskUsage, options: PreviewOptions) {
    this.#usage = usage;
    this.#options = options;
  }

  #isOldEnough(ms: number | undefined): boolean {
    const { olderThanSec } = this.#options;
    return olderThanSec === undefined || (ms ?? 0) <= this.#nowMs - olderThanSec * 1000;
  }

  containers(
    logs: ReadonlyMap<string, number> | undefined,
    finishedAt: ReadonlyMap<string, number>,
  ): void {
    const bytes = new Map(diskItems(this.#usage, logs).map((item) => [item.id, item.bytes]));
    for (const container of this.#usage.Containers) {
      const endedMs = finishedAt.get(container.Id) ?? container.Created * 1000;
      if (ENDED_STATES.has(container.State) && this.#isOldEnough(endedMs)) {
        this.#going.add(container.Id);
        const verb = container.State === 'created' ? 'created but never started' : 'ended';
        this.items.push({
          kind: 'containers',
          id: container.Id,
          name: container.Names[0]?.replace(/^\//, '') ?? container.Id.slice(0, 12),
          bytes: bytes.get(container.Id) ?? 0,
          reason: `${verb} ${ago(endedMs, this.#nowMs)}`,
        });
      }
    }
  }

  /** What only containers of this list use. */
  #reason(isFreed: boolean, otherwise: string): string {
    return isFreed ? 'used only by containers in this list' : otherwise;
  }

  images(): void {
    const users = this.#usage.Containers;
    const used = new Set(users.filter((it) => !this.#going.has(it.Id)).map((it) => it.ImageID));
    const freed = new Set(users.map((it) => it.ImageID));
    for (const image of this.#usage.Images) {
      const isDangling = image.RepoTags.every((tag) => tag.includes('<none>'));
      const isUsed = used.has(image.Id);
      const isWanted = isDangling || this.#options.allImages === true;
      if (!isUsed && isWanted && this.#isOldEnough(image.Created * 1000)) {
        this.items.push({
          kind: 'images',
          id: image.Id,
          name: imageName(image),
          bytes: uniqueImageBytes(image),
          reason: this.#reason(
            freed.has(image.Id),
            isDangling ? 'has no name, no container uses it' : 'no container uses it',
          ),
        });
      }
    }
  }

  volumes(): void {
    const mounts = this.#usage.Containers.flatMap((it) =>
      it.Mounts.map((mount) => ({ name: mount.Name, isGoing: this.#going.has(it.Id) })),
    );
    for (const volume of this.#usage.Volumes) {
      const isAnonymous = isAnonymousVolume(volume);
      const isWanted = isAnonymous || this.#options.allVolumes === true;
      const users = mounts.filter((mount) => mount.name === volume.Name);
      // References that no listed container explains (of a build, of another tool) keep it too.
      const isFreed = users.length > 0 && users.every((mount) => mount.isGoing);
      const isUsed = (volume.UsageData?.RefCount ?? 0) > (isFreed ? users.length : 0);
      if (!isUsed && isWanted && this.#isOldEnough(timeMs(volume.CreatedAt))) {
        this.items.push({
          kind: 'volumes',
          id: volume.Name,
          name: volume.Name,
          bytes: Math.max(0, volume.UsageData?.Size ?? 0),
          reason: this.#reason(
            isFreed,
            isAnonymous ? 'has no name of its own, no container uses it' : 'no container uses it',
          ),
        });
      }
    }
  }

  networks(networks: readonly ApiNetwork[], containers: readonly ApiContainerListItem[]): void {
    const usedNames = new Set(
      containers
        .filter((it) => !this.#going.has(it.Id))
        .flatMap((it) => Object.keys(it.NetworkSettings?.Networks ?? {})),
    );
    for (const network of networks) {
      const isWanted = !PREDEFINED_NETWORKS.has(network.Name) && !usedNames.has(network.Name);
      if (isWanted && this.#isOldEnough(timeMs(network.Created))) {
        this.items.push({
          kind: 'networks',
          id: network.Id,
          name: network.Name,
          bytes: 0,
          reason: 'no container is connected to it',
        });
      }
    }
  }

  buildCache(): void {
    for (const record of this.#usage.BuildCache) {
      const lastUsed = timeMs(record.LastUsedAt) ?? timeMs(record.CreatedAt);
      if (!record.InUse && this.#isOldEnough(lastUsed)) {
        const suffix = lastUsed === undefined ? '' : `, last used ${ago(lastUsed, this.#nowMs)}`;
        this.items.push({
          kind: 'buildCache',
          id: record.ID,
          name: record.Description || record.Type || record.ID,
          bytes: record.Size,
          reason: `not in use${suffix}`,
        });
      }
    }
  }
}

/** Serves `disk.preview`. */
export async function previewPrune(
  link: EngineLink,
  options: PreviewOptions,
  signal: AbortSignal,
): Promise<{ items: PruneItem[]; totalBytes: number }> {
  const usage = await readDiskUsage(link, signal);
  const preview = new Preview(usage, options);
  const wants = new Set(options.kinds);
  if (wants.has('containers')) {
    const ended = usage.Containers.filter((container) => ENDED_STATES.has(container.State));
    const ids = ended.map((container) => container.Id);
    const finishedAt = new Map<string, number>();
    for (const id of ids) {
      const finished = await finishedAtMs(link, id, signal);
      if (finished !== undefined) {
        finishedAt.set(id, finished);
      }
    }
    preview.containers(await measureLogs(link, ids, signal), finishedAt);
  }
  if (wants.has('images')) {
    preview.images();
  }
  if (wants.has('volumes')) {
    preview.volumes();
  }
  if (wants.has('networks')) {
    const networks = await link.client.get('/networks', z.array(networkSchema), { signal });
    // df lists no containers on some engines when there is nothing to count; ask for the truth.
    const containers = await link.client.get('/containers/json', z.array(containerListItemSchema), {
      query: { all: 1 },
      signal,
    });
    preview.networks(networks, containers);
  }
  if (wants.has('buildCache')) {
    preview.buildCache();
  }
  const { items } = preview;
  return { items, totalBytes: items.reduce((sum, item) => sum + item.bytes, 0) };
}

async function finishedAtMs(
  link: EngineLink,
  id: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    const container = await link.client.get(
      `/containers/${pathSegment(id)}/json`,
      containerInspectSchema,
      { signal },
    );
    return timeMs(container.State.FinishedAt);
  } catch (error) {
    if (error instanceof NotFoundError) {
      return undefined;
    }
    throw error;
  }
}

/** Item of `disk.prune`. */
type PruneResult =
  | {
      type: 'result';
      kind: DiskKind;
      id: string;
      name: string;
      bytes: number;
      error?: { code: string; message: string };
    }
  | { type: 'summary'; removedCount: number; failedCount: number; freedBytes: number };

/** Order of deletion: what uses others goes before what is used. */
const ORDER: readonly DiskKind[] = ['containers', 'networks', 'volumes', 'images', 'buildCache'];

/** Serves `disk.prune`: exactly the items given, one by one, never by force. */
export async function prune(
  link: EngineLink,
  items: readonly PruneItem[],
  context: StreamContext<PruneResult, never>,
): Promise<void> {
  const sorted = [...items].sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
  const totals = { removedCount: 0, failedCount: 0, freedBytes: 0 };
  for (const item of sorted) {
    context.signal.throwIfAborted();
    const { kind, id, name } = item;
    try {
      await removeItem(link, item);
      totals.removedCount += 1;
      totals.freedBytes += item.bytes;
      await context.send({ type: 'result', kind, id, name, bytes: item.bytes });
    } catch (error) {
      if (isAbortError(error)) {
        throw error;
      }
      totals.failedCount += 1;
      const { code, message } = describeError(error);
      await context.send({ type: 'result', kind, id, name, bytes: 0, error: { code, message } });
    }
  }
  await context.send({ type: 'summary', ...totals });
}

/** Once begun, a deletion is not interrupted: half of an image must not stay. */
async function removeItem(link: EngineLink, item: PruneItem): Promise<void> {
  const { client } = link;
  switch (item.kind) {
    case 'containers':
      await client.run('DELETE', `/containers/${pathSegment(item.id)}`, {
        query: { force: false, v: true },
      });
      return;
    case 'networks':
      await assertNetworkUnused(link, item);
      await client.run('DELETE', `/networks/${pathSegment(item.id)}`);
      return;
    case 'volumes':
      await client.run('DELETE', `/volumes/${pathSegment(item.id)}`, { query: { force: false } });
      return;
    case 'images':
      await removeImage(link, item);
      return;
    case 'buildCache':
      await client.run('POST', '/build/prune', {
        query: { all: true, filters: JSON.stringify({ id: [item.id] }) },
      });
      return;
    default:
      item.kind satisfies never;
  }
}

/** The engine lets a network go that only stopped containers are configured for; they could not start again then. */
async function assertNetworkUnused(link: EngineLink, item: PruneItem): Promise<void> {
  const containers = await link.client.get('/containers/json', z.array(containerListItemSchema), {
    query: { all: 1 },
  });
  const user = containers.find((container) =>
    Object.entries(container.NetworkSettings?.Networks ?? {}).some(
      ([name, endpoint]) => name === item.name || endpoint?.NetworkID === item.id,
    ),
  );
  if (user !== undefined) {
    const name = user.Names[0]?.replace(/^\//, '') ?? user.Id.slice(0, 12);
    throw new ConflictError(`network ${item.name} is now used by container ${name}`);
  }
}

/**
 * Removes an image with all its names but never its parents. The engine refuses to remove an image of several names by
 * its id without force, and force would take images of stopped containers: so the names go one by one, and when the last
 * one is refused because a container came into being, the others are put back.
 */
async function removeImage(link: EngineLink, item: PruneItem): Promise<void> {
  const { client } = link;
  const path = `/images/${pathSegment(item.id)}`;
  const query = { force: false, noprune: true };
  const image = await client.get(`${path}/json`, imageInspectSchema);
  const tags = image.RepoTags.filter((tag) => !tag.includes('<none>'));
  const containers = await client.get('/containers/json', z.array(containerListItemSchema), {
    query: { all: 1 },
  });
  const user = containers.find((container) => container.ImageID === image.Id);
  if (user !== undefined) {
    const name = user.Names[0]?.replace(/^\//, '') ?? user.Id.slice(0, 12);
    throw new ConflictError(`image ${item.name} is now used by container ${name}`);
  }
  if (tags.length < 2) {
    await client.delete(path, imageDeleteSchema, { query });
    return;
  }
  const gone: string[] = [];
  try {
    for (const tag of tags) {
      await client.delete(`/images/${pathSegment(tag)}`, imageDeleteSchema, { query });
      gone.push(tag);
    }
  } catch (error) {
    for (const tag of gone) {
      const { name, tag: version } = splitReference(tag);
      await client.run('POST', `${path}/tag`, { query: { repo: name, tag: version } });
    }
    throw error;
  }
}
