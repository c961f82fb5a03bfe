import { pathSegment } from '../../engine/api/client/client.ts';
import { type OutputChunk, StreamDemux } from '../../engine/api/client/demux.ts';
import { containerInspectSchema } from '../../engine/api/client/responses.ts';
import { isAbortError, NotFoundError } from '../../engine/base/errors.ts';
import type { Logger } from '../../engine/base/logger.ts';
import type { EngineLink } from './engine-link.ts';
import { LineSplitter, type StampedLine, sinceOf } from './log-lines.ts';
import { pause, Wakeup } from './pause.ts';

/** Where a reader stands. */
export type LogReaderState = 'loading' | 'following' | 'ended' | 'offline';

/** What a reader reports. */
export interface LogSink {
  line(line: StampedLine, isStderr: boolean): void;
  state(state: LogReaderState): void;
  /** Called after each chunk; awaiting it holds the engine back. */
  flush(): Promise<void>;
}

/** The past counts as read when nothing has come for this long. */
const QUIET_MS = 150;
/** Between attempts to read a log that the connected engine refuses. */
const RETRY_MS = 1000;
/** Memory for one message of the engine; more is dropped. */
const MAX_FRAME_BYTES = 128 * 1024;

/**
 * Reads the log of one container for ever: through stops and starts of the container and of the engine, without a gap
 * and without a line twice. It continues from the time of the last line and passes over the lines of exactly
 * that time which it had.
 */
export class LogReader {
  readonly #link: EngineLink;
  readonly #id: string;
  readonly #log: Logger;
  readonly #sink: LogSink;
  readonly #signal: AbortSignal;
  /** Time of the newest line, and how many lines had it. */
  #lastStamp: Buffer = Buffer.alloc(0);
  #lastStampCount = 0;
  #lastTimeMs = 0;
  /** Lines of `#lastStamp` still to be passed over after a reconnect. */
  #toSkip = 0;
  #quietTimer: NodeJS.Timeout | undefined;
  /** Lines of this time or later are written while we read; undefined once one was seen. */
  #liveFromMs: number | undefined;

  constructor(options: {
    link: EngineLink;
    containerId: string;
    sink: LogSink;
    log: Logger;
    signal: AbortSignal;
  }) {
    this.#link = options.link;
    this.#id = options.containerId;
    this.#sink = options.sink;
    this.#log = options.log;
    this.#signal = options.signal;
  }

  /** Reads until the signal aborts or the container is gone. Never rejects. */
  async run(tailLines: number): Promise<void> {
    const wakeup = new Wakeup();
    let wasWoken = false;
    const wake = (): void => {
      wasWoken = true;
      wakeup.wake();
    };
    using registration = this.#link.listen({
      onConnected: wake,
      onDisconnected: wake,
      onEvent: (event) => {
        if (
          event.type === 'container' &&
          event.id === this.#id &&
          (event.action === 'start' || event.action === 'destroy')
        ) {
          wake();
        }
      },
    });
    void registration;
    while (!this.#signal.aborted) {
      wasWoken = false;
      const outcome = await this.#readOnce(tailLines);
      clearTimeout(this.#quietTimer);
      this.#quietTimer = undefined;
      if (outcome === 'gone') {
        this.#sink.state('ended');
        return;
      }
      if (outcome === 'failed' && this.#link.status.status === 'connected') {
        await pause(RETRY_MS, this.#signal);
      } else if (!wasWoken) {
        const isConnected = this.#link.status.status === 'connected';
        this.#sink.state(isConnected ? 'ended' : 'offline');
        await wakeup.wait(this.#signal);
      }
    }
  }

  async #readOnce(tailLines: number): Promise<'ended' | 'failed' | 'gone'> {
    if (this.#link.status.status !== 'connected') {
      return 'failed';
    }
    const { client } = this.#link;
    const path = `/containers/${pathSegment(this.#id)}`;
    try {
      const container = await client.get(`${path}/json`, containerInspectSchema, {
        signal: this.#signal,
      });
      const since = sinceOf(this.#lastStamp);
      this.#toSkip = since === undefined ? 0 : this.#lastStampCount;
      const response = await client.bytes('GET', `${path}/logs`, {
        query: {
          stdout: 1,
          stderr: 1,
          timestamps: 1,
          follow: 1,
          tail: since === undefined ? tailLines : 'all',
          since,
        },
        signal: this.#signal,
      });
      this.#sink.state('loading');
      this.#liveFromMs = Date.now();
      this.#armQuiet();
      await (container.Config.Tty
        ? this.#readTerminal(response.body)
        : this.#readFrames(response.body));
      return 'ended';
    } catch (error) {
      if (error instanceof NotFoundError) {
        return 'gone';
      }
      if (!isAbortError(error)) {
        this.#log.debug('log reading interrupted', { id: this.#id, error });
      }
      return 'failed';
    }
  }

  async #readFrames(body: AsyncIterable<Uint8Array>): Promise<void> {
    const demux = new StreamDemux();
    const splitters = {
      stdout: new LineSplitter((line) => this.#accept(line, false)),
      stderr: new LineSplitter((line) => this.#accept(line, true)),
    };
    let parts: Uint8Array[] = [];
    let size = 0;
    const take = (chunk: OutputChunk): void => {
      if (size < MAX_FRAME_BYTES) {
        parts.push(chunk.bytes);
        size += chunk.bytes.byteLength;
      }
      if (chunk.isEnd) {
        const message = parts.length === 1 ? asBuffer(chunk.bytes) : Buffer.concat(parts);
        splitters[chunk.stream === 'stderr' ? 'stderr' : 'stdout'].message(message);
        parts = [];
        size = 0;
      }
    };
    for await (const bytes of body) {
      for (const chunk of demux.push(bytes)) {
        take(chunk);
      }
      // The pieces of a frame under way are views into a buffer that is reused.
      parts = parts.map((part) => part.slice());
      this.#armQuiet();
      await this.#sink.flush();
    }
    splitters.stdout.end();
    splitters.stderr.end();
    await this.#sink.flush();
  }

  async #readTerminal(body: AsyncIterable<Uint8Array>): Promise<void> {
    const splitter = new LineSplitter((line) => this.#accept(line, false));
    let rest = Buffer.alloc(0);
    for await (const bytes of body) {
      const joined = rest.length === 0 ? asBuffer(bytes) : Buffer.concat([rest, bytes]);
      const end = joined.lastIndexOf(10) + 1;
      if (end > 0) {
        splitter.message(joined.subarray(0, end));
      }
      // A terminal program may never write a newline; what is kept is bounded all the same.
      rest = Buffer.from(joined.subarray(end).subarray(0, MAX_FRAME_BYTES));
      this.#armQuiet();
      await this.#sink.flush();
    }
    if (rest.length > 0) {
      splitter.message(rest);
    }
    splitter.end();
    await this.#sink.flush();
  }

  #accept(line: StampedLine, isStderr: boolean): void {
    const isSameTime = this.#lastStamp.equals(line.stamp);
    if (this.#toSkip > 0) {
      if (isSameTime) {
        this.#toSkip -= 1;
        return;
      }
      if (line.timeMs < this.#lastTimeMs) {
        // An engine whose `since` is coarser than its stamps sends older lines again.
        return;
      }
      this.#toSkip = 0;
    }
    if (isSameTime) {
      this.#lastStampCount += 1;
    } else if (line.stamp.byteLength > 0) {
      this.#lastStamp = Buffer.from(line.stamp);
      this.#lastStampCount = 1;
      this.#lastTimeMs = line.timeMs;
    }
    this.#sink.line(line, isStderr);
    if (this.#liveFromMs !== undefined && line.timeMs >= this.#liveFromMs) {
      // A container that never falls silent: the past is behind us all the same.
      this.#follow();
    }
  }

  #follow(): void {
    this.#liveFromMs = undefined;
    if (!this.#signal.aborted) {
      this.#sink.state('following');
    }
  }

  #armQuiet(): void {
    if (this.#quietTimer === undefined) {
      this.#quietTimer = setTimeout(() => {
        this.#quietTimer = undefined;
        this.#follow();
      }, QUIET_MS);
      this.#quietTimer.unref();
    } else {
      this.#quietTimer.refresh();
    }
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
