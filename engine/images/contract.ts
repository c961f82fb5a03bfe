/**
 * Images: named, immutable file trees with the settings that containers start from.
 *
 * Vocabulary: an image's *id* is the digest of its config blob. A *reference* is a name with a tag or a digest that
 * points at one id; ids without any tag are *dangling*. A *record* is what the engine keeps for one id: layers, the
 * manifest it came with, parent (classic build and commit only), time of the last tag. Blobs (config, manifest,
 * compressed layers as pulled) live in the content store, unpacked layers in the snapshotter.
 *
 * States of an image: absent -> (pulling, loading, committing) -> present -> absent. A record becomes visible only when
 * all its layers are applied, every digest was right and everything is durable. A crash in between leaves layers and
 * blobs that the next start sweeps, and partial downloads that the next pull resumes.
 *
 * Worked flow of a container create: `await using lease = await images.acquire(ref)`, `createWritable(id,
 * lease.image.chainId)`, write the container record, dispose the lease. Worked flow of commit and build: `await using
 * lease = images.lease()`, `const layer = await lease.commitWritable(id)`, `images.createImage({lease, ...})`.
 *
 * Concurrency: any number of callers; two pulls of one layer download it once; removal never takes a layer that a lease
 * protects (it goes when the lease ends and nothing else refers to it) nor one under a container's writable.
 *
 * Events published (type `image`): pull, push, tag, untag, delete, import, load, save, create, prune.
 *
 * On disk below `images/`: `records/<id hex>.json`, `references.json`, both replaced atomically.
 */
import type { ChainId, DiffId, Digest, LayerInfo } from '../snapshots/contract.ts';
import type { ImageReference } from './reference.ts';

export { applyConfigChanges } from './config-changes.ts';
export { formatPlatform, hostPlatform, type Platform, parsePlatform } from './platform.ts';
export {
  familiarMatch,
  type ImageReference,
  parseAnyReference,
  parseReference,
  withDefaultTag,
  withDigest,
  withTag,
} from './reference.ts';
export {
  decodeRegistryAuth,
  decodeRegistryAuthMap,
  type RegistryAuth,
} from './registry-auth.ts';

import type { Platform } from './platform.ts';
import type { RegistryAuth } from './registry-auth.ts';

/** Probe of a container's health; times in nanoseconds, 0 or absent = inherit. */
export interface HealthConfig {
  readonly Test?: readonly string[] | undefined;
  readonly Interval?: number | undefined;
  readonly Timeout?: number | undefined;
  readonly StartPeriod?: number | undefined;
  readonly StartInterval?: number | undefined;
  readonly Retries?: number | undefined;
}

/** Settings that containers of the image inherit, in wire names. Absent and null are both absent here. */
export interface RunConfig {
  readonly Hostname?: string | undefined;
  readonly Domainname?: string | undefined;
  readonly User?: string | undefined;
  readonly ExposedPorts?: Readonly<Record<string, object>> | undefined;
  readonly Env?: readonly string[] | undefined;
  readonly Cmd?: readonly string[] | undefined;
  readonly Entrypoint?: readonly string[] | undefined;
  readonly Volumes?: Readonly<Record<string, object>> | undefined;
  readonly WorkingDir?: string | undefined;
  readonly Labels?: Readonly<Record<string, string>> | undefined;
  readonly StopSignal?: string | undefined;
  /** Seconds. */
  readonly StopTimeout?: number | undefined;
  readonly Healthcheck?: HealthConfig | undefined;
  readonly Shell?: readonly string[] | undefined;
  readonly OnBuild?: readonly string[] | undefined;
  readonly ArgsEscaped?: boolean | undefined;
}

/** One step of an image's making. */
export interface HistoryEntry {
  /** RFC 3339. */
  readonly created?: string | undefined;
  readonly created_by?: string | undefined;
  readonly author?: string | undefined;
  readonly comment?: string | undefined;
  /** True for a step that made no layer. */
  readonly empty_layer?: boolean | undefined;
}

/** The decoded config blob (OCI image spec, "Image Configuration", with Docker's additions). */
export interface ImageConfig {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string | undefined;
  readonly 'os.version'?: string | undefined;
  /** RFC 3339. */
  readonly created?: string | undefined;
  readonly author?: string | undefined;
  readonly comment?: string | undefined;
  readonly docker_version?: string | undefined;
  readonly container?: string | undefined;
  readonly config: RunConfig;
  readonly container_config?: RunConfig | undefined;
  readonly rootfs: { readonly type: string; readonly diff_ids: readonly DiffId[] };
  readonly history: readonly HistoryEntry[];
}

/** OCI descriptor of a blob. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly urls?: readonly string[] | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly platform?: PlatformWire | undefined;
}

/** OCI platform in wire form. */
export interface PlatformWire {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string | undefined;
  readonly 'os.version'?: string | undefined;
  readonly 'os.features'?: readonly string[] | undefined;
}

/** One layer of an image, lowest first. */
export interface ImageLayer {
  readonly diffId: DiffId;
  readonly chainId: ChainId;
  /** The compressed blob as pulled or loaded; absent for layers made here and not yet pushed or saved. */
  readonly blob?: Descriptor | undefined;
}

/** A present image. */
export interface Image {
  /** Digest of the config blob. */
  readonly id: Digest;
  readonly config: ImageConfig;
  readonly platform: Platform;
  /** Top layer; undefined for an image without layers (FROM scratch). */
  readonly chainId: ChainId | undefined;
  readonly layers: readonly ImageLayer[];
  /** Sum of the unpacked sizes of all layers. */
  readonly sizeBytes: number;
  /** Milliseconds since the epoch; undefined when the config says nothing. */
  readonly createdAtMs: number | undefined;
  /** Familiar `name:tag`, sorted. */
  readonly references: readonly string[];
  /** Familiar `name@sha256:...`, sorted. */
  readonly repoDigests: readonly string[];
  readonly parent: Digest | undefined;
  /** The manifest it was pulled or loaded with, or pushed as; undefined for one made here. */
  readonly descriptor: Descriptor | undefined;
  /** Milliseconds since the epoch; undefined when never tagged here. */
  readonly lastTaggedAtMs: number | undefined;
}

/** A container as far as images are concerned. */
export interface ImageUser {
  readonly containerId: string;
  readonly imageId: Digest;
  readonly isRunning: boolean;
  /** Ids of images mounted with `--mount type=image`. */
  readonly mountedImageIds?: readonly Digest[] | undefined;
}

/** All containers with their images; handed in by the daemon, asked at the time of each decision. */
export type ImageUsers = () => Iterable<ImageUser>;

/** Docker's filters: name -> values. */
export type ImageFilters = ReadonlyMap<string, readonly string[]>;

/** One line of a pull, push, load or build answer in Docker's wire form. Lines for one id come at most every 100 ms. */
export interface ProgressMessage {
  readonly status?: string | undefined;
  readonly id?: string | undefined;
  readonly stream?: string | undefined;
  readonly progressDetail?:
    | {
        readonly current?: number | undefined;
        readonly total?: number | undefined;
        readonly start?: number | undefined;
        readonly units?: string | undefined;
        readonly hidecounts?: boolean | undefined;
      }
    | undefined;
  /** The bar, drawn for old clients. */
  readonly progress?: string | undefined;
  readonly aux?: unknown;
}

/** Receives progress; must not throw and is never awaited. */
export type ProgressSink = (message: ProgressMessage) => void;

/** Docker's ImageSummary. */
export interface ImageSummary {
  Id: string;
  ParentId: string;
  RepoTags: string[];
  RepoDigests: string[];
  /** Seconds since the epoch. */
  Created: number;
  /** Bytes on disk, packed and unpacked together: what a removal frees but for what is shared. */
  Size: number;
  /** The part of `Size` that other images use too; -1 unless asked for. */
  SharedSize: number;
  Labels: Record<string, string> | null;
  /** Number of containers. */
  Containers: number;
  Descriptor?: Descriptor;
  Manifests?: ManifestSummary[];
}

/** Docker's ManifestSummary. */
export interface ManifestSummary {
  ID: string;
  Descriptor: Descriptor;
  Available: boolean;
  Kind: 'image' | 'attestation' | 'unknown';
  Size: { Content: number; Total: number };
  ImageData?: { Platform: PlatformWire; Size: { Unpacked: number }; Containers: string[] };
}

/**
 * Docker's image inspect; the route drops what the API version does not have. `Config` holds only members with a value:
 * before API 1.50 the route adds the empty ones. `Descriptor` and `Manifests` are there only when asked for, as with
 * Docker's layer stores.
 */
export interface ImageInspect {
  Id: string;
  RepoTags: string[];
  RepoDigests: string[];
  Parent: string;
  Comment: string;
  Created?: string;
  DockerVersion: string;
  Author: string;
  Config: Record<string, unknown>;
  Architecture: string;
  Variant?: string;
  Os: string;
  OsVersion?: string;
  Size: number;
  GraphDriver: { Name: string; Data: Record<string, string> | null };
  RootFS: { Type: string; Layers?: string[] };
  Metadata: { LastTagTime: string };
  Descriptor?: Descriptor;
  Manifests?: ManifestSummary[];
}

/** Docker's HistoryResponseItem. */
export interface ImageHistoryItem {
  Id: string;
  Created: number;
  CreatedBy: string;
  Tags: string[] | null;
  Size: number;
  Comment: string;
}

/** One line of a removal. */
export interface ImageDeleteItem {
  Untagged?: string;
  Deleted?: string;
}

/** Docker's DistributionInspect. */
export interface DistributionInspect {
  Descriptor: Descriptor;
  Platforms: PlatformWire[];
}

/** Docker's search result. */
export interface SearchResult {
  name: string;
  description: string;
  is_official: boolean;
  is_automated: boolean;
  star_count: number;
}

/** Answer of POST /auth. */
export interface AuthCheckResult {
  Status: string;
  IdentityToken: string;
}

/** Keeps layers from being removed. Dispose when the record that refers to them is durable. */
export interface ImageLease extends AsyncDisposable {
  /** Keeps this layer with all below it; a no-op when it is not there. */
  protect(chainId: ChainId): void;
  /** Like `Snapshotter.commitWritable`, with the result protected. */
  commitWritable(id: string, options?: { readonly signal?: AbortSignal }): Promise<LayerInfo>;
  /** An uncompressed layer tar on `parent`, protected. */
  applyLayer(options: {
    readonly parent: ChainId | undefined;
    readonly tar: AsyncIterable<Uint8Array>;
    readonly signal?: AbortSignal;
  }): Promise<LayerInfo>;
}

/** Input of {@link ImageService.createImage}. */
export interface CreateImageRequest {
  /** Holds `chainId`. */
  readonly lease: ImageLease;
  /** Top layer; undefined for none. Its whole chain is looked up. */
  readonly chainId: ChainId | undefined;
  /** Complete: one history entry without `empty_layer` per layer, or none. `rootfs` is filled in here. */
  readonly config: Omit<ImageConfig, 'rootfs'>;
  readonly parent?: Digest | undefined;
  /** References that point at it once it is there. */
  readonly references?: readonly ImageReference[] | undefined;
  /** `commit`, `build`... published as image event when given. */
  readonly eventAction?: string | undefined;
}

/** Numbers for system/df. All sizes are bytes on disk, shared things counted once. */
export interface ImageUsage {
  /** All of it: layers and blobs. Docker's LayersSize. */
  readonly totalBytes: number;
  /** Unpacked layers. */
  readonly layersBytes: number;
  /** Blobs in the content store. */
  readonly contentBytes: number;
  readonly totalCount: number;
  /** Images with at least one container. */
  readonly activeCount: number;
  /** What removing every image without a container would free. */
  readonly reclaimableBytes: number;
}

/** Options of {@link ImageService.pull}. */
export interface PullOptions {
  readonly platform?: Platform | undefined;
  readonly auth?: RegistryAuth | undefined;
  /** Every tag of the repository; the reference must then have neither tag nor digest. */
  readonly hasAllTags?: boolean | undefined;
  readonly onProgress?: ProgressSink | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** All images of one engine. */
export interface ImageService extends AsyncDisposable {
  /** Loads records, drops half-done work and unreferenced layers and blobs. Before anything else; needs no containers. */
  start(): Promise<void>;

  /**
   * By name, `name@digest`, full id or unambiguous id prefix.
   *
   * @throws NotFoundError  "No such image: X:latest"; with `platform`, when the image is for another one
   * @throws InvalidParameterError  "invalid reference format"
   */
  resolve(ref: string, options?: { readonly platform?: Platform | undefined }): Promise<Image>;
  /** Like `resolve`, undefined when absent. */
  find(ref: string): Promise<Image | undefined>;
  /** By exact id; undefined when absent. */
  get(id: Digest): Image | undefined;
  /** Top layer of an image, also of one that was removed by force while a container has it mounted. */
  mountableChainId(id: Digest): ChainId | undefined;
  /** Every image, intermediate ones included, unordered. */
  all(): readonly Image[];
  /** Images whose parent is `id` (classic build cache). */
  childrenOf(id: Digest): readonly Image[];

  /** Resolves and protects the layers until the lease is disposed. @throws as `resolve` */
  acquire(
    ref: string,
    options?: { readonly platform?: Platform | undefined },
  ): Promise<ImageLease & { readonly image: Image }>;
  /** A lease that protects nothing yet. */
  lease(): ImageLease;

  /** GET /images/json. @throws InvalidParameterError  unknown filter or bad value */
  list(options: {
    readonly filters: ImageFilters;
    readonly hasIntermediate?: boolean;
    readonly hasSharedSize?: boolean;
    readonly hasManifests?: boolean;
  }): Promise<ImageSummary[]>;
  /** GET /images/{name}/json. */
  inspect(
    ref: string,
    options?: { readonly platform?: Platform | undefined; readonly hasManifests?: boolean },
  ): Promise<ImageInspect>;
  /** GET /images/{name}/history, newest first. */
  history(
    ref: string,
    options?: { readonly platform?: Platform | undefined },
  ): Promise<ImageHistoryItem[]>;
  /** POST /images/{name}/tag. @throws NotFoundError, InvalidParameterError */
  tag(source: string, target: { readonly repo: string; readonly tag: string }): Promise<void>;
  /** DELETE /images/{name}. @throws NotFoundError; ConflictError with Docker's texts */
  remove(
    ref: string,
    options: {
      readonly isForced: boolean;
      /** False is `noprune`: untagged parents stay. */
      readonly hasPrune: boolean;
      readonly platform?: Platform | undefined;
    },
  ): Promise<ImageDeleteItem[]>;
  /** POST /images/prune. Filters: dangling (default true), label, label!, until. @throws ConflictError  one is running */
  prune(
    filters: ImageFilters,
    options?: { readonly signal?: AbortSignal },
  ): Promise<{ readonly deleted: ImageDeleteItem[]; readonly reclaimedBytes: number }>;

  /**
   * Removes layers of images that were removed while containers or leases still held them. To be called after a
   * container's removal; cheap when there is nothing to do.
   */
  collect(): Promise<void>;

  /**
   * POST /images/create?fromImage. `ref` as given: a missing tag means latest.
   * Errors before the first progress line may be answered with a status.
   *
   * @throws NotFoundError  "manifest for X not found: ...", "pull access denied for X, ..."
   */
  pull(ref: ImageReference, options: PullOptions): Promise<void>;
  /** POST /images/{name}/push. Without a tag every tag of the repository (`hasAllTags`) or latest. */
  push(
    ref: ImageReference,
    options: Omit<PullOptions, 'platform'> & { readonly platform?: Platform | undefined },
  ): Promise<void>;
  /** POST /images/load: docker-archive or OCI layout, plain or compressed. Progress ends with "Loaded image: X". */
  load(
    tar: AsyncIterable<Uint8Array>,
    options: {
      readonly onProgress?: ProgressSink | undefined;
      readonly isQuiet?: boolean | undefined;
      readonly platform?: Platform | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<readonly Digest[]>;
  /**
   * GET /images/get. All names are resolved before the first chunk: errors come from the promise.
   * The archive holds OCI layout and manifest.json.
   */
  save(
    refs: readonly string[],
    options?: { readonly platform?: Platform | undefined; readonly signal?: AbortSignal },
  ): Promise<AsyncIterable<Uint8Array>>;
  /** POST /images/create?fromSrc=-: a root file system tar, plain or compressed, becomes an image. */
  importTar(
    tar: AsyncIterable<Uint8Array>,
    options: {
      readonly reference?: ImageReference | undefined;
      /** Dockerfile instructions. */
      readonly changes?: readonly string[] | undefined;
      readonly message?: string | undefined;
      readonly platform?: Platform | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<Digest>;
  /** Makes an image from layers that are already there (commit, build). Durable when it returns. */
  createImage(request: CreateImageRequest): Promise<Image>;

  /** GET /distribution/{name}/json. */
  distributionInspect(
    ref: ImageReference,
    options?: { readonly auth?: RegistryAuth | undefined; readonly signal?: AbortSignal },
  ): Promise<DistributionInspect>;
  /** POST /auth. @throws UnauthorizedError */
  checkAuth(
    auth: RegistryAuth,
    options?: { readonly signal?: AbortSignal },
  ): Promise<AuthCheckResult>;
  /** GET /images/search. @throws NotImplementedError  the registry has no search */
  search(
    term: string,
    options?: {
      readonly limit?: number | undefined;
      readonly filters?: ImageFilters | undefined;
      readonly auth?: RegistryAuth | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<SearchResult[]>;

  /** Numbers for system/df. */
  usage(): Promise<ImageUsage>;
}
