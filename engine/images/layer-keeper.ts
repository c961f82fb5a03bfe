import { KeyedLock } from '../base/async.ts';
import { ConflictError, isAbortError, SystemError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { ContentStore } from '../content/contract.ts';
import type {
  ApplyLayerOptions,
  ChainId,
  Digest,
  LayerFile,
  LayerInfo,
  Snapshotter,
} from '../snapshots/contract.ts';
import type { ImageLease, ImageUsers } from './contract.ts';
import type { ImageStore } from './image-store.ts';
import { SharedWork } from './shared-work.ts';

/** A commit that loses the race with a removal of the very same layer is done again this often. */
const COMMIT_ATTEMPTS = 5;

/** Counts holders of keys. */
class HoldCount<K> {
  readonly #counts = new Map<K, number>();

  add(key: K): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  release(key: K): void {
    const count = (this.#counts.get(key) ?? 0) - 1;
    if (count > 0) {
      this.#counts.set(key, count);
    } else {
      this.#counts.delete(key);
    }
  }

  has(key: K): boolean {
    return this.#counts.has(key);
  }
}

/** A lease as the image service itself uses it: it holds blobs as well. */
export interface KeeperLease extends ImageLease {
  /** Keeps a blob, there or on its way. */
  protectBlob(digest: Digest): void;
  /** A blob made under this lease: protected, and removed with the lease unless an image took it. */
  ownBlob(digest: Digest): void;
  /** A lowest layer whose digest nobody knows yet (import). */
  applyFile(options: LayerFile & { readonly signal?: AbortSignal }): Promise<LayerInfo>;
  /** Applies a layer whose chain id is known and protects it before; once for all callers. */
  applyKnownLayer(
    options: ApplyLayerOptions & {
      readonly chainId: ChainId;
      readonly onRead?: (bytes: number) => void;
    },
  ): Promise<LayerInfo>;
}

/**
 * Decides when layers and blobs go: when no image record, no container's writable and no lease needs them.
 * Knows the facts of every layer, so that sizes need no look at the disk.
 */
export class LayerKeeper {
  readonly #snapshots: Snapshotter;
  readonly #content: ContentStore;
  readonly #store: ImageStore;
  readonly #users: ImageUsers;
  readonly #log: Logger;
  readonly #layers = new Map<ChainId, LayerInfo>();
  readonly #heldLayers = new HoldCount<ChainId>();
  readonly #heldBlobs = new HoldCount<Digest>();
  readonly #applying = new SharedWork<LayerInfo, number>();
  readonly #collecting = new KeyedLock();
  #leaseCount = 0;
  /** Bytes of layers and blobs removed since the start. */
  freedBytes = 0;

  constructor(options: {
    readonly snapshots: Snapshotter;
    readonly content: ContentStore;
    readonly store: ImageStore;
    readonly users: ImageUsers;
    readonly log: Logger;
  }) {
    this.#snapshots = options.snapshots;
    this.#content = options.content;
    this.#store = options.store;
    this.#users = options.users;
    this.#log = options.log;
  }

  /** Learns which layers are there. */
  async load(): Promise<void> {
    for (const layer of await this.#snapshots.listLayers()) {
      this.#layers.set(layer.chainId, layer);
    }
  }

  /** Facts of a layer that is there. */
  find(chainId: ChainId): LayerInfo | undefined {
    return this.#layers.get(chainId);
  }

  /** Bytes of a layer with all below it. */
  sizeOf(chainIds: readonly ChainId[]): number {
    return chainIds.reduce((sum, id) => sum + (this.#layers.get(id)?.sizeBytes ?? 0), 0);
  }

  /** Bytes of all layers. */
  totalBytes(): number {
    return [...this.#layers.values()].reduce((sum, layer) => sum + layer.sizeBytes, 0);
  }

  /** The chain that ends in `top`, lowest first; looks up layers made elsewhere. @throws SystemError */
  async chainOf(top: ChainId | undefined): Promise<readonly LayerInfo[]> {
    const chain: LayerInfo[] = [];
    for (let next = top; next !== undefined; ) {
      const layer = this.#layers.get(next) ?? (await this.#snapshots.findLayer(next));
      if (layer === undefined) {
        throw new SystemError(`layer ${next} does not exist`);
      }
      this.#layers.set(layer.chainId, layer);
      chain.unshift(layer);
      next = layer.parent;
    }
    return chain;
  }

  lease(): KeeperLease {
    const layers = new Set<ChainId>();
    const blobs = new Set<Digest>();
    /** Made under this lease; they go with it unless an image took them. */
    const made = new Set<ChainId>();
    const ownBlobs = new Set<Digest>();
    // Between the moment a blob is there and the moment its maker can name it, sweeps stay away.
    this.#leaseCount += 1;
    let isOver = false;
    const protectBlob = (digest: Digest): void => {
      if (!blobs.has(digest)) {
        blobs.add(digest);
        this.#heldBlobs.add(digest);
      }
    };
    const protect = (chainId: ChainId): void => {
      if (!layers.has(chainId)) {
        layers.add(chainId);
        this.#heldLayers.add(chainId);
      }
    };
    const learn = (layer: LayerInfo): LayerInfo => {
      protect(layer.chainId);
      made.add(layer.chainId);
      this.#layers.set(layer.chainId, layer);
      return layer;
    };
    return {
      protect,
      protectBlob,
      ownBlob: (digest) => {
        protectBlob(digest);
        ownBlobs.add(digest);
      },
      commitWritable: async (id, options = {}) => {
        for (let attempt = 1; ; attempt += 1) {
          const layer = learn(await this.#snapshots.commitWritable(id, options));
          // A removal of an equal layer may have been under way before it was protected here.
          if ((await this.#snapshots.findLayer(layer.chainId)) !== undefined) {
            return layer;
          }
          if (attempt === COMMIT_ATTEMPTS) {
            throw new SystemError(`layer ${layer.chainId} vanished while it was committed`);
          }
        }
      },
      applyLayer: async (options) => learn(await this.#snapshots.applyLayer(options)),
      applyFile: async ({ signal, ...tar }) =>
        learn(
          await this.#snapshots.applyLayer({
            parent: undefined,
            tar,
            ...(signal === undefined ? {} : { signal }),
          }),
        ),
      applyKnownLayer: async ({ chainId, onRead, signal, ...options }) => {
        protect(chainId);
        const work = (workSignal: AbortSignal, report: (bytes: number) => void) =>
          this.#snapshots.applyLayer({
            ...options,
            tar:
              Symbol.asyncIterator in options.tar
                ? options.tar
                : { ...options.tar, onProgress: report },
            signal: workSignal,
          });
        for (let attempt = 1; ; attempt += 1) {
          const layer = learn(
            await this.#applying.run(chainId, work, { signal, onProgress: onRead }),
          );
          // A removal may have been under way before the layer was protected here.
          const isThere = (await this.#snapshots.findLayer(chainId)) !== undefined;
          if (isThere || Symbol.asyncIterator in options.tar || attempt === COMMIT_ATTEMPTS) {
            return layer;
          }
        }
      },
      [Symbol.asyncDispose]: async () => {
        if (isOver) {
          return;
        }
        isOver = true;
        this.#leaseCount -= 1;
        for (const chainId of layers) {
          this.#heldLayers.release(chainId);
        }
        for (const digest of blobs) {
          this.#heldBlobs.release(digest);
        }
        layers.clear();
        blobs.clear();
        const orphans = [...made].filter((chainId) => !this.#heldLayers.has(chainId));
        made.clear();
        await this.#collecting.run('layers', async () => {
          await this.#removeLayers(orphans.toReversed());
          await this.#removeBlobs([...ownBlobs]);
        });
        await this.collect();
      },
    };
  }

  /**
   * Removes what removed images still hold as far as nothing else does.
   *
   * @returns chain ids of the layers that went, highest first
   */
  async collect(): Promise<readonly ChainId[]> {
    if (this.#store.removed().length === 0) {
      return [];
    }
    return await this.#collecting.run('layers', async () => {
      const gone: ChainId[] = [];
      const mounted = this.#mountedImages();
      for (const image of this.#store.removed()) {
        if (mounted.has(image.record.id)) {
          continue;
        }
        gone.push(...(await this.#removeLayers(image.chainIds.toReversed())));
        if (image.chainIds.every((id) => !this.#layers.has(id) || this.#isLive(id))) {
          await this.#store.erase(image.record.id);
          await this.#removeBlobs([
            image.record.id,
            ...image.record.manifests.map((manifest) => manifest.digest),
            ...image.record.layers.flatMap((layer) => layer.blob?.digest ?? []),
          ]);
        }
      }
      return gone;
    });
  }

  /**
   * Removes every layer and blob that nothing refers to, whoever left it. Blobs wait while leases are open: their
   * holders may be about to refer to some.
   *
   * @param hasIngests  unfinished downloads go too, which a later pull could have resumed
   */
  async sweep(options: { readonly hasIngests?: boolean } = {}): Promise<void> {
    await this.collect();
    await this.#collecting.run('layers', async () => {
      const known = new Set<ChainId>();
      for (const image of this.#store.everything()) {
        for (const chainId of image.chainIds) {
          known.add(chainId);
        }
      }
      await this.#removeLayers(
        this.#topDown([...this.#layers.keys()].filter((id) => !known.has(id))),
      );
      if (this.#leaseCount > 0) {
        return;
      }
      const needed = this.#neededBlobs();
      const digests: Digest[] = [];
      for await (const blob of this.#content.list()) {
        if (!needed.has(blob.digest)) {
          digests.push(blob.digest);
        }
      }
      await this.#removeBlobs(digests);
      if (options.hasIngests === true) {
        this.freedBytes += await this.#content.sweepIngests();
      }
    });
  }

  /** Images that containers have mounted; a removed one keeps its layers for the next start. */
  #mountedImages(): ReadonlySet<Digest> {
    const mounted = new Set<Digest>();
    for (const user of this.#users()) {
      for (const id of user.mountedImageIds ?? []) {
        mounted.add(id);
      }
    }
    return mounted;
  }

  /** True when an image that is not removed, or is mounted, has the layer. */
  #isLive(chainId: ChainId): boolean {
    const mounted = this.#mountedImages();
    for (const image of this.#store.everything()) {
      const isKept = !image.record.isRemoved || mounted.has(image.record.id);
      if (isKept && image.chainIds.includes(chainId)) {
        return true;
      }
    }
    return false;
  }

  /** Blobs of all records, of removed images too. */
  #neededBlobs(): ReadonlySet<Digest> {
    const needed = new Set<Digest>();
    for (const { record } of this.#store.everything()) {
      needed.add(record.id);
      for (const manifest of record.manifests) {
        needed.add(manifest.digest);
      }
      for (const layer of record.layers) {
        if (layer.blob !== undefined) {
          needed.add(layer.blob.digest);
        }
      }
    }
    return needed;
  }

  /** True when a record, of a removed image too, needs the blob. */
  #isNeeded(digest: Digest): boolean {
    for (const { record } of this.#store.everything()) {
      if (
        record.id === digest ||
        record.manifests.some((manifest) => manifest.digest === digest) ||
        record.layers.some((layer) => layer.blob?.digest === digest)
      ) {
        return true;
      }
    }
    return false;
  }

  /** Children before parents. */
  #topDown(chainIds: readonly ChainId[]): readonly ChainId[] {
    const depth = (chainId: ChainId): number => {
      let count = 0;
      for (let id = this.#layers.get(chainId)?.parent; id !== undefined; count += 1) {
        id = this.#layers.get(id)?.parent;
      }
      return count;
    };
    return chainIds
      .map((chainId) => ({ chainId, depth: depth(chainId) }))
      .toSorted((a, b) => b.depth - a.depth)
      .map((entry) => entry.chainId);
  }

  /** Removes these as far as nothing needs them; children must come before parents. */
  async #removeLayers(chainIds: readonly ChainId[]): Promise<ChainId[]> {
    const gone: ChainId[] = [];
    for (const chainId of chainIds) {
      const layer = this.#layers.get(chainId);
      // Asked anew for each: leases end and images appear while others are removed.
      if (layer === undefined || this.#heldLayers.has(chainId) || this.#isLive(chainId)) {
        continue;
      }
      // Out of sight first: nobody may count on it while it goes.
      this.#layers.delete(chainId);
      try {
        await this.#snapshots.removeLayer(chainId);
        gone.push(chainId);
        this.freedBytes += layer.sizeBytes;
      } catch (error) {
        this.#layers.set(chainId, layer);
        if (isAbortError(error)) {
          throw error;
        }
        if (!(error instanceof ConflictError)) {
          this.#log.warn('layer could not be removed', { chainId, error });
        }
      }
    }
    return gone;
  }

  async #removeBlobs(digests: readonly Digest[]): Promise<void> {
    for (const digest of digests) {
      const found = await this.#content.find(digest);
      if (found !== undefined && !this.#heldBlobs.has(digest) && !this.#isNeeded(digest)) {
        await this.#content.remove(digest);
        this.freedBytes += found.sizeBytes;
      }
    }
  }
}
