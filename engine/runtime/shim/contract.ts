/**
 * One container's supervisor as the engine sees it. The wire side is `native/shim/README.md`.
 *
 * Vocabulary: the *shim* is one small process per running container. Its *run folder* (below the exec root, on
 * tmpfs) holds `shim.conf`, `shim.sock`, `shim.pid`, `init.pid`, `runtime.log`, `exec-<id>.json`. The *exit record*
 * is a file the shim writes durably before it tells anybody; it is the only authority on how a container ended.
 *
 * Worked flow:
 * 1. the engine prepares bundle, network and log folder, and calls {@link LaunchShim}. The shim detaches, listens,
 *    runs `runc run --detach` once and answers on a descriptor it inherited: started, or the runtime's message;
 * 2. whoever wants the output from its first byte attaches in `beforeOutput`: the shim reads no output before that
 *    has settled;
 * 3. the container ends: the shim drains and logs the output, writes the exit record, answers {@link ShimClient.waitExit},
 *    deletes the container from the runtime, answers {@link ShimClient.waitGone}, and goes away;
 * 4. the engine dies: nothing happens to the container. A new engine calls {@link ConnectShim} with the same run
 *    folder; `undefined` means that no shim lives there, then the exit record tells how it ended (no exit record:
 *    it never started, or shim and container were killed).
 *
 * Output has two policies. A container with a log never waits for a client: one that is too slow gets `lagged` with
 * the position in the log from which to go on. Without a log, and for exec sessions, the program waits for the client.
 */

export { readExitRecord } from './exit-record.ts';

/** What a shim is told. Paths are absolute. */
export interface ShimConfig {
  readonly containerId: string;
  /** OCI bundle: `config.json` in it. */
  readonly bundleDir: string;
  /** Existing, empty but for leftovers of the last run; removed by the engine. */
  readonly runDir: string;
  readonly runtime: {
    readonly path: string;
    /** Global arguments before the command: `--root DIR`, cgroup driver. `--log` is added. */
    readonly args: readonly string[];
  };
  /** `process.terminal` of the bundle must say the same. */
  readonly hasTty: boolean;
  /**
   * First window size; with a tty only. Put it into the bundle as `process.consoleSize` too: the runtime sets that before
   * the program starts, the shim only as soon as it gets the console.
   */
  readonly consoleSize?: ConsoleSize;
  /** Keeps standard input open for clients; else it is /dev/null. */
  readonly hasStdin: boolean;
  /** Closes standard input when the first attached client with stdin leaves. */
  readonly isStdinOnce: boolean;
  /** json-file log; absent: output goes to attached clients only. */
  readonly log?: ShimLogConfig;
  /** Where the exit record goes (data root: survives a reboot). A record of the last run is replaced. */
  readonly exitRecordPath: string;
  /** v1 `memory.oom_control`, v2 `memory.events` of the container's cgroup; absent: OOM kills are not counted. */
  readonly oomFile?: string;
  /**
   * The container's cgroup folders, one per v1 controller. After the exit what still runs in them is killed and they are
   * removed without starting the runtime again; absent: `runtime delete --force` does that.
   */
  readonly cgroupDirs?: readonly string[];
  /** The runtime's state folder of this container (`<root>/<id>`), removed along with `cgroupDirs`. */
  readonly runtimeStateDir?: string;
  /** False: only `create`; {@link ShimClient.start} starts it. Default true: create and start in one runtime call. */
  readonly isStartedAtOnce?: boolean;
}

/** Docker's json-file driver. */
export interface ShimLogConfig {
  /** Newest file; rotated ones get `.1`, `.2` ... Appended to when it exists. */
  readonly path: string;
  /** Rotates when a file has reached this size; absent: never. */
  readonly maxSizeBytes?: number;
  /** Files kept, 1 or more; 1 empties the file instead of rotating. Default 1. */
  readonly maxFiles?: number;
  /** Added to every entry as `attrs`. */
  readonly attributes?: Readonly<Record<string, string>>;
}

/** Window size in character cells; 1 to 65,535 each. */
export interface ConsoleSize {
  readonly columns: number;
  readonly rows: number;
}

/** A process, safe against pid reuse. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat, clock ticks since boot. */
  readonly startTicks: bigint;
}

/** How a container or exec session ended. Also the content of the exit record. */
export interface ExitStatus {
  /** 0 to 255; 128 + signal number when a signal ended it. */
  readonly exitCode: number;
  /** Signal number, 0 when it exited by itself. */
  readonly signal: number;
  /** The kernel's OOM killer killed a process of the container during its life. */
  readonly isOomKilled: boolean;
  /** Nanoseconds since the epoch. */
  readonly startedAtNs: bigint;
  readonly finishedAtNs: bigint;
  readonly pid: number;
  /** Log bytes that could not be written (disk full); 0 normally. */
  readonly lostLogBytes: bigint;
}

/** A byte of the container's output, named by its place in the log. */
export interface LogPosition {
  /** Rotations since this shim opened the log. */
  readonly generation: number;
  /** Inode number of that file: finds it among `path`, `path.1` ... whatever was rotated since. */
  readonly inode: bigint;
  /** Entries from here on are new, */
  readonly offsetBytes: number;
  /** but for so many bytes at the start of the next entry of each stream. */
  readonly skipBytes: { readonly stdout: number; readonly stderr: number };
}

/** Answer of {@link LaunchShim}. */
export type LaunchResult =
  | {
      readonly kind: 'started';
      readonly client: ShimClient;
      readonly process: ProcessIdentity;
      readonly startedAtNs: bigint;
    }
  | {
      /** Nothing is left behind but the run folder; no exit record is written. */
      readonly kind: 'start-failed';
      /** The runtime's own sentence without its `runc run failed: ` in front, at most 8 KiB; never empty. */
      readonly runtimeMessage: string;
      /** Exit code of the runtime; 128 + signal number; 127 when it cannot be executed. */
      readonly exitCode: number;
    };

/** Options of {@link LaunchShim}. */
export interface LaunchOptions {
  /** Program `gantry-shim`. */
  readonly shimPath: string;
  /**
   * Runs while the runtime starts the container, when attach sessions can be opened already. No output is read (nor
   * logged) before it settles. It must not wait for the launch. When it rejects the container is killed and the launch
   * rejects likewise.
   */
  readonly beforeOutput?: (client: ShimClient) => Promise<void>;
  /** Aborting kills the runtime or container, cleans up, and rejects with the reason. */
  readonly signal?: AbortSignal;
}

/**
 * Starts a shim and its container.
 *
 * @throws SystemError  the shim itself could not be started or died
 */
export type LaunchShim = (config: ShimConfig, options: LaunchOptions) => Promise<LaunchResult>;

/**
 * Connects to the shim of a run folder.
 *
 * @returns undefined when no shim listens there
 * @throws SystemError  something else answers, or another protocol version
 */
export type ConnectShim = (
  runDir: string,
  options?: { readonly signal?: AbortSignal },
) => Promise<ShimClient | undefined>;

/** Momentary state of a shim. */
export interface ShimState {
  /** `starting`: the runtime is at work; `created`: waits for {@link ShimClient.start}. */
  readonly status: 'starting' | 'created' | 'running' | 'exited';
  readonly shimPid: number;
  readonly containerId: string;
  /** pid 0 while starting. */
  readonly process: ProcessIdentity;
  readonly startedAtNs: bigint;
  /** End of the log; absent without a log. */
  readonly log?: LogPosition;
  readonly lostLogBytes: bigint;
  readonly oomKills: number;
  /** Once exited. */
  readonly exit?: ExitStatus;
}

/**
 * Control connection to one shim. Closing or losing it has no effect on the container.
 * Every method rejects with UnavailableError once the shim is gone, with NotFoundError for an unknown exec id.
 */
export interface ShimClient extends AsyncDisposable {
  readonly runDir: string;
  state(): Promise<ShimState>;
  /**
   * Starts a container launched with `isStartedAtOnce: false`.
   *
   * @throws SystemError  the runtime's message
   */
  start(): Promise<{ readonly process: ProcessIdentity; readonly startedAtNs: bigint }>;
  /** Attaches to the container's streams. @throws ConflictError  it has ended and its output was delivered */
  attach(options: AttachOptions): Promise<AttachSession>;
  /**
   * Runs a process in the container.
   *
   * @throws SystemError  the runtime refused; `runtimeMessage` as in {@link LaunchResult}
   * @throws ConflictError  the container is not running, or the exec id was used already
   */
  exec(options: ExecOptions): Promise<ExecSession>;
  /** No effect without a tty. `execId` absent: the container. @throws NotFoundError */
  resize(size: ConsoleSize, execId?: string): Promise<void>;
  /** Signal number. @returns false when that process has ended */
  kill(signalNumber: number, execId?: string): Promise<boolean>;
  /**
   * Resolves when the process has ended, its output is logged and the exit record is on disk. For an exec session asked
   * for long after its end, NotFoundError: only the last 32 are remembered.
   */
  waitExit(execId?: string, options?: { readonly signal?: AbortSignal }): Promise<ExitStatus>;
  /** Resolves when the runtime has forgotten the container, so that its id can be started again. */
  waitGone(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Total OOM kills, each time it grows. */
  onOom(listener: (oomKills: number) => void): Disposable;
  /** `reopen`: opens the path again (moved away by others); `rotate`: now; `truncate`: drops all that was logged. */
  log(action: 'reopen' | 'rotate' | 'truncate'): Promise<void>;
  /** Kills what runs (SIGKILL), records the exit, deletes, and ends the shim. For forced removal and aborted starts. */
  shutdown(): Promise<void>;
}

/** Which streams; a tty has stdout only. */
export interface AttachOptions {
  readonly wantsStdin: boolean;
  readonly wantsStdout: boolean;
  readonly wantsStderr: boolean;
  /**
   * First delivers the begun lines that are not in the log yet, so that reading the log up to `position` and then
   * this session gives every byte once. Only with a log.
   */
  readonly replaysPartialLines?: boolean;
  readonly signal?: AbortSignal;
}

/** At most 64 KiB, in order within a stream; no line boundaries kept. */
export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Uint8Array;
}

/** Why an attach session has ended. */
export type AttachEnd =
  /** All output was delivered; for an exec session and a container alike. */
  | { readonly kind: 'exited'; readonly status: ExitStatus }
  /** Too slow: go on in the log from there. stdin of the session still works. */
  | { readonly kind: 'lagged'; readonly position: LogPosition }
  /** The shim is gone or the session was disposed. */
  | { readonly kind: 'closed' };

/** One attached client with a connection of its own. Disposing detaches. */
export interface AttachSession extends AsyncDisposable {
  /** Log position of the first byte that this session delivers; undefined without a log. */
  readonly position: LogPosition | undefined;
  /**
   * The output, once. Not reading it stops the connection (back-pressure); it never throws: it ends, and `ended` tells
   * why. Without stdout and stderr it just ends with the session.
   */
  readonly output: AsyncIterable<OutputChunk>;
  /** Resolves after the last chunk of `output` was taken. */
  readonly ended: Promise<AttachEnd>;
  /** Resolves when the shim can take more (the program reads). A no-op once stdin is closed or the process has ended. */
  writeStdin(data: Uint8Array): Promise<void>;
  /** End of file for the program; nothing with a tty. */
  closeStdin(): Promise<void>;
}

/** Options of {@link ShimClient.exec}. */
export interface ExecOptions {
  /** 1 to 64 of `[A-Za-z0-9_.-]`; may be used once. */
  readonly execId: string;
  /** OCI process object in a file; the shim does not remove it. `terminal` must equal `hasTty`. */
  readonly processPath: string;
  readonly hasTty: boolean;
  /** First window size; `consoleSize` of the process file should say the same. */
  readonly consoleSize?: ConsoleSize;
  readonly wantsStdin: boolean;
  /** Both false: detached, output is dropped. */
  readonly wantsStdout: boolean;
  readonly wantsStderr: boolean;
  readonly signal?: AbortSignal;
}

/** A running exec session. Disposing it detaches; the process goes on. */
export interface ExecSession extends AttachSession {
  readonly execId: string;
  readonly process: ProcessIdentity;
  readonly startedAtNs: bigint;
}
