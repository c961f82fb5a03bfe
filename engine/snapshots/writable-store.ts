import { mkdir, readlink, rename, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  ConflictError,
  errnoOf,
  InvalidParameterError,
  messageOf,
  NotFoundError,
  SystemError,
} from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { listIfThere, syncDirectory } from '../base/node/atomic-file.ts';
import { hexOf } from './chain-id.ts';
import type { ChainId } from './contract.ts';
import type { LayerStore } from './layer-store.ts';

/** Text of the link that records the parent: short enough to lie in the inode. */
function linkOf(parent: ChainId | undefined): string {
  return parent === undefined ? 'none' : Buffer.from(hexOf(parent), 'hex').toString('base64url');
}

/** @throws SystemError  not a text of {@link linkOf} */
function parentOfLink(text: string): ChainId | undefined {
  if (text === 'none') {
    return undefined;
  }
  const hex = Buffer.from(text, 'base64url').toString('hex');
  if (hex.length !== 64) {
    throw new SystemError(`"${text}" names no layer`);
  }
  return `sha256:${hex}`;
}

/**
 * Tops of containers on disk: `writables/ID/{parent,fs,...}`; which folders there are besides is the driver's.
 * A folder appears and disappears whole. `parent` is a symbolic link whose text is the parent's digest: having no data
 * of its own, it is durable with the folder, and creating a container waits for the disk once.
 */
export class WritableStore {
  readonly #layers: LayerStore;
  readonly #parents = new Map<string, ChainId | undefined>();

  private constructor(layers: LayerStore) {
    this.#layers = layers;
  }

  static async open(layers: LayerStore, logger: Logger): Promise<WritableStore> {
    const store = new WritableStore(layers);
    const folder = join(layers.root, 'writables');
    await mkdir(folder, { recursive: true, mode: 0o711 });
    for (const id of await listIfThere(folder)) {
      try {
        store.#parents.set(id, parentOfLink(await readlink(join(folder, id, 'parent'))));
      } catch (error) {
        // Somebody's data: left where it is, for a human to look at.
        logger.error('the files of a container have no readable record', {
          id,
          reason: messageOf(error),
        });
      }
    }
    return store;
  }

  has(id: string): boolean {
    return this.#parents.has(id);
  }

  list(): readonly string[] {
    return [...this.#parents.keys()];
  }

  /** @throws NotFoundError */
  parentOf(id: string): ChainId | undefined {
    if (!this.#parents.has(id)) {
      throw new NotFoundError(`no such writable layer: ${id}`);
    }
    return this.#parents.get(id);
  }

  isParent(chainId: ChainId): boolean {
    return this.#parents.values().some((parent) => parent === chainId);
  }

  /** Absolute path of a folder of the writable. */
  pathOf(id: string, ...parts: readonly string[]): string {
    return join(this.#layers.root, 'writables', id, ...parts);
  }

  /**
   * Makes a writable, durably.
   *
   * @param fill  makes the driver's folders in the given one
   * @throws ConflictError  the id is taken
   */
  async create(
    id: string,
    parent: ChainId | undefined,
    fill: (folder: string) => Promise<void>,
  ): Promise<void> {
    if (!/^[\w.-]{1,128}$/.test(id) || id.startsWith('.')) {
      throw new InvalidParameterError(`"${id}" cannot name a writable layer`);
    }
    if (this.#parents.has(id)) {
      throw new ConflictError(`writable layer ${id} is already there`);
    }
    // Taken at once, so that the parent cannot be removed meanwhile.
    this.#parents.set(id, parent);
    const temp = this.#layers.tempPath();
    try {
      await mkdir(temp, { mode: 0o711 });
      await fill(temp);
      await symlink(linkOf(parent), join(temp, 'parent'));
      await rename(temp, this.pathOf(id));
      await syncDirectory(dirname(this.pathOf(id)));
    } catch (error) {
      this.#parents.delete(id);
      this.#layers.discard(temp);
      if (errnoOf(error) === 'ENOTEMPTY' || errnoOf(error) === 'EEXIST') {
        throw new ConflictError(`writable layer ${id} is already there`, { cause: error });
      }
      throw error;
    }
  }

  /** Takes the writable away; its bytes go in the background. It must not be mounted. */
  async remove(id: string): Promise<void> {
    if (!this.#parents.has(id)) {
      return;
    }
    const trash = this.#layers.tempPath();
    await rename(this.pathOf(id), trash);
    this.#parents.delete(id);
    this.#layers.discard(trash);
  }
}
