import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { SystemError } from '../base/errors.ts';
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
const GZIP_LEVEL = 4;
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
  readonly #making = new SharedWork<Descriptor, number>();

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
   */
  async ensure(
    image: StoredImage,
    options: {
      readonly lease: KeeperLease;
      readonly isPacked: boolean;
      readonly signal?: AbortSignal | undefined;
      readonly onBytes?: ((diffId: DiffId, bytes: number) => void) | undefined;
    },
  ): Promise<readonly Descriptor[]> {
    const { lease, signal } = options;
    const made = new Map<DiffId, Descriptor>();
    const blobs: Descriptor[] = [];
    for (const [index, layer] of image.record.layers.entries()) {
      const known = layer.blob ?? findBlob(this.#store, layer.diffId);
      const usable = await this.#usable(known, options.isPacked);
      if (usable !== undefined) {
        lease.protectBlob(usable.digest);
        blobs.push(usable);
        if (layer.blob === undefined) {
          made.set(layer.diffId, usable);
        }
        continue;
      }
      const chainId = image.chainIds[index];
      const blob =
        made.get(layer.diffId) ??
        (await this.#making.run(
          `${layer.diffId} ${options.isPacked}`,
          async (workSignal, report) => {
            const tar =
              known !== undefined && (await this.#content.find(known.digest)) !== undefined
                ? this.#content.read(known.digest, { signal: workSignal })
                : chainId === undefined
                  ? undefined
                  : this.#snapshots.layerTar(chainId, { signal: workSignal });
            if (tar === undefined) {
              throw new SystemError(`layer ${layer.diffId} does not exist`);
            }
            return await this.#make(layer.diffId, tar, {
              isPacked: options.isPacked,
              lease,
              report,
            });
          },
          { signal, onProgress: (bytes) => options.onBytes?.(layer.diffId, bytes) },
        ));
      lease.ownBlob(blob.digest);
      made.set(layer.diffId, blob);
      blobs.push(blob);
    }
    if (made.size > 0) {
      const replaced = image.record.layers.flatMap(({ diffId, blob }) =>
        blob !== undefined && made.has(diffId) ? [blob.digest] : [],
      );
      await this.#publisher.addBlobs(image.record.id, made);
      for (const digest of replaced) {
        // A plain tar that is now kept packed goes with the lease.
        lease.ownBlob(digest);
      }
    }
    return blobs;
  }

  /** Media type for a manifest of a family, told by the blob itself. */
  async typed(blob: Descriptor, family: keyof typeof TYPES): Promise<Descriptor> {
    const packing = await compressionOf(this.#content.pathOf(blob.digest));
    return { mediaType: TYPES[family][packing], digest: blob.digest, size: blob.size };
  }

  async #usable(blob: Descriptor | undefined, isPacked: boolean): Promise<Descriptor | undefined> {
    if (blob === undefined || (await this.#content.find(blob.digest)) === undefined) {
      return undefined;
    }
    const isPlain = isPacked && (await compressionOf(this.#content.pathOf(blob.digest))) === 'none';
    return isPlain ? undefined : blob;
  }

  async #make(
    diffId: DiffId,
    tar: AsyncIterable<Uint8Array>,
    options: {
      readonly isPacked: boolean;
      readonly lease: KeeperLease;
      readonly report: (bytes: number) => void;
    },
  ): Promise<Descriptor> {
    const ref = `layer ${diffId} ${options.isPacked ? 'gzip' : 'tar'}`;
    await using ingest = await this.#content.ingest(ref);
    // A tar made anew starts at its beginning.
    await ingest.reset();
    let digest: Digest;
    if (options.isPacked) {
      const checked = this.#checked(diffId, tar, options.report);
      const packer = createGzip({ level: GZIP_LEVEL, chunkSize: CHUNK_BYTES });
      const fed = pipeline(Readable.from(checked, { objectMode: false }), packer);
      fed.catch(() => {});
      for await (const chunk of packer) {
        await ingest.write(chunk as Buffer);
      }
      await fed;
      digest = await ingest.commit({});
    } else {
      let bytes = 0;
      for await (const chunk of tar) {
        await ingest.write(chunk);
        bytes += chunk.length;
        options.report(bytes);
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
    report: (bytes: number) => void,
  ): AsyncGenerator<Uint8Array, void, void> {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of tar) {
      hash.update(chunk);
      bytes += chunk.length;
      report(bytes);
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
