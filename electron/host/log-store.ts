import { randomUUID } from 'node:crypto';
import type { Logger } from '../../engine/base/logger.ts';
import { BridgeError } from '../contract/error.ts';
import {
  type LogLine,
  type LogQuery,
  type LogUpdate,
  MAX_LOG_BYTES,
  MAX_LOG_LINES,
} from '../contract/log-channels.ts';
import type { StreamContext } from './bridge-server.ts';
import type { EngineLink } from './engine-link.ts';
import { LogReader, type LogReaderState } from './log-reader.ts';
import { LogRing } from './log-ring.ts';
import { searchRing, segmentMatcher, stripEscapes } from './log-search.ts';
import { pause, Wakeup } from './pause.ts';

/** Between two updates to a page. */
const UPDATE_INTERVAL_MS = 50;
/** A log nobody looks at is kept this long, so that coming back is instant. */
const DEFAULT_LINGER_MS = 60_000;
/** How long lines of several containers wait to be put in order. */
const MERGE_WINDOW_MS = 250;
/** Lines waiting to be put in order; more are sorted at once. */
const MAX_MERGE_LINES = 50_000;
/** A search lets others run after this much work. */
const SEARCH_SLICE_MS = 8;
/** Lines in one item of a search. */
const MAX_HITS_PER_ITEM = 20_000;
/** Lines per piece of an export. */
const EXPORT_LINES = 2000;

interface PendingLine {
  readonly bytes: Buffer;
  readonly timeMs: number;
  readonly source: number;
  readonly isStderr: boolean;
}

/** One open log and what reads it. */
class OpenLog {
  readonly id = randomUUID();
  readonly key: string;
  readonly ring: LogRing;
  readonly changed = new Wakeup();
  readonly #abort = new AbortController();
  readonly #states: LogReaderState[];
  readonly #containerIds: readonly string[];
  #pending: PendingLine[] = [];
  #mergeTimer: NodeJS.Timeout | undefined;
  viewers = 0;
  linger: NodeJS.Timeout | undefined;

  constructor(options: {
    key: string;
    containerIds: readonly string[];
    tailLines: number;
    limits: { maxLines: number; maxBytes: number };
    link: EngineLink;
    log: Logger;
  }) {
    this.key = options.key;
    this.ring = new LogRing(options.limits);
    this.#containerIds = options.containerIds;
    this.#states = options.containerIds.map(() => 'loading');
    const tail = Math.floor(options.tailLines / options.containerIds.length);
    for (const [source, containerId] of options.containerIds.entries()) {
      const reader = new LogReader({
        link: options.link,
        containerId,
        log: options.log,
        signal: this.#abort.signal,
        sink: {
          line: (line, isStderr) => this.#add(line, source, isStderr),
          state: (state) => this.#setState(source, state),
          flush: async () => {
            this.changed.wake();
            // Lets calls of the page run between two chunks of a fast log.
            await new Promise<void>((resolve) => setImmediate(resolve));
          },
        },
      });
      void reader.run(tail);
    }
  }

  get update(): LogUpdate {
    return {
      type: 'update',
      generation: 0,
      firstLine: this.ring.firstLine,
      lineCount: this.ring.lineCount,
      heldBytes: this.ring.heldBytes,
      state: this.#state(),
    };
  }

  close(): void {
    clearTimeout(this.#mergeTimer);
    clearTimeout(this.linger);
    this.#abort.abort(new DOMException('the log was closed', 'AbortError'));
    this.changed.wake();
  }

  #state(): LogReaderState {
    const states = this.#states;
    for (const state of ['offline', 'loading', 'following'] as const) {
      if (states.includes(state)) {
        return state;
      }
    }
    return 'ended';
  }

  #setState(source: number, state: LogReaderState): void {
    this.#states[source] = state;
    this.changed.wake();
  }

  #add(
    line: { readonly bytes: Uint8Array; readonly timeMs: number },
    source: number,
    isStderr: boolean,
  ): void {
    if (this.#containerIds.length === 1) {
      this.ring.append(line.bytes, { timeMs: line.timeMs, source, isStderr });
      return;
    }
    const { timeMs } = line;
    this.#pending.push({ bytes: Buffer.from(line.bytes), timeMs, source, isStderr });
    if (this.#pending.length >= MAX_MERGE_LINES && !this.#states.includes('loading')) {
      this.#merge();
    }
    this.#mergeTimer ??= setTimeout(() => this.#merge(), MERGE_WINDOW_MS);
  }

  /** Puts what waits in order of time. Lines of one container keep their order: the sort is stable. */
  #merge(): void {
    clearTimeout(this.#mergeTimer);
    this.#mergeTimer = undefined;
    if (this.#states.includes('loading') && this.#pending.length < MAX_LOG_LINES) {
      // The past of all containers is sorted together.
      this.#mergeTimer = setTimeout(() => this.#merge(), MERGE_WINDOW_MS);
      return;
    }
    const lines = this.#pending.sort((a, b) => a.timeMs - b.timeMs);
    this.#pending = [];
    for (const { bytes, ...origin } of lines) {
      this.ring.append(bytes, origin);
    }
    this.changed.wake();
  }
}

/** The open logs of all pages. Pages that open the same containers share one. */
export class LogStore implements Disposable {
  readonly #link: EngineLink;
  readonly #log: Logger;
  readonly #lingerMs: number;
  readonly #limits: { maxLines: number; maxBytes: number };
  readonly #byKey = new Map<string, OpenLog>();
  readonly #byId = new Map<string, OpenLog>();

  constructor(options: {
    link: EngineLink;
    log: Logger;
    lingerMs?: number;
    limits?: { maxLines: number; maxBytes: number };
  }) {
    this.#link = options.link;
    this.#log = options.log.child({ component: 'logs' });
    this.#lingerMs = options.lingerMs ?? DEFAULT_LINGER_MS;
    this.#limits = options.limits ?? { maxLines: MAX_LOG_LINES, maxBytes: MAX_LOG_BYTES };
  }

  /** Logs open, lingering ones included. */
  get openCount(): number {
    return this.#byKey.size;
  }

  [Symbol.dispose](): void {
    for (const log of this.#byKey.values()) {
      log.close();
    }
    this.#byKey.clear();
    this.#byId.clear();
  }

  /** Serves `logs.open`. */
  async open(
    params: { containerIds: string[]; tailLines?: number | undefined },
    context: StreamContext<{ type: 'opened'; logId: string } | LogUpdate, never>,
  ): Promise<void> {
    const log = this.#acquire(params);
    const { signal } = context;
    try {
      await context.send({ type: 'opened', logId: log.id });
      let sent = '';
      while (!signal.aborted) {
        const { update } = log;
        const text = JSON.stringify(update);
        if (text === sent) {
          await log.changed.wait(signal);
        } else {
          sent = text;
          await context.send(update);
          await pause(UPDATE_INTERVAL_MS, signal);
        }
      }
    } finally {
      this.#release(log);
    }
  }

  /** Serves `logs.window`. */
  window(params: { logId: string; first: number; count: number }): {
    generation: number;
    first: number;
    lines: LogLine[];
  } {
    const log = this.#get(params.logId);
    return { generation: 0, ...log.ring.window(params.first, params.count) };
  }

  /** Serves `logs.search`. */
  async search(
    params: { logId: string; query: LogQuery; follow: boolean },
    context: StreamContext<
      { generation: number; lines: number[]; scannedTo: number; isComplete: boolean },
      never
    >,
  ): Promise<void> {
    const log = this.#get(params.logId);
    const matcher = segmentMatcher(params.query);
    const { signal } = context;
    let next = log.ring.firstLine;
    do {
      let lines: number[] = [];
      let sliceStart = performance.now();
      for (const step of searchRing(log.ring, matcher, next)) {
        lines = lines.concat(step.lines);
        next = step.scannedTo;
        if (performance.now() - sliceStart > SEARCH_SLICE_MS || lines.length > MAX_HITS_PER_ITEM) {
          await context.send({ generation: 0, lines, scannedTo: next, isComplete: false });
          await new Promise<void>((resolve) => setImmediate(resolve));
          signal.throwIfAborted();
          lines = [];
          sliceStart = performance.now();
        }
      }
      await context.send({ generation: 0, lines, scannedTo: next, isComplete: true });
      while (params.follow && next >= log.ring.lineCount && !signal.aborted) {
        await log.changed.wait(signal);
        await pause(UPDATE_INTERVAL_MS, signal);
      }
    } while (params.follow && !signal.aborted);
  }

  /**
   * The held lines as text, for a download.
   *
   * @throws BridgeError  `gone`; `invalid-parameter` for the query, from the first step on
   */
  async *export(params: {
    logId: string;
    withTimestamps: boolean;
    query?: LogQuery | undefined;
  }): AsyncGenerator<Uint8Array, void, void> {
    const log = this.#get(params.logId);
    const { ring } = log;
    const format = (line: LogLine): string => {
      const time = params.withTimestamps ? `${new Date(line.timeMs).toISOString()} ` : '';
      return `${time}${stripEscapes(line.text)}\n`;
    };
    if (params.query === undefined) {
      const end = ring.lineCount;
      for (let next = ring.firstLine; next < end; ) {
        const { first, lines } = ring.window(next, Math.min(EXPORT_LINES, end - next));
        yield Buffer.from(lines.map(format).join(''));
        next = first + lines.length;
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      return;
    }
    for (const step of searchRing(ring, segmentMatcher(params.query), ring.firstLine)) {
      const text = step.lines.flatMap((line) => ring.window(line, 1).lines.map(format)).join('');
      if (text !== '') {
        yield Buffer.from(text);
      }
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  /**
   * Fails when the log is not open any more.
   *
   * @throws BridgeError  `gone`
   */
  assertOpen(logId: string): void {
    this.#get(logId);
  }

  #get(logId: string): OpenLog {
    const log = this.#byId.get(logId);
    if (log === undefined) {
      throw new BridgeError('gone', 'this log is not open any more');
    }
    return log;
  }

  #acquire(params: { containerIds: string[]; tailLines?: number | undefined }): OpenLog {
    const tailLines = params.tailLines ?? this.#limits.maxLines;
    const key = JSON.stringify([tailLines, params.containerIds]);
    let log = this.#byKey.get(key);
    if (log === undefined) {
      log = new OpenLog({
        key,
        containerIds: params.containerIds,
        tailLines,
        limits: this.#limits,
        link: this.#link,
        log: this.#log,
      });
      this.#byKey.set(key, log);
      this.#byId.set(log.id, log);
    }
    clearTimeout(log.linger);
    log.viewers += 1;
    return log;
  }

  #release(log: OpenLog): void {
    log.viewers -= 1;
    if (log.viewers > 0 || this.#byKey.get(log.key) !== log) {
      return;
    }
    log.linger = setTimeout(() => {
      this.#byKey.delete(log.key);
      this.#byId.delete(log.id);
      log.close();
    }, this.#lingerMs);
    log.linger.unref();
  }
}
