import type { LogEntry, LogReader, LogStart } from '../../logs/contract.ts';
import type { AttachSession } from '../../runtime/shim/contract.ts';
import type { OutputChunk } from '../contract.ts';

/** Which streams a client wants. */
export interface WantedStreams {
  readonly wantsStdout: boolean;
  readonly wantsStderr: boolean;
}

function chunkOf(entry: LogEntry): OutputChunk {
  return { stream: entry.stream, data: entry.data };
}

/** What the log holds, up to `end` when given. */
export async function* replayLog(
  reader: LogReader,
  path: string,
  wanted: WantedStreams,
  range: { readonly end?: LogStart | undefined; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<OutputChunk, void, void> {
  const batches = reader.read({
    path,
    ...wanted,
    tail: 'all',
    ...(range.end === undefined ? {} : { end: range.end }),
    ...(range.signal === undefined ? {} : { signal: range.signal }),
  });
  for await (const batch of batches) {
    yield* batch.map(chunkOf);
  }
}

/** The log from `start` until the container has ended and all is read. */
async function* continueInLog(
  reader: LogReader,
  path: string,
  wanted: WantedStreams,
  range: {
    readonly start: LogStart;
    readonly ended: Promise<void>;
    readonly signal?: AbortSignal | undefined;
  },
): AsyncGenerator<OutputChunk, void, void> {
  const batches = reader.read({
    path,
    ...wanted,
    tail: 'all',
    start: range.start,
    follow: { ended: range.ended },
    ...(range.signal === undefined ? {} : { signal: range.signal }),
  });
  for await (const batch of batches) {
    yield* batch.map(chunkOf);
  }
}

/** Where a lagging reader goes on. */
export interface LogSource {
  readonly reader: LogReader;
  /** '' when the container keeps no log. */
  readonly path: string;
  /** Resolves when the container has ended and its log is complete. */
  readonly ended: Promise<void>;
}

/** All output of a shim session without loss: live, and from the log once the shim cut it off. */
export async function* sessionOutput(
  session: AttachSession,
  wanted: WantedStreams,
  log: LogSource | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<OutputChunk, void, void> {
  yield* session.output;
  const end = await session.ended;
  if (end.kind === 'lagged' && log !== undefined && log.path !== '') {
    yield* continueInLog(log.reader, log.path, wanted, {
      start: end.position,
      ended: log.ended,
      signal,
    });
  }
}
