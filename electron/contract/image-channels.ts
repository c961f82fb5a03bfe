import { liveList } from './lists.ts';
import { call, stream } from './method.ts';
import { downloadSchema, emptySchema, objectRef, registryAuthSchema } from './shared.ts';
import { z } from './zod.ts';

/** Row of the images list. */
export const imageSummarySchema = z.object({
  /** `sha256:…` */
  id: z.string(),
  /** `name:tag`; empty = dangling. */
  tags: z.array(z.string()),
  /** `name@sha256:…` */
  digests: z.array(z.string()),
  sizeBytes: z.number(),
  createdAtMs: z.number(),
  labels: z.record(z.string(), z.string()),
  /** Containers made from it, running or not. */
  usedBy: z.array(z.object({ id: z.string(), name: z.string(), isRunning: z.boolean() })),
});

/** Row of the images list. */
export type ImageSummary = z.infer<typeof imageSummarySchema>;

/** State of one layer while pulling or pushing. */
export const layerProgressSchema = z.object({
  /** Short id. */
  id: z.string(),
  phase: z.enum([
    'waiting',
    'downloading',
    'verifying',
    'downloaded',
    'extracting',
    'complete',
    'exists',
    'uploading',
    'retrying',
  ]),
  /** The engine's own words. */
  status: z.string(),
  currentBytes: z.number().optional(),
  totalBytes: z.number().optional(),
});

/** State of one layer while pulling or pushing. */
export type LayerProgress = z.infer<typeof layerProgressSchema>;

/** Items of pull and push. */
export const transferItemSchema = z.discriminatedUnion('type', [
  /** Layers that changed since the last item, complete; at most every 100 ms. */
  z.object({ type: z.literal('layers'), layers: z.array(layerProgressSchema) }),
  /** A line about the whole. */
  z.object({ type: z.literal('status'), message: z.string() }),
  /** Last item of a success; a failure ends the stream with its error instead. */
  z.object({ type: z.literal('done'), reference: z.string(), digest: z.string().optional() }),
]);

/** Item of pull and push. */
export type TransferItem = z.infer<typeof transferItemSchema>;

const target = z.object({ id: objectRef });

/** Channels about images. */
export const imageChannels = {
  'images.list': liveList(imageSummarySchema),
  'images.inspect': call(
    target,
    z.object({
      raw: z.record(z.string(), z.unknown()),
      /** What the run dialog starts from. */
      defaults: z.object({
        exposedPorts: z.array(
          z.object({ port: z.int(), protocol: z.enum(['tcp', 'udp', 'sctp']) }),
        ),
        volumes: z.array(z.string()),
        env: z.array(z.string()),
        command: z.array(z.string()),
        entrypoint: z.array(z.string()),
        workdir: z.string(),
        user: z.string(),
      }),
    }),
  ),
  /** Newest layer first. */
  'images.history': call(
    target,
    z.object({
      layers: z.array(
        z.object({
          id: z.string(),
          createdAtMs: z.number(),
          createdBy: z.string(),
          sizeBytes: z.number(),
          comment: z.string(),
          tags: z.array(z.string()),
        }),
      ),
    }),
  ),
  /** Closing the stream before `done` cancels the pull; layers already there stay for the next try. */
  'images.pull': stream({
    params: z.object({
      reference: objectRef,
      platform: z.string().max(100).optional(),
      auth: registryAuthSchema.optional(),
    }),
    item: transferItemSchema,
    up: z.never(),
    unit: 'items',
    window: 16,
  }),
  'images.push': stream({
    params: z.object({ reference: objectRef, auth: registryAuthSchema.optional() }),
    item: transferItemSchema,
    up: z.never(),
    unit: 'items',
    window: 16,
  }),
  /** The page sends the tar as bytes and then ends its side. */
  'images.load': stream({
    params: z.object({ fileName: z.string().max(1000) }),
    item: z.discriminatedUnion('type', [
      z.object({ type: z.literal('received'), bytes: z.number() }),
      z.object({ type: z.literal('message'), text: z.string() }),
      z.object({ type: z.literal('done'), references: z.array(z.string()) }),
    ]),
    up: z.never(),
    unit: 'bytes',
    window: 4 * 1024 * 1024,
  }),
  /** One or more images as a tar to be downloaded. */
  'images.save': call(z.object({ references: z.array(objectRef).min(1).max(100) }), downloadSchema),
  'images.tag': call(
    z.object({ id: objectRef, repository: objectRef, tag: z.string().max(128) }),
    emptySchema,
  ),
  /** `id` may be a tag: then only that name goes while others are left. */
  'images.remove': call(
    z.object({ id: objectRef, force: z.boolean() }),
    z.object({ untagged: z.array(z.string()), deleted: z.array(z.string()) }),
  ),
} as const;
