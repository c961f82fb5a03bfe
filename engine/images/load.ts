import { z } from 'zod';
import { InvalidParameterError, messageOf, SystemError } from '../base/errors.ts';
import { shortId } from '../base/ids.ts';
import { decompress, peekPacking } from '../base/node/decompress.ts';
import type { ContentStore } from '../content/contract.ts';
import type { Digest } from '../snapshots/contract.ts';
import { ArchiveStore } from './archive/archive-store.ts';
import type { Descriptor, ImageConfig, ProgressSink } from './contract.ts';
import { chainIdsOf, decodeImageConfig, decodeWith, digestOf, parseJson } from './image-config.ts';
import type { ImagePublisher } from './image-publisher.ts';
import type { ImageStore } from './image-store.ts';
import type { KeeperLease, LayerKeeper } from './layer-keeper.ts';
import {
  formatPlatform,
  hostPlatform,
  normalizePlatform,
  type Platform,
  platformScore,
} from './platform.ts';
import { ProgressWriter } from './progress.ts';
import { compressionOf, findBlob, MAX_CONFIG_BYTES } from './pull.ts';
import { type ImageReference, isDigest, parseReference, withDefaultTag } from './reference.ts';
import { choosePlatform, decodeManifest, type Manifest, MEDIA } from './registry/manifest.ts';

const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;
const MAX_INDEX_DEPTH = 3;

const nullable = z
  .array(z.string())
  .nullish()
  .transform((value) => value ?? []);

const manifestListSchema = z
  .array(
    z.object({
      Config: z.string().min(1),
      RepoTags: nullable,
      Layers: nullable,
      Parent: z
        .string()
        .nullish()
        .transform((value) => value ?? ''),
    }),
  )
  .max(10_000);

/** One image of an archive. */
interface ArchiveImage {
  readonly configBytes: Uint8Array;
  /** Names of members, lowest layer first. */
  readonly layerNames: readonly string[];
  readonly references: readonly ImageReference[];
  readonly parent: Digest | undefined;
  /** Only from OCI layouts. */
  readonly manifests: readonly { readonly descriptor: Descriptor; readonly bytes: Uint8Array }[];
}

/** What loading needs of the rest. */
export interface LoaderParts {
  readonly content: ContentStore;
  readonly store: ImageStore;
  readonly keeper: LayerKeeper;
  readonly publisher: ImagePublisher;
}

/** Loads images from archives: what `docker save` writes, and OCI layouts. */
export class Loader {
  readonly #parts: LoaderParts;

  constructor(parts: LoaderParts) {
    this.#parts = parts;
  }

  /** See `ImageService.load`. */
  async load(
    tar: AsyncIterable<Uint8Array>,
    options: {
      readonly onProgress?: ProgressSink | undefined;
      readonly isQuiet?: boolean | undefined;
      readonly platform?: Platform | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<readonly Digest[]> {
    const { signal } = options;
    const bars = new ProgressWriter(options.isQuiet === true ? undefined : options.onProgress);
    const lines = new ProgressWriter(options.onProgress);
    await using lease = this.#parts.keeper.lease();
    const { packing, chunks } = await peekPacking(tar);
    const archive = await ArchiveStore.read(decompress(packing, chunks), {
      content: this.#parts.content,
      lease,
      signal,
    });
    const images = await this.#imagesOf(archive, options.platform);
    const ids: Digest[] = [];
    let hasNames = false;
    for (const image of images) {
      const config = decodeImageConfig(image.configBytes);
      const platform = normalizePlatform(config);
      if (options.platform !== undefined && platformScore(options.platform, platform) === 0) {
        continue;
      }
      const id = await this.#loadOne(archive, image, config, { lease, bars, lines, signal });
      hasNames ||= image.references.length > 0;
      ids.push(id);
    }
    if (ids.length === 0 && options.platform !== undefined) {
      throw new InvalidParameterError(
        `requested platform (${formatPlatform(options.platform)}) not found: image might be loaded without it`,
      );
    }
    if (!hasNames) {
      for (const id of ids) {
        lines.send({ stream: `Loaded image ID: ${id}\n` });
      }
    }
    return ids;
  }

  async #loadOne(
    archive: ArchiveStore,
    image: ArchiveImage,
    config: ImageConfig,
    context: {
      readonly lease: KeeperLease;
      readonly bars: ProgressWriter;
      readonly lines: ProgressWriter;
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<Digest> {
    const { publisher } = this.#parts;
    const { lease, lines } = context;
    if (config.os !== '' && config.os !== 'linux') {
      throw new SystemError(`cannot load ${config.os} image on linux`);
    }
    const diffIds = config.rootfs.diff_ids;
    if (diffIds.length !== image.layerNames.length) {
      throw new InvalidParameterError(
        `invalid manifest, layers length mismatch: expected ${image.layerNames.length}, got ${diffIds.length}`,
      );
    }
    const blobs = await this.#applyLayers(archive, image, config, context);
    const published = await publisher.publish({
      lease,
      configBytes: image.configBytes,
      layers: diffIds.map((diffId, index) => ({ diffId, blob: blobs[index] })),
      manifests: image.manifests,
      references: image.references,
      parent: this.#validParent(image.parent, config),
    });
    for (const reference of image.references) {
      const previous = published.moved.get(reference.canonical);
      if (previous !== undefined) {
        lines.send({
          stream: `The image ${reference.familiar} already exists, renaming the old one with ID ${previous} to empty string\n`,
        });
      }
      lines.send({ stream: `Loaded image: ${reference.familiar}\n` });
    }
    publisher.emit('load', published.id, published.id, config);
    return published.id;
  }

  async #applyLayers(
    archive: ArchiveStore,
    image: ArchiveImage,
    config: ImageConfig,
    context: {
      readonly lease: KeeperLease;
      readonly bars: ProgressWriter;
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<readonly Descriptor[]> {
    const { content } = this.#parts;
    const { lease, bars, signal } = context;
    const diffIds = config.rootfs.diff_ids;
    const chainIds = chainIdsOf(diffIds);
    const blobs: Descriptor[] = [];
    for (const [index, diffId] of diffIds.entries()) {
      const chainId = chainIds[index];
      const name = image.layerNames[index];
      if (chainId === undefined || name === undefined) {
        break;
      }
      const blob = await archive.blob(name);
      const path = content.pathOf(blob.digest);
      const compression = blob.sizeBytes === 0 ? 'none' : await compressionOf(path);
      const types = { none: MEDIA.ociLayer, gzip: MEDIA.ociLayerGzip, zstd: MEDIA.ociLayerZstd };
      blobs.push({ mediaType: types[compression], digest: blob.digest, size: blob.sizeBytes });
      lease.protect(chainId);
      if (this.#parts.keeper.find(chainId) !== undefined) {
        const known = findBlob(this.#parts.store, diffId);
        if (known !== undefined) {
          // Another image has brought it: one blob is enough.
          lease.protectBlob(known.digest);
          blobs[index] = known;
        }
        continue;
      }
      const id = shortId(diffId);
      try {
        await lease.applyKnownLayer({
          chainId,
          parent: chainIds[index - 1],
          tar: { path, compression },
          expectedDiffId: diffId,
          ...(signal === undefined ? {} : { signal }),
          onRead: (bytes) => bars.bytes(id, 'Loading layer', bytes, blob.sizeBytes),
        });
      } catch (error) {
        signal?.throwIfAborted();
        throw new SystemError(`cannot load layer ${index}: ${messageOf(error)}`, { cause: error });
      }
      bars.bytes(id, 'Loading layer', blob.sizeBytes, blob.sizeBytes);
    }
    return blobs;
  }

  /** A parent counts when it is here and the image really starts with its layers. */
  #validParent(parent: Digest | undefined, config: ImageConfig): Digest | undefined {
    const found = parent === undefined ? undefined : this.#parts.store.find(parent);
    const isPrefix =
      found?.config.rootfs.diff_ids.every(
        (diffId, index) => config.rootfs.diff_ids[index] === diffId,
      ) === true;
    return isPrefix ? parent : undefined;
  }

  async #imagesOf(
    archive: ArchiveStore,
    platform: Platform | undefined,
  ): Promise<readonly ArchiveImage[]> {
    if (archive.has('manifest.json')) {
      return await dockerImages(archive);
    }
    if (archive.has('index.json')) {
      return await ociImages(archive, platform ?? hostPlatform());
    }
    throw new InvalidParameterError(
      'invalid archive: it has neither manifest.json nor index.json, so it holds no image',
    );
  }
}

async function dockerImages(archive: ArchiveStore): Promise<readonly ArchiveImage[]> {
  const document = parseJson(
    await archive.document('manifest.json', MAX_DOCUMENT_BYTES),
    'manifest.json',
  );
  const entries = decodeWith(manifestListSchema, document, 'manifest.json');
  const images: ArchiveImage[] = [];
  for (const entry of entries) {
    images.push({
      configBytes: await archive.document(entry.Config, MAX_CONFIG_BYTES),
      layerNames: entry.Layers,
      references: entry.RepoTags.map((tag) => {
        const reference = parseReference(tag);
        if (reference.tag === undefined) {
          throw new InvalidParameterError(`invalid tag ${JSON.stringify(tag)}`);
        }
        return reference;
      }),
      parent: isDigest(entry.Parent) ? entry.Parent : undefined,
      manifests: [],
    });
  }
  return images;
}

/** Name of an entry of index.json; a bare tag names nothing. */
function nameOf(descriptor: Descriptor): readonly ImageReference[] {
  const full = descriptor.annotations?.['io.containerd.image.name'];
  const short = descriptor.annotations?.['org.opencontainers.image.ref.name'];
  const text = full ?? (short !== undefined && /[/:]/.test(short) ? short : undefined);
  return text === undefined ? [] : [withDefaultTag(parseReference(text))];
}

async function ociImages(
  archive: ArchiveStore,
  wanted: Platform,
): Promise<readonly ArchiveImage[]> {
  const bytes = await archive.document('index.json', MAX_DOCUMENT_BYTES);
  const index = decodeManifest(bytes, MEDIA.ociIndex);
  if (index.kind !== 'index') {
    throw new InvalidParameterError('invalid archive: index.json is no index');
  }
  const images: ArchiveImage[] = [];
  for (const entry of index.manifests) {
    const chosen = await chooseInLayout(archive, entry, wanted);
    if (chosen !== undefined) {
      const { manifest, documents } = chosen;
      const configBytes = await blobDocument(archive, manifest.config.digest, MAX_CONFIG_BYTES);
      images.push({
        configBytes,
        layerNames: manifest.layers.map((layer) => blobName(layer.digest)),
        references: nameOf(entry),
        parent: undefined,
        manifests: documents,
      });
    }
  }
  return images;
}

function blobName(digest: Digest): string {
  return `blobs/sha256/${digest.slice('sha256:'.length)}`;
}

async function blobDocument(
  archive: ArchiveStore,
  digest: Digest,
  maxBytes: number,
): Promise<Uint8Array> {
  const bytes = await archive.document(blobName(digest), maxBytes);
  ArchiveStore.checkDigest(bytes, digest);
  return bytes;
}

async function chooseInLayout(
  archive: ArchiveStore,
  entry: Descriptor,
  wanted: Platform,
): Promise<
  { readonly manifest: Manifest; readonly documents: ArchiveImage['manifests'] } | undefined
> {
  const documents: { descriptor: Descriptor; bytes: Uint8Array }[] = [];
  let next = entry;
  for (let depth = 0; depth < MAX_INDEX_DEPTH; depth += 1) {
    if (!archive.has(blobName(next.digest))) {
      // A layout may list platforms that it does not hold.
      return undefined;
    }
    const bytes = await blobDocument(archive, next.digest, MAX_DOCUMENT_BYTES);
    const decoded = decodeManifest(bytes, next.mediaType);
    documents.push({
      bytes,
      descriptor: {
        mediaType: decoded.mediaType,
        digest: digestOf(bytes),
        size: bytes.length,
      },
    });
    if (decoded.kind === 'manifest') {
      return { manifest: decoded, documents };
    }
    const only = decoded.manifests.length === 1 ? decoded.manifests[0] : undefined;
    const chosen = choosePlatform(decoded, wanted) ?? only;
    if (chosen === undefined) {
      return undefined;
    }
    next = chosen;
  }
  throw new InvalidParameterError('manifest list is nested too deep');
}
