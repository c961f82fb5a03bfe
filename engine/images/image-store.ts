import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { KeyedLock, Semaphore } from '../base/async.ts';
import { BugError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import {
  readTextIfThere,
  sweepTempFiles,
  syncDirectory,
  writeFileAtomic,
} from '../base/node/atomic-file.ts';
import type { ContentStore } from '../content/contract.ts';
import type { ChainId, Digest } from '../snapshots/contract.ts';
import type { Descriptor, ImageConfig } from './contract.ts';
import { chainIdsOf, decodeImageConfig, decodeWith } from './image-config.ts';
import { type ImageReference, isDigest, parseReference } from './reference.ts';

/** Files read at once at start. */
const PARALLEL_READS = 32;

const digestSchema = z.string().refine(isDigest);

/** Shape of a stored descriptor. */
export const descriptorSchema: z.ZodType<Descriptor> = z.object({
  mediaType: z.string(),
  digest: digestSchema,
  size: z.number().int().nonnegative(),
  annotations: z.record(z.string(), z.string()).optional(),
  platform: z
    .object({
      architecture: z.string(),
      os: z.string(),
      variant: z.string().optional(),
      'os.version': z.string().optional(),
      'os.features': z.array(z.string()).optional(),
    })
    .optional(),
});

const recordSchema = z.object({
  version: z.literal(1),
  id: digestSchema,
  /** True while an image is removed whose layers something still holds. */
  isRemoved: z.boolean(),
  layers: z.array(z.object({ diffId: digestSchema, blob: descriptorSchema.optional() })),
  manifests: z.array(descriptorSchema),
  parent: digestSchema.optional(),
  lastTaggedAtMs: z.number().optional(),
});

/** What is kept on disk for one image. `layers[].blob` is a blob that the content store holds. */
export type ImageRecord = Omit<z.infer<typeof recordSchema>, 'version'>;

const referencesSchema = z.object({
  version: z.literal(1),
  references: z.record(z.string(), digestSchema),
});

/** A record with what is derived from it. */
export interface StoredImage {
  readonly record: ImageRecord;
  readonly config: ImageConfig;
  /** Of the config blob. */
  readonly configSizeBytes: number;
  readonly chainIds: readonly ChainId[];
  /** False for a removed image and for one whose config or layers are missing. */
  readonly isVisible: boolean;
}

/** One change to references and records; everything in it becomes durable before the promise settles. */
export interface StoreChange {
  readonly records?: readonly Pick<StoredImage, 'record' | 'config' | 'configSizeBytes'>[];
  readonly setReferences?: ReadonlyMap<string, Digest>;
  readonly dropReferences?: readonly string[];
}

/**
 * Records and references of all images, in memory and on disk (`records/<hex>.json`, `references.json`).
 * Reads are synchronous. Changes are made one after the other; a crash between two files leaves an image without its
 * new name, never a name without its image.
 */
export class ImageStore {
  readonly #root: string;
  readonly #content: ContentStore;
  readonly #log: Logger;
  readonly #lock = new KeyedLock();
  readonly #images = new Map<Digest, StoredImage>();
  /** Canonical reference -> image id. */
  #references = new Map<string, Digest>();
  #referencesOf = new Map<Digest, ImageReference[]>();
  #parsed: ReadonlyMap<string, ImageReference> = new Map();

  constructor(options: {
    readonly root: string;
    readonly content: ContentStore;
    readonly log: Logger;
  }) {
    this.#root = options.root;
    this.#content = options.content;
    this.#log = options.log;
  }

  /** Reads everything from disk. @param hasLayer  whether a layer is there */
  async load(hasLayer: (chainId: ChainId) => boolean): Promise<void> {
    await sweepTempFiles(this.#root);
    const folder = join(this.#root, 'records');
    await sweepTempFiles(folder);
    const places = new Semaphore(PARALLEL_READS);
    const names = (await readdir(folder)).filter((name) => name.endsWith('.json'));
    await Promise.all(
      names.map((name) => places.run(() => this.#loadRecord(join(folder, name), hasLayer))),
    );
    const text = await readTextIfThere(join(this.#root, 'references.json'));
    const references =
      text === undefined
        ? {}
        : decodeWith(referencesSchema, JSON.parse(text), 'image references').references;
    // A name whose image is broken stays on disk: its layers may come back with a mount.
    this.#references = new Map(
      Object.entries(references).filter(
        ([, id]) => this.#images.get(id)?.record.isRemoved === false,
      ),
    );
    this.#index();
  }

  /** Visible images. */
  *visible(): Generator<StoredImage, void, void> {
    for (const image of this.#images.values()) {
      if (image.isVisible) {
        yield image;
      }
    }
  }

  /** Removed images whose layers are still held by something. */
  removed(): readonly StoredImage[] {
    return [...this.#images.values()].filter((image) => image.record.isRemoved);
  }

  /** Also removed and broken ones: their blobs are still needed. */
  everything(): Iterable<StoredImage> {
    return this.#images.values();
  }

  /** A visible image. */
  find(id: Digest): StoredImage | undefined {
    const image = this.#images.get(id);
    return image?.isVisible === true ? image : undefined;
  }

  /** Also a removed one. */
  findAny(id: Digest): StoredImage | undefined {
    return this.#images.get(id);
  }

  /** Image id of a canonical reference. */
  lookUp(canonical: string): Digest | undefined {
    return this.#references.get(canonical);
  }

  /** References of an image, sorted. */
  referencesOf(id: Digest): readonly ImageReference[] {
    return this.#referencesOf.get(id) ?? [];
  }

  /** Every reference with its image. */
  references(): ReadonlyMap<string, Digest> {
    return this.#references;
  }

  /** Makes a change decided under the lock, so that nothing it was based on has moved. */
  async change<T>(decide: () => { readonly change: StoreChange; readonly result: T }): Promise<T> {
    return await this.#lock.run('store', async () => {
      const { change, result } = decide();
      await this.#apply(change);
      return result;
    });
  }

  /** Forgets a removed image for good. */
  async erase(id: Digest): Promise<void> {
    await this.#lock.run('store', async () => {
      if (this.#images.get(id)?.record.isRemoved !== true) {
        return;
      }
      await rm(this.#pathOf(id), { force: true });
      await syncDirectory(join(this.#root, 'records'));
      this.#images.delete(id);
    });
  }

  async #apply(change: StoreChange): Promise<void> {
    const next = new Map(this.#references);
    for (const canonical of change.dropReferences ?? []) {
      next.delete(canonical);
    }
    for (const [canonical, id] of change.setReferences ?? []) {
      next.set(canonical, id);
    }
    const isRenamed =
      next.size !== this.#references.size ||
      [...next].some(([canonical, id]) => this.#references.get(canonical) !== id);
    const records = change.records ?? [];
    const gone = records.filter(({ record }) => record.isRemoved);
    const kept = records.filter(({ record }) => !record.isRemoved);
    // New images before their names, names away before their images.
    for (const image of kept) {
      await this.#write(image);
    }
    if (isRenamed) {
      await writeFileAtomic(
        join(this.#root, 'references.json'),
        JSON.stringify({ version: 1, references: Object.fromEntries(next) }),
      );
      this.#references = next;
      this.#index();
    }
    for (const image of gone) {
      await this.#write(image);
    }
  }

  async #write({
    record,
    config,
    configSizeBytes,
  }: Pick<StoredImage, 'record' | 'config' | 'configSizeBytes'>): Promise<void> {
    await writeFileAtomic(this.#pathOf(record.id), JSON.stringify({ version: 1, ...record }));
    this.#images.set(record.id, {
      record,
      config,
      configSizeBytes,
      chainIds: chainIdsOf(record.layers.map((layer) => layer.diffId)),
      isVisible: !record.isRemoved,
    });
  }

  #pathOf(id: Digest): string {
    return join(this.#root, 'records', `${id.slice('sha256:'.length)}.json`);
  }

  async #loadRecord(path: string, hasLayer: (chainId: ChainId) => boolean): Promise<void> {
    const text = await readTextIfThere(path);
    if (text !== undefined) {
      const document: unknown = JSON.parse(text);
      const { version: _version, ...record } = decodeWith(
        recordSchema,
        document,
        `image record ${path}`,
      );
      this.#images.set(record.id, await this.#loadImage(record, hasLayer));
    }
  }

  async #loadImage(
    record: ImageRecord,
    hasLayer: (chainId: ChainId) => boolean,
  ): Promise<StoredImage> {
    const chainIds = chainIdsOf(record.layers.map((layer) => layer.diffId));
    const missing = chainIds.find((chainId) => !hasLayer(chainId));
    const loaded = await this.#loadConfig(record.id);
    const isWhole = missing === undefined && loaded !== undefined;
    if (!isWhole && !record.isRemoved) {
      this.#log.error('image is not whole and is left out', { id: record.id, missing });
    }
    return {
      record,
      configSizeBytes: loaded?.sizeBytes ?? 0,
      config: loaded?.config ?? {
        architecture: '',
        os: 'linux',
        config: {},
        rootfs: { type: 'layers', diff_ids: [] },
        history: [],
      },
      chainIds,
      isVisible: isWhole && !record.isRemoved,
    };
  }

  async #loadConfig(
    id: Digest,
  ): Promise<{ readonly config: ImageConfig; readonly sizeBytes: number } | undefined> {
    try {
      const bytes = await this.#content.readAll(id);
      return { config: decodeImageConfig(bytes), sizeBytes: bytes.length };
    } catch (error) {
      this.#log.warn('image config cannot be read', { id, error });
      return undefined;
    }
  }

  #index(): void {
    const parsed = new Map<string, ImageReference>();
    this.#referencesOf = new Map();
    for (const [canonical, id] of [...this.#references].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      const reference = this.#parsed.get(canonical) ?? parseReference(canonical);
      parsed.set(canonical, reference);
      const list = this.#referencesOf.get(id) ?? [];
      list.push(reference);
      this.#referencesOf.set(id, list);
    }
    this.#parsed = parsed;
  }

  /** Asserts that an id is visible. @throws BugError */
  get(id: Digest): StoredImage {
    const image = this.find(id);
    if (image === undefined) {
      throw new BugError(`image ${id} is not there`);
    }
    return image;
  }
}
