import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { Semaphore } from '../base/async.ts';
import { BugError, SystemError } from '../base/errors.ts';
import type { ContentStore } from '../content/contract.ts';
import type { DiffId, Digest, Snapshotter } from '../snapshots/contract.ts';
import type { Descriptor } from './contract.ts';
import type { ImagePublisher } from './image-publisher.ts';
import type { ImageStore, StoredImage } from './image-store.ts';
import type { KeeperLease } from './layer-keeper.ts';
import { compressionOf, findBlob } from './pull.ts';
import { MEDIA } from './registry/manifest.ts';
import { SharedWork } from './shared-work.ts';

/** Quick rather than small: pushing waits for it. */
const GZIP_LEVEL = 2;
/** Layers worked on side by side; packing uses one core each. */
const PARALLEL = 4;
const CHUNK_BYTES = 256 * 1024;

/** Media types by packing, for manifests of the two families. */
const TYPES = {
  oci: { none: MEDIA.ociLayer, gzip: MEDIA.ociLayerGzip, zstd: MEDIA.ociLayerZstd },
  docker: { none: MEDIA.dockerLayer, gzip: MEDIA.dockerLayerGzip, zstd: MEDIA.ociLayerZstd },
} as const;

/** Makes the blobs of layers that came without: those committed, built or imported here. Each is made once. */
export class LayerBlobs {
  readonly #content: ContentStore;
  readonly #snapshots: Snapshotter;
  readonly #store: ImageStore;
  readonly #publisher: ImagePublisher;
  readonly #making = new SharedWork<Descriptor, never>();

  constructor(options: {
    readonly content: ContentStore;
    readonly snapshots: Snapshotter;
    readonly store: ImageStore;
    readonly publisher: ImagePublisher;
  }) {
    this.#content = options.content;
    this.#snapshots = options.snapshots;
    this.#store = options.store;
    this.#publisher = options.publisher;
  }

  /**
   * Blobs of all layers of an image, lowest first; new ones are remembered with the image.
   *
   * @param isPacked  true: plain tars are packed first (for registries)
   * @param use  called with each blob as soon as it is there; layers are worked on side by side
   */
  async ensure(
    image: StoredImage,
    options: {
      readonly lease: KeeperLease;
      readonly isPacked: boolean;
      readonly signal?: AbortSignal | undefined;
      readonly use?: ((blob: Descriptor, index: number) => Promise<void>) | undefined;
    },
  ): Promise<readonly Descriptor[]> {
    const { lease } = options;
    const stop = new AbortController();
    const signal =
      options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
    const places = new Semaphore(PARALLEL);
    const work = image.record.layers.map((_layer, index) =>
      places.run(async () => {
        signal.throwIfAborted();
        const blob = await this.#ensureOne(image, index, { ...options, signal });
        await options.use?.(blob, index);
        return blob;
      }),
    );
    for (const one of work) {
      one.catch((error: unknown) => stop.abort(error));
    }
    let blobs: readonly Descriptor[];
    try {
      blobs = await Promise.all(work);
    } catch (error) {
      await Promise.allSettled(work);
      throw error;
    }
    await this.#remember(image, blobs, lease);
    return blobs;
  }

  async #remember(
    image: StoredImage,
    blobs: readonly Descriptor[],
    lease: KeeperLease,
  ): Promise<void> {
    const made = new Map<DiffId, Descriptor>();
    for (const [index, layer] of image.record.layers.entries()) {
      const blob = blobs[index];
      if (blob !== undefined && blob.digest !== layer.blob?.digest) {
        made.set(layer.diffId, blob);
        if (layer.blob !== undefined) {
          // A plain tar that is now kept packed goes with the lease.
          lease.ownBlob(layer.blob.digest);
        }
      }
    }
    if (made.size > 0) {
      await this.#publisher.addBlobs(image.record.id, made);
    }
  }

  async #ensureOne(
    image: StoredImage,
    index: number,
    options: {
      readonly lease: KeeperLease;
      readonly isPacked: boolean;
      readonly signal: AbortSignal;
    },
  ): Promise<Descriptor> {
    const { lease, isPacked, signal } = options;
    const layer = image.record.layers[index];
    const chainId = image.chainIds[index];
    if (layer === undefined || chainId === undefined) {
      throw new BugError(`image ${image.record.id} has no layer ${index}`);
    }
    const known = layer.blob ?? findBlob(this.#store, layer.diffId);
    if (known !== undefined) {
      lease.protectBlob(known.digest);
    }
    if (known !== undefined && (await this.#isUsable(known, isPacked))) {
      return known;
    }
    const blob = await this.#making.run(
      `${layer.diffId} ${isPacked}`,
      async (workSignal) => {
        const isKept =
          known !== undefined && (await this.#content.find(known.digest)) !== undefined;
        const tar = isKept
          ? this.#content.read(known.digest, { signal: workSignal })
          : this.#snapshots.layerTar(chainId, { signal: workSignal });
        return await this.#make(layer.diffId, tar, { isPacked, lease });
      },
      { signal },
    );
    lease.ownBlob(blob.digest);
    return blob;
  }

  /** Media type for a manifest of a family, told by the blob itself. */
  async typed(blob: Descriptor, family: keyof typeof TYPES): Promise<Descriptor> {
    const packing = await compressionOf(this.#content.pathOf(blob.digest));
    return { mediaType: TYPES[family][packing], digest: blob.digest, size: blob.size };
  }

  async #isUsable(blob: Descriptor, isPacked: boolean): Promise<boolean> {
    if ((await this.#content.find(blob.digest)) === undefined) {
      return false;
    }
    return !isPacked || (await compressionOf(this.#content.pathOf(blob.digest))) !== 'none';
  }

  async #make(
    diffId: DiffId,
    tar: AsyncIterable<Uint8Array>,
    options: {
      readonly isPacked: boolean;
      readonly lease: KeeperLease;
    },
  ): Promise<Descriptor> {
    const ref = `layer ${diffId} ${options.isPacked ? 'gzip' : 'tar'}`;
    await using ingest = await this.#content.ingest(ref);
    // A tar made anew starts at its beginning.
    await ingest.reset();
    let digest: Digest;
    if (options.isPacked) {
      const checked = this.#checked(diffId, tar);
      const packer = createGzip({ level: GZIP_LEVEL, chunkSize: CHUNK_BYTES });
      const fed = pipeline(Readable.from(checked, { objectMode: false }), packer);
      fed.catch(() => {});
      for await (const chunk of packer) {
        await ingest.write(chunk as Buffer);
      }
      await fed;
      digest = await ingest.commit({});
    } else {
      for await (const chunk of tar) {
        await ingest.write(chunk);
      }
      digest = await this.#commitPlain(ingest, diffId);
    }
    options.lease.ownBlob(digest);
    const found = await this.#content.find(digest);
    return {
      mediaType: options.isPacked ? MEDIA.dockerLayerGzip : MEDIA.ociLayer,
      digest,
      size: found?.sizeBytes ?? 0,
    };
  }

  async #commitPlain(
    ingest: { commit(expected: { readonly digest: Digest }): Promise<Digest> },
    diffId: DiffId,
  ): Promise<Digest> {
    try {
      return await ingest.commit({ digest: diffId });
    } catch (cause) {
      throw irreproducible(diffId, cause);
    }
  }

  async *#checked(
    diffId: DiffId,
    tar: AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array, void, void> {
    const hash = createHash('sha256');
    for await (const chunk of tar) {
      hash.update(chunk);
      yield chunk;
    }
    if (`sha256:${hash.digest('hex')}` !== diffId) {
      throw irreproducible(diffId);
    }
  }
}

function irreproducible(diffId: DiffId, cause?: unknown): SystemError {
  return new SystemError(
    `layer ${diffId} cannot be packed again exactly as it was and its original is gone`,
    cause === undefined ? {} : { cause },
  );
}
