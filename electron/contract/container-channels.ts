import { liveList } from './lists.ts';
import { call, stream } from './method.ts';
import { runSpecSchema } from './run-spec.ts';
import { containerId, emptySchema, portProtocolSchema } from './shared.ts';
import { z } from './zod.ts';

/** States of a container, as the engine names them. */
export const containerStateSchema = z.enum([
  'created',
  'running',
  'paused',
  'restarting',
  'removing',
  'exited',
  'dead',
]);

/** State of a container. */
export type ContainerState = z.infer<typeof containerStateSchema>;

/** A port of a container: published when `hostPort` is there, else only exposed. */
export const containerPortSchema = z.object({
  /** `0.0.0.0`, `::`, `127.0.0.1`, … */
  hostIp: z.string().optional(),
  hostPort: z.int().optional(),
  containerPort: z.int(),
  protocol: portProtocolSchema,
});

/** A port of a container. */
export type ContainerPort = z.infer<typeof containerPortSchema>;

/** Row of the containers list. */
export const containerSummarySchema = z.object({
  id: z.string(),
  /** Without the leading slash. */
  name: z.string(),
  /** As given at create: a reference, or an id when it was made from one. */
  image: z.string(),
  imageId: z.string(),
  command: z.string(),
  createdAtMs: z.number(),
  state: containerStateSchema,
  health: z.enum(['none', 'starting', 'healthy', 'unhealthy']),
  /** Of the last run; absent while it runs for the first time or never ran. */
  exitCode: z.int().optional(),
  /** Of the present or last run; may come a moment after the first snapshot. */
  startedAtMs: z.number().optional(),
  finishedAtMs: z.number().optional(),
  restartCount: z.int().optional(),
  isOomKilled: z.boolean().optional(),
  /** Whether it has a terminal; known after the first details. */
  hasTty: z.boolean().optional(),
  ports: z.array(containerPortSchema),
  labels: z.record(z.string(), z.string()),
  /** From compose labels. */
  project: z
    .object({
      name: z.string(),
      service: z.string(),
      workingDir: z.string().optional(),
      configFiles: z.string().optional(),
    })
    .optional(),
  networks: z.array(z.object({ name: z.string(), ip: z.string().optional() })),
  mounts: z.array(
    z.object({
      type: z.string(),
      /** Volume name, for volumes. */
      name: z.string().optional(),
      source: z.string(),
      destination: z.string(),
      isWritable: z.boolean(),
    }),
  ),
});

/** Row of the containers list. */
export type ContainerSummary = z.infer<typeof containerSummarySchema>;

/** Normalised usage of one container at one time. */
export const statsSampleSchema = z.object({
  id: z.string(),
  /** Epoch ms, by the engine's clock. */
  timeMs: z.number(),
  /** 100 = one core fully used; absent in the first sample after the sampler started. */
  cpuPercent: z.number().optional(),
  /** Cores the container may use. */
  cpuCount: z.number(),
  /** Without the page cache, as `docker stats` counts. */
  memoryBytes: z.number(),
  /** The container's limit, or the machine's memory when it has none. */
  memoryLimitBytes: z.number(),
  /** Totals since the container started. */
  netRxBytes: z.number(),
  netTxBytes: z.number(),
  blockReadBytes: z.number(),
  blockWriteBytes: z.number(),
  pids: z.int(),
});

/** Normalised usage of one container at one time. */
export type StatsSample = z.infer<typeof statsSampleSchema>;

/** Outcome for one of several containers. */
export const bulkResultSchema = z.object({
  id: z.string(),
  name: z.string(),
  error: z
    .object({ code: z.string(), message: z.string(), hint: z.string().optional() })
    .optional(),
});

/** Outcome for one of several containers; no `error` = done. */
export type BulkResult = z.infer<typeof bulkResultSchema>;

/** Limits and policy that can change while a container exists. */
export const containerUpdateSchema = z.object({
  id: containerId,
  /** 0 = no limit. */
  memoryBytes: z.number().min(0).optional(),
  /** Cores, e.g. 1.5; 0 = no limit. */
  cpus: z.number().min(0).optional(),
  /** 0 = no limit. */
  pidsLimit: z.int().min(0).optional(),
  restart: z
    .object({
      policy: z.enum(['no', 'always', 'on-failure', 'unless-stopped']),
      maxRetries: z.int().min(0).optional(),
    })
    .optional(),
});

const target = z.object({ id: containerId });

/** Channels about containers. */
export const containerChannels = {
  'containers.list': liveList(containerSummarySchema),
  /** The engine's complete answer, for the Inspect tab. Environment values in it may be secrets. */
  'containers.inspect': call(target, z.object({ raw: z.record(z.string(), z.unknown()) })),
  /**
   * Creates and, unless told otherwise, starts. When the start fails the container stays (as with `docker run -d`),
   * its id is in the answer and `startError` says why. Errors: `port-in-use`, `name-in-use`, `not-found` (no such image).
   */
  'containers.create': call(
    runSpecSchema,
    z.object({
      id: z.string(),
      warnings: z.array(z.string()),
      startError: z
        .object({ code: z.string(), message: z.string(), hint: z.string().optional() })
        .optional(),
    }),
  ),
  'containers.start': call(target, emptySchema),
  /** @param timeoutSec  seconds before SIGKILL; absent = the container's own */
  'containers.stop': call(
    z.object({ id: containerId, timeoutSec: z.int().min(-1).optional() }),
    emptySchema,
  ),
  'containers.restart': call(
    z.object({ id: containerId, timeoutSec: z.int().min(-1).optional() }),
    emptySchema,
  ),
  'containers.kill': call(
    z.object({ id: containerId, signal: z.string().max(20).optional() }),
    emptySchema,
  ),
  'containers.pause': call(target, emptySchema),
  'containers.unpause': call(target, emptySchema),
  /** @param volumes  also its anonymous volumes */
  'containers.remove': call(
    z.object({ id: containerId, force: z.boolean(), volumes: z.boolean() }),
    emptySchema,
  ),
  'containers.rename': call(z.object({ id: containerId, name: z.string().max(255) }), emptySchema),
  'containers.update': call(containerUpdateSchema, z.object({ warnings: z.array(z.string()) })),
  /** One action on many, four at a time; answers when all are through, never fails as a whole. */
  'containers.bulk': call(
    z.object({
      ids: z.array(containerId).min(1).max(1000),
      action: z.enum(['start', 'stop', 'restart', 'kill', 'pause', 'unpause', 'remove']),
      /** For `remove`. */
      force: z.boolean().optional(),
      volumes: z.boolean().optional(),
    }),
    z.object({ results: z.array(bulkResultSchema) }),
  ),
  /** All containers of a compose project, in the order of their dependencies (reversed for stop and remove). */
  'projects.action': call(
    z.object({
      project: z.string().max(300),
      action: z.enum(['start', 'stop', 'restart', 'remove']),
      volumes: z.boolean().optional(),
    }),
    z.object({ results: z.array(bulkResultSchema) }),
  ),
  'containers.top': call(
    target,
    z.object({ titles: z.array(z.string()), processes: z.array(z.array(z.string())) }),
  ),
  /** Files changed against the image. */
  'containers.changes': call(
    target,
    z.object({
      changes: z.array(
        z.object({ path: z.string(), kind: z.enum(['modified', 'added', 'deleted']) }),
      ),
    }),
  ),
  /**
   * Usage of the containers named, about once per second, all in one item. The page sends `{ids}` whenever the set of
   * visible rows changes. Containers that do not run yield no samples. Nothing is sampled while nobody subscribes.
   */
  'containers.stats': stream({
    params: z.object({ ids: z.array(containerId).max(1000) }),
    item: z.object({ samples: z.array(statsSampleSchema) }),
    up: z.object({ ids: z.array(containerId).max(1000) }),
    unit: 'items',
    window: 8,
  }),
  /** What was sampled in the last 10 minutes, oldest first. */
  'containers.statsHistory': call(target, z.object({ samples: z.array(statsSampleSchema) })),
  /** The whole file system as a tar to be downloaded; see {@link downloadSchema}. */
  'containers.export': call(target, z.object({ path: z.string() })),
} as const;
