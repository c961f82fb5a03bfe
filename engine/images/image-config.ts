import { createHash } from 'node:crypto';
import { z } from 'zod';
import { InvalidParameterError } from '../base/errors.ts';
import type { ChainId, DiffId, Digest } from '../snapshots/contract.ts';
import type { ImageConfig, RunConfig } from './contract.ts';
import { isDigest } from './reference.ts';

/** More layers than any tool makes; keeps hostile configs from costing time. */
const MAX_LAYERS = 512;

function optional<T extends z.ZodType>(schema: T) {
  return schema.nullish().transform((value) => value ?? undefined);
}

const textMap = z.record(z.string(), z.string());
/** Go's `map[string]struct{}`. */
const keyMap = z
  .record(z.string(), z.unknown())
  .transform(
    (map): Record<string, object> => Object.fromEntries(Object.keys(map).map((key) => [key, {}])),
  );
/** Very old images have one string where a list belongs. */
const textList = z
  .union([z.array(z.string()), z.string()])
  .transform((value) => (typeof value === 'string' ? [value] : value));

const healthSchema = z.object({
  Test: optional(z.array(z.string())),
  Interval: optional(z.number()),
  Timeout: optional(z.number()),
  StartPeriod: optional(z.number()),
  StartInterval: optional(z.number()),
  Retries: optional(z.number()),
});

const runConfigSchema = z.object({
  Hostname: optional(z.string()),
  Domainname: optional(z.string()),
  User: optional(z.string()),
  ExposedPorts: optional(keyMap),
  Env: optional(z.array(z.string())),
  Cmd: optional(textList),
  Entrypoint: optional(textList),
  Volumes: optional(keyMap),
  WorkingDir: optional(z.string()),
  Labels: optional(textMap),
  StopSignal: optional(z.string()),
  StopTimeout: optional(z.number()),
  Healthcheck: optional(healthSchema),
  Shell: optional(z.array(z.string())),
  OnBuild: optional(z.array(z.string())),
  ArgsEscaped: optional(z.boolean()),
});

const digestSchema = z.string().refine(isDigest, 'must be a sha256 digest');

const historySchema = z.object({
  created: optional(z.string()),
  created_by: optional(z.string()),
  author: optional(z.string()),
  comment: optional(z.string()),
  empty_layer: optional(z.boolean()),
});

const configSchema = z.object({
  architecture: z.string().default(''),
  os: z.string().default('linux'),
  variant: optional(z.string()),
  'os.version': optional(z.string()),
  created: optional(z.string()),
  author: optional(z.string()),
  comment: optional(z.string()),
  docker_version: optional(z.string()),
  container: optional(z.string()),
  config: z
    .union([runConfigSchema, z.null()])
    .optional()
    .transform((value): RunConfig => value ?? {}),
  container_config: optional(runConfigSchema),
  rootfs: z.object({
    type: z.string(),
    diff_ids: z
      .array(digestSchema)
      .max(MAX_LAYERS)
      .nullish()
      .transform((value): readonly DiffId[] => value ?? []),
  }),
  history: z
    .array(historySchema)
    .nullish()
    .transform((value) => value ?? []),
});

/** Parses JSON of outside origin. @throws InvalidParameterError  `what` says which document */
export function parseJson(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as unknown;
  } catch (cause) {
    throw new InvalidParameterError(`${what} is not valid JSON`, { cause });
  }
}

/** Checks a decoded document against a schema. @throws InvalidParameterError  with the path of the first fault */
export function decodeWith<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw new InvalidParameterError(
      `invalid ${what}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'unknown fault'}`,
    );
  }
  return result.data;
}

/** Decodes a config blob. @throws InvalidParameterError */
export function decodeImageConfig(bytes: Uint8Array): ImageConfig {
  return decodeWith(configSchema, parseJson(bytes, 'image config'), 'image config');
}

/** The blob of a config made here; members without value are left out. */
export function encodeImageConfig(config: ImageConfig): Uint8Array {
  const sorted = Object.fromEntries(
    Object.entries(config).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
  return Buffer.from(JSON.stringify(sorted));
}

/** Digest of bytes. */
export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Chain ids of all layers, lowest first (OCI image spec, "Layer ChainID"). */
export function chainIdsOf(diffIds: readonly DiffId[]): readonly ChainId[] {
  const chain: ChainId[] = [];
  for (const diffId of diffIds) {
    const parent = chain.at(-1);
    chain.push(parent === undefined ? diffId : digestOf(Buffer.from(`${parent} ${diffId}`)));
  }
  return chain;
}

/** Docker's wire form of the settings: members without value are left out. */
export function runConfigToWire(config: RunConfig): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config).filter(([, value]) => {
      const isEmptyText = value === '' || value === false;
      return value !== undefined && !isEmptyText;
    }),
  );
}

/** Milliseconds since the epoch of an RFC 3339 time; undefined when absent or none. */
export function timeMsOf(text: string | undefined): number | undefined {
  const timeMs = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}
