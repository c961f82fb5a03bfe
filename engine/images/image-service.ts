import { InvalidParameterError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { decompress, peekPacking } from '../base/node/decompress.ts';
import type { ContentStore } from '../content/contract.ts';
import type { EventLog } from '../events/contract.ts';
import type { ChainId, Digest, Snapshotter } from '../snapshots/contract.ts';
import { applyConfigChanges } from './config-changes.ts';
import type {
  CreateImageRequest,
  DistributionInspect,
  Image,
  ImageConfig,
  ImageHistoryItem,
  ImageInspect,
  ImageLease,
  ImageService,
  ImageSummary,
  ImageUsage,
  ImageUsers,
  PullOptions,
} from './contract.ts';
import { encodeImageConfig } from './image-config.ts';
import { ImagePublisher } from './image-publisher.ts';
import { ImageQueries } from './image-queries.ts';
import { ImageRemoval } from './image-removal.ts';
import { ImageStore } from './image-store.ts';
import { LayerBlobs } from './layer-blobs.ts';
import { type KeeperLease, LayerKeeper } from './layer-keeper.ts';
import { Loader } from './load.ts';
import { hostPlatform, type Platform } from './platform.ts';
import { compressionOf, findBlob, Puller } from './pull.ts';
import { Pusher } from './push.ts';
import { type ImageReference, parseReference, withDefaultTag, withTag } from './reference.ts';
import { BlobDownloader } from './registry/blob-download.ts';
import type { RegistryConfig } from './registry/endpoints.ts';
import { RegistryHttp } from './registry/http.ts';
import { MEDIA } from './registry/manifest.ts';
import { RegistryQueries } from './registry/registry-queries.ts';
import { Saver } from './save.ts';

const DEFAULT_MAX_DOWNLOADS = 3;

/** What the image service is made of. */
export interface ImageServiceOptions {
  /** The `images` folder. */
  readonly root: string;
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  readonly events: EventLog;
  readonly users: ImageUsers;
  /** Asked for every operation, so that a reload of the configuration counts at once. */
  readonly getRegistryConfig: () => RegistryConfig;
  readonly log: Logger;
  /** Goes into configs made here and the User-Agent. */
  readonly engineVersion: string;
  /** Layers downloaded at once over all pulls; default 3. */
  readonly maxDownloads?: number | undefined;
  /** A registry connection on which nothing moves for this long is given up; default 60 s. */
  readonly stallTimeoutMs?: number | undefined;
  /** Wait before the second attempt at a download; default 0.5 s. */
  readonly retryDelayMs?: number | undefined;
  /** HTTP_PROXY, HTTPS_PROXY and NO_PROXY, when registries are behind a proxy. */
  readonly proxyEnv?: Readonly<Record<string, string>> | undefined;
}

/** The image service over a content store and a snapshotter. */
export class StoredImageService implements ImageService {
  readonly #content: ContentStore;
  readonly #snapshots: Snapshotter;
  readonly #engineVersion: string;
  readonly #http: RegistryHttp;
  readonly #store: ImageStore;
  readonly #keeper: LayerKeeper;
  readonly #publisher: ImagePublisher;
  readonly #queries: ImageQueries;
  readonly #removal: ImageRemoval;
  readonly #puller: Puller;
  readonly #pusher: Pusher;
  readonly #loader: Loader;
  readonly #saver: Saver;
  readonly #registries: RegistryQueries;
  readonly #users: ImageUsers;

  constructor(options: ImageServiceOptions) {
    const { content, snapshots, events, users, getRegistryConfig } = options;
    const log = options.log.child({ component: 'images' });
    this.#content = content;
    this.#snapshots = snapshots;
    this.#users = users;
    this.#engineVersion = options.engineVersion;
    this.#http = new RegistryHttp({
      userAgent: `gantry/${options.engineVersion}`,
      stallTimeoutMs: options.stallTimeoutMs,
      proxyEnv: options.proxyEnv,
    });
    const store = new ImageStore({ root: options.root, content, log });
    const keeper = new LayerKeeper({ snapshots, content, store, users, log });
    const publisher = new ImagePublisher({ store, content, snapshots, events, log });
    const queries = new ImageQueries({ store, keeper, snapshots, users });
    const blobs = new LayerBlobs({ content, snapshots, store, publisher });
    const downloader = new BlobDownloader({
      content,
      log,
      limit: options.maxDownloads ?? DEFAULT_MAX_DOWNLOADS,
      backoffMs: options.retryDelayMs,
    });
    const parts = { content, store, keeper, publisher, queries, blobs };
    this.#store = store;
    this.#keeper = keeper;
    this.#publisher = publisher;
    this.#queries = queries;
    this.#removal = new ImageRemoval({ ...parts, events, users, log });
    this.#puller = new Puller({ ...parts, downloader, http: this.#http, getRegistryConfig, log });
    this.#pusher = new Pusher({ ...parts, puller: this.#puller });
    this.#loader = new Loader(parts);
    this.#saver = new Saver(parts);
    this.#registries = new RegistryQueries({ http: this.#http, getRegistryConfig });
  }

  async start(): Promise<void> {
    await this.#keeper.load();
    await this.#store.load((chainId) => this.#keeper.find(chainId) !== undefined);
    await this.#keeper.sweep();
  }

  async resolve(
    ref: string,
    options: { readonly platform?: Platform | undefined } = {},
  ): Promise<Image> {
    return this.#queries.view(this.#queries.resolve(ref, options.platform));
  }

  async find(ref: string): Promise<Image | undefined> {
    const found = this.#queries.find(ref);
    return found === undefined ? undefined : this.#queries.view(found);
  }

  get(id: Digest): Image | undefined {
    const found = this.#store.find(id);
    return found === undefined ? undefined : this.#queries.view(found);
  }

  mountableChainId(id: Digest): ChainId | undefined {
    const chainId = this.#store.findAny(id)?.chainIds.at(-1);
    return chainId !== undefined && this.#keeper.find(chainId) !== undefined ? chainId : undefined;
  }

  all(): readonly Image[] {
    return [...this.#store.visible()].map((image) => this.#queries.view(image));
  }

  childrenOf(id: Digest): readonly Image[] {
    return this.#queries.childrenOf(id).map((image) => this.#queries.view(image));
  }

  async acquire(
    ref: string,
    options: { readonly platform?: Platform | undefined } = {},
  ): Promise<ImageLease & { readonly image: Image }> {
    // No pause between finding and protecting: a removal cannot come in between.
    const found = this.#queries.resolve(ref, options.platform);
    const lease = this.#keeper.lease();
    for (const chainId of found.chainIds) {
      lease.protect(chainId);
    }
    return { ...lease, image: this.#queries.view(found) };
  }

  lease(): ImageLease {
    return this.#keeper.lease();
  }

  async list(options: Parameters<ImageService['list']>[0]): Promise<ImageSummary[]> {
    return this.#queries.list(options);
  }

  async inspect(
    ref: string,
    options: Parameters<ImageService['inspect']>[1] = {},
  ): Promise<ImageInspect> {
    return await this.#queries.inspect(ref, options);
  }

  async history(
    ref: string,
    options: { readonly platform?: Platform | undefined } = {},
  ): Promise<ImageHistoryItem[]> {
    return this.#queries.history(ref, options.platform);
  }

  async tag(
    source: string,
    target: { readonly repo: string; readonly tag: string },
  ): Promise<void> {
    const repository = parseReference(target.repo);
    if (repository.digest !== undefined) {
      throw new InvalidParameterError('refusing to create a tag with a digest reference');
    }
    const reference =
      target.tag === '' ? withDefaultTag(repository) : withTag(repository, target.tag);
    if (reference.familiarName === 'sha256') {
      throw new InvalidParameterError(
        'refusing to create an ambiguous tag using digest algorithm as name',
      );
    }
    const image = await this.#store.change(() => {
      const found = this.#queries.resolve(source);
      const record = { ...found.record, lastTaggedAtMs: Date.now() };
      return {
        change: {
          records: [{ ...found, record }],
          setReferences: new Map([[reference.canonical, found.record.id]]),
        },
        result: found,
      };
    });
    this.#publisher.emit('tag', image.record.id, reference.familiar, image.config);
  }

  async remove(...args: Parameters<ImageService['remove']>): ReturnType<ImageService['remove']> {
    return await this.#removal.remove(...args);
  }

  async prune(
    filters: Parameters<ImageService['prune']>[0],
    options: { readonly signal?: AbortSignal } = {},
  ): ReturnType<ImageService['prune']> {
    return await this.#removal.prune(filters, options.signal);
  }

  async collect(): Promise<void> {
    await this.#keeper.collect();
  }

  async pull(ref: ImageReference, options: PullOptions): Promise<void> {
    await this.#puller.pull(options.hasAllTags === true ? ref : withDefaultTag(ref), options);
  }

  async push(ref: ImageReference, options: PullOptions): Promise<void> {
    await this.#pusher.push(options.hasAllTags === true ? ref : withDefaultTag(ref), options);
  }

  async load(...args: Parameters<ImageService['load']>): ReturnType<ImageService['load']> {
    return await this.#loader.load(...args);
  }

  async save(...args: Parameters<ImageService['save']>): ReturnType<ImageService['save']> {
    return await this.#saver.save(...args);
  }

  async importTar(
    tar: AsyncIterable<Uint8Array>,
    options: Parameters<ImageService['importTar']>[1],
  ): Promise<Digest> {
    const runConfig = applyConfigChanges({}, options.changes ?? []);
    const platform = options.platform ?? hostPlatform();
    if (platform.os !== 'linux') {
      throw new InvalidParameterError(`operating system is not supported: ${platform.os}`);
    }
    await using lease = this.#keeper.lease();
    const { diffId, blob } = await this.#importLayer(tar, lease, options.signal);
    const created = new Date().toISOString();
    const comment = options.message ?? '';
    const config: ImageConfig = {
      architecture: platform.architecture,
      os: platform.os,
      ...(platform.variant === undefined ? {} : { variant: platform.variant }),
      created,
      ...(comment === '' ? {} : { comment }),
      docker_version: this.#engineVersion,
      config: runConfig,
      rootfs: { type: 'layers', diff_ids: [diffId] },
      history: [{ created, ...(comment === '' ? {} : { comment }) }],
    };
    const { id } = await this.#publisher.publish({
      lease,
      configBytes: encodeImageConfig(config),
      layers: [{ diffId, blob }],
      references: options.reference === undefined ? [] : [withDefaultTag(options.reference)],
      isTagging: true,
    });
    if (options.reference !== undefined) {
      this.#publisher.emit('tag', id, withDefaultTag(options.reference).familiar, config);
    }
    this.#publisher.emit('import', id, id, config);
    return id;
  }

  /** Keeps the archive as it came as the layer's blob: only so can it be pushed exactly as it is. */
  async #importLayer(
    tar: AsyncIterable<Uint8Array>,
    lease: KeeperLease,
    signal: AbortSignal | undefined,
  ) {
    const { packing, chunks } = await peekPacking(tar);
    const isKept = packing === 'none' || packing === 'gzip' || packing === 'zstd';
    await using ingest = await this.#content.ingest(`import ${crypto.randomUUID()}`);
    try {
      for await (const chunk of isKept ? chunks : decompress(packing, chunks)) {
        signal?.throwIfAborted();
        await ingest.write(chunk);
      }
    } catch (error) {
      // Nobody can resume an import.
      await ingest.reset();
      throw error;
    }
    const digest = await ingest.commit({});
    lease.ownBlob(digest);
    const path = this.#content.pathOf(digest);
    const compression = await compressionOf(path);
    const layer = await lease.applyFile({
      path,
      compression,
      ...(signal === undefined ? {} : { signal }),
    });
    const types = { none: MEDIA.ociLayer, gzip: MEDIA.dockerLayerGzip, zstd: MEDIA.ociLayerZstd };
    const size = (await this.#content.find(digest))?.sizeBytes ?? 0;
    return { diffId: layer.diffId, blob: { mediaType: types[compression], digest, size } };
  }

  async createImage(request: CreateImageRequest): Promise<Image> {
    const chain = await this.#keeper.chainOf(request.chainId);
    const config: ImageConfig = {
      ...request.config,
      rootfs: { type: 'layers', diff_ids: chain.map((layer) => layer.diffId) },
    };
    await using lease = this.#keeper.lease();
    for (const layer of chain) {
      lease.protect(layer.chainId);
    }
    const references = (request.references ?? []).map(withDefaultTag);
    const { id } = await this.#publisher.publish({
      lease,
      configBytes: encodeImageConfig(config),
      layers: chain.map(({ diffId }) => {
        const blob = findBlob(this.#store, diffId);
        if (blob !== undefined) {
          lease.protectBlob(blob.digest);
        }
        return { diffId, blob };
      }),
      parent: request.parent,
      references,
      isTagging: true,
    });
    for (const reference of references) {
      this.#publisher.emit('tag', id, reference.familiar, config);
    }
    if (request.eventAction !== undefined) {
      this.#publisher.emit(request.eventAction, id, id, config);
    }
    return this.#queries.view(this.#store.get(id));
  }

  async distributionInspect(
    ref: ImageReference,
    options: Parameters<ImageService['distributionInspect']>[1] = {},
  ): Promise<DistributionInspect> {
    return await this.#puller.onEndpoints(ref, options, (repository) =>
      this.#registries.distributionInspect(repository, ref, options.signal),
    );
  }

  async checkAuth(
    auth: Parameters<ImageService['checkAuth']>[0],
    options: { readonly signal?: AbortSignal } = {},
  ): ReturnType<ImageService['checkAuth']> {
    return await this.#registries.checkAuth(auth, options.signal);
  }

  async search(
    term: string,
    options: Parameters<ImageService['search']>[1] = {},
  ): ReturnType<ImageService['search']> {
    return await this.#registries.search(term, options);
  }

  async usage(): Promise<ImageUsage> {
    const blobs = new Map<Digest, number>();
    for await (const blob of this.#content.list()) {
      blobs.set(blob.digest, blob.sizeBytes);
    }
    const contentBytes = sum(blobs.values());
    const used = new Set<Digest>();
    for (const user of this.#users()) {
      used.add(user.imageId);
      for (const id of user.mountedImageIds ?? []) {
        used.add(id);
      }
    }
    const images = [...this.#store.visible()];
    const active = images.filter((image) => used.has(image.record.id));
    const keptLayers = new Set(active.flatMap((image) => image.chainIds));
    const keptBlobs = new Set(
      active.flatMap(({ record }) => [
        record.id,
        ...record.manifests.map((manifest) => manifest.digest),
        ...record.layers.flatMap((layer) => layer.blob?.digest ?? []),
      ]),
    );
    const keptBytes =
      this.#keeper.sizeOf([...keptLayers]) +
      sum([...keptBlobs].map((digest) => blobs.get(digest) ?? 0));
    return {
      totalBytes: this.#keeper.totalBytes() + contentBytes,
      layersBytes: this.#keeper.totalBytes(),
      contentBytes,
      totalCount: images.length,
      activeCount: active.length,
      reclaimableBytes: Math.max(0, this.#keeper.totalBytes() + contentBytes - keptBytes),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http[Symbol.dispose]();
    await this.#content.sync();
    await this.#snapshots.sync();
  }
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) {
    total += number;
  }
  return total;
}
