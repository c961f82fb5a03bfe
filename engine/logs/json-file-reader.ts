import { type FSWatcher, watch } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf, isMissing } from '../base/errors.ts';
import type { HeldLog, LogEntry, LogQuery, LogReader } from './contract.ts';
import { JsonLineParser } from './json-line.ts';

/** One read of the file; large enough to make system calls cheap, small enough for constant memory. */
const BLOCK_BYTES = 256 * 1024;
const MAX_BATCH_ENTRIES = 1000;
/** Rotated files looked for at most; Docker's max-file has no bound of its own. */
const MAX_ROTATED = 1000;
/** Safety net where change notifications get lost. */
const POLL_MS = 1000;
const NEWLINE = 0x0a;

interface OpenFile {
  readonly handle: FileHandle;
  readonly inode: bigint;
}

async function openIfThere(path: string): Promise<OpenFile | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw error;
  }
  try {
    return { handle, inode: (await handle.stat({ bigint: true })).ino };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Opens the newest file and the rotated ones behind it; result is oldest first. */
async function openAll(path: string, files: AsyncDisposableStack): Promise<OpenFile[]> {
  const opened: OpenFile[] = [];
  for (let index = 0; index <= MAX_ROTATED; index += 1) {
    const file = await openIfThere(index === 0 ? path : `${path}.${index}`);
    if (file === undefined) {
      break;
    }
    files.defer(async () => await file.handle.close());
    // A rotation between two opens shows the same file again under its next name.
    if (!opened.some((other) => other.inode === file.inode)) {
      opened.push(file);
    }
  }
  return opened.reverse();
}

/** Made by {@link JsonFileReader.hold}. */
class HeldFiles implements HeldLog {
  readonly path: string;
  /** Oldest first. */
  readonly files: readonly OpenFile[];
  readonly #owned: AsyncDisposableStack;

  constructor(path: string, files: readonly OpenFile[], owned: AsyncDisposableStack) {
    this.path = path;
    this.files = files;
    this.#owned = owned;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync();
  }
}

/** True when a line of the wanted streams; cheap check on raw bytes. */
function countsFor(line: Buffer, query: LogQuery): boolean {
  if (query.wantsStdout && query.wantsStderr) {
    return true;
  }
  return line.includes('"stream":"stderr"') ? query.wantsStderr : query.wantsStdout;
}

/**
 * Offset in one file from which at most `count` wanted lines follow.
 *
 * @returns how many lines follow, and the offset of the first
 */
async function seekBack(
  file: OpenFile,
  count: number,
  query: LogQuery,
): Promise<{ offset: number; found: number }> {
  const { size } = await file.handle.stat();
  let position = size;
  let found = 0;
  /** Bytes from `position` up to the first newline seen so far: the end of a line whose start comes earlier. */
  let tail: Buffer = Buffer.alloc(0);
  let offset = size;
  const consider = (line: Buffer, start: number): void => {
    if (line.length > 0 && countsFor(line, query)) {
      found += 1;
      offset = start;
    }
  };
  while (position > 0 && found < count) {
    const length = Math.min(BLOCK_BYTES, position);
    position -= length;
    const block = Buffer.alloc(length);
    await file.handle.read(block, 0, length, position);
    const joined: Buffer = tail.length === 0 ? block : Buffer.concat([block, tail]);
    let end = joined.length;
    // The newest bytes may be a line that is being written: it ends without a newline and is not counted.
    for (let at = joined.lastIndexOf(NEWLINE, end - 1); at !== -1 && found < count; ) {
      consider(joined.subarray(at + 1, end), position + at + 1);
      end = at;
      at = end === 0 ? -1 : joined.lastIndexOf(NEWLINE, end - 1);
    }
    tail = joined.subarray(0, end);
  }
  if (position === 0 && found < count) {
    consider(tail, 0);
  }
  return { offset, found };
}

async function startOffsets(files: readonly OpenFile[], query: LogQuery): Promise<number[]> {
  const { start, tail } = query;
  if (start !== undefined) {
    const index = files.findIndex((file) => file.inode === start.inode);
    return files.map((_, at) => {
      if (at < index) {
        return Infinity;
      }
      return at === index ? start.offsetBytes : 0;
    });
  }
  if (tail === 'all') {
    return files.map(() => 0);
  }
  const offsets = files.map(() => Infinity);
  let left = tail;
  for (let at = files.length - 1; at >= 0; at -= 1) {
    const file = files[at];
    if (file === undefined) {
      continue;
    }
    if (left === 0) {
      // Nothing of what is there; a follower goes on at the end of the newest.
      offsets[at] = at === files.length - 1 ? (await file.handle.stat()).size : (offsets[at] ?? 0);
      continue;
    }
    const { offset, found } = await seekBack(file, left, query);
    offsets[at] = offset;
    left -= found;
  }
  return offsets;
}

/** Reads complete lines of one file from an offset on, and can be asked again when the file has grown. */
class LineSource {
  readonly #file: OpenFile;
  readonly #limit: number;
  #offset: number;
  #rest: Buffer = Buffer.alloc(0);

  /** @param limit  offset at which reading ends */
  constructor(file: OpenFile, offset: number, limit: number) {
    this.#file = file;
    this.#offset = offset;
    this.#limit = limit;
  }

  /** Complete lines of the next block; undefined at the end of the file. */
  async next(): Promise<string[] | undefined> {
    const length = Math.min(BLOCK_BYTES, this.#limit - this.#offset);
    if (!(length > 0)) {
      return undefined;
    }
    const block = Buffer.allocUnsafe(length);
    const { bytesRead } = await this.#file.handle.read(block, 0, length, this.#offset);
    if (bytesRead === 0) {
      return undefined;
    }
    this.#offset += bytesRead;
    const fresh = block.subarray(0, bytesRead);
    const joined: Buffer = this.#rest.length === 0 ? fresh : Buffer.concat([this.#rest, fresh]);
    const lastNewline = joined.lastIndexOf(NEWLINE);
    if (lastNewline === -1) {
      this.#rest = joined;
      return [];
    }
    this.#rest = joined.subarray(lastNewline + 1);
    return joined.toString('utf8', 0, lastNewline).split('\n');
  }

  /** The file was emptied under us (max-file=1, or a truncation by hand). */
  async restartIfTruncated(): Promise<void> {
    const { size } = await this.#file.handle.stat();
    if (size < this.#offset) {
      this.#offset = 0;
      this.#rest = Buffer.alloc(0);
    }
  }
}

/** Applies streams, times and the bytes already delivered. */
class EntryFilter {
  readonly #query: LogQuery;
  readonly #parser = new JsonLineParser();
  readonly #skip: { stdout: number; stderr: number };
  /** True once an entry after `untilNs` was seen. */
  isPastEnd = false;

  constructor(query: LogQuery) {
    this.#query = query;
    this.#skip = { ...(query.start?.skipBytes ?? { stdout: 0, stderr: 0 }) };
  }

  apply(line: string): LogEntry | undefined {
    const entry = this.#parser.parse(line);
    if (entry === undefined) {
      return undefined;
    }
    const { wantsStdout, wantsStderr, sinceNs, untilNs } = this.#query;
    if (untilNs !== undefined && entry.timeNs > untilNs) {
      this.isPastEnd = true;
      return undefined;
    }
    if (sinceNs !== undefined && entry.timeNs < sinceNs) {
      return undefined;
    }
    if (entry.stream === 'stdout' ? !wantsStdout : !wantsStderr) {
      return undefined;
    }
    return this.#withoutSkipped(entry);
  }

  #withoutSkipped(entry: LogEntry): LogEntry | undefined {
    const skip = this.#skip[entry.stream];
    if (skip === 0) {
      return entry;
    }
    this.#skip[entry.stream] = Math.max(0, skip - entry.data.length);
    const data = entry.data.subarray(skip);
    return data.length === 0 ? undefined : { ...entry, data };
  }
}

/** Wakes on changes in a folder, at the latest after {@link POLL_MS}. */
class ChangeWatcher implements Disposable {
  readonly #watcher: FSWatcher | undefined;
  #wake: (() => void) | undefined;
  #hasChanged = true;

  constructor(folder: string) {
    try {
      this.#watcher = watch(folder, { persistent: false }, () => this.poke());
    } catch (error) {
      // Held files of a container that is gone: nothing changes any more.
      if (!isMissing(error)) {
        throw error;
      }
    }
    this.#watcher?.on('error', () => {
      // The folder is gone with its container; the poll finds the end.
    });
  }

  poke(): void {
    this.#hasChanged = true;
    this.#wake?.();
  }

  async wait(signal: AbortSignal | undefined): Promise<void> {
    if (!this.#hasChanged && signal?.aborted !== true) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, POLL_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
        signal?.addEventListener('abort', this.#wake, { once: true });
      });
      if (this.#wake !== undefined) {
        signal?.removeEventListener('abort', this.#wake);
      }
      this.#wake = undefined;
    }
    this.#hasChanged = false;
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
  }
}

function* batches(lines: readonly string[], filter: EntryFilter): Generator<LogEntry[]> {
  let batch: LogEntry[] = [];
  for (const line of lines) {
    const entry = line === '' ? undefined : filter.apply(line);
    if (filter.isPastEnd) {
      break;
    }
    if (entry !== undefined) {
      batch.push(entry);
      if (batch.length === MAX_BATCH_ENTRIES) {
        yield batch;
        batch = [];
      }
    }
  }
  if (batch.length > 0) {
    yield batch;
  }
}

/** Files newer than `inode`, oldest first; all files when it was rotated away. */
async function newerThan(
  path: string,
  inode: bigint,
  files: AsyncDisposableStack,
): Promise<OpenFile[]> {
  const newest = await stat(path, { bigint: true }).catch(() => undefined);
  if (newest === undefined || newest.ino === inode) {
    return [];
  }
  const all = await openAll(path, files);
  const index = all.findIndex((file) => file.inode === inode);
  return all.slice(index + 1);
}

/** The files of one reading, in order: those there at the start, then those that rotation adds. */
class FileSequence {
  readonly #query: LogQuery;
  readonly #files: AsyncDisposableStack;
  #sources: LineSource[] = [];
  #newestInode = 0n;
  #at = 0;

  constructor(query: LogQuery, files: AsyncDisposableStack) {
    this.#query = query;
    this.#files = files;
  }

  async open(): Promise<void> {
    const { end, held } = this.#query;
    const opened =
      held instanceof HeldFiles ? held.files : await openAll(this.#query.path, this.#files);
    const offsets = await startOffsets(opened, this.#query);
    const lastIndex = end === undefined ? -1 : opened.findIndex((file) => file.inode === end.inode);
    this.#newestInode = opened.at(-1)?.inode ?? 0n;
    this.#sources = opened.map((file, at) => {
      const isBeyond = end !== undefined && at > lastIndex;
      const limit = end !== undefined && at === lastIndex ? end.offsetBytes : Infinity;
      return new LineSource(file, isBeyond ? Infinity : (offsets[at] ?? 0), limit);
    });
  }

  /** Complete lines of the next block; undefined when there is nothing new in any file. */
  async next(): Promise<string[] | undefined> {
    for (; this.#at < this.#sources.length; this.#at += 1) {
      const lines = await this.#sources[this.#at]?.next();
      if (lines !== undefined) {
        return lines;
      }
      if (this.#at === this.#sources.length - 1) {
        return undefined;
      }
    }
    return undefined;
  }

  /** Looks for files that rotation added. What was written to the old one before it turned is read first. */
  async advance(): Promise<boolean> {
    const newer = await newerThan(this.#query.path, this.#newestInode, this.#files);
    if (newer.length === 0) {
      await this.#sources[this.#at]?.restartIfTruncated();
      return false;
    }
    this.#sources.push(...newer.map((file) => new LineSource(file, 0, Infinity)));
    this.#newestInode = newer.at(-1)?.inode ?? this.#newestInode;
    return true;
  }
}

/** Reads what the shim writes: json-file with rotation. */
export class JsonFileReader implements LogReader {
  async *read(query: LogQuery): AsyncGenerator<readonly LogEntry[], void, void> {
    await using files = new AsyncDisposableStack();
    using watcher = query.follow === undefined ? undefined : new ChangeWatcher(dirname(query.path));
    const sequence = new FileSequence(query, files);
    await sequence.open();
    const filter = new EntryFilter(query);
    let hasEnded = query.follow === undefined;
    const onEnd = (): void => {
      hasEnded = true;
      watcher?.poke();
    };
    query.follow?.ended.then(onEnd, onEnd);
    for (;;) {
      const wasEnded = hasEnded;
      for (let lines = await sequence.next(); lines !== undefined; lines = await sequence.next()) {
        yield* batches(lines, filter);
        query.signal?.throwIfAborted();
        if (filter.isPastEnd) {
          return;
        }
      }
      if (query.follow !== undefined && (await sequence.advance())) {
        continue;
      }
      if (wasEnded) {
        return;
      }
      await watcher?.wait(query.signal);
      query.signal?.throwIfAborted();
    }
  }

  async hold(path: string): Promise<HeldLog> {
    await using files = new AsyncDisposableStack();
    const opened = await openAll(path, files);
    return new HeldFiles(path, opened, files.move());
  }

  async size(path: string): Promise<number> {
    let total = 0;
    for (let index = 0; index <= MAX_ROTATED; index += 1) {
      try {
        total += (await stat(index === 0 ? path : `${path}.${index}`)).size;
      } catch (error) {
        if (isMissing(error) || errnoOf(error) === 'ENOTDIR') {
          break;
        }
        throw error;
      }
    }
    return total;
  }
}
