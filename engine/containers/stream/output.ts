import type { HeldLog, LogEntry, LogReader, LogStart } from '../../logs/contract.ts';
import type { AttachSession } from '../../runtime/shim/contract.ts';
import type { OutputChunk } from '../contract.ts';

/** Which streams a client wants. */
export interface WantedStreams {
  readonly wantsStdout: boolean;
  readonly wantsStderr: boolean;
}

/** A batch as few chunks: what follows each other on one stream goes together, a chunk has no more meaning than its bytes. */
function chunksOf(batch: readonly LogEntry[]): OutputChunk[] {
  const chunks: OutputChunk[] = [];
  for (let at = 0; at < batch.length; ) {
    const stream = batch[at]?.stream ?? 'stdout';
    const parts: Uint8Array[] = [];
    for (let entry = batch[at]; entry?.stream === stream; entry = batch[at]) {
      parts.push(entry.data);
      at += 1;
    }
    chunks.push({ stream, data: Buffer.concat(parts) });
  }
  return chunks;
}

/**
 * The log of one container for one client that may fall behind. A removal of the container holds it, so that the client
 * gets to its end.
 */
export class ClientLog implements AsyncDisposable {
  readonly #reader: LogReader;
  readonly #path: string;
  #held: Promise<HeldLog> | undefined;

  /** @param path  '' when the container keeps no log */
  constructor(reader: LogReader, path: string) {
    this.#reader = reader;
    this.#path = path;
  }

  get isKept(): boolean {
    return this.#path !== '';
  }

  /** To be awaited before the files are removed. */
  async hold(): Promise<void> {
    if (this.isKept) {
      this.#held ??= this.#reader.hold(this.#path);
      await this.#held;
    }
  }

  /** What is there, up to `end` when given. */
  replay(
    wanted: WantedStreams,
    options: { readonly end: LogStart | undefined; readonly signal: AbortSignal | undefined },
  ): AsyncGenerator<OutputChunk, void, void> {
    return this.#read(
      wanted,
      options.end === undefined ? {} : { end: options.end },
      options.signal,
    );
  }

  /** From `start` until the container has ended and all is read. */
  continue(
    wanted: WantedStreams,
    options: {
      readonly start: LogStart;
      /** Resolves when the container has ended and its log is complete. */
      readonly ended: Promise<void>;
      readonly signal: AbortSignal | undefined;
    },
  ): AsyncGenerator<OutputChunk, void, void> {
    const { start, ended } = options;
    return this.#read(wanted, { start, follow: { ended } }, options.signal);
  }

  async *#read(
    wanted: WantedStreams,
    range: {
      readonly start?: LogStart;
      readonly end?: LogStart;
      readonly follow?: { readonly ended: Promise<void> };
    },
    signal: AbortSignal | undefined,
  ): AsyncGenerator<OutputChunk, void, void> {
    const held = await this.#held;
    const batches = this.#reader.read({
      path: this.#path,
      ...wanted,
      ...range,
      tail: 'all',
      ...(held === undefined ? {} : { held }),
      ...(signal === undefined ? {} : { signal }),
    });
    for await (const batch of batches) {
      yield* chunksOf(batch);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const held = await this.#held?.catch(() => undefined);
    await held?.[Symbol.asyncDispose]();
  }
}

/** Where a lagging reader goes on. */
export interface LogSource {
  readonly log: ClientLog;
  /** Resolves when the container has ended and its log is complete. */
  readonly ended: Promise<void>;
}

/** All output of a shim session without loss: live, and from the log once the shim cut it off. */
export async function* sessionOutput(
  session: AttachSession,
  wanted: WantedStreams,
  source: LogSource | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<OutputChunk, void, void> {
  yield* session.output;
  const end = await session.ended;
  if (end.kind === 'lagged' && source?.log.isKept === true) {
    yield* source.log.continue(wanted, { start: end.position, ended: source.ended, signal });
  }
}
