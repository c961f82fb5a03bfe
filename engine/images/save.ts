import { InvalidParameterError, NotFoundError } from '../base/errors.ts';
import type { ContentStore } from '../content/contract.ts';
import type { Digest } from '../snapshots/contract.ts';
import { tarEnd, tarHeader, tarPadding } from './archive/tar-writer.ts';
import type { Descriptor } from './contract.ts';
import { timeMsOf } from './image-config.ts';
import type { ImagePublisher } from './image-publisher.ts';
import type { ImageQueries } from './image-queries.ts';
import type { ImageStore, StoredImage } from './image-store.ts';
import type { LayerBlobs } from './layer-blobs.ts';
import type { KeeperLease, LayerKeeper } from './layer-keeper.ts';
import { formatPlatform, normalizePlatform, type Platform, platformScore } from './platform.ts';
import { findManifest } from './push.ts';
import { type ImageReference, parseAnyReference, parseReference } from './reference.ts';
import { encodeManifest, MEDIA } from './registry/manifest.ts';

/** What saving needs of the rest. */
export interface SaverParts {
  readonly content: ContentStore;
  readonly store: ImageStore;
  readonly keeper: LayerKeeper;
  readonly queries: ImageQueries;
  readonly publisher: ImagePublisher;
  readonly blobs: LayerBlobs;
}

/** An image to be saved with the names it was asked for by. */
interface Selected {
  readonly image: StoredImage;
  readonly references: ImageReference[];
}

/** One image of the archive, ready to be written. */
interface Prepared {
  readonly selected: Selected;
  readonly layers: readonly Descriptor[];
  readonly manifest: {
    readonly bytes: Uint8Array;
    readonly mediaType: string;
    readonly digest: Digest;
  };
  readonly createdAtMs: number;
}

/** Writes images as an archive that is a docker-archive (manifest.json) and an OCI layout at once. */
export class Saver {
  readonly #parts: SaverParts;

  constructor(parts: SaverParts) {
    this.#parts = parts;
  }

  /** See `ImageService.save`. */
  async save(
    names: readonly string[],
    options: {
      readonly platform?: Platform | undefined;
      readonly signal?: AbortSignal | undefined;
    } = {},
  ): Promise<AsyncIterable<Uint8Array>> {
    const selected = this.#select(names);
    for (const { image } of selected) {
      const has = normalizePlatform(image.config);
      if (options.platform !== undefined && platformScore(options.platform, has) === 0) {
        throw new InvalidParameterError(
          `no suitable export target found for platform ${formatPlatform(options.platform)}`,
        );
      }
    }
    return this.#write(selected, options.signal);
  }

  #select(names: readonly string[]): readonly Selected[] {
    const byId = new Map<Digest, Selected>();
    const add = (image: StoredImage, reference?: ImageReference): void => {
      const entry = byId.get(image.record.id) ?? { image, references: [] };
      byId.set(image.record.id, entry);
      const isNew =
        reference?.tag !== undefined &&
        !entry.references.some((known) => known.canonical === reference.canonical);
      if (isNew) {
        entry.references.push(reference);
      }
    };
    for (const name of names) {
      const parsed = parseAnyReference(name);
      if (parsed.kind === 'digest') {
        add(this.#parts.queries.resolve(name));
        continue;
      }
      const { reference } = parsed;
      if (reference.tag === undefined && reference.digest === undefined) {
        const tagged = this.#inRepository(reference);
        for (const entry of tagged) {
          add(this.#parts.queries.resolve(entry.canonical), entry);
        }
        if (tagged.length === 0) {
          add(this.#parts.queries.resolve(name));
        }
        continue;
      }
      const id = this.#parts.queries.lookUpReference(reference);
      const image = id === undefined ? undefined : this.#parts.store.find(id);
      if (image !== undefined) {
        add(image, reference.digest === undefined ? reference : undefined);
      } else if (reference.familiarName === 'sha256') {
        add(this.#parts.queries.resolve(name));
      } else {
        throw new NotFoundError('reference does not exist');
      }
    }
    return [...byId.values()];
  }

  #inRepository(reference: ImageReference): readonly ImageReference[] {
    return [...this.#parts.store.references().keys()]
      .map(parseReference)
      .filter((entry) => entry.name === reference.name && entry.tag !== undefined);
  }

  async *#write(
    selected: readonly Selected[],
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, void> {
    await using lease = this.#parts.keeper.lease();
    const prepared: Prepared[] = [];
    for (const entry of selected) {
      prepared.push(await this.#prepare(entry, lease, signal));
    }
    const newestMs = Math.max(0, ...prepared.map((image) => image.createdAtMs));
    for (const name of ['blobs/', 'blobs/sha256/']) {
      yield tarHeader({ name, sizeBytes: 0, modifiedAtMs: newestMs, isDirectory: true });
    }
    const written = new Set<Digest>();
    for (const image of prepared) {
      const config = image.selected.image.record.id;
      const blobs = [config, ...image.layers.map((layer) => layer.digest)];
      for (const digest of blobs) {
        if (!written.has(digest)) {
          written.add(digest);
          yield* this.#blob(digest, image.createdAtMs, signal);
        }
      }
      if (!written.has(image.manifest.digest)) {
        written.add(image.manifest.digest);
        yield* file(blobName(image.manifest.digest), image.manifest.bytes, image.createdAtMs);
      }
    }
    for (const [name, document] of Object.entries(documentsOf(prepared))) {
      yield* file(name, Buffer.from(JSON.stringify(document)), 0);
    }
    yield tarEnd();
    for (const { image } of selected) {
      this.#parts.publisher.emit('save', image.record.id, image.record.id, image.config);
    }
  }

  async #prepare(
    selected: Selected,
    lease: KeeperLease,
    signal: AbortSignal | undefined,
  ): Promise<Prepared> {
    const { blobs, content } = this.#parts;
    const { image } = selected;
    lease.protectBlob(image.record.id);
    for (const chainId of image.chainIds) {
      lease.protect(chainId);
    }
    const layers = await blobs.ensure(image, { lease, isPacked: false, signal });
    const config = await content.find(image.record.id);
    if (config === undefined) {
      throw new NotFoundError(`No such image: ${image.record.id}`);
    }
    let manifest = await findManifest(content, image, layers);
    if (manifest === undefined) {
      const made = encodeManifest({
        isDocker: false,
        config: { digest: image.record.id, size: config.sizeBytes },
        layers: await Promise.all(layers.map((layer) => blobs.typed(layer, 'oci'))),
      });
      const digest = await content.put(made.bytes);
      lease.ownBlob(digest);
      manifest = { ...made, digest };
    }
    return { selected, layers, manifest, createdAtMs: timeMsOf(image.config.created) ?? 0 };
  }

  async *#blob(
    digest: Digest,
    modifiedAtMs: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, void> {
    const { content } = this.#parts;
    const found = await content.find(digest);
    if (found === undefined) {
      throw new NotFoundError(`content ${digest} not found`);
    }
    yield tarHeader({ name: blobName(digest), sizeBytes: found.sizeBytes, modifiedAtMs });
    yield* content.read(digest, signal === undefined ? {} : { signal });
    yield tarPadding(found.sizeBytes);
  }
}

function blobName(digest: Digest): string {
  return `blobs/sha256/${digest.slice('sha256:'.length)}`;
}

async function* file(
  name: string,
  bytes: Uint8Array,
  modifiedAtMs: number,
): AsyncGenerator<Uint8Array, void, void> {
  yield tarHeader({ name, sizeBytes: bytes.length, modifiedAtMs });
  yield bytes;
  yield tarPadding(bytes.length);
}

function documentsOf(prepared: readonly Prepared[]): Record<string, unknown> {
  const ids = new Set(prepared.map((image) => image.selected.image.record.id));
  const manifests = prepared.flatMap((image) => {
    const base = {
      mediaType: image.manifest.mediaType,
      digest: image.manifest.digest,
      size: image.manifest.bytes.length,
    };
    const { references } = image.selected;
    return references.length === 0
      ? [base]
      : references.map((reference) => ({
          ...base,
          annotations: {
            'io.containerd.image.name': reference.canonical,
            'org.opencontainers.image.ref.name': reference.tag ?? '',
          },
        }));
  });
  const repositories: Record<string, Record<string, string>> = {};
  for (const image of prepared) {
    const top = image.layers.at(-1)?.digest.slice('sha256:'.length);
    for (const { familiarName, tag } of image.selected.references) {
      if (top !== undefined && tag !== undefined) {
        repositories[familiarName] = { ...repositories[familiarName], [tag]: top };
      }
    }
  }
  return {
    'index.json': { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests },
    'manifest.json': prepared.map((image) => {
      const { record } = image.selected.image;
      const hasParent = record.parent !== undefined && ids.has(record.parent);
      return {
        Config: blobName(record.id),
        RepoTags:
          image.selected.references.length === 0
            ? null
            : image.selected.references.map((reference) => reference.familiar),
        Layers: image.layers.map((layer) => blobName(layer.digest)),
        ...(hasParent ? { Parent: record.parent } : {}),
      };
    }),
    'oci-layout': { imageLayoutVersion: '1.0.0' },
    ...(Object.keys(repositories).length === 0 ? {} : { repositories }),
  };
}
