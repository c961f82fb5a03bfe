import { open } from 'node:fs/promises';
import { InvalidParameterError, isAbortError, NotFoundError, SystemError } from '../base/errors.ts';
import { shortId } from '../base/ids.ts';
import type { Logger } from '../base/logger.ts';
import type { ContentStore } from '../content/contract.ts';
import type { ChainId, DiffId, LayerFile } from '../snapshots/contract.ts';
import type { Descriptor, ImageConfig, PullOptions } from './contract.ts';
import { chainIdsOf, decodeImageConfig } from './image-config.ts';
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
import { type ImageReference, withDigest, withTag } from './reference.ts';
import type { BlobDownloader, DownloadState } from './registry/blob-download.ts';
import { type Endpoint, endpointsOf, type RegistryConfig } from './registry/endpoints.ts';
import { RegistryError, TransportError } from './registry/errors.ts';
import type { RegistryHttp } from './registry/http.ts';
import {
  checkConfigType,
  choosePlatform,
  decodeManifest,
  type Manifest,
  MEDIA,
} from './registry/manifest.ts';
import {
  type FetchedManifest,
  RegistryRepository,
  translatePullError,
} from './registry/repository.ts';
import { RegistrySession } from './registry/session.ts';

/** Configs are small; a larger one is an attack. */
export const MAX_CONFIG_BYTES = 8 * 1024 * 1024;
/** An index may point at an index (nested builds), not deeper. */
const MAX_INDEX_DEPTH = 3;

/** What pulling needs of the rest. */
export interface PullerParts {
  readonly content: ContentStore;
  readonly store: ImageStore;
  readonly keeper: LayerKeeper;
  readonly publisher: ImagePublisher;
  readonly downloader: BlobDownloader;
  readonly http: RegistryHttp;
  readonly getRegistryConfig: () => RegistryConfig;
  readonly log: Logger;
}

/** A manifest chosen for a platform, with the documents that led to it. */
interface ChosenManifest {
  readonly manifest: Manifest;
  /** Index first, manifest last. */
  readonly documents: readonly { readonly descriptor: Descriptor; readonly bytes: Uint8Array }[];
}

/** A layer on its way. */
interface PullLayer {
  readonly descriptor: Descriptor;
  readonly diffId: DiffId;
  readonly chainId: ChainId;
  readonly parent: ChainId | undefined;
  /** False for a repeated layer, which would write over the first one's progress. */
  readonly isShown: boolean;
}

/** `sha256` hex start of a blob, as progress lines name layers. */
function lineId(descriptor: Descriptor): string {
  return shortId(descriptor.digest);
}

/** How a layer blob is packed, told by its first bytes: media types are often wrong. @throws SystemError */
export async function compressionOf(path: string): Promise<LayerFile['compression']> {
  const handle = await open(path, 'r');
  try {
    const { buffer } = await handle.read(Buffer.alloc(6), 0, 6, 0);
    if (buffer[0] === 0x1f && buffer[1] === 0x8b) {
      return 'gzip';
    }
    if (buffer.readUInt32LE(0) === 0xfd2fb528) {
      return 'zstd';
    }
    if (buffer.subarray(0, 3).toString('latin1') === 'BZh') {
      throw new SystemError('layers compressed with bzip2 are not supported');
    }
    if (buffer.toString('hex') === 'fd377a585a00') {
      throw new SystemError('layers compressed with xz are not supported');
    }
    return 'none';
  } finally {
    await handle.close();
  }
}

/** Pulls images from registries. */
export class Puller {
  readonly #parts: PullerParts;

  constructor(parts: PullerParts) {
    this.#parts = parts;
  }

  /** See `ImageService.pull`. @param reference  with tag or digest, unless all tags are wanted */
  async pull(reference: ImageReference, options: PullOptions): Promise<void> {
    const progress = new ProgressWriter(options.onProgress);
    const { signal } = options;
    const result = await this.onEndpoints(reference, options, async (repository) => {
      if (options.hasAllTags !== true) {
        return await this.#pullOne(repository, reference, options, progress);
      }
      let isNew = false;
      for (const tag of await repository.listTags(signal)) {
        const tagged = withTag(reference, tag);
        isNew = (await this.#pullOne(repository, tagged, options, progress)) || isNew;
      }
      return isNew;
    });
    progress.message(
      result
        ? `Status: Downloaded newer image for ${reference.familiar}`
        : `Status: Image is up to date for ${reference.familiar}`,
    );
    const id = this.#parts.store.lookUp(reference.canonical);
    const config = id === undefined ? undefined : this.#parts.store.find(id)?.config;
    this.#parts.publisher.emit('pull', reference.familiar, reference.familiarName, config);
  }

  /** Runs work on the first endpoint that serves it. @throws what the last one said, in Docker's words */
  async onEndpoints<T>(
    reference: ImageReference,
    options: Pick<PullOptions, 'auth' | 'signal'> & { readonly isPush?: boolean },
    work: (repository: RegistryRepository) => Promise<T>,
  ): Promise<T> {
    const { getRegistryConfig, http, log } = this.#parts;
    const isPush = options.isPush === true;
    const endpoints = await endpointsOf(reference.domain, getRegistryConfig(), isPush);
    let lastError: unknown;
    let hasTls = false;
    for (const endpoint of endpoints) {
      if (endpoint.baseUrl.protocol === 'http:' && hasTls) {
        // It speaks TLS: nothing is sent in the open.
        continue;
      }
      const auth = endpoint.isMirror ? undefined : options.auth;
      const session = new RegistrySession({ endpoint, http, auth });
      try {
        return await work(
          new RegistryRepository(session, reference, isPush ? 'pull,push' : 'pull'),
        );
      } catch (error) {
        options.signal?.throwIfAborted();
        if (isAbortError(error)) {
          throw error;
        }
        lastError = error;
        hasTls ||= endpoint.baseUrl.protocol === 'https:' && error instanceof RegistryError;
        if (!canTryNext(error, endpoint)) {
          break;
        }
        log.info('next registry endpoint is tried', { after: endpoint.baseUrl.href, error });
      }
    }
    throw isPush ? lastError : translatePullError(lastError, reference);
  }

  /** @returns true when the name now means another image than before */
  async #pullOne(
    repository: RegistryRepository,
    reference: ImageReference,
    options: PullOptions,
    progress: ProgressWriter,
  ): Promise<boolean> {
    const { signal } = options;
    const { keeper, publisher, store, downloader } = this.#parts;
    const wanted = reference.digest ?? reference.tag ?? 'latest';
    const top = await repository.getManifest(wanted, signal);
    const chosen = await this.#choose(repository, top, options.platform, signal);
    checkConfigType(chosen.manifest.config);
    progress.message(
      `Pulling from ${reference.path}`,
      reference.digest === undefined ? wanted : `${reference.name}@${reference.digest}`,
    );
    await using lease = keeper.lease();
    for (const { descriptor } of chosen.documents) {
      lease.protectBlob(descriptor.digest);
    }
    lease.protectBlob(chosen.manifest.config.digest);
    const configBytes = await downloader.fetchSmall(repository, chosen.manifest.config, {
      maxBytes: MAX_CONFIG_BYTES,
      signal,
    });
    const config = decodeImageConfig(configBytes);
    const layers = layersOf(chosen.manifest, config);
    if (store.find(chosen.manifest.config.digest) === undefined) {
      await this.#fetchLayers(repository, layers, { lease, progress, signal });
    }
    signal?.throwIfAborted();
    progress.message(`Digest: ${top.digest}`);
    const references = [withDigest(reference, top.digest)];
    if (reference.digest === undefined && reference.tag !== undefined) {
      references.push(withTag(reference, reference.tag));
    }
    const before = store.lookUp(references.at(-1)?.canonical ?? '');
    const published = await publisher.publish({
      lease,
      configBytes,
      layers: await Promise.all(
        layers.map(async (layer) => ({
          diffId: layer.diffId,
          blob: await this.#blobFor(lease, layer),
        })),
      ),
      manifests: chosen.documents,
      references,
    });
    this.#warnAboutPlatform(reference, config, options.platform, progress);
    return before !== published.id;
  }

  async #blobFor(lease: KeeperLease, layer: PullLayer): Promise<Descriptor | undefined> {
    const { content, store } = this.#parts;
    const blob = await blobFor(content, store, layer);
    if (blob !== undefined) {
      lease.protectBlob(blob.digest);
    }
    return blob;
  }

  #warnAboutPlatform(
    reference: ImageReference,
    config: ImageConfig,
    wanted: Platform | undefined,
    progress: ProgressWriter,
  ): void {
    if (wanted === undefined) {
      return;
    }
    const has = normalizePlatform(config);
    if (platformScore(wanted, has) === 0) {
      progress.message(
        `WARNING: image with reference ${reference.familiar} was found but its platform (${formatPlatform(has)}) does not match the specified platform (${formatPlatform(wanted)})`,
      );
    }
  }

  async #choose(
    repository: RegistryRepository,
    top: FetchedManifest,
    platform: Platform | undefined,
    signal: AbortSignal | undefined,
  ): Promise<ChosenManifest> {
    const documents: ChosenManifest['documents'][number][] = [];
    const wanted = platform ?? hostPlatform();
    let fetched = top;
    for (let depth = 0; depth < MAX_INDEX_DEPTH; depth += 1) {
      const decoded = decodeManifest(fetched.bytes, fetched.contentType);
      documents.push({
        bytes: fetched.bytes,
        descriptor: {
          mediaType: decoded.mediaType,
          digest: fetched.digest,
          size: fetched.bytes.length,
        },
      });
      if (decoded.kind === 'manifest') {
        return { manifest: decoded, documents };
      }
      const only = decoded.manifests.length === 1 ? decoded.manifests[0] : undefined;
      const entry =
        choosePlatform(decoded, wanted) ?? (only?.platform === undefined ? only : undefined);
      if (entry === undefined) {
        throw new NotFoundError(
          `no matching manifest for ${formatPlatform(wanted)} in the manifest list entries`,
        );
      }
      fetched = await repository.getManifest(entry.digest, signal, entry.size);
    }
    throw new InvalidParameterError('manifest list is nested too deep');
  }

  async #fetchLayers(
    repository: RegistryRepository,
    layers: readonly PullLayer[],
    context: {
      readonly lease: KeeperLease;
      readonly progress: ProgressWriter;
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<void> {
    const { lease, progress } = context;
    const { keeper } = this.#parts;
    for (const layer of layers) {
      // Before looking: what is there now must still be there at the end.
      lease.protect(layer.chainId);
      lease.protectBlob(layer.descriptor.digest);
    }
    const firstMissing = layers.findIndex((layer) => keeper.find(layer.chainId) === undefined);
    const existing = firstMissing < 0 ? layers : layers.slice(0, firstMissing);
    const missing = firstMissing < 0 ? [] : layers.slice(firstMissing);
    for (const layer of existing) {
      progress.status(lineId(layer.descriptor), 'Already exists');
    }
    for (const layer of missing) {
      if (layer.isShown) {
        progress.status(lineId(layer.descriptor), 'Pulling fs layer');
      }
    }
    const stop = new AbortController();
    const signal =
      context.signal === undefined ? stop.signal : AbortSignal.any([context.signal, stop.signal]);
    const downloads = missing.map((layer) => {
      const onState = layer.isShown ? showState(progress, layer.descriptor) : undefined;
      const done = this.#parts.downloader.download(repository, layer.descriptor, {
        signal,
        onState,
      });
      // The first failure ends the applying of lower layers and the other downloads too.
      done.catch((error: unknown) => stop.abort(error));
      return done;
    });
    try {
      for (const [index, layer] of missing.entries()) {
        await downloads[index];
        signal.throwIfAborted();
        await this.#apply(layer, { ...context, signal });
      }
    } catch (error) {
      stop.abort(error);
      await Promise.allSettled(downloads);
      throw error;
    }
  }

  async #apply(
    layer: PullLayer,
    context: {
      readonly lease: KeeperLease;
      readonly progress: ProgressWriter;
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const { descriptor } = layer;
    const path = this.#parts.content.pathOf(descriptor.digest);
    const id = lineId(descriptor);
    try {
      await context.lease.applyKnownLayer({
        chainId: layer.chainId,
        parent: layer.parent,
        tar: { path, compression: await compressionOf(path) },
        expectedDiffId: layer.diffId,
        signal: context.signal,
        onRead: (bytes) => {
          if (layer.isShown) {
            context.progress.bytes(id, 'Extracting', bytes, descriptor.size);
          }
        },
      });
    } catch (error) {
      context.signal.throwIfAborted();
      const message = error instanceof Error ? error.message : String(error);
      throw new SystemError(`failed to register layer: ${message}`, { cause: error });
    }
    if (layer.isShown) {
      context.progress.status(id, 'Pull complete');
    }
  }
}

/**
 * The blob to remember for a layer: its own when that was downloaded, else one of the same layer that another image
 * brought.
 */
async function blobFor(
  content: ContentStore,
  store: ImageStore,
  layer: PullLayer,
): Promise<Descriptor | undefined> {
  const { digest, size } = layer.descriptor;
  if ((await content.find(digest)) !== undefined) {
    return { mediaType: mediaTypeOf(layer), digest, size };
  }
  return findBlob(store, layer.diffId);
}

/** A blob of a layer that any image brought. */
export function findBlob(store: ImageStore, diffId: DiffId): Descriptor | undefined {
  for (const image of store.everything()) {
    const blob = image.record.layers.find((layer) => layer.diffId === diffId)?.blob;
    if (blob !== undefined) {
      return blob;
    }
  }
  return undefined;
}

function mediaTypeOf(layer: PullLayer): string {
  return layer.descriptor.mediaType === '' ? MEDIA.dockerLayerGzip : layer.descriptor.mediaType;
}

function layersOf(manifest: Manifest, config: ImageConfig): readonly PullLayer[] {
  if (config.os !== '' && config.os !== 'linux') {
    throw new SystemError(`image operating system "${config.os}" cannot be used on this platform`);
  }
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== manifest.layers.length) {
    throw new InvalidParameterError(
      `invalid manifest: ${manifest.layers.length} layers where the config has ${diffIds.length}`,
    );
  }
  const chainIds = chainIdsOf(diffIds);
  const seen = new Set<string>();
  return manifest.layers.flatMap((descriptor, index) => {
    const diffId = diffIds[index];
    const chainId = chainIds[index];
    if (diffId === undefined || chainId === undefined) {
      return [];
    }
    const isShown = !seen.has(descriptor.digest);
    seen.add(descriptor.digest);
    return [{ descriptor, diffId, chainId, parent: chainIds[index - 1], isShown }];
  });
}

function showState(
  progress: ProgressWriter,
  descriptor: Descriptor,
): (state: DownloadState) => void {
  const id = lineId(descriptor);
  return (state) => {
    switch (state.kind) {
      case 'waiting':
        progress.status(id, 'Waiting');
        break;
      case 'downloading':
        progress.bytes(id, 'Downloading', state.bytes, descriptor.size);
        break;
      case 'retrying': {
        const seconds = Math.max(1, Math.ceil(state.delayMs / 1000));
        progress.status(id, `Retrying in ${seconds} second${seconds === 1 ? '' : 's'}`);
        break;
      }
      case 'verifying':
        progress.status(id, 'Verifying Checksum');
        break;
      case 'complete':
        progress.status(id, 'Download complete');
        break;
    }
  };
}

/** A broken connection may be the endpoint's fault, an answer is the registry's word, unless a mirror gave it. */
function canTryNext(error: unknown, endpoint: Endpoint): boolean {
  if (endpoint.isMirror) {
    return true;
  }
  return error instanceof TransportError || (error instanceof RegistryError && error.status >= 500);
}
