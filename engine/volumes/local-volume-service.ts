import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { KeyedLock } from '../base/async.ts';
import { ConflictError, NotFoundError, SystemError } from '../base/errors.ts';
import { newId } from '../base/ids.ts';
import type { Logger } from '../base/logger.ts';
import { readTextIfThere, syncDirectory, writeFileAtomic } from '../base/node/atomic-file.ts';
import type { EventLog } from '../events/contract.ts';
import type {
  VolumeCreateRequest,
  VolumeResource,
  VolumeService,
  VolumeUsers,
} from './contract.ts';
import { folderSize } from './folder-size.ts';
import { mountsBelow, mountVolume, unmountVolume } from './volume-mount.ts';
import { validateVolumeName, validateVolumeOptions } from './volume-options.ts';

const DRIVER = 'local';
/** Marks volumes that were created without a name. */
export const ANONYMOUS_LABEL = 'com.docker.volume.anonymous';
const RECORD_FILE = 'volume.json';
const DATA_FOLDER = '_data';
/** Half-made and half-removed folders; no volume's name begins with a dot. */
const SCRATCH_PREFIX = '.';

const recordSchema = z.object({
  Name: z.string(),
  CreatedAt: z.string(),
  Labels: z.record(z.string(), z.string()).nullable(),
  Options: z.record(z.string(), z.string()).nullable(),
});
type VolumeRecord = z.output<typeof recordSchema>;

/** Composition of a {@link LocalVolumeService}. */
export interface LocalVolumeOptions {
  /** Folder of all volumes; made when missing. */
  readonly root: string;
  readonly events: EventLog;
  /** Asked whenever a removal is to be decided. */
  readonly users: VolumeUsers;
  readonly log: Logger;
}

/**
 * Volumes of the driver `local`: `<root>/<name>/volume.json` and `<root>/<name>/_data`. A volume appears and vanishes by
 * one rename, so a crash leaves only scratch folders, which `start` sweeps.
 */
export class LocalVolumeService implements VolumeService {
  readonly #options: LocalVolumeOptions;
  readonly #volumes = new Map<string, VolumeRecord>();
  readonly #lock = new KeyedLock();
  /** Volume -> containers that have acquired it. */
  readonly #active = new Map<string, Set<string>>();
  #isPruning = false;

  constructor(options: LocalVolumeOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { root, log } = this.#options;
    await mkdir(root, { recursive: true, mode: 0o701 });
    for (const name of await readdir(root)) {
      if (name.startsWith(SCRATCH_PREFIX)) {
        await this.#discard(join(root, name));
        continue;
      }
      const record = await this.#load(name);
      if (record === undefined) {
        log.warn('folder without a volume record is left alone', { path: join(root, name) });
      } else {
        this.#volumes.set(name, record);
      }
    }
  }

  async create(request: VolumeCreateRequest): Promise<VolumeResource> {
    const isAnonymous = (request.Name ?? '') === '';
    const name = request.Name || newId();
    const driver = request.Driver || DRIVER;
    if (driver !== DRIVER) {
      throw new NotFoundError(
        `create ${name}: error looking up volume plugin ${driver}: plugin "${driver}" not found`,
      );
    }
    validateVolumeName(name);
    const options = request.DriverOpts ?? {};
    validateVolumeOptions(name, options);
    return await this.#lock.run(name, async () => {
      const existing = this.#volumes.get(name);
      if (existing !== undefined) {
        return this.#resource(existing);
      }
      const labels = { ...request.Labels, ...(isAnonymous ? { [ANONYMOUS_LABEL]: '' } : {}) };
      const record: VolumeRecord = {
        Name: name,
        CreatedAt: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
        Labels: Object.keys(labels).length === 0 && request.Labels === undefined ? null : labels,
        Options: Object.keys(options).length === 0 ? null : { ...options },
      };
      await this.#store(record);
      this.#volumes.set(name, record);
      this.#publish('create', name, { driver });
      return this.#resource(record);
    });
  }

  list(): readonly VolumeResource[] {
    return [...this.#volumes.values()]
      .sort((a, b) => (a.Name < b.Name ? -1 : 1))
      .map((record) => this.#resource(record));
  }

  inspect(name: string): VolumeResource {
    return this.#resource(this.#get(name));
  }

  find(name: string): VolumeResource | undefined {
    const record = this.#volumes.get(name);
    return record === undefined ? undefined : this.#resource(record);
  }

  isAnonymous(name: string): boolean {
    return Object.hasOwn(this.#volumes.get(name)?.Labels ?? {}, ANONYMOUS_LABEL);
  }

  async remove(name: string, options: { readonly isForced: boolean }): Promise<void> {
    await this.#lock.run(name, async () => {
      if (!this.#volumes.has(name) && options.isForced) {
        return;
      }
      this.#get(name);
      const users = this.#usersOf(name);
      if (users.length > 0) {
        throw new ConflictError(`remove ${name}: volume is in use - [${users.join(', ')}]`);
      }
      await this.#destroy(name);
    });
  }

  async prune(
    select: (volume: VolumeResource) => boolean,
  ): Promise<{ readonly deleted: readonly string[]; readonly reclaimedBytes: number }> {
    if (this.#isPruning) {
      throw new ConflictError('a prune operation is already running');
    }
    this.#isPruning = true;
    try {
      const deleted: string[] = [];
      let reclaimedBytes = 0;
      for (const volume of this.list()) {
        const bytes = await this.#pruneOne(volume, select);
        if (bytes !== undefined) {
          deleted.push(volume.Name);
          reclaimedBytes += bytes;
        }
      }
      this.#publish('prune', '', { reclaimed: String(reclaimedBytes) });
      return { deleted, reclaimedBytes };
    } finally {
      this.#isPruning = false;
    }
  }

  async acquire(name: string, containerId: string): Promise<string> {
    return await this.#lock.run(name, async () => {
      const { Options: options } = this.#get(name);
      const path = this.#dataPath(name);
      if (needsMount(options) && (await mountsBelow(path)).length === 0) {
        await mountVolume(path, options ?? {});
      }
      const active = this.#active.get(name) ?? new Set();
      active.add(containerId);
      this.#active.set(name, active);
      this.#publish('mount', name, { driver: DRIVER, container: containerId });
      return path;
    });
  }

  async release(name: string, containerId: string): Promise<void> {
    await this.#lock.run(name, async () => {
      const active = this.#active.get(name);
      if (active?.delete(containerId) !== true) {
        return;
      }
      this.#publish('unmount', name, { driver: DRIVER, container: containerId });
      if (active.size > 0) {
        return;
      }
      this.#active.delete(name);
      if (needsMount(this.#volumes.get(name)?.Options)) {
        await unmountVolume(this.#dataPath(name));
      }
    });
  }

  async isEmpty(name: string): Promise<boolean> {
    this.#get(name);
    return (await readdir(this.#dataPath(name))).length === 0;
  }

  async sizeOf(name: string): Promise<number> {
    this.#get(name);
    return await folderSize(this.#dataPath(name));
  }

  async #pruneOne(
    volume: VolumeResource,
    select: (volume: VolumeResource) => boolean,
  ): Promise<number | undefined> {
    const { Name: name } = volume;
    return await this.#lock.run(name, async () => {
      const isThere = this.#volumes.has(name);
      if (!isThere || this.#usersOf(name).length > 0 || !select(volume)) {
        return undefined;
      }
      try {
        const bytes = await folderSize(this.#dataPath(name));
        await this.#destroy(name);
        return bytes;
      } catch (error) {
        this.#options.log.warn('volume could not be pruned', { volume: name, error });
        return undefined;
      }
    });
  }

  /** The caller holds the lock and has made sure that nobody uses the volume. */
  async #destroy(name: string): Promise<void> {
    const { root } = this.#options;
    const path = join(root, name);
    if (needsMount(this.#volumes.get(name)?.Options)) {
      await unmountVolume(this.#dataPath(name));
    }
    if ((await mountsBelow(path)).length > 0) {
      throw new ConflictError(`remove ${name}: volume has active mounts`);
    }
    const scratch = join(root, `${SCRATCH_PREFIX}removing-${newId()}`);
    await rename(path, scratch);
    await syncDirectory(root);
    this.#volumes.delete(name);
    this.#publish('destroy', name, { driver: DRIVER });
    await this.#discard(scratch);
  }

  /** Removes a scratch folder; never reaches into what is mounted in it. */
  async #discard(path: string): Promise<void> {
    if ((await mountsBelow(path)).length > 0) {
      await unmountVolume(path).catch((error: unknown) => {
        this.#options.log.warn('leftover of a volume is still mounted', { path, error });
      });
    }
    if ((await mountsBelow(path)).length === 0) {
      await rm(path, { recursive: true, force: true });
    }
  }

  async #store(record: VolumeRecord): Promise<void> {
    const { root } = this.#options;
    const scratch = join(root, `${SCRATCH_PREFIX}creating-${newId()}`);
    try {
      await mkdir(scratch, { mode: 0o701 });
      await mkdir(join(scratch, DATA_FOLDER), { mode: 0o755 });
      await writeFileAtomic(join(scratch, RECORD_FILE), JSON.stringify(record));
      await rename(scratch, join(root, record.Name));
      await syncDirectory(root);
    } catch (cause) {
      await rm(scratch, { recursive: true, force: true });
      throw new SystemError(`create ${record.Name}: error while creating volume folder`, { cause });
    }
  }

  async #load(name: string): Promise<VolumeRecord | undefined> {
    const text = await readTextIfThere(join(this.#options.root, name, RECORD_FILE)).catch(
      () => undefined,
    );
    try {
      const record = recordSchema.parse(JSON.parse(text ?? ''));
      return record.Name === name ? record : undefined;
    } catch {
      // Not a volume of ours; said by the caller.
      return undefined;
    }
  }

  #usersOf(name: string): readonly string[] {
    return [
      ...new Set([...(this.#options.users().get(name) ?? []), ...(this.#active.get(name) ?? [])]),
    ];
  }

  #get(name: string): VolumeRecord {
    const record = this.#volumes.get(name);
    if (record === undefined) {
      throw new NotFoundError(`get ${name}: no such volume`);
    }
    return record;
  }

  #resource(record: VolumeRecord): VolumeResource {
    return {
      CreatedAt: record.CreatedAt,
      Driver: DRIVER,
      Labels: record.Labels,
      Mountpoint: this.#dataPath(record.Name),
      Name: record.Name,
      Options: record.Options,
      Scope: 'local',
    };
  }

  #dataPath(name: string): string {
    return join(this.#options.root, name, DATA_FOLDER);
  }

  #publish(action: string, id: string, attributes: Readonly<Record<string, string>>): void {
    this.#options.events.publish({ type: 'volume', action, id, attributes });
  }
}

function needsMount(options: Readonly<Record<string, string>> | null | undefined): boolean {
  return (options?.['device'] ?? '') !== '' || (options?.['type'] ?? '') !== '';
}
