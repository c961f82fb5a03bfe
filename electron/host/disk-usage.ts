import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pathSegment } from '../../engine/api/client/client.ts';
import {
  type ApiDiskUsage,
  containerInspectSchema,
  diskUsageSchema,
} from '../../engine/api/client/responses.ts';
import { Semaphore } from '../../engine/base/async.ts';
import type { DiskItem, DiskUsage } from '../contract/storage-channels.ts';
import type { EngineLink } from './engine-link.ts';
import { timeMs } from './normalise.ts';

const INSPECT_CONCURRENCY = 8;
const RUNNING_STATES = new Set(['running', 'paused', 'restarting']);

/** Log files by container id; undefined when the files are not on this machine or may not be read. */
export type LogSizes = ReadonlyMap<string, number> | undefined;

/** Sizes of a log with its rotated parts. */
async function logFileBytes(logPath: string): Promise<number> {
  const folder = dirname(logPath);
  const name = basename(logPath);
  let sum = 0;
  for (const entry of await readdir(folder)) {
    if (entry === name || entry.startsWith(`${name}.`)) {
      sum += (await stat(join(folder, entry))).size;
    }
  }
  return sum;
}

/** Measures the log files of containers; the API does not count them. */
export async function measureLogs(
  link: EngineLink,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<LogSizes> {
  if (!link.endpoint.isLocal) {
    return undefined;
  }
  const limit = new Semaphore(INSPECT_CONCURRENCY);
  const sizes = new Map<string, number>();
  let isRefused = false;
  await Promise.all(
    ids.map((id) =>
      limit.run(async () => {
        try {
          const container = await link.client.get(
            `/containers/${pathSegment(id)}/json`,
            containerInspectSchema,
            { signal },
          );
          sizes.set(id, container.LogPath === '' ? 0 : await logFileBytes(container.LogPath));
        } catch (error) {
          signal.throwIfAborted();
          // Gone meanwhile counts nothing; a folder that only root may read makes the whole unknown.
          const isGone = error instanceof Error && 'code' in error && error.code === 'not-found';
          isRefused ||= !isGone;
        }
      }),
    ),
  );
  return isRefused && sizes.size === 0 ? undefined : sizes;
}

/** Reads the engine's own account of its disk use. */
export async function readDiskUsage(link: EngineLink, signal: AbortSignal): Promise<ApiDiskUsage> {
  return await link.client.get('/system/df', diskUsageSchema, { signal });
}

/** Bytes that only this image has. */
export function uniqueImageBytes(image: ApiDiskUsage['Images'][number]): number {
  return Math.max(0, image.Size - Math.max(0, image.SharedSize));
}

/** What an image is called: its first tag, else its short id. */
export function imageName(image: { Id: string; RepoTags: readonly string[] }): string {
  const tag = image.RepoTags.find((name) => !name.includes('<none>'));
  return tag ?? image.Id.replace(/^sha256:/, '').slice(0, 12);
}

function summed(items: readonly DiskItem[], bytesOf: (item: DiskItem) => number) {
  const unused = items.filter((item) => !item.isInUse);
  const sum = (list: readonly DiskItem[]): number =>
    list.reduce((total, item) => total + bytesOf(item), 0);
  return {
    count: items.length,
    inUseCount: items.length - unused.length,
    totalBytes: sum(items),
    reclaimableBytes: sum(unused),
  };
}

function created(ms: number | undefined): { createdAtMs?: number } {
  return ms === undefined ? {} : { createdAtMs: ms };
}

/** The objects on disk, one by one. */
export function diskItems(usage: ApiDiskUsage, logs: LogSizes): DiskItem[] {
  const usedImages = new Set(usage.Containers.map((container) => container.ImageID));
  const images = usage.Images.map(
    (image): DiskItem => ({
      kind: 'images',
      id: image.Id,
      name: imageName(image),
      bytes: image.Size,
      uniqueBytes: uniqueImageBytes(image),
      isInUse: image.Containers > 0 || usedImages.has(image.Id),
      createdAtMs: image.Created * 1000,
    }),
  );
  const containers = usage.Containers.map((container): DiskItem => {
    const logBytes = logs?.get(container.Id);
    return {
      kind: 'containers',
      id: container.Id,
      name: container.Names[0]?.replace(/^\//, '') ?? container.Id.slice(0, 12),
      bytes: container.SizeRw + (logBytes ?? 0),
      ...(logBytes === undefined ? {} : { logBytes }),
      isInUse: RUNNING_STATES.has(container.State),
      createdAtMs: container.Created * 1000,
    };
  });
  const volumes = usage.Volumes.map(
    (volume): DiskItem => ({
      kind: 'volumes',
      id: volume.Name,
      name: volume.Name,
      bytes: Math.max(0, volume.UsageData?.Size ?? 0),
      isInUse: (volume.UsageData?.RefCount ?? 0) > 0,
      ...created(timeMs(volume.CreatedAt)),
    }),
  );
  const cache = usage.BuildCache.map(
    (record): DiskItem => ({
      kind: 'buildCache',
      id: record.ID,
      name: record.Description || record.Type || record.ID,
      bytes: record.Size,
      isInUse: record.InUse,
      ...created(timeMs(record.CreatedAt)),
    }),
  );
  return [...images, ...containers, ...volumes, ...cache];
}

/** Serves `disk.usage`. */
export async function diskUsage(link: EngineLink, signal: AbortSignal): Promise<DiskUsage> {
  const usage = await readDiskUsage(link, signal);
  const logs = await measureLogs(
    link,
    usage.Containers.map((container) => container.Id),
    signal,
  );
  const items = diskItems(usage, logs);
  const ofKind = (kind: DiskItem['kind']): DiskItem[] => items.filter((item) => item.kind === kind);
  const imageItems = ofKind('images');
  const unique = imageItems.reduce((sum, item) => sum + (item.uniqueBytes ?? 0), 0);
  const containerItems = ofKind('containers');
  return {
    measuredAtMs: Date.now(),
    images: {
      ...summed(imageItems, (item) => item.uniqueBytes ?? 0),
      totalBytes: usage.LayersSize,
      sharedBytes: Math.max(0, usage.LayersSize - unique),
    },
    containers: summed(containerItems, (item) => item.bytes - (item.logBytes ?? 0)),
    logs: {
      isKnown: logs !== undefined,
      totalBytes: containerItems.reduce((sum, item) => sum + (item.logBytes ?? 0), 0),
      reclaimableBytes: containerItems
        .filter((item) => !item.isInUse)
        .reduce((sum, item) => sum + (item.logBytes ?? 0), 0),
    },
    volumes: summed(ofKind('volumes'), (item) => item.bytes),
    buildCache: summed(ofKind('buildCache'), (item) => item.bytes),
    items,
  };
}
