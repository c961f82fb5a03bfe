/**
 * Containers: everything that GET, POST, PUT and DELETE /containers and /exec do.
 *
 * States: created -> running <-> paused; running -> restarting -> running; running -> exited -> running; any state but
 * running -> removing -> gone; `dead` when a removal failed half way. A container is a durable record
 * (`containers/<id>/container.json`), a writable snapshot of the same id and, while it runs, a shim that outlives the
 * engine. Operations of one container are serialised; those of different ones run side by side.
 *
 * `ref` is everywhere a full id, a name (with or without slash) or an unambiguous id prefix.
 * Every method with `ref` throws NotFoundError "No such container: REF" and InvalidParameterError for an ambiguous
 * prefix. "Before the first byte" below means: the promise rejects; once it has resolved the route may send headers.
 *
 * Worked flow of `docker run`: `create` -> `attach` (waits for the start) -> `wait` (registered at once) -> `start` ->
 * output flows -> the process ends -> record says exited -> `die` event -> auto remove -> `wait` settles.
 *
 * Crash rules: a creation is visible only when its record is durable; a removal that was begun is finished by the next
 * `restore`; exits that happened while no engine ran are read from the shim's exit record.
 */
import type { ContainerConfig, HostConfig } from '../api/types/container.ts';
import type { ImageUser } from '../images/contract.ts';
import type { LogEntry } from '../logs/contract.ts';
import type { EndpointSettings } from '../network/contract.ts';
import type { Change } from '../snapshots/contract.ts';

/** Docker's state words. */
export type ContainerStatus =
  | 'created'
  | 'running'
  | 'paused'
  | 'restarting'
  | 'removing'
  | 'exited'
  | 'dead';

/** Filters as the API has them after decoding: key -> values (label `k=v`, `id`, `name`, ...). */
export type Filters = ReadonlyMap<string, readonly string[]>;

/** Body and query of POST /containers/create. Fields that an API version does not have are cleared by the route. */
export interface CreateContainerRequest {
  /** As given by the client; undefined or '' makes one up. */
  readonly name: string | undefined;
  /** `os/arch[/variant]`, undefined for the machine's own. */
  readonly platform: string | undefined;
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  /** network name or id -> requested settings. */
  readonly endpoints: ReadonlyMap<string, EndpointSettings>;
  /** Read-only binds of `-v` reach only the top of what they bind, as before API 1.44. Default false. */
  readonly isReadOnlyNonRecursive?: boolean;
  readonly signal?: AbortSignal;
}

/** Answer of POST /containers/create. */
export interface CreatedContainer {
  readonly id: string;
  readonly warnings: readonly string[];
}

/** One published or exposed port in a summary. */
export interface PortSummary {
  IP?: string;
  PrivatePort: number;
  PublicPort?: number;
  Type: string;
}

/** A mount in wire form: one row of `Mounts` in inspect and list. */
export interface MountPoint {
  Type: 'bind' | 'volume' | 'tmpfs' | 'image';
  Name?: string;
  Source: string;
  Destination: string;
  Driver?: string;
  Mode: string;
  RW: boolean;
  Propagation: string;
}

/** One row of GET /containers/json, API 1.51. */
export interface ContainerSummary {
  Id: string;
  Names: string[];
  Image: string;
  ImageID: string;
  ImageManifestDescriptor?: Record<string, unknown>;
  Command: string;
  /** Seconds since the epoch. */
  Created: number;
  Ports: PortSummary[];
  SizeRw?: number;
  SizeRootFs?: number;
  Labels: Record<string, string>;
  State: ContainerStatus;
  /** Such as `Up 2 minutes (healthy)`. */
  Status: string;
  HostConfig: { NetworkMode: string; Annotations?: Record<string, string> };
  NetworkSettings: { Networks: Record<string, EndpointSettings> };
  Mounts: MountPoint[];
}

/** One probe's outcome. */
export interface HealthcheckResult {
  Start: string;
  End: string;
  ExitCode: number;
  Output: string;
}

/** Health of a container with a healthcheck. */
export interface HealthState {
  Status: 'none' | 'starting' | 'healthy' | 'unhealthy';
  FailingStreak: number;
  /** The last five. */
  Log: HealthcheckResult[];
}

/** `State` of inspect. Times are RFC 3339 with nanoseconds, `0001-01-01T00:00:00Z` for never. */
export interface ContainerState {
  Status: ContainerStatus;
  Running: boolean;
  Paused: boolean;
  Restarting: boolean;
  OOMKilled: boolean;
  Dead: boolean;
  Pid: number;
  ExitCode: number;
  Error: string;
  StartedAt: string;
  FinishedAt: string;
  Health?: HealthState;
}

/** `NetworkSettings` of inspect, with the old top-level fields of the default bridge. */
export interface ContainerNetworkSettings {
  Bridge: string;
  SandboxID: string;
  SandboxKey: string;
  Ports: Record<string, { HostIp: string; HostPort: string }[] | null>;
  HairpinMode: boolean;
  LinkLocalIPv6Address: string;
  LinkLocalIPv6PrefixLen: number;
  SecondaryIPAddresses: null;
  SecondaryIPv6Addresses: null;
  EndpointID: string;
  Gateway: string;
  GlobalIPv6Address: string;
  GlobalIPv6PrefixLen: number;
  IPAddress: string;
  IPPrefixLen: number;
  IPv6Gateway: string;
  MacAddress: string;
  Networks: Record<string, EndpointSettings>;
}

/** Answer of GET /containers/{id}/json, API 1.51. */
export interface ContainerInspect {
  Id: string;
  Created: string;
  Path: string;
  Args: string[];
  State: ContainerState;
  Image: string;
  ImageManifestDescriptor?: Record<string, unknown>;
  ResolvConfPath: string;
  HostnamePath: string;
  HostsPath: string;
  LogPath: string;
  /** With the leading slash. */
  Name: string;
  RestartCount: number;
  Driver: string;
  Platform: string;
  MountLabel: string;
  ProcessLabel: string;
  AppArmorProfile: string;
  ExecIDs: string[] | null;
  HostConfig: HostConfig;
  GraphDriver: { Name: string; Data: Record<string, string> | null };
  SizeRw?: number;
  SizeRootFs?: number;
  Mounts: MountPoint[];
  Config: ContainerConfig;
  NetworkSettings: ContainerNetworkSettings;
}

/** What `list` picks. */
export interface ListOptions {
  /** False: running ones only (unless a status filter or `limit` says otherwise). */
  readonly isAll: boolean;
  /** Newest so many, whatever their state; undefined or <= 0: all. */
  readonly limit?: number | undefined;
  readonly withSizes: boolean;
  readonly filters: Filters;
  /** The pre-1.25 parameters. */
  readonly since?: string | undefined;
  readonly before?: string | undefined;
}

/** Conditions of POST /containers/{id}/wait. */
export type WaitCondition = 'not-running' | 'next-exit' | 'removed';

/** How a wait ended. */
export interface WaitResult {
  readonly statusCode: number;
  /** Set when the container could not be started or its removal failed. */
  readonly error: string | undefined;
}

/** Options of {@link ContainerService.remove}. */
export interface RemoveOptions {
  readonly isForced: boolean;
  /** Also the anonymous volumes that nobody else uses. */
  readonly withVolumes: boolean;
  /** `ref` is `/parent/alias`: only that link goes. */
  readonly isLink: boolean;
}

/** A piece of output. `data` is never split by lines; any size. */
export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Uint8Array;
}

/**
 * One client's duplex connection to a container's or exec's streams. Disposing detaches: it never stops the process.
 * Slow readers: the process is never held up; a container reader is continued from the log, an exec reader is waited for
 * by the shim's window. With a terminal all output is 'stdout' and goes to the client unframed.
 */
export interface StreamSession extends AsyncDisposable {
  readonly hasTty: boolean;
  /** Ends when the process ended and all output is delivered, when the client detached by its keys, or on disposal. */
  readonly output: AsyncIterable<OutputChunk>;
  /** Resolves when there is room for more. Input after the end is dropped. */
  write(data: Uint8Array): Promise<void>;
  /** End of the client's input. */
  closeInput(): Promise<void>;
}

/** Options of {@link ContainerService.attach}. */
export interface AttachOptions {
  /** Replay the log first. */
  readonly wantsLogs: boolean;
  /** Then the live streams; a container that does not run yet is waited for. */
  readonly wantsStream: boolean;
  readonly wantsStdin: boolean;
  readonly wantsStdout: boolean;
  readonly wantsStderr: boolean;
  /** `ctrl-p,ctrl-q` form; undefined or '': the default. @throws InvalidParameterError  an unknown key */
  readonly detachKeys: string | undefined;
  readonly signal?: AbortSignal;
}

/** Options of {@link ContainerService.logs}. */
export interface LogsOptions {
  readonly wantsStdout: boolean;
  readonly wantsStderr: boolean;
  readonly isFollowing: boolean;
  readonly tail: number | 'all';
  readonly sinceNs?: bigint | undefined;
  readonly untilNs?: bigint | undefined;
  readonly signal?: AbortSignal;
}

/** A container's log: batches of entries; framing and time stamps are the route's work. */
export interface ContainerLogs {
  readonly hasTty: boolean;
  readonly batches: AsyncIterable<readonly LogEntry[]>;
}

/** Answer of GET /containers/{id}/top. */
export interface TopResult {
  Titles: string[];
  Processes: string[][];
}

/** Body of POST /containers/{id}/update: only what is to change. */
export interface UpdateRequest {
  /** HostConfig fields of Docker's UpdateConfig (Resources and RestartPolicy). */
  readonly changes: Partial<HostConfig>;
}

/** Body of POST /containers/{id}/exec, decoded. */
export interface ExecCreateRequest {
  readonly cmd: readonly string[];
  readonly env: readonly string[];
  readonly user: string;
  readonly workingDir: string;
  readonly hasTty: boolean;
  readonly isPrivileged: boolean;
  readonly attachStdin: boolean;
  readonly attachStdout: boolean;
  readonly attachStderr: boolean;
  readonly detachKeys: string;
  /** Rows and columns. */
  readonly consoleSize: readonly [number, number] | undefined;
}

/** Body of POST /exec/{id}/start. */
export interface ExecStartOptions {
  readonly isDetached: boolean;
  readonly consoleSize: readonly [number, number] | undefined;
  readonly signal?: AbortSignal;
}

/** Answer of GET /exec/{id}/json. */
export interface ExecInspect {
  ID: string;
  Running: boolean;
  ExitCode: number | null;
  ProcessConfig: {
    tty: boolean;
    entrypoint: string;
    arguments: string[];
    privileged: boolean;
    user?: string;
  };
  OpenStdin: boolean;
  OpenStderr: boolean;
  OpenStdout: boolean;
  CanRemove: boolean;
  ContainerID: string;
  DetachKeys: string;
  Pid: number;
}

/** One sample of GET /containers/{id}/stats in wire form. */
export interface StatsSample {
  name: string;
  id: string;
  read: string;
  preread: string;
  os_type: 'linux';
  num_procs: number;
  storage_stats: Record<string, never>;
  cpu_stats: CpuStats;
  precpu_stats: CpuStats;
  memory_stats: Record<string, unknown>;
  pids_stats: { current?: number; limit?: number };
  blkio_stats: Record<string, unknown>;
  networks?: Record<string, Record<string, number>>;
}

/** Docker's CPU counters; nanoseconds. */
export interface CpuStats {
  cpu_usage: {
    total_usage: number;
    percpu_usage?: number[];
    usage_in_kernelmode: number;
    usage_in_usermode: number;
  };
  system_cpu_usage?: number;
  online_cpus?: number;
  throttling_data: { periods: number; throttled_periods: number; throttled_time: number };
}

/** The JSON behind `X-Docker-Container-Path-Stat` (base64 there). */
export interface ContainerPathStat {
  name: string;
  size: number;
  /** Go's os.FileMode bits. */
  mode: number;
  /** RFC 3339 with nanoseconds. */
  mtime: string;
  linkTarget: string;
}

/** Query and body of POST /commit. */
export interface CommitRequest {
  /** `NAME[:TAG]`; undefined: an image without a name. */
  readonly repo: string | undefined;
  readonly tag: string | undefined;
  readonly comment: string;
  readonly author: string;
  /** Freeze the container meanwhile. */
  readonly pauses: boolean;
  /** Dockerfile instructions. */
  readonly changes: readonly string[];
  /** Overrides of the container's configuration. */
  readonly config: ContainerConfig | undefined;
}

/** All containers of one engine. Publishes `container` events with Docker's attributes. */
export interface ContainerService {
  /** Loads records, adopts running shims, settles what happened meanwhile. Once, before anything else. */
  restore(): Promise<void>;
  /** Restart policies for those that are down; after `restore`, when the server may answer already. */
  startRestartable(): Promise<void>;
  /** Lets go of shims and timers; containers keep running. */
  shutdown(): Promise<void>;

  /** @throws InvalidParameterError, NotFoundError "No such image: X" (also from images), ConflictError name taken */
  create(request: CreateContainerRequest): Promise<CreatedContainer>;
  /**
   * @returns 'already-running' when it runs (API: 304)
   * @throws ConflictError  paused, removing, dead; InvalidParameterError command not found or not executable;
   *   SystemError for the rest. Nothing stays behind.
   */
  start(
    ref: string,
    options?: { readonly detachKeys?: string },
  ): Promise<'started' | 'already-running'>;
  /**
   * Stop signal, wait, SIGKILL. Once the signal is sent the stop goes on whatever happens to the caller.
   *
   * @returns 'already-stopped' when it did not run (API: 304)
   */
  stop(
    ref: string,
    options?: {
      /** Undefined: the container's own, then 10; negative: no limit. */
      readonly timeoutSec?: number | undefined;
      readonly stopSignal?: string | undefined;
    },
  ): Promise<'stopped' | 'already-stopped'>;
  /** Stop, then start; starts a stopped one. */
  restart(
    ref: string,
    options?: {
      readonly timeoutSec?: number | undefined;
      readonly stopSignal?: string | undefined;
    },
  ): Promise<void>;
  /** @param stopSignal  name or number, undefined: KILL. @throws InvalidParameterError "Invalid signal: X"; ConflictError not running */
  kill(ref: string, stopSignal?: string): Promise<void>;
  pause(ref: string): Promise<void>;
  unpause(ref: string): Promise<void>;
  /** Resolves when the wait is registered (headers can go out); `result` settles with the container. */
  wait(
    ref: string,
    options: { readonly condition: WaitCondition; readonly signal?: AbortSignal },
  ): Promise<{ readonly result: Promise<WaitResult> }>;
  /** @throws ConflictError  running and not forced, or a removal is in progress */
  remove(ref: string, options: RemoveOptions): Promise<void>;
  rename(ref: string, newName: string): Promise<void>;
  /** Stopped ones. Filters: until, label, label!. */
  prune(
    filters: Filters,
  ): Promise<{ readonly deleted: readonly string[]; readonly reclaimedBytes: number }>;

  /** Newest first. @throws InvalidParameterError  unknown filter or value */
  list(options: ListOptions): Promise<readonly ContainerSummary[]>;
  inspect(ref: string, options?: { readonly withSizes?: boolean }): Promise<ContainerInspect>;
  /** For `info`. */
  counts(): {
    readonly total: number;
    readonly running: number;
    readonly paused: number;
    readonly stopped: number;
  };
  /** Full id of `ref`, without touching anything. */
  resolve(ref: string): string;

  /** @throws ConflictError "container ID is not running"; InvalidParameterError bad `ps` arguments */
  top(ref: string, psArgs: string | undefined): Promise<TopResult>;
  /** One sample a second until the container is gone or `signal` aborts; one sample when not streaming. */
  stats(
    ref: string,
    options: {
      readonly isStreaming: boolean;
      readonly isOneShot: boolean;
      readonly signal?: AbortSignal;
    },
  ): Promise<AsyncIterable<StatsSample>>;
  /** @throws InvalidParameterError  neither stream wanted; NotImplementedError driver cannot be read */
  logs(ref: string, options: LogsOptions): Promise<ContainerLogs>;
  attach(ref: string, options: AttachOptions): Promise<StreamSession>;
  resize(ref: string, size: { readonly rows: number; readonly columns: number }): Promise<void>;
  update(ref: string, request: UpdateRequest): Promise<{ readonly warnings: readonly string[] }>;
  /** Null when there are none, as Docker answers. */
  changes(ref: string): Promise<readonly Change[]>;
  /** Tar of the whole root. Rejects before the first byte when it cannot be read. */
  export(
    ref: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<AsyncIterable<Uint8Array>>;

  /** @throws NotFoundError "Could not find the file PATH in container REF" */
  statArchive(ref: string, path: string): Promise<ContainerPathStat>;
  getArchive(
    ref: string,
    path: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<{ readonly stat: ContainerPathStat; readonly tar: AsyncIterable<Uint8Array> }>;
  /** `tar` may be compressed (gzip, zstd, bzip2, xz as the tools there can). */
  putArchive(
    ref: string,
    path: string,
    tar: AsyncIterable<Uint8Array>,
    options: {
      readonly noOverwriteDirNonDir: boolean;
      /** Owner of what is written: the container's user. */
      readonly copiesUidGid: boolean;
      readonly signal?: AbortSignal;
    },
  ): Promise<void>;
  /** @returns image id `sha256:...` */
  commit(ref: string, request: CommitRequest): Promise<{ readonly id: string }>;

  /** @throws ConflictError  not running, paused */
  createExec(ref: string, request: ExecCreateRequest): Promise<{ readonly id: string }>;
  /** What POST /exec/{id}/start checks before it takes over the connection. @throws NotFoundError "No such exec instance: ID"; ConflictError */
  assertExecReady(execId: string): void;
  /** Undefined when detached. @throws ConflictError  already running or ended */
  startExec(execId: string, options: ExecStartOptions): Promise<StreamSession | undefined>;
  inspectExec(execId: string): Promise<ExecInspect>;
  resizeExec(
    execId: string,
    size: { readonly rows: number; readonly columns: number },
  ): Promise<void>;

  /** Network connect and disconnect of a container in any state. */
  connectNetwork(ref: string, network: string, settings: EndpointSettings): Promise<void>;
  disconnectNetwork(
    ref: string,
    network: string,
    options: { readonly isForced: boolean },
  ): Promise<void>;

  /** Every container as the image concept counts users. */
  imageUsers(): Iterable<ImageUser>;
  /** Volume name -> ids of containers that mount it, running or not. */
  volumeUsers(): ReadonlyMap<string, ReadonlySet<string>>;
  /** Network id or name -> names of the containers plugged in or configured for it. */
  networkUsers(): ReadonlyMap<string, readonly string[]>;
  /** Bytes of a container's log files. */
  logSize(ref: string): Promise<number>;
}
