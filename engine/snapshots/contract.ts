/**
 * Snapshots: the file trees that images and containers are made of.
 *
 * A *layer* is immutable and named by its chain id (OCI image spec, "Layer ChainID"). A *writable* is the top of one
 * container, named by the container's id. States of a layer: absent -> (applying) -> committed -> absent; nothing in
 * between is ever visible: a crash while applying leaves a temp folder that the next start removes. A layer with
 * children or writables cannot be removed. Layers are stored once, however many images share them.
 *
 * Concurrency: two `applyLayer` of the same chain id run once; the second waits. `mount` and `unmount` of a writable
 * are serialised by id. After a restart `mount` of a writable that is still mounted is a no-op that returns the path.
 */

/** `sha256:` + 64 hex digits. */
export type Digest = `sha256:${string}`;
/** Digest of an uncompressed layer tar. */
export type DiffId = Digest;
/** Digest naming a layer with all that is below it. */
export type ChainId = Digest;

/** One difference of a writable to its image, as GET /containers/{id}/changes has it. */
export interface Change {
  /** Absolute path in the container. */
  readonly path: string;
  /** 0 modified, 1 added, 2 deleted. */
  readonly kind: 0 | 1 | 2;
}

/** Facts of a committed layer. */
export interface LayerInfo {
  readonly chainId: ChainId;
  readonly parent: ChainId | undefined;
  readonly diffId: DiffId;
  /** Bytes of the files in this layer alone. */
  readonly sizeBytes: number;
}

/** A layer tar that lies in a file, usually a blob of the content store; it is read without passing through Node. */
export interface LayerFile {
  /** Absolute path; must stay in place until `applyLayer` settles. */
  readonly path: string;
  readonly compression: 'none' | 'gzip' | 'zstd';
  /** Called now and then with how many bytes of the file (as it is on disk) have been read. */
  readonly onProgress?: (readBytes: number) => void;
}

/** Input of {@link Snapshotter.applyLayer}. */
export interface ApplyLayerOptions {
  /** Undefined for the lowest layer. */
  readonly parent: ChainId | undefined;
  /** Uncompressed tar in chunks of any size, read to its end; or, much faster, a file that holds it. */
  readonly tar: AsyncIterable<Uint8Array> | LayerFile;
  /** When given, a tar with another digest is refused (InvalidParameterError) and nothing stays. */
  readonly expectedDiffId?: DiffId;
  readonly signal?: AbortSignal;
}

/** A mounted file tree. */
export interface MountedTree extends AsyncDisposable {
  /** Absolute host path of the root. */
  readonly path: string;
}

/** Storage driver. Implementations: overlay ("overlay2") and plain copy ("vfs"). */
export interface Snapshotter extends AsyncDisposable {
  /** Docker's name of the driver, for `info`. */
  readonly driver: 'overlay2' | 'vfs';
  /** `info`'s DriverStatus rows. */
  status(): Promise<readonly (readonly [string, string])[]>;

  /**
   * Applies a layer on its parent; returns at once when `expectedDiffId` is given and the resulting chain id is there
   * (the tar is then not read).
   * The layer is visible when this returns and survives a crash of the engine; it survives a power cut after {@link sync}
   * (before that a power cut takes it away whole, never in part). Call `sync` once per pull, before the image's record is written.
   */
  applyLayer(options: ApplyLayerOptions): Promise<LayerInfo>;
  /** Makes a committed layer from a writable's changes (commit, build). The writable stays. */
  commitWritable(id: string, options?: { signal?: AbortSignal }): Promise<LayerInfo>;
  /** Everything applied and committed so far survives a power cut once this returns. */
  sync(): Promise<void>;
  findLayer(chainId: ChainId): Promise<LayerInfo | undefined>;
  listLayers(): Promise<readonly LayerInfo[]>;
  /** @throws ConflictError  it has children or writables; a missing layer is no error */
  removeLayer(chainId: ChainId): Promise<void>;
  /** The layer's own changes as a tar whose digest is its diff id where the store can reproduce it bit by bit. */
  layerTar(chainId: ChainId, options?: { signal?: AbortSignal }): AsyncIterable<Uint8Array>;
  /** Read-only view of a layer with all below it, for copying files out of images. */
  mountLayer(chainId: ChainId): Promise<MountedTree>;

  /** Makes the top of a container; `parent` undefined means an empty root. Durable when it returns. */
  createWritable(id: string, parent: ChainId | undefined): Promise<void>;
  /** Mounts and returns the root path. Idempotent. */
  mount(id: string): Promise<string>;
  /** Idempotent. */
  unmount(id: string): Promise<void>;
  /** Unmounts and removes; a missing one is no error. */
  removeWritable(id: string): Promise<void>;
  listWritables(): Promise<readonly string[]>;
  /** Bytes written by the container itself (SizeRw). */
  writableSize(id: string): Promise<number>;
  /** Sorted by path. */
  changes(id: string): Promise<readonly Change[]>;
  /** Facts for the container inspect's GraphDriver. */
  graphData(id: string): Promise<Readonly<Record<string, string>>>;
  /** Facts for the image inspect's GraphDriver; a driver without this has none. */
  layerData?(chainId: ChainId): Promise<Readonly<Record<string, string>>>;
}

/** Tar work inside a file tree, through `gantry-layer` (chrooted, so that no link leads to the host). */
export interface LayerTool {
  /**
   * Tar of `path` below `root` (docker cp out, export). Member names begin with `name`, by default the last
   * component of `path`; '.' gives "./" and "./x", '/' gives "/" and "/x", '' gives bare names without an entry for the directory itself
   * (export).
   * Symlinks in the middle of `path` resolve inside `root`; one at its end is followed only before a trailing slash or "/.".
   *
   * @throws NotFoundError  when `path` is missing, before the first chunk
   */
  readTree(options: {
    readonly root: string;
    readonly path: string;
    readonly name?: string;
    readonly signal?: AbortSignal;
  }): AsyncIterable<Uint8Array>;
  /** Facts of one path inside `root` (HEAD archive); undefined when missing. */
  statPath(options: {
    readonly root: string;
    readonly path: string;
  }): Promise<PathStat | undefined>;
  /**
   * Unpacks an ordinary tar into the directory `path` below `root` (docker cp in, ADD, import): no whiteouts.
   * `owner` overrides every member's uid and gid, numeric. Names are read as inside a chroot: leading slashes and ".."
   * of the root mean the root.
   *
   * @throws NotFoundError  `path` is missing
   * @throws InvalidParameterError  `path` is no directory; the tar is malformed or tries to leave `root`
   */
  writeTree(options: {
    readonly root: string;
    readonly path: string;
    readonly tar: AsyncIterable<Uint8Array>;
    readonly owner?: { readonly uid: number; readonly gid: number };
    /** Overrides every member's permission bits, links excepted. */
    readonly mode?: number;
    /** Refuse replacing a directory by a file and the other way round. */
    readonly noOverwriteDirNonDir?: boolean;
    readonly signal?: AbortSignal;
  }): Promise<void>;
}

/** What HEAD /containers/{id}/archive tells. */
export interface PathStat {
  readonly name: string;
  readonly sizeBytes: number;
  /** Go's os.FileMode bits: permission plus type bits (dir 1<<31, symlink 1<<27, ...). */
  readonly goMode: number;
  readonly modifiedAtNs: bigint;
  /** For a symlink its target resolved inside the root, absolute; else ''. */
  readonly linkTarget: string;
  readonly isDirectory: boolean;
}
