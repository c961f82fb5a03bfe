/**
 * Volumes: folders that outlive containers. Driver `local`, with `type`/`o`/`device` options (tmpfs, nfs, bind).
 *
 * A volume is a record plus `volumes/<name>/_data`. Who uses it is derived from the container records by the caller and
 * handed in; removal of a used volume is refused. With mount options the folder is mounted on first use and unmounted
 * with the last user.
 */

/** Docker's Volume resource in wire form. */
export interface VolumeResource {
  Name: string;
  Driver: string;
  Mountpoint: string;
  CreatedAt: string;
  Labels: Record<string, string> | null;
  Scope: 'local';
  Options: Record<string, string> | null;
  UsageData?: { Size: number; RefCount: number };
}

/** Body of POST /volumes/create, already decoded. */
export interface VolumeCreateRequest {
  readonly Name?: string | undefined;
  readonly Driver?: string | undefined;
  readonly DriverOpts?: Readonly<Record<string, string>> | null | undefined;
  readonly Labels?: Readonly<Record<string, string>> | null | undefined;
}

/** Volume names with the ids of the containers that use them (running or not). */
export type VolumeUsers = () => ReadonlyMap<string, ReadonlySet<string>>;

/** All volumes of one engine. Publishes `volume` events (create, mount, unmount, destroy, prune). */
export interface VolumeService {
  /** Loads records and sweeps leftovers. */
  start(): Promise<void>;
  /** Returns the existing one of the same name and driver. Anonymous ones get a 64-hex name and the anonymous label. */
  create(request: VolumeCreateRequest): Promise<VolumeResource>;
  list(): readonly VolumeResource[];
  /** @throws NotFoundError "get NAME: no such volume" */
  inspect(name: string): VolumeResource;
  find(name: string): VolumeResource | undefined;
  isAnonymous(name: string): boolean;
  /** @throws ConflictError "remove NAME: volume is in use - [ids]" */
  remove(name: string, options: { readonly isForced: boolean }): Promise<void>;
  prune(
    select: (volume: VolumeResource) => boolean,
  ): Promise<{ readonly deleted: readonly string[]; readonly reclaimedBytes: number }>;
  /** Host path to bind into the container; mounts option volumes. Counted by container id until `release`. */
  acquire(name: string, containerId: string): Promise<string>;
  release(name: string, containerId: string): Promise<void>;
  /** True when the data folder is still empty, so that an image's content may fill it. */
  isEmpty(name: string): Promise<boolean>;
  /** Bytes of the data folder. */
  sizeOf(name: string): Promise<number>;
}
