import { delay, Semaphore } from '../../base/async.ts';
import { InvalidParameterError, messageOf } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { ContentStore, Ingest } from '../../content/contract.ts';
import type { Descriptor } from '../contract.ts';
import { digestOf } from '../image-config.ts';
import { SharedWork } from '../shared-work.ts';
import { isWorthRetrying, protocolError, TransportError } from './errors.ts';
import type { RegistryRepository } from './repository.ts';

/** Attempts in a row that bring no byte before a download is given up (Docker: 5). */
const MAX_FRUITLESS_ATTEMPTS = 5;
/** A connection that always breaks after a few bytes is no reason to go on for ever. */
const MAX_ATTEMPTS = 50;
const DEFAULT_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 15_000;

/** Where a download stands. */
export type DownloadState =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'downloading'; readonly bytes: number }
  | { readonly kind: 'retrying'; readonly delayMs: number }
  | { readonly kind: 'verifying' }
  | { readonly kind: 'complete' };

/** Downloads blobs into the content store: few at a time, each once, resumed when the connection breaks. */
export class BlobDownloader {
  readonly #content: ContentStore;
  readonly #log: Logger;
  readonly #limit: number;
  readonly #backoffMs: number;
  readonly #places: Semaphore;
  readonly #shared = new SharedWork<void, DownloadState>();
  #activeCount = 0;

  constructor(options: {
    readonly content: ContentStore;
    readonly log: Logger;
    /** Downloads at once, over all pulls. */
    readonly limit: number;
    /** Wait before the second attempt; doubles with each further one. */
    readonly backoffMs?: number | undefined;
  }) {
    this.#content = options.content;
    this.#log = options.log;
    this.#limit = options.limit;
    this.#backoffMs = options.backoffMs ?? DEFAULT_BACKOFF_MS;
    this.#places = new Semaphore(options.limit);
  }

  /**
   * Brings a blob into the content store; returns at once when it is there.
   *
   * @throws RegistryError, TransportError, SystemError  the last fault
   */
  async download(
    repository: RegistryRepository,
    descriptor: Descriptor,
    options: {
      readonly signal?: AbortSignal | undefined;
      readonly onState?: ((state: DownloadState) => void) | undefined;
    } = {},
  ): Promise<void> {
    const found = await this.#content.find(descriptor.digest);
    if (found !== undefined) {
      options.onState?.({ kind: 'complete' });
      return;
    }
    await this.#shared.run(
      descriptor.digest,
      (signal, report) => this.#queue(repository, descriptor, signal, report),
      { signal: options.signal, onProgress: options.onState },
    );
  }

  /** A small blob (config), checked. */
  async fetchSmall(
    repository: RegistryRepository,
    descriptor: Descriptor,
    options: { readonly maxBytes: number; readonly signal?: AbortSignal | undefined },
  ): Promise<Uint8Array> {
    if (descriptor.size > options.maxBytes) {
      throw protocolError(
        `blob ${descriptor.digest} has ${descriptor.size} bytes, more than the ${options.maxBytes} allowed for its kind`,
      );
    }
    await this.download(repository, descriptor, { signal: options.signal });
    const bytes = await this.#content.readAll(descriptor.digest, options.maxBytes);
    if (digestOf(bytes) !== descriptor.digest) {
      throw protocolError(`blob ${descriptor.digest} is damaged on disk`);
    }
    return bytes;
  }

  async #queue(
    repository: RegistryRepository,
    descriptor: Descriptor,
    signal: AbortSignal,
    report: (state: DownloadState) => void,
  ): Promise<void> {
    if (this.#activeCount >= this.#limit) {
      report({ kind: 'waiting' });
    }
    this.#activeCount += 1;
    try {
      await this.#places.run(async () => {
        signal.throwIfAborted();
        await using ingest = await this.#content.ingest(descriptor.digest);
        await this.#attempts(repository, descriptor, { ingest, signal, report });
      });
    } finally {
      this.#activeCount -= 1;
    }
  }

  async #attempts(
    repository: RegistryRepository,
    descriptor: Descriptor,
    context: {
      readonly ingest: Ingest;
      readonly signal: AbortSignal;
      readonly report: (state: DownloadState) => void;
    },
  ): Promise<void> {
    const { ingest, signal, report } = context;
    let fruitless = 0;
    for (let attempt = 1; ; attempt += 1) {
      const startOffset = ingest.offset;
      try {
        await this.#once(repository, descriptor, context);
        return;
      } catch (error) {
        signal.throwIfAborted();
        const isMismatch = error instanceof InvalidParameterError;
        if (isMismatch && startOffset === 0) {
          throw protocolError(
            `filesystem layer verification failed for digest ${descriptor.digest}`,
            error,
          );
        }
        fruitless = ingest.offset > startOffset || isMismatch ? 1 : fruitless + 1;
        const isOver = fruitless >= MAX_FRUITLESS_ATTEMPTS || attempt >= MAX_ATTEMPTS;
        const isHopeless = !isMismatch && !isWorthRetrying(error);
        if (isHopeless) {
          // A refusal or a full disk: the bytes are of no use and only take room.
          await ingest.reset();
        }
        if (isOver || isHopeless) {
          throw error;
        }
        const delayMs = Math.min(this.#backoffMs * 2 ** (fruitless - 1), MAX_BACKOFF_MS);
        this.#log.warn('download is tried again', {
          digest: descriptor.digest,
          attempt,
          offset: ingest.offset,
          error: messageOf(error),
        });
        report({ kind: 'retrying', delayMs });
        await delay(delayMs, signal);
      }
    }
  }

  async #once(
    repository: RegistryRepository,
    descriptor: Descriptor,
    context: {
      readonly ingest: Ingest;
      readonly signal: AbortSignal;
      readonly report: (state: DownloadState) => void;
    },
  ): Promise<void> {
    const { ingest, signal, report } = context;
    const { digest, size } = descriptor;
    if (ingest.offset > size) {
      await ingest.reset();
    }
    if (ingest.offset < size || size === 0) {
      const stream = await repository.openBlob(digest, ingest.offset, signal);
      if (stream.offset !== ingest.offset) {
        await ingest.reset();
      }
      if (stream.totalBytes !== undefined && stream.totalBytes !== size) {
        throw protocolError(
          `blob ${digest} has ${stream.totalBytes} bytes, its manifest says ${size}`,
        );
      }
      for await (const chunk of stream.chunks) {
        if (ingest.offset + chunk.length > size) {
          await ingest.reset();
          throw protocolError(
            `blob ${digest} does not end after the ${size} bytes of its manifest`,
          );
        }
        await ingest.write(chunk);
        report({ kind: 'downloading', bytes: ingest.offset });
      }
      if (ingest.offset < size) {
        throw new TransportError(`blob ${digest}: unexpected EOF after ${ingest.offset} bytes`);
      }
    }
    report({ kind: 'verifying' });
    await ingest.commit({ digest, sizeBytes: size });
    report({ kind: 'complete' });
  }
}
