/**
 * Reading container logs. The shim writes them (json-file form, `<id>-json.log`, `.1`, `.2` ... older); this side only reads,
 * so neither an engine restart nor a slow reader can lose or stall output.
 */

/** One entry: a line with its newline, or a part of a line longer than 16 KiB without one. */
export interface LogEntry {
  readonly stream: 'stdout' | 'stderr';
  /** Nanoseconds since the epoch. */
  readonly timeNs: bigint;
  readonly data: Uint8Array;
  /** Attributes of the driver options `labels`, `env`, `tag`; absent when there are none. */
  readonly attributes?: Readonly<Record<string, string>>;
}

/** Which entries and how. */
export interface LogQuery {
  /** Path of the newest file. */
  readonly path: string;
  readonly wantsStdout: boolean;
  readonly wantsStderr: boolean;
  /** Last so many entries of what is there at the start; 'all'. */
  readonly tail: number | 'all';
  /** Inclusive, nanoseconds. */
  readonly sinceNs?: bigint;
  /** Inclusive, nanoseconds. */
  readonly untilNs?: bigint;
  /** Begins there; `tail` and `sinceNs` do not apply. The inode finds the file whatever was rotated since. */
  readonly start?: LogStart;
  /** Ends there: what was logged before this position is delivered, nothing after it. Not with `follow`. */
  readonly end?: LogStart;
  /**
   * Keeps waiting for new entries, across rotation, until `ended` resolves and the file is read to its end.
   * Absent: ends at the end of the file.
   */
  readonly follow?: { readonly ended: Promise<void> };
  /** Read these files instead of opening what `path` names now. */
  readonly held?: HeldLog;
  readonly signal?: AbortSignal;
}

/** Position in a log that the shim names when it cut off a slow reader. */
export interface LogStart {
  /** Inode number of the file: finds it among the rotated ones; gone means before the oldest that is left. */
  readonly inode: bigint;
  readonly offsetBytes: number;
  /** Bytes of each stream after the offset that were delivered already. */
  readonly skipBytes: { readonly stdout: number; readonly stderr: number };
}

/** Files of a log that stay readable when they are removed with their container. Disposing lets go of them. */
export interface HeldLog extends AsyncDisposable {
  readonly path: string;
}

/** Reads json-file logs. Constant memory; entries in order of the file; batches keep the per-line cost low. */
export interface LogReader {
  /** Batches of entries (at most 1,000 or 256 KiB each). */
  read(query: LogQuery): AsyncIterable<readonly LogEntry[]>;
  /** Opens the files of a log as they are now, for {@link LogQuery.held}. */
  hold(path: string): Promise<HeldLog>;
  /** Bytes of the log with its rotated files. */
  size(path: string): Promise<number>;
}
