import { liveList } from './lists.ts';
import { call, stream } from './method.ts';
import { containerId, emptySchema, objectRef } from './shared.ts';
import { z } from './zod.ts';

const labels = z.record(z.string().max(1000), z.string().max(10_000));

/** Row of the volumes list; `id` is its name. */
export const volumeSummarySchema = z.object({
  id: z.string(),
  driver: z.string(),
  mountpoint: z.string(),
  scope: z.string(),
  createdAtMs: z.number().optional(),
  labels: z.record(z.string(), z.string()),
  options: z.record(z.string(), z.string()),
  /** Made for a container without a name of its own. */
  isAnonymous: z.boolean(),
  usedBy: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      destination: z.string(),
      isWritable: z.boolean(),
      isRunning: z.boolean(),
    }),
  ),
});

/** Row of the volumes list. */
export type VolumeSummary = z.infer<typeof volumeSummarySchema>;

/** Row of the networks list. */
export const networkSummarySchema = z.object({
  id: z.string(),
  name: z.string(),
  driver: z.string(),
  scope: z.string(),
  createdAtMs: z.number().optional(),
  isInternal: z.boolean(),
  isAttachable: z.boolean(),
  hasIpv6: z.boolean(),
  /** `bridge`, `host` and `none` cannot be removed. */
  isPredefined: z.boolean(),
  subnets: z.array(z.object({ subnet: z.string(), gateway: z.string().optional() })),
  labels: z.record(z.string(), z.string()),
  options: z.record(z.string(), z.string()),
  usedBy: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      ip: z.string().optional(),
      isRunning: z.boolean(),
    }),
  ),
});

/** Row of the networks list. */
export type NetworkSummary = z.infer<typeof networkSummarySchema>;

/** Kinds of things on disk. */
export const diskKindSchema = z.enum(['images', 'containers', 'volumes', 'networks', 'buildCache']);

/** Kind of thing on disk. */
export type DiskKind = z.infer<typeof diskKindSchema>;

const usageSchema = z.object({
  count: z.int(),
  inUseCount: z.int(),
  totalBytes: z.number(),
  reclaimableBytes: z.number(),
});

/** One object on disk. */
export const diskItemSchema = z.object({
  kind: diskKindSchema,
  id: z.string(),
  name: z.string(),
  /** All it takes; for images including what it shares with others. */
  bytes: z.number(),
  /** Images: freed when only this one goes. */
  uniqueBytes: z.number().optional(),
  /** Containers: part of `bytes` that is its log files. Absent when the engine is on another machine. */
  logBytes: z.number().optional(),
  isInUse: z.boolean(),
  createdAtMs: z.number().optional(),
});

/** One object on disk. */
export type DiskItem = z.infer<typeof diskItemSchema>;

/** What takes how much. The parts do not overlap, so that they can be stacked in one bar. */
export const diskUsageSchema = z.object({
  measuredAtMs: z.number(),
  images: usageSchema.extend({
    /** Counted once in `totalBytes`, however many images share it. */
    sharedBytes: z.number(),
  }),
  /** Writable layers. */
  containers: usageSchema,
  /** Log files of all containers; `isKnown` false when the engine is on another machine. */
  logs: z.object({ isKnown: z.boolean(), totalBytes: z.number(), reclaimableBytes: z.number() }),
  volumes: usageSchema,
  buildCache: usageSchema,
  items: z.array(diskItemSchema),
});

/** What takes how much. */
export type DiskUsage = z.infer<typeof diskUsageSchema>;

/** Something a prune would delete. */
export const pruneItemSchema = z.object({
  kind: diskKindSchema,
  id: z.string(),
  name: z.string(),
  bytes: z.number(),
  /** Plain words: why it can go, e.g. `exited 3 days ago`, `no container uses it`. */
  reason: z.string(),
});

/** Something a prune would delete. */
export type PruneItem = z.infer<typeof pruneItemSchema>;

/** Channels about volumes, networks, disk and ports. */
export const storageChannels = {
  'volumes.list': liveList(volumeSummarySchema),
  'volumes.create': call(
    z.object({
      name: z.string().max(255).optional(),
      driver: z.string().max(100).optional(),
      options: labels.optional(),
      labels: labels.optional(),
    }),
    z.object({ id: z.string() }),
  ),
  'volumes.inspect': call(
    z.object({ id: objectRef }),
    z.object({ raw: z.record(z.string(), z.unknown()) }),
  ),
  'volumes.remove': call(z.object({ id: objectRef, force: z.boolean() }), emptySchema),

  'networks.list': liveList(networkSummarySchema),
  'networks.create': call(
    z.object({
      name: z.string().min(1).max(255),
      driver: z.string().max(100).optional(),
      subnet: z.string().max(60).optional(),
      gateway: z.string().max(60).optional(),
      ipRange: z.string().max(60).optional(),
      enableIpv6: z.boolean().optional(),
      internal: z.boolean().optional(),
      attachable: z.boolean().optional(),
      options: labels.optional(),
      labels: labels.optional(),
    }),
    z.object({ id: z.string(), warning: z.string() }),
  ),
  'networks.inspect': call(
    z.object({ id: objectRef }),
    z.object({ raw: z.record(z.string(), z.unknown()) }),
  ),
  'networks.remove': call(z.object({ id: objectRef }), emptySchema),
  'networks.connect': call(
    z.object({
      id: objectRef,
      containerId,
      aliases: z.array(z.string().max(253)).max(50).optional(),
      ipv4: z.string().max(50).optional(),
    }),
    emptySchema,
  ),
  'networks.disconnect': call(
    z.object({ id: objectRef, containerId, force: z.boolean() }),
    emptySchema,
  ),

  /** Measures; may take seconds on a large store. */
  'disk.usage': call(emptySchema, diskUsageSchema),
  /** Exactly what would go. Nothing is changed. */
  'disk.preview': call(
    z.object({
      kinds: z.array(diskKindSchema).min(1),
      /** All unused images instead of the dangling ones only. */
      allImages: z.boolean().optional(),
      /** Named volumes too, instead of the anonymous ones only. */
      allVolumes: z.boolean().optional(),
      /** Only what was created (containers: ended) longer ago than this. */
      olderThanSec: z.int().min(0).optional(),
    }),
    z.object({ items: z.array(pruneItemSchema), totalBytes: z.number() }),
  ),
  /**
   * Deletes exactly the items given, one by one, never by force: what came into use since the preview survives and is
   * reported with its error. One `result` per item as it happens, then `summary`. Closing the stream stops
   * before the next item.
   */
  'disk.prune': stream({
    params: z.object({ items: z.array(pruneItemSchema).min(1).max(20_000) }),
    item: z.discriminatedUnion('type', [
      z.object({
        type: z.literal('result'),
        kind: diskKindSchema,
        id: z.string(),
        name: z.string(),
        /** Freed; 0 when it failed. */
        bytes: z.number(),
        error: z.object({ code: z.string(), message: z.string() }).optional(),
      }),
      z.object({
        type: z.literal('summary'),
        removedCount: z.int(),
        failedCount: z.int(),
        freedBytes: z.number(),
      }),
    ]),
    up: z.never(),
    unit: 'items',
    window: 64,
  }),

  /** Free host ports for container ports: the same number when free, else the next that is. */
  'ports.suggest': call(
    z.object({
      ports: z
        .array(
          z.object({
            containerPort: z.int().min(1).max(65_535),
            protocol: z.enum(['tcp', 'udp', 'sctp']),
          }),
        )
        .max(100),
      /** Already chosen in the dialog. */
      taken: z.array(z.int()).max(1000).optional(),
    }),
    z.object({
      ports: z.array(
        z.object({
          containerPort: z.int(),
          protocol: z.enum(['tcp', 'udp', 'sctp']),
          hostPort: z.int(),
        }),
      ),
    }),
  ),
  /** Whether a host port can be published, and if not, who has it. */
  'ports.check': call(
    z.object({
      hostPort: z.int().min(1).max(65_535),
      protocol: z.enum(['tcp', 'udp', 'sctp']),
      hostIp: z.string().max(60).optional(),
    }),
    z.object({
      isFree: z.boolean(),
      owner: z
        .discriminatedUnion('kind', [
          z.object({
            kind: z.literal('container'),
            id: z.string(),
            name: z.string(),
            project: z.string().optional(),
          }),
          z.object({ kind: z.literal('process'), pid: z.int(), name: z.string() }),
          z.object({ kind: z.literal('unknown') }),
        ])
        .optional(),
      /** A free one near it, when it is not. */
      suggestion: z.int().optional(),
    }),
  ),
} as const;
