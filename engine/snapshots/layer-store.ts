import { randomBytes } from 'node:crypto';
import { mkdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ConflictError, messageOf, NotFoundError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { listIfThere, readTextIfThere, syncDirectory } from '../base/node/atomic-file.ts';
import { chainIdOf, hexOf } from './chain-id.ts';
import type { ChainId, DiffId, LayerInfo } from './contract.ts';
import type { LayerProgram } from './layer-program.ts';

const digestSchema = z.templateLiteral(['sha256:', z.string().regex(/^[0-9a-f]{64}$/)]);
const recordSchema = z.object({
  chainId: digestSchema,
  parent: digestSchema.optional(),
  diffId: digestSchema,
  sizeBytes: z.number().int().nonnegative(),
  /** Name in `l/`, short so that many fit into the options of one mount. */
  link: z.string().regex(/^[0-9a-z]+$/),
});

type LayerRecord = z.infer<typeof recordSchema>;

function infoOf(record: LayerRecord): LayerInfo {
  const { chainId, parent, diffId, sizeBytes } = record;
  return { chainId, parent, diffId, sizeBytes };
}

/** A folder that becomes a layer, or vanishes when disposed before. */
export interface PendingLayer extends AsyncDisposable {
  /** Absolute path of the layer's tree, empty at first. */
  readonly tree: string;
}

/**
 * Committed layers on disk, whatever driver made them.
 *
 *     layers/HEX/{fs,record.json}   a layer by its chain id
 *     l/NAME                        short link to a layer's fs
 *     tmp/                          what is being made or removed; emptied at start
 *     unsynced/HEX.BOOT             layers that a power cut may have damaged: removed when the machine was restarted since
 */
export class LayerStore implements AsyncDisposable {
  readonly root: string;
  readonly #program: LayerProgram;
  readonly #logger: Logger;
  readonly #records = new Map<ChainId, LayerRecord>();
  readonly #childCounts = new Map<ChainId, number>();
  readonly #bootId: string;
  readonly #removals = new Set<Promise<void>>();
  readonly #published = new WeakSet<PendingLayer>();
  #unsynced = new Set<string>();
  #nextLink = 1;

  private constructor(root: string, program: LayerProgram, logger: Logger, bootId: string) {
    this.root = root;
    this.#program = program;
    this.#logger = logger;
    this.#bootId = bootId;
  }

  /** Opens the store, finishing or undoing what a crash interrupted. */
  static async open(root: string, program: LayerProgram, logger: Logger): Promise<LayerStore> {
    const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const store = new LayerStore(root, program, logger, bootId);
    await mkdir(root, { recursive: true, mode: 0o711 });
    for (const folder of ['layers', 'l', 'tmp', 'unsynced']) {
      await mkdir(join(root, folder), { recursive: true, mode: 0o711 });
    }
    await store.#sweep();
    await store.#load();
    return store;
  }

  /** Waits for removals that go on in the background. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#removals);
  }

  find(chainId: ChainId): LayerInfo | undefined {
    const record = this.#records.get(chainId);
    return record === undefined ? undefined : infoOf(record);
  }

  /** @throws NotFoundError */
  get(chainId: ChainId): LayerInfo {
    const info = this.find(chainId);
    if (info === undefined) {
      throw new NotFoundError(`no such layer: ${chainId}`);
    }
    return info;
  }

  list(): readonly LayerInfo[] {
    return [...this.#records.values()].map(infoOf);
  }

  hasChildren(chainId: ChainId): boolean {
    return (this.#childCounts.get(chainId) ?? 0) > 0;
  }

  /** Keeps a layer from being removed, as a child does. @throws NotFoundError */
  hold(chainId: ChainId | undefined): Disposable {
    if (chainId !== undefined) {
      this.get(chainId);
      this.#count(chainId, 1);
    }
    return {
      [Symbol.dispose]: () => {
        this.#count(chainId, -1);
      },
    };
  }

  /** The layer and all below it, topmost first; empty for undefined. @throws NotFoundError */
  chain(chainId: ChainId | undefined): readonly ChainId[] {
    const result: ChainId[] = [];
    for (let at = chainId; at !== undefined; at = this.get(at).parent) {
      result.push(at);
    }
    return result;
  }

  /** Absolute path of a layer's tree. */
  treeOf(chainId: ChainId): string {
    return join(this.root, 'layers', hexOf(chainId), 'fs');
  }

  /** Path of a layer's tree relative to the root of the store, a few characters long. */
  shortTreeOf(chainId: ChainId): string {
    const record = this.#records.get(chainId);
    return record === undefined ? join('layers', hexOf(chainId), 'fs') : join('l', record.link);
  }

  /** A fresh path in `tmp/`; nothing is there. */
  tempPath(): string {
    return join(this.root, 'tmp', randomBytes(12).toString('hex'));
  }

  async begin(): Promise<PendingLayer> {
    const folder = this.tempPath();
    const tree = join(folder, 'fs');
    await mkdir(folder, { mode: 0o711 });
    await mkdir(tree, { mode: 0o755 });
    const pending: PendingLayer = {
      tree,
      [Symbol.asyncDispose]: async () => {
        if (!this.#published.has(pending)) {
          await this.removeTree(folder);
        }
      },
    };
    return pending;
  }

  /**
   * Publishes a layer. Its chain id must not be there yet; `pending` is used up.
   * It survives a power cut after the next {@link sync}.
   */
  async commit(
    pending: PendingLayer,
    facts: { parent: ChainId | undefined; diffId: DiffId; sizeBytes: number },
  ): Promise<LayerInfo> {
    const { parent, diffId, sizeBytes } = facts;
    const chainId = chainIdOf(parent, diffId);
    const link = (this.#nextLink++).toString(36);
    const record: LayerRecord = {
      chainId,
      ...(parent === undefined ? {} : { parent }),
      diffId,
      sizeBytes,
      link,
    };
    const hex = hexOf(chainId);
    const folder = join(pending.tree, '..');
    await writeFile(join(folder, 'record.json'), `${JSON.stringify(record)}\n`, { mode: 0o600 });
    await symlink(join('..', 'layers', hex, 'fs'), join(this.root, 'l', link));
    // Before the layer itself, so that whatever survives a power cut is not taken for whole.
    const marker = `${hex}.${this.#bootId}`;
    await writeFile(join(this.root, 'unsynced', marker), '');
    await rename(folder, join(this.root, 'layers', hex));
    this.#published.add(pending);
    this.#unsynced.add(marker);
    this.#add(record);
    return infoOf(record);
  }

  /** Everything committed so far survives a power cut. One write-out of the file system however many layers. */
  async sync(): Promise<void> {
    const markers = this.#unsynced;
    if (markers.size === 0) {
      return;
    }
    this.#unsynced = new Set();
    try {
      await this.#program.run(['sync', '--path', this.root]);
      for (const marker of markers) {
        await rm(join(this.root, 'unsynced', marker), { force: true });
      }
      await syncDirectory(join(this.root, 'unsynced'));
    } catch (error) {
      this.#unsynced = this.#unsynced.union(markers);
      throw error;
    }
  }

  /** Removes a layer without children; a missing one is no error. The bytes go in the background. */
  async remove(chainId: ChainId): Promise<void> {
    const record = this.#records.get(chainId);
    if (record === undefined) {
      return;
    }
    if (this.hasChildren(chainId)) {
      throw new ConflictError(`layer ${chainId} is in use by another layer`);
    }
    const hex = hexOf(chainId);
    const trash = this.tempPath();
    // At once, so that nobody builds on it from here on.
    this.#records.delete(chainId);
    try {
      await rename(join(this.root, 'layers', hex), trash);
    } catch (error) {
      this.#records.set(chainId, record);
      throw error;
    }
    this.#count(record.parent, -1);
    await rm(join(this.root, 'l', record.link), { force: true });
    const marker = `${hex}.${this.#bootId}`;
    this.#unsynced.delete(marker);
    await rm(join(this.root, 'unsynced', marker), { force: true });
    this.discard(trash);
  }

  /** Removes a tree of any depth and waits for it. */
  async removeTree(path: string): Promise<void> {
    await this.#program.callSlowly(['remove', '--path', path]);
  }

  /** Removes a tree in the background. It should be in `tmp/`, where the next start finds what is left. */
  discard(path: string): void {
    const removal = this.removeTree(path)
      .catch((error: unknown) => {
        this.#logger.warn('a removed tree could not be deleted', {
          path,
          reason: messageOf(error),
        });
      })
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }

  #add(record: LayerRecord): void {
    this.#records.set(record.chainId, record);
    this.#count(record.parent, 1);
  }

  #count(parent: ChainId | undefined, difference: number): void {
    if (parent !== undefined) {
      this.#childCounts.set(parent, (this.#childCounts.get(parent) ?? 0) + difference);
    }
  }

  async #sweep(): Promise<void> {
    for (const name of await listIfThere(join(this.root, 'tmp'))) {
      await this.removeTree(join(this.root, 'tmp', name));
    }
    for (const marker of await listIfThere(join(this.root, 'unsynced'))) {
      const [hex, bootId] = marker.split('.');
      if (bootId === this.#bootId) {
        this.#unsynced.add(marker);
        continue;
      }
      this.#logger.warn('a layer that was not yet on disk is removed', { chainId: hex });
      await this.removeTree(join(this.root, 'layers', hex ?? ''));
      await rm(join(this.root, 'unsynced', marker), { force: true });
    }
  }

  async #load(): Promise<void> {
    const found = new Map<ChainId, LayerRecord>();
    for (const hex of await listIfThere(join(this.root, 'layers'))) {
      const record = await this.#readRecord(hex);
      if (record === undefined) {
        this.#logger.warn('a layer without a readable record is removed', { chainId: hex });
        await this.removeTree(join(this.root, 'layers', hex));
      } else {
        found.set(record.chainId, record);
      }
    }
    for (const record of found.values()) {
      await this.#adopt(record, found);
    }
    const links = new Set([...this.#records.values()].map((record) => record.link));
    for (const name of await listIfThere(join(this.root, 'l'))) {
      if (!links.has(name)) {
        await rm(join(this.root, 'l', name), { force: true });
      }
    }
  }

  /** Takes a layer in when all below it is there. */
  async #adopt(record: LayerRecord, found: ReadonlyMap<ChainId, LayerRecord>): Promise<void> {
    for (let at: LayerRecord = record; at.parent !== undefined; ) {
      const below = found.get(at.parent);
      if (below === undefined) {
        this.#logger.warn('a layer whose parent is missing is removed', {
          chainId: record.chainId,
        });
        await this.removeTree(join(this.root, 'layers', hexOf(record.chainId)));
        return;
      }
      at = below;
    }
    this.#nextLink = Math.max(this.#nextLink, Number.parseInt(record.link, 36) + 1);
    const target = join('..', 'layers', hexOf(record.chainId), 'fs');
    const link = join(this.root, 'l', record.link);
    if ((await readlink(link).catch(() => undefined)) !== target) {
      await rm(link, { force: true });
      await symlink(target, link);
    }
    this.#add(record);
  }

  async #readRecord(hex: string): Promise<LayerRecord | undefined> {
    try {
      const text = await readTextIfThere(join(this.root, 'layers', hex, 'record.json'));
      const record = text === undefined ? undefined : recordSchema.parse(JSON.parse(text));
      const isRight =
        record !== undefined &&
        hexOf(record.chainId) === hex &&
        chainIdOf(record.parent, record.diffId) === record.chainId;
      return isRight ? record : undefined;
    } catch (error) {
      this.#logger.warn('the record of a layer is damaged', { hex, reason: messageOf(error) });
      return undefined;
    }
  }
}
