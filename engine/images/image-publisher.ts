import type { Logger } from '../base/logger.ts';
import type { ContentStore } from '../content/contract.ts';
import type { EventLog } from '../events/contract.ts';
import type { DiffId, Digest, Snapshotter } from '../snapshots/contract.ts';
import type { Descriptor, ImageConfig } from './contract.ts';
import { decodeImageConfig } from './image-config.ts';
import type { ImageRecord, ImageStore } from './image-store.ts';
import type { KeeperLease } from './layer-keeper.ts';
import type { ImageReference } from './reference.ts';

/** An image whose layers are applied and whose blobs are in the content store. */
export interface NewImage {
  /** Holds the layers and blobs. */
  readonly lease: KeeperLease;
  readonly configBytes: Uint8Array;
  readonly layers: readonly { readonly diffId: DiffId; readonly blob?: Descriptor | undefined }[];
  /** With their bytes, index first. */
  readonly manifests?:
    | readonly { readonly descriptor: Descriptor; readonly bytes: Uint8Array }[]
    | undefined;
  readonly parent?: Digest | undefined;
  readonly references?: readonly ImageReference[] | undefined;
  /** True for names given here (tag, commit, build, import), which count as a tagging. */
  readonly isTagging?: boolean | undefined;
}

/** What publishing changed. */
export interface Published {
  readonly id: Digest;
  /** True when at least one reference is new or moved. */
  readonly isChanged: boolean;
  /** References that pointed at another image before. */
  readonly moved: ReadonlyMap<string, Digest>;
}

/** Makes images visible: everything durable first, then the record, then the names. Publishes events. */
export class ImagePublisher {
  readonly #store: ImageStore;
  readonly #content: ContentStore;
  readonly #snapshots: Snapshotter;
  readonly #events: EventLog;
  readonly #log: Logger;

  constructor(options: {
    readonly store: ImageStore;
    readonly content: ContentStore;
    readonly snapshots: Snapshotter;
    readonly events: EventLog;
    readonly log: Logger;
  }) {
    this.#store = options.store;
    this.#content = options.content;
    this.#snapshots = options.snapshots;
    this.#events = options.events;
    this.#log = options.log;
  }

  /** Publishes an image, or adds what is new to one that is there. */
  async publish(image: NewImage): Promise<Published> {
    const config = decodeImageConfig(image.configBytes);
    const id = await this.#keep(image.lease, image.configBytes);
    for (const manifest of image.manifests ?? []) {
      await this.#keep(image.lease, manifest.bytes);
    }
    const layers: ImageRecord['layers'] = [];
    for (const { diffId, blob } of image.layers) {
      // Only blobs that are really there go into the record.
      const isThere = blob !== undefined && (await this.#content.find(blob.digest)) !== undefined;
      layers.push(isThere ? { diffId, blob } : { diffId });
    }
    await Promise.all([this.#content.sync(), this.#snapshots.sync()]);
    const published = await this.#store.change(() => {
      const known = this.#store.find(id)?.record;
      const record = merge(known, {
        id,
        isRemoved: false,
        layers,
        manifests: (image.manifests ?? []).map((manifest) => manifest.descriptor),
        ...(image.parent === undefined ? {} : { parent: image.parent }),
        ...(image.isTagging === true && (image.references ?? []).length > 0
          ? { lastTaggedAtMs: Date.now() }
          : {}),
      });
      const setReferences = new Map<string, Digest>();
      const moved = new Map<string, Digest>();
      for (const reference of image.references ?? []) {
        const before = this.#store.lookUp(reference.canonical);
        if (before !== id) {
          setReferences.set(reference.canonical, id);
        }
        if (before !== undefined && before !== id) {
          moved.set(reference.canonical, before);
        }
      }
      const isSame = known !== undefined && JSON.stringify(known) === JSON.stringify(record);
      return {
        change: {
          records: isSame ? [] : [{ record, config, configSizeBytes: image.configBytes.length }],
          setReferences,
        },
        result: { id, isChanged: setReferences.size > 0, moved },
      };
    });
    this.#log.info('image published', { id, names: image.references?.map((r) => r.familiar) });
    return published;
  }

  /** Adds blobs that were made for layers of an image (push, save), so that they are made once only. */
  async addBlobs(
    id: Digest,
    blobs: ReadonlyMap<DiffId, Descriptor>,
    manifests: readonly Descriptor[] = [],
  ): Promise<void> {
    await this.#content.sync();
    await this.#store.change(() => {
      const image = this.#store.find(id);
      if (image === undefined) {
        return { change: {}, result: undefined };
      }
      const layers = image.record.layers.map((layer) => {
        const blob = blobs.get(layer.diffId) ?? layer.blob;
        return blob === undefined ? layer : { ...layer, blob };
      });
      const record = merge(image.record, { ...image.record, layers, manifests: [...manifests] });
      return {
        change: { records: [{ ...image, record: { ...record, layers } }] },
        result: undefined,
      };
    });
  }

  /** Publishes an image event with the image's labels. @param name  attribute `name` */
  emit(action: string, id: string, name: string, config?: ImageConfig): void {
    this.#events.publish({
      type: 'image',
      action,
      id,
      attributes: { ...config?.config.Labels, name },
    });
  }

  async #keep(lease: KeeperLease, bytes: Uint8Array): Promise<Digest> {
    const digest = await this.#content.put(bytes);
    lease.protectBlob(digest);
    // A removal may have been under way before the blob was protected.
    return await this.#content.put(bytes);
  }
}

function merge(known: ImageRecord | undefined, next: ImageRecord): ImageRecord {
  if (known === undefined) {
    return next;
  }
  const manifests = [...known.manifests];
  for (const manifest of next.manifests) {
    const index = manifests.findIndex((entry) => entry.digest === manifest.digest);
    if (index >= 0) {
      manifests.splice(index, 1);
    }
    // The latest one is the image's descriptor.
    manifests.push(manifest);
  }
  const parent = next.parent ?? known.parent;
  const lastTaggedAtMs = next.lastTaggedAtMs ?? known.lastTaggedAtMs;
  return {
    id: known.id,
    isRemoved: false,
    layers: known.layers.map((layer, index) => {
      const blob = layer.blob ?? next.layers[index]?.blob;
      return blob === undefined ? { diffId: layer.diffId } : { diffId: layer.diffId, blob };
    }),
    manifests,
    ...(parent === undefined ? {} : { parent }),
    ...(lastTaggedAtMs === undefined ? {} : { lastTaggedAtMs }),
  };
}
