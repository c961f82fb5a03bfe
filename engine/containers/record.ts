import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { ContainerConfig, HostConfig, Mount } from '../api/types/container.ts';
import { containerConfigSchema, hostConfigSchema, mountSchema } from '../api/types/container.ts';
import { Semaphore } from '../base/async.ts';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import {
  listIfThere,
  readTextIfThere,
  syncDirectory,
  writeFileAtomic,
} from '../base/node/atomic-file.ts';
import type { Descriptor } from '../images/contract.ts';
import type { EndpointSettings } from '../network/contract.ts';
import type { HealthState } from './contract.ts';
import { ZERO_TIME } from './times.ts';

/** One place in a container that something is mounted on, as decided at creation. */
export interface MountRecord {
  readonly type: 'bind' | 'volume' | 'tmpfs' | 'image';
  /** Volume name, or the image reference as given. */
  readonly name: string;
  /** Host path; '' for tmpfs; for an image its id. */
  readonly source: string;
  readonly destination: string;
  readonly driver: string;
  /** As written after the second colon of a bind. */
  readonly mode: string;
  readonly isWritable: boolean;
  readonly propagation: string;
  /** An empty volume is filled from the image. */
  readonly copiesData: boolean;
  /** False: a missing bind source is an error instead of being made. */
  readonly createsSource: boolean;
  /** The `--mount` it came from, or its equivalent. */
  readonly spec: Mount;
}

/** The part of a record that changes with the container's life. */
export interface StateRecord {
  isRunning: boolean;
  isPaused: boolean;
  isRestarting: boolean;
  isRemoving: boolean;
  isDead: boolean;
  isOomKilled: boolean;
  pid: number;
  exitCode: number;
  error: string;
  /** RFC 3339; {@link ZERO_TIME} for never. */
  startedAt: string;
  finishedAt: string;
  health: HealthState | undefined;
}

/** A link to another container (`--link`). */
export interface LinkRecord {
  readonly containerId: string;
  readonly alias: string;
}

/** Docker's published ports: `80/tcp` -> host addresses, null when only exposed. */
export type PortTable = Record<string, { HostIp: string; HostPort: string }[] | null>;

/** Everything that is known of a container, one JSON file each. */
export interface ContainerRecord {
  readonly id: string;
  /** Without slash. */
  name: string;
  readonly createdAt: string;
  /** Program and arguments. */
  readonly path: string;
  readonly args: readonly string[];
  config: ContainerConfig;
  hostConfig: HostConfig;
  /** Config digest; '' without an image. */
  readonly imageId: string;
  readonly imageChainId: string;
  readonly platform: {
    readonly os: string;
    readonly architecture: string;
    readonly variant?: string | undefined;
  };
  readonly imageDescriptor: Descriptor | undefined;
  mounts: readonly MountRecord[];
  /** network name -> requested and, while it runs, actual settings. */
  networks: Record<string, EndpointSettings>;
  ports: PortTable;
  sandboxId: string;
  sandboxKey: string;
  links: readonly LinkRecord[];
  restartCount: number;
  isManuallyStopped: boolean;
  hasBeenStarted: boolean;
  state: StateRecord;
}

const FORMAT_VERSION = 1;

const anyMap = z.record(z.string(), z.unknown());
const recordSchema = z.object({
  version: z.literal(FORMAT_VERSION),
  id: z.string().regex(/^[0-9a-f]{64}$/),
  name: z.string(),
  createdAt: z.string(),
  path: z.string(),
  args: z.array(z.string()),
  config: containerConfigSchema,
  hostConfig: hostConfigSchema,
  imageId: z.string(),
  imageChainId: z.string(),
  platform: z.object({
    os: z.string(),
    architecture: z.string(),
    variant: z.string().optional(),
  }),
  imageDescriptor: anyMap
    .optional()
    .transform((value) => value as unknown as Descriptor | undefined),
  mounts: z.array(
    z.object({
      type: z.enum(['bind', 'volume', 'tmpfs', 'image']),
      name: z.string(),
      source: z.string(),
      destination: z.string(),
      driver: z.string(),
      mode: z.string(),
      isWritable: z.boolean(),
      propagation: z.string(),
      copiesData: z.boolean(),
      createsSource: z.boolean(),
      spec: mountSchema,
    }),
  ),
  networks: z
    .record(z.string(), anyMap)
    .transform((value) => value as unknown as Record<string, EndpointSettings>),
  ports: z.record(
    z.string(),
    z.array(z.object({ HostIp: z.string(), HostPort: z.string() })).nullable(),
  ),
  sandboxId: z.string(),
  sandboxKey: z.string(),
  links: z.array(z.object({ containerId: z.string(), alias: z.string() })),
  restartCount: z.number(),
  isManuallyStopped: z.boolean(),
  hasBeenStarted: z.boolean(),
  state: z.object({
    isRunning: z.boolean(),
    isPaused: z.boolean(),
    isRestarting: z.boolean(),
    isRemoving: z.boolean(),
    isDead: z.boolean(),
    isOomKilled: z.boolean(),
    pid: z.number(),
    exitCode: z.number(),
    error: z.string(),
    startedAt: z.string(),
    finishedAt: z.string(),
    health: anyMap.optional().transform((value) => value as unknown as HealthState | undefined),
  }),
});

/** State of a container that was never started. */
export function freshState(): StateRecord {
  return {
    isRunning: false,
    isPaused: false,
    isRestarting: false,
    isRemoving: false,
    isDead: false,
    isOomKilled: false,
    pid: 0,
    exitCode: 0,
    error: '',
    startedAt: ZERO_TIME,
    finishedAt: ZERO_TIME,
    health: undefined,
  };
}

/** Records loaded side by side; more only queues in the thread pool. */
const LOAD_CONCURRENCY = 32;

/**
 * Records on disk: `containers/<id>/container.json`, written whole or not at all. A folder without a readable record is
 * a creation that was cut off.
 */
export class RecordStore {
  readonly #root: string;
  readonly #logger: Logger;

  constructor(root: string, logger: Logger) {
    this.#root = root;
    this.#logger = logger;
  }

  /** Folder of one container. */
  folder(id: string): string {
    return join(this.#root, id);
  }

  /** Makes the folder of a new container. */
  async makeFolder(id: string): Promise<void> {
    await mkdir(this.folder(id), { recursive: true, mode: 0o710 });
  }

  /** Writes a record; durable ones survive a power cut. */
  async save(record: ContainerRecord, isDurable: boolean): Promise<void> {
    const text = JSON.stringify({ version: FORMAT_VERSION, ...record });
    await writeFileAtomic(join(this.folder(record.id), 'container.json'), text, { isDurable });
  }

  /** Makes the folder entry of a new container durable too. */
  async syncRoot(): Promise<void> {
    await syncDirectory(this.#root);
  }

  /** Removes record and folder. The record goes first, so that a cut-off removal leaves no half container. */
  async remove(id: string): Promise<void> {
    await rm(join(this.folder(id), 'container.json'), { force: true });
    await rm(this.folder(id), { recursive: true, force: true });
  }

  /** All readable records, and the ids of folders without one (creations that were cut off). */
  async loadAll(): Promise<{
    readonly records: readonly ContainerRecord[];
    readonly unfinished: readonly string[];
  }> {
    await mkdir(this.#root, { recursive: true, mode: 0o710 });
    const ids = (await listIfThere(this.#root)).filter((name) => /^[0-9a-f]{64}$/.test(name));
    const records: ContainerRecord[] = [];
    const unfinished: string[] = [];
    const places = new Semaphore(LOAD_CONCURRENCY);
    await Promise.all(
      ids.map((id) =>
        places.run(async () => {
          const record = await this.#load(id);
          if (record === 'missing') {
            unfinished.push(id);
          } else if (record !== 'unreadable') {
            records.push(record);
          }
        }),
      ),
    );
    return { records, unfinished };
  }

  async #load(id: string): Promise<ContainerRecord | 'missing' | 'unreadable'> {
    const text = await readTextIfThere(join(this.folder(id), 'container.json'));
    if (text === undefined) {
      return 'missing';
    }
    try {
      const { version: _, ...record } = recordSchema.parse(JSON.parse(text));
      if (record.id !== id) {
        throw new Error(`record of ${record.id} is stored at ${id}`);
      }
      return record;
    } catch (error) {
      // Kept on disk for a person to look at; never removed as a mere leftover.
      this.#logger.error('container record cannot be read', { id, problem: messageOf(error) });
      return 'unreadable';
    }
  }
}
