import type { Digest } from '../snapshots/contract.ts';

/**
 * Content store: blobs by digest (OCI image layout below `content/blobs/sha256`).
 *
 * A blob becomes visible only after its digest is verified and its bytes are durable. Unfinished ingests are kept
 * below `content/ingest` by reference name so that a broken download resumes, also after a restart, and are swept
 * when older than a day.
 */
export interface ContentStore {
  /** Size in bytes, or undefined when absent. */
  find(
    digest: Digest,
  ): Promise<{ readonly digest: Digest; readonly sizeBytes: number } | undefined>;
  /** Chunks of the blob. @throws NotFoundError */
  read(
    digest: Digest,
    options?: { readonly offset?: number; readonly signal?: AbortSignal },
  ): AsyncIterable<Uint8Array>;
  /** A small blob whole. @throws InvalidParameterError  larger than `maxBytes` (default 8 MiB) */
  readAll(digest: Digest, maxBytes?: number): Promise<Uint8Array>;
  /** Absolute path of a blob's file, for programs that read it. */
  pathOf(digest: Digest): string;
  /** Starts or resumes an ingest. One holder per `ref` at a time. */
  ingest(ref: string): Promise<Ingest>;
  /** Stores bytes at once. */
  put(data: Uint8Array): Promise<Digest>;
  remove(digest: Digest): Promise<void>;
  list(): AsyncIterable<{ readonly digest: Digest; readonly sizeBytes: number }>;
  /** Drops unfinished ingests that nobody holds. @returns bytes freed */
  sweepIngests(): Promise<number>;
  /** Everything put so far survives a power cut once this returns. */
  sync(): Promise<void>;
}

/** A blob that is being written. Disposing without commit keeps the bytes for a later resume. */
export interface Ingest extends AsyncDisposable {
  /** Bytes already there. */
  readonly offset: number;
  write(chunk: Uint8Array): Promise<void>;
  /** Drops the bytes and starts at 0. */
  reset(): Promise<void>;
  /** Verifies and publishes. @throws InvalidParameterError  digest or size differ; the bytes are dropped then */
  commit(expected: { readonly digest?: Digest; readonly sizeBytes?: number }): Promise<Digest>;
}
