import { delay, Semaphore } from '../base/async.ts';
import { isAbortError, NotFoundError } from '../base/errors.ts';
import { shortId } from '../base/ids.ts';
import type { ContentStore } from '../content/contract.ts';
import type { Digest } from '../snapshots/contract.ts';
import type { Descriptor, PullOptions } from './contract.ts';
import type { ImagePublisher } from './image-publisher.ts';
import type { ImageQueries } from './image-queries.ts';
import type { ImageStore, StoredImage } from './image-store.ts';
import type { LayerBlobs } from './layer-blobs.ts';
import type { LayerKeeper } from './layer-keeper.ts';
import { ProgressWriter } from './progress.ts';
import type { Puller } from './pull.ts';
import { type ImageReference, parseReference, withDigest } from './reference.ts';
import { isWorthRetrying, RegistryError } from './registry/errors.ts';
import { decodeManifest, encodeManifest, MEDIA } from './registry/manifest.ts';
import { MAX_MANIFEST_BYTES, type RegistryRepository } from './registry/repository.ts';

const MAX_UPLOADS = 5;
const MAX_ATTEMPTS = 5;
const BACKOFF_MS = 500;

/** What pushing needs of the rest. */
export interface PusherParts {
  readonly content: ContentStore;
  readonly store: ImageStore;
  readonly keeper: LayerKeeper;
  readonly queries: ImageQueries;
  readonly publisher: ImagePublisher;
  readonly blobs: LayerBlobs;
  readonly puller: Puller;
}

/** Sends images to registries. */
export class Pusher {
  readonly #parts: PusherParts;
  readonly #places = new Semaphore(MAX_UPLOADS);

  constructor(parts: PusherParts) {
    this.#parts = parts;
  }

  /** See `ImageService.push`. */
  async push(reference: ImageReference, options: PullOptions): Promise<void> {
    const progress = new ProgressWriter(options.onProgress);
    progress.message(`The push refers to repository [${reference.name}]`);
    const targets = this.#targets(reference);
    await this.#parts.puller.onEndpoints(
      reference,
      { auth: options.auth, signal: options.signal, isPush: true },
      async (repository) => {
        for (const target of targets) {
          await this.#pushOne(repository, target, options, progress);
        }
      },
    );
    const { publisher, store } = this.#parts;
    const id = store.lookUp(targets[0]?.canonical ?? '');
    const config = id === undefined ? undefined : store.find(id)?.config;
    publisher.emit('push', reference.familiar, reference.familiarName, config);
  }

  #targets(reference: ImageReference): readonly ImageReference[] {
    const { store } = this.#parts;
    if (reference.digest !== undefined) {
      throw new NotFoundError('cannot push a digest reference');
    }
    const inRepository = [...store.references().keys()]
      .map(parseReference)
      .filter((entry) => entry.name === reference.name && entry.tag !== undefined);
    if (inRepository.length === 0) {
      throw new NotFoundError(
        `An image does not exist locally with the tag: ${reference.familiarName}`,
      );
    }
    if (reference.tag === undefined) {
      return inRepository;
    }
    const found = inRepository.filter((entry) => entry.tag === reference.tag);
    if (found.length === 0) {
      throw new NotFoundError(`tag does not exist: ${reference.familiar}`);
    }
    return found;
  }

  async #pushOne(
    repository: RegistryRepository,
    target: ImageReference,
    options: PullOptions,
    progress: ProgressWriter,
  ): Promise<void> {
    const { blobs, content, keeper, publisher, queries, store } = this.#parts;
    const { signal } = options;
    const image = queries.resolve(target.canonical, options.platform);
    await using lease = keeper.lease();
    for (const chainId of image.chainIds) {
      lease.protect(chainId);
    }
    lease.protectBlob(image.record.id);
    const layerIds = image.record.layers.map((layer) => shortId(layer.diffId));
    // Whether the registry answers, and lets us in, is worth knowing before layers are packed.
    const hasConfig = (await repository.statBlob(image.record.id, signal)) !== undefined;
    for (const id of layerIds.toReversed()) {
      progress.status(id, 'Preparing');
    }
    const seen = new Set<Digest>();
    const layers = await blobs.ensure(image, {
      lease,
      isPacked: true,
      signal,
      use: async (layer, index) => {
        if (!seen.has(layer.digest)) {
          seen.add(layer.digest);
          await this.#uploadLayer(repository, layer, {
            id: layerIds[index] ?? '',
            progress,
            signal,
          });
        }
      },
    });
    // Records may have gained blobs.
    const current = store.find(image.record.id) ?? image;
    if (!hasConfig) {
      const config = await content.find(image.record.id);
      const sizeBytes = config?.sizeBytes ?? 0;
      await this.#upload(repository, { digest: image.record.id, sizeBytes, signal });
    }
    const manifest = await this.#manifestFor(current, layers);
    await repository.putManifest(target.tag ?? manifest.digest, manifest, signal);
    const size = manifest.bytes.length;
    lease.protectBlob(manifest.digest);
    await content.put(manifest.bytes);
    await publisher.publish({
      lease,
      configBytes: await content.readAll(image.record.id),
      layers: image.record.layers.map(({ diffId }, index) => ({ diffId, blob: layers[index] })),
      manifests: [
        {
          descriptor: { mediaType: manifest.mediaType, digest: manifest.digest, size },
          bytes: manifest.bytes,
        },
      ],
      references: [withDigest(target, manifest.digest)],
    });
    progress.message(`${target.tag}: digest: ${manifest.digest} size: ${size}`);
    progress.send({
      progressDetail: {},
      aux: { Tag: target.tag, Digest: manifest.digest, Size: size },
    });
  }

  /** The manifest that the image came with when it still describes these blobs, else a new one. */
  async #manifestFor(
    image: StoredImage,
    layers: readonly Descriptor[],
  ): Promise<{
    readonly bytes: Uint8Array;
    readonly mediaType: string;
    readonly digest: Digest;
  }> {
    const { content, blobs } = this.#parts;
    const original = await findManifest(content, image, layers);
    if (original !== undefined) {
      return original;
    }
    const config = await content.find(image.record.id);
    const docker = await Promise.all(layers.map((layer) => blobs.typed(layer, 'docker')));
    const isDocker = docker.every((layer) => layer.mediaType !== MEDIA.ociLayerZstd);
    const typed = isDocker
      ? docker
      : await Promise.all(layers.map((layer) => blobs.typed(layer, 'oci')));
    const made = encodeManifest({
      isDocker,
      config: { digest: image.record.id, size: config?.sizeBytes ?? 0 },
      layers: typed,
    });
    return { ...made, digest: await content.put(made.bytes) };
  }

  async #uploadLayer(
    repository: RegistryRepository,
    layer: Descriptor,
    context: {
      readonly id: string;
      readonly progress: ProgressWriter;
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<void> {
    const { id, progress, signal } = context;
    await this.#places.run(async () => {
      signal?.throwIfAborted();
      const outcome = await this.#upload(repository, {
        digest: layer.digest,
        sizeBytes: layer.size,
        signal,
        mountFrom: this.#mountSources(repository.reference, layer.digest),
        onBytes: (bytes) => progress.bytes(id, 'Pushing', bytes, layer.size),
      });
      progress.status(id, outcome);
    });
  }

  /** Other repositories of the same registry that have had the blob. */
  #mountSources(target: ImageReference, digest: Digest): readonly ImageReference[] {
    const sources = new Map<string, ImageReference>();
    for (const image of this.#parts.store.visible()) {
      if (image.record.layers.some((layer) => layer.blob?.digest === digest)) {
        for (const reference of this.#parts.store.referencesOf(image.record.id)) {
          // Only a digest tells that the registry has seen it.
          const isThere = reference.digest !== undefined && reference.domain === target.domain;
          if (isThere && reference.path !== target.path) {
            sources.set(reference.path, reference);
          }
        }
      }
    }
    return [...sources.values()].slice(0, 3);
  }

  /** @returns the status line that says what happened */
  async #upload(
    repository: RegistryRepository,
    options: {
      readonly digest: Digest;
      readonly sizeBytes: number;
      readonly signal: AbortSignal | undefined;
      readonly mountFrom?: readonly ImageReference[];
      readonly onBytes?: (bytes: number) => void;
    },
  ): Promise<string> {
    const { digest, signal } = options;
    if ((await repository.statBlob(digest, signal)) !== undefined) {
      return 'Layer already exists';
    }
    let location: URL | undefined;
    for (const source of options.mountFrom ?? []) {
      try {
        const answer = await repository.mountBlob(digest, source.path, signal);
        if (answer === 'mounted') {
          return `Mounted from ${source.familiarName}`;
        }
        location = answer;
      } catch (error) {
        if (!(error instanceof RegistryError)) {
          throw error;
        }
        // No right to read there: an ordinary upload does it.
      }
    }
    await this.#send(repository, { ...options, location });
    return 'Pushed';
  }

  async #send(
    repository: RegistryRepository,
    options: {
      readonly digest: Digest;
      readonly sizeBytes: number;
      readonly signal: AbortSignal | undefined;
      readonly location: URL | undefined;
      readonly onBytes?: (bytes: number) => void;
    },
  ): Promise<void> {
    const { digest, sizeBytes, signal } = options;
    let { location } = options;
    let offset = 0;
    for (let attempt = 1; ; attempt += 1) {
      try {
        location ??= await repository.startUpload(signal);
        const start = offset;
        const next: URL = await repository.uploadChunks(location, {
          offset: start,
          sizeBytes,
          body: () => this.#chunks(digest, start, options),
          signal,
        });
        await repository.finishUpload(next, digest, signal);
        return;
      } catch (error) {
        signal?.throwIfAborted();
        if (isAbortError(error) || attempt >= MAX_ATTEMPTS || !isWorthRetrying(error)) {
          throw error;
        }
        await delay(BACKOFF_MS * attempt, signal);
        const state: Awaited<ReturnType<RegistryRepository['uploadState']>> =
          location === undefined
            ? undefined
            : await repository.uploadState(location, signal).catch(() => undefined);
        // Either the registry says how far it got, or a new upload starts at the beginning.
        location = state?.location;
        offset = state === undefined || state.offset > sizeBytes ? 0 : state.offset;
      }
    }
  }

  async *#chunks(
    digest: Digest,
    offset: number,
    options: {
      readonly signal: AbortSignal | undefined;
      readonly onBytes?: (bytes: number) => void;
    },
  ): AsyncGenerator<Uint8Array, void, void> {
    let bytes = offset;
    const { signal, onBytes } = options;
    for await (const chunk of this.#parts.content.read(digest, {
      offset,
      ...(signal === undefined ? {} : { signal }),
    })) {
      yield chunk;
      bytes += chunk.length;
      onBytes?.(bytes);
    }
  }
}

/** The latest manifest of an image that describes exactly these layer blobs. */
export async function findManifest(
  content: ContentStore,
  image: StoredImage,
  layers: readonly Descriptor[],
): Promise<
  { readonly bytes: Uint8Array; readonly mediaType: string; readonly digest: Digest } | undefined
> {
  for (const descriptor of image.record.manifests.toReversed()) {
    if ((await content.find(descriptor.digest)) === undefined) {
      continue;
    }
    const bytes = await content.readAll(descriptor.digest, MAX_MANIFEST_BYTES);
    const manifest = decodeManifest(bytes, descriptor.mediaType);
    const isSame =
      manifest.kind === 'manifest' &&
      manifest.config.digest === image.record.id &&
      manifest.layers.length === layers.length &&
      manifest.layers.every((layer, index) => layer.digest === layers[index]?.digest);
    if (isSame) {
      return { bytes, mediaType: descriptor.mediaType, digest: descriptor.digest };
    }
  }
  return undefined;
}
