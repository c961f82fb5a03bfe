import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { KeyedLock, Semaphore } from '../base/async.ts';
import {
  BugError,
  errnoOf,
  InvalidParameterError,
  isMissing,
  messageOf,
  NotFoundError,
  SystemError,
} from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { listIfThere, syncDirectory } from '../base/node/atomic-file.ts';
import type { Digest } from '../snapshots/contract.ts';
import type { ContentStore, Ingest } from './contract.ts';

/** Chunks are gathered to this before they go to disk: few system calls, little memory per download. */
const FLUSH_BYTES = 1024 * 1024;
/** Chunk of reads; large, because each costs a trip through the thread pool. */
const READ_CHUNK_BYTES = 512 * 1024;
const DEFAULT_MAX_READ_ALL_BYTES = 8 * 1024 * 1024;
/** A broken download is resumed within this time or forgotten. */
const INGEST_MAX_AGE_MS = 24 * 3600 * 1000;
/** Blobs looked at together while listing. */
const LIST_BATCH = 64;
/** fsync calls at once; more only queue up in the disk. */
const SYNC_PARALLEL = 8;

function hashOf(data: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}

function diskError(error: unknown, what: string): unknown {
  const code = errnoOf(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new SystemError(`${what}: no space left on device`, { cause: error });
  }
  return code === undefined
    ? error
    : new SystemError(`${what}: ${messageOf(error)}`, { cause: error });
}

/** Where a store's ingests hand their finished files. */
interface IngestHome {
  publish(temp: string, digest: Digest): Promise<void>;
}

class FileIngest implements Ingest {
  readonly #home: IngestHome;
  readonly #path: string;
  readonly #lock: Disposable;
  #handle: FileHandle | undefined;
  #hash: Hash;
  #offset: number;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #inFlight: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;

  constructor(options: {
    readonly home: IngestHome;
    readonly path: string;
    readonly lock: Disposable;
    readonly handle: FileHandle;
    readonly hash: Hash;
    readonly offset: number;
  }) {
    this.#home = options.home;
    this.#path = options.path;
    this.#lock = options.lock;
    this.#handle = options.handle;
    this.#hash = options.hash;
    this.#offset = options.offset;
  }

  get offset(): number {
    return this.#offset;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#open();
    this.#throwFailure();
    this.#hash.update(chunk);
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    this.#offset += chunk.length;
    if (this.#pendingBytes >= FLUSH_BYTES) {
      // One write is under way while the next megabyte is gathered.
      await this.#inFlight;
      this.#throwFailure();
      this.#flush();
    }
  }

  async reset(): Promise<void> {
    const handle = this.#open();
    this.#pending = [];
    this.#pendingBytes = 0;
    await this.#inFlight;
    this.#failure = undefined;
    await handle.truncate(0);
    this.#hash = createHash('sha256');
    this.#offset = 0;
  }

  async commit(expected: {
    readonly digest?: Digest;
    readonly sizeBytes?: number;
  }): Promise<Digest> {
    this.#open();
    await this.#drain();
    const digest: Digest = `sha256:${this.#hash.copy().digest('hex')}`;
    if (expected.sizeBytes !== undefined && expected.sizeBytes !== this.#offset) {
      const got = this.#offset;
      await this.reset();
      throw new InvalidParameterError(
        `unexpected size of ${expected.digest ?? digest}: ${got} bytes instead of ${expected.sizeBytes}`,
      );
    }
    if (expected.digest !== undefined && expected.digest !== digest) {
      await this.reset();
      throw new InvalidParameterError(
        `content verification failed: digest is ${digest}, expected ${expected.digest}`,
      );
    }
    await this.#close();
    await this.#home.publish(this.#path, digest);
    return digest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#handle === undefined) {
      return;
    }
    try {
      await this.#drain();
    } catch {
      // The bytes could not be kept; a later resume starts with what is on disk.
    }
    await this.#close();
  }

  #open(): FileHandle {
    if (this.#handle === undefined) {
      throw new BugError('ingest used after commit or disposal');
    }
    return this.#handle;
  }

  async #close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    try {
      await handle?.close();
    } finally {
      this.#lock[Symbol.dispose]();
    }
  }

  async #drain(): Promise<void> {
    await this.#inFlight;
    this.#throwFailure();
    this.#flush();
    await this.#inFlight;
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) {
      throw this.#failure.error;
    }
  }

  #flush(): void {
    if (this.#pending.length === 0) {
      return;
    }
    const chunks = this.#pending;
    const size = this.#pendingBytes;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#inFlight = this.#writeOut(chunks, size).catch((error: unknown) => {
      this.#failure = { error: diskError(error, 'cannot store content') };
    });
  }

  async #writeOut(chunks: readonly Uint8Array[], sizeBytes: number): Promise<void> {
    const handle = this.#open();
    const { bytesWritten } = await handle.writev([...chunks]);
    if (bytesWritten === sizeBytes) {
      return;
    }
    // A short write: the rest goes out as one buffer.
    let rest = Buffer.concat(chunks).subarray(bytesWritten);
    while (rest.length > 0) {
      const more = await handle.write(rest);
      rest = rest.subarray(more.bytesWritten);
    }
  }
}

/**
 * Content store in plain files: `blobs/sha256/<hex>`, unfinished ones in `ingest/<hash of ref>`.
 *
 * A published blob is verified and complete at once, and survives a power cut after `sync()`; whoever refers to a blob
 * durably calls `sync()` first, and drops at start what nothing refers to. So no torn blob is ever referred to.
 */
export class FileContentStore implements ContentStore, IngestHome {
  readonly #blobs: string;
  readonly #ingests: string;
  readonly #locks = new KeyedLock();
  #unsynced = new Set<string>();

  private constructor(root: string) {
    this.#blobs = join(root, 'blobs', 'sha256');
    this.#ingests = join(root, 'ingest');
  }

  /** Creates the folders and sweeps ingests older than a day. @param root  the `content` folder */
  static async open(root: string, log: Logger): Promise<FileContentStore> {
    const store = new FileContentStore(root);
    await mkdir(store.#blobs, { recursive: true, mode: 0o700 });
    await mkdir(store.#ingests, { recursive: true, mode: 0o700 });
    for (const name of await listIfThere(store.#ingests)) {
      const path = join(store.#ingests, name);
      const isTemp = name.endsWith('.tmp');
      const { mtimeMs } = await stat(path);
      if (isTemp || Date.now() - mtimeMs > INGEST_MAX_AGE_MS) {
        await rm(path, { force: true });
        log.info('unfinished download dropped', { path });
      }
    }
    return store;
  }

  pathOf(digest: Digest): string {
    if (!/^sha256:[0-9a-f]{64}$/.test(digest)) {
      throw new InvalidParameterError(`invalid digest ${JSON.stringify(digest)}`);
    }
    return join(this.#blobs, digest.slice('sha256:'.length));
  }

  async find(
    digest: Digest,
  ): Promise<{ readonly digest: Digest; readonly sizeBytes: number } | undefined> {
    const found = await statIfThere(this.pathOf(digest));
    return found === undefined ? undefined : { digest, sizeBytes: found.size };
  }

  async *read(
    digest: Digest,
    options: { readonly offset?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<Uint8Array, void, void> {
    const stream = createReadStream(this.pathOf(digest), {
      start: options.offset ?? 0,
      highWaterMark: READ_CHUNK_BYTES,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    try {
      for await (const chunk of stream) {
        yield chunk as Buffer;
      }
    } catch (error) {
      if (isMissing(error)) {
        throw new NotFoundError(`content ${digest} not found`, { cause: error });
      }
      throw error;
    } finally {
      stream.destroy();
    }
  }

  async readAll(digest: Digest, maxBytes = DEFAULT_MAX_READ_ALL_BYTES): Promise<Uint8Array> {
    const found = await this.find(digest);
    if (found === undefined) {
      throw new NotFoundError(`content ${digest} not found`);
    }
    if (found.sizeBytes > maxBytes) {
      throw new InvalidParameterError(
        `content ${digest} has ${found.sizeBytes} bytes, more than the ${maxBytes} allowed here`,
      );
    }
    return await readFile(this.pathOf(digest));
  }

  async ingest(ref: string): Promise<Ingest> {
    const name = createHash('sha256').update(ref).digest('hex');
    const path = join(this.#ingests, name);
    const lock = await this.#locks.acquire(name);
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, 'a+', 0o600);
      const hash = createHash('sha256');
      const { size } = await handle.stat();
      if (size > 0) {
        const stream = createReadStream(path, { highWaterMark: READ_CHUNK_BYTES });
        for await (const chunk of stream) {
          hash.update(chunk as Buffer);
        }
      }
      return new FileIngest({ home: this, path, lock, handle, hash, offset: size });
    } catch (error) {
      await handle?.close();
      lock[Symbol.dispose]();
      throw diskError(error, 'cannot store content');
    }
  }

  async put(data: Uint8Array): Promise<Digest> {
    const digest = hashOf(data);
    if ((await this.find(digest)) !== undefined) {
      return digest;
    }
    const temp = join(this.#ingests, `${crypto.randomUUID()}.tmp`);
    try {
      const handle = await open(temp, 'wx', 0o600);
      try {
        await handle.writeFile(data);
      } finally {
        await handle.close();
      }
      await this.publish(temp, digest);
    } catch (error) {
      await rm(temp, { force: true });
      throw diskError(error, 'cannot store content');
    }
    return digest;
  }

  /** Makes a verified file visible as a blob. */
  async publish(temp: string, digest: Digest): Promise<void> {
    const path = this.pathOf(digest);
    this.#unsynced.add(path);
    await rename(temp, path);
  }

  async remove(digest: Digest): Promise<void> {
    const path = this.pathOf(digest);
    this.#unsynced.delete(path);
    await rm(path, { force: true });
  }

  async *list(): AsyncGenerator<
    { readonly digest: Digest; readonly sizeBytes: number },
    void,
    void
  > {
    const names = (await listIfThere(this.#blobs)).filter((name) => /^[0-9a-f]{64}$/.test(name));
    for (let start = 0; start < names.length; start += LIST_BATCH) {
      const batch = names.slice(start, start + LIST_BATCH);
      const found = await Promise.all(batch.map((name) => this.find(`sha256:${name}`)));
      yield* found.filter((blob) => blob !== undefined);
    }
  }

  async sweepIngests(): Promise<number> {
    let freedBytes = 0;
    for (const name of await listIfThere(this.#ingests)) {
      if (!/^[0-9a-f]{64}$/.test(name) || this.#locks.isHeld(name)) {
        continue;
      }
      using lock = await this.#locks.acquire(name);
      void lock;
      const path = join(this.#ingests, name);
      freedBytes += (await statIfThere(path))?.size ?? 0;
      await rm(path, { force: true });
    }
    return freedBytes;
  }

  async sync(): Promise<void> {
    const paths = [...this.#unsynced];
    if (paths.length === 0) {
      return;
    }
    const places = new Semaphore(SYNC_PARALLEL);
    await Promise.all(paths.map((path) => places.run(() => syncFile(path))));
    await syncDirectory(this.#blobs);
    // Only now: a concurrent sync must not believe that these are safe already.
    for (const path of paths) {
      this.#unsynced.delete(path);
    }
  }
}

async function statIfThere(path: string): Promise<{ readonly size: number } | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw error;
  }
}

async function syncFile(path: string): Promise<void> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    if (isMissing(error)) {
      // Removed in the meantime.
      return;
    }
    throw error;
  }
  try {
    await handle.datasync();
  } catch (error) {
    throw diskError(error, 'cannot store content');
  } finally {
    await handle.close();
  }
}
