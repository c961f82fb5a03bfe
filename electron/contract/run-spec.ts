import { objectRef, portProtocolSchema } from './shared.ts';
import { z } from './zod.ts';

const text = z.string().max(10_000);
const words = z.array(text).max(1000);
const port = z.int().min(1).max(65_535);

/** One published port. */
export const portMappingSchema = z.object({
  /** Empty or absent = every address. */
  hostIp: z.string().max(50).optional(),
  /** Absent = the engine picks a free one. */
  hostPort: port.optional(),
  containerPort: port,
  protocol: portProtocolSchema,
});

/** One mount. */
export const mountSpecSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('bind'),
    /** Absolute path on the engine's machine. */
    source: text.min(1),
    target: text.min(1),
    isReadOnly: z.boolean().optional(),
  }),
  z.object({
    type: z.literal('volume'),
    /** Name; empty or absent = an anonymous volume. */
    source: z.string().max(255).optional(),
    target: text.min(1),
    isReadOnly: z.boolean().optional(),
  }),
  z.object({
    type: z.literal('tmpfs'),
    target: text.min(1),
    sizeBytes: z.number().min(0).optional(),
  }),
]);

/** Everything the run dialog can say. Absent = the image's or the engine's default. */
export const runSpecSchema = z.object({
  image: objectRef,
  /** When to pull before creating; `missing` when absent. Progress: call `images.pull` first to show it. */
  pull: z.enum(['missing', 'always', 'never']).optional(),
  /** `linux/arm64`, … */
  platform: z.string().max(100).optional(),
  name: z
    .string()
    .max(255)
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/, 'letters, digits, "_", "." and "-", at least two')
    .optional(),
  /** False: create only. True when absent. */
  start: z.boolean().optional(),
  command: words.optional(),
  entrypoint: words.optional(),
  workdir: text.optional(),
  user: z.string().max(200).optional(),
  hostname: z.string().max(253).optional(),
  domainname: z.string().max(253).optional(),
  env: z
    .array(z.object({ name: z.string().min(1).max(1000), value: z.string().max(131_072) }))
    .max(1000)
    .optional(),
  labels: z.record(z.string().min(1).max(1000), text).optional(),
  tty: z.boolean().optional(),
  stdin: z.boolean().optional(),
  autoRemove: z.boolean().optional(),
  restart: z
    .object({
      policy: z.enum(['no', 'always', 'on-failure', 'unless-stopped']),
      maxRetries: z.int().min(0).optional(),
    })
    .optional(),
  ports: z.array(portMappingSchema).max(1000).optional(),
  /** Publish every exposed port on a free host port. */
  publishAll: z.boolean().optional(),
  mounts: z.array(mountSpecSchema).max(200).optional(),
  network: z
    .object({
      /** Network name or id, `bridge`, `host`, `none` or `container:<id>`. */
      mode: z.string().min(1).max(300),
      aliases: z.array(z.string().max(253)).max(50).optional(),
      ipv4: z.string().max(50).optional(),
      ipv6: z.string().max(60).optional(),
      macAddress: z.string().max(20).optional(),
    })
    .optional(),
  dns: z.array(z.string().max(100)).max(20).optional(),
  dnsSearch: z.array(z.string().max(253)).max(20).optional(),
  extraHosts: z.array(z.string().max(400)).max(200).optional(),
  memoryBytes: z.number().min(0).optional(),
  memoryReservationBytes: z.number().min(0).optional(),
  /** Memory plus swap; -1 = unlimited swap. */
  memorySwapBytes: z.number().min(-1).optional(),
  /** Cores, e.g. 0.5. */
  cpus: z.number().min(0).optional(),
  cpuShares: z.int().min(0).optional(),
  cpusetCpus: z.string().max(200).optional(),
  pidsLimit: z.int().optional(),
  shmSizeBytes: z.number().min(0).optional(),
  healthcheck: z
    .object({
      /** Shell command; empty switches the image's check off. */
      command: text,
      intervalSec: z.number().min(0).optional(),
      timeoutSec: z.number().min(0).optional(),
      startPeriodSec: z.number().min(0).optional(),
      retries: z.int().min(0).optional(),
    })
    .optional(),
  isPrivileged: z.boolean().optional(),
  isReadOnly: z.boolean().optional(),
  capAdd: z.array(z.string().max(60)).max(60).optional(),
  capDrop: z.array(z.string().max(60)).max(60).optional(),
  securityOpt: z.array(text).max(50).optional(),
  devices: z
    .array(
      z.object({
        hostPath: text.min(1),
        containerPath: text.min(1),
        permissions: z.string().max(3),
      }),
    )
    .max(100)
    .optional(),
  sysctls: z.record(z.string().max(200), z.string().max(1000)).optional(),
  ulimits: z
    .array(z.object({ name: z.string().max(50), soft: z.int(), hard: z.int() }))
    .max(50)
    .optional(),
  init: z.boolean().optional(),
  runtime: z.string().max(100).optional(),
  logDriver: z.string().max(100).optional(),
  logOptions: z.record(z.string().max(100), z.string().max(1000)).optional(),
  stopSignal: z.string().max(30).optional(),
  stopTimeoutSec: z.int().min(0).optional(),
});

/** Everything the run dialog can say. */
export type RunSpec = z.infer<typeof runSpecSchema>;
/** One published port of a run. */
export type PortMapping = z.infer<typeof portMappingSchema>;
/** One mount of a run. */
export type MountSpec = z.infer<typeof mountSpecSchema>;
