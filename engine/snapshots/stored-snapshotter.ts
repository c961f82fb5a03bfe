import { z } from 'zod';
import { KeyedLock } from '../base/async.ts';
import { ConflictError, InvalidParameterError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { chainIdOf } from './chain-id.ts';
import type {
  ApplyLayerOptions,
  ChainId,
  Change,
  LayerInfo,
  MountedTree,
  Snapshotter,
} from './contract.ts';
import type { LayerProgram } from './layer-program.ts';
import { LayerStore, type PendingLayer } from './layer-store.ts';
import type { Words } from './words.ts';
import { WritableStore } from './writable-store.ts';

const applyReportSchema = z.object({
  diffId: z.templateLiteral(['sha256:', z.string().regex(/^[0-9a-f]{64}$/)]),
  size: z.number(),
  skippedXattrs: z.number(),
});
const usageSchema = z.object({ bytes: z.number() });

/** More changes than this in one container are no longer listed: 64 MiB of paths. */
const MAX_CHANGES_BYTES = 64 * 1024 * 1024;

/** What a driver is made of. */
export interface SnapshotterParts {
  readonly program: LayerProgram;
  readonly layers: LayerStore;
  readonly writables: WritableStore;
  readonly logger: Logger;
}

/** Opens the stores below `root`. The program is borrowed. */
export async function openParts(options: {
  readonly root: string;
  readonly program: LayerProgram;
  readonly logger: Logger;
}): Promise<SnapshotterParts> {
  const { root, program, logger } = options;
  const layers = await LayerStore.open(root, program, logger);
  return { program, layers, writables: await WritableStore.open(layers, logger), logger };
}

function parseChange(record: string): Change {
  const kind = record.startsWith('1') ? 1 : record.startsWith('2') ? 2 : 0;
  return { kind, path: record.slice(1) };
}

/** What both drivers do alike: everything but how trees lie on top of each other. */
export abstract class StoredSnapshotter implements Snapshotter {
  abstract readonly driver: 'overlay2' | 'vfs';
  protected readonly program: LayerProgram;
  protected readonly layers: LayerStore;
  protected readonly writables: WritableStore;
  protected readonly logger: Logger;
  /** Per writable: mount, unmount, removal. */
  readonly #writableLock = new KeyedLock();
  /** Per chain id: applying and publishing. */
  readonly #chainLock = new KeyedLock();

  constructor(parts: SnapshotterParts) {
    this.program = parts.program;
    this.layers = parts.layers;
    this.writables = parts.writables;
    this.logger = parts.logger;
  }

  abstract status(): Promise<readonly (readonly [string, string])[]>;
  abstract mountLayer(chainId: ChainId): Promise<MountedTree>;
  abstract graphData(id: string): Promise<Readonly<Record<string, string>>>;
  abstract layerData(chainId: ChainId): Promise<Readonly<Record<string, string>>>;

  /** Fills a new layer's tree with what is there before its own changes. */
  protected abstract prepareTree(tree: string, parent: ChainId | undefined): Promise<void>;
  /** Command that unpacks standard input into a prepared tree. */
  protected abstract applyWords(tree: string, parent: ChainId | undefined): Words;
  /** Command that unpacks a writable's changes into a prepared tree. */
  protected abstract commitWords(id: string, tree: string): Words;
  /** Command that writes a layer's own changes as tar. */
  protected abstract tarWords(chainId: ChainId): Words;
  protected abstract changesWords(id: string): Words;
  protected abstract usageWords(id: string): Words;
  /** Makes the folders of a writable. */
  protected abstract fillWritable(folder: string, parent: ChainId | undefined): Promise<void>;
  protected abstract mountWritable(id: string): Promise<string>;
  protected abstract unmountWritable(id: string): Promise<void>;
  /** Called when a layer has gone. */
  protected abstract forgetLayer(chainId: ChainId): Promise<void>;

  async [Symbol.asyncDispose](): Promise<void> {
    await this.layers[Symbol.asyncDispose]();
  }

  async applyLayer(options: ApplyLayerOptions): Promise<LayerInfo> {
    const { parent, expectedDiffId } = options;
    if (expectedDiffId === undefined) {
      return await this.#apply(options);
    }
    const chainId = chainIdOf(parent, expectedDiffId);
    return await this.#chainLock.run(
      chainId,
      async () => this.layers.find(chainId) ?? (await this.#apply(options)),
    );
  }

  async commitWritable(id: string, options: { signal?: AbortSignal } = {}): Promise<LayerInfo> {
    const parent = this.writables.parentOf(id);
    using held = this.layers.hold(parent);
    void held;
    await using pending = await this.layers.begin();
    await this.prepareTree(pending.tree, parent);
    const report = await this.program.run(this.commitWords(id, pending.tree), options);
    return await this.#publish(pending, parent, report, undefined);
  }

  async sync(): Promise<void> {
    await this.layers.sync();
  }

  async findLayer(chainId: ChainId): Promise<LayerInfo | undefined> {
    return this.layers.find(chainId);
  }

  async listLayers(): Promise<readonly LayerInfo[]> {
    return this.layers.list();
  }

  async removeLayer(chainId: ChainId): Promise<void> {
    if (this.writables.isParent(chainId)) {
      throw new ConflictError(`layer ${chainId} is in use by a container`);
    }
    if (this.layers.find(chainId) !== undefined) {
      await this.layers.remove(chainId);
      await this.forgetLayer(chainId);
    }
  }

  async *layerTar(
    chainId: ChainId,
    options: { signal?: AbortSignal } = {},
  ): AsyncGenerator<Uint8Array, void, void> {
    using held = this.layers.hold(chainId);
    void held;
    yield* this.program.stream(this.tarWords(chainId), options);
  }

  async createWritable(id: string, parent: ChainId | undefined): Promise<void> {
    using held = this.layers.hold(parent);
    void held;
    await this.#writableLock.run(id, async () => {
      await this.writables.create(id, parent, (folder) => this.fillWritable(folder, parent));
    });
  }

  async mount(id: string): Promise<string> {
    return await this.#writableLock.run(id, async () => {
      this.writables.parentOf(id);
      return await this.mountWritable(id);
    });
  }

  async unmount(id: string): Promise<void> {
    await this.#writableLock.run(id, async () => {
      if (this.writables.has(id)) {
        await this.unmountWritable(id);
      }
    });
  }

  async removeWritable(id: string): Promise<void> {
    await this.#writableLock.run(id, async () => {
      if (this.writables.has(id)) {
        await this.unmountWritable(id);
        await this.writables.remove(id);
      }
    });
  }

  async listWritables(): Promise<readonly string[]> {
    return this.writables.list();
  }

  async writableSize(id: string): Promise<number> {
    this.writables.parentOf(id);
    return usageSchema.parse(JSON.parse(await this.program.run(this.usageWords(id)))).bytes;
  }

  async changes(id: string): Promise<readonly Change[]> {
    this.writables.parentOf(id);
    const parts: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const chunk of this.program.stream(this.changesWords(id))) {
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_CHANGES_BYTES) {
        throw new ConflictError('the container has too many changes to list them');
      }
      parts.push(chunk);
    }
    const records = Buffer.concat(parts).toString('utf8').split('\0').filter(Boolean);
    return records
      .map(parseChange)
      .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  }

  async #apply(options: ApplyLayerOptions): Promise<LayerInfo> {
    const { parent, expectedDiffId, signal } = options;
    using held = this.layers.hold(parent);
    void held;
    await using pending = await this.layers.begin();
    await this.prepareTree(pending.tree, parent);
    const report = await this.program.feed(this.applyWords(pending.tree, parent), options.tar, {
      signal,
    });
    return await this.#publish(pending, parent, report, expectedDiffId);
  }

  /** Makes a layer of a filled tree, unless it is there meanwhile. */
  async #publish(
    pending: PendingLayer,
    parent: ChainId | undefined,
    reportText: string,
    expectedDiffId: string | undefined,
  ): Promise<LayerInfo> {
    const report = applyReportSchema.parse(JSON.parse(reportText));
    const { diffId, size: sizeBytes } = report;
    if (expectedDiffId !== undefined && expectedDiffId !== diffId) {
      throw new InvalidParameterError(
        `the layer's content has the digest ${diffId}, not ${expectedDiffId}`,
      );
    }
    if (report.skippedXattrs > 0) {
      this.logger.warn('the file system does not take some attributes of a layer', {
        diffId,
        count: report.skippedXattrs,
      });
    }
    const chainId = chainIdOf(parent, diffId);
    const publish = async (): Promise<LayerInfo> =>
      this.layers.find(chainId) ??
      (await this.layers.commit(pending, { parent, diffId, sizeBytes }));
    // With an expected digest the caller holds this very lock.
    return expectedDiffId === undefined
      ? await this.#chainLock.run(chainId, publish)
      : await publish();
  }
}
