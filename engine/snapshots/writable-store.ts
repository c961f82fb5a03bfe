import { mkdir, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import {
  ConflictError,
  errnoOf,
  InvalidParameterError,
  messageOf,
  NotFoundError,
} from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { listIfThere, syncDirectory, writeFileAtomic } from '../base/node/atomic-file.ts';
import type { ChainId } from './contract.ts';
import type { LayerStore } from './layer-store.ts';

const recordSchema = z.object({
  parent: z.templateLiteral(['sha256:', z.string().regex(/^[0-9a-f]{64}$/)]).nullable(),
});

/**
 * Tops of containers on disk: `writables/ID/{record.json,fs,...}`; which folders there are besides is the driver's.
 * A folder appears and disappears whole.
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
        const text = await readFile(join(folder, id, 'record.json'), 'utf8');
        store.#parents.set(id, recordSchema.parse(JSON.parse(text)).parent ?? undefined);
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
      await writeFileAtomic(
        join(temp, 'record.json'),
        `${JSON.stringify({ parent: parent ?? null })}\n`,
      );
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
