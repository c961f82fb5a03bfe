import { createStore, type StoreApi } from 'zustand/vanilla';
import { isCancelled } from '../../../../electron/contract/error.ts';
import {
  type LogLine,
  type LogUpdate,
  MAX_LOG_WINDOW_LINES,
} from '../../../../electron/contract/log-channels.ts';
import { bridge, type Problem, problemOf } from '../../../data/bridge.ts';
import type { SearchQuery } from './line-segments.ts';
import { LogCache, lowerBound, missingRanges } from './log-cache.ts';
import { MatchList } from './match-list.ts';

/** Lines fetched around what is on the screen, so that small scrolls need no fetch. */
const MARGIN_LINES = 150;
/** Missing lines closer than this are fetched together. */
const GAP_LINES = 300;

/** What the view shows of a log. */
export interface LogState {
  readonly status: LogUpdate['state'] | 'opening' | 'failed';
  readonly problem: Problem | undefined;
  /** Lines below this number are no longer held. */
  readonly firstLine: number;
  /** One more than the number of the newest line that can be shown. */
  readonly lineCount: number;
  /** Grows whenever lines arrived or went: what is drawn from the cache must be drawn again. */
  readonly revision: number;
  /** Lines below this number are hidden by "clear view". */
  readonly clearedBelow: number;
  readonly search: SearchQuery;
  readonly isOnlyMatches: boolean;
  readonly matchCount: number;
  readonly isSearchComplete: boolean;
  readonly searchProblem: Problem | undefined;
  /** Line of the match that next and previous move from. */
  readonly currentLine: number | undefined;
}

const NO_SEARCH: SearchQuery = { query: '', isRegex: false, isCaseSensitive: false };

/**
 * One open log: follows it, keeps the lines around the window, and searches. The host holds the whole log; here are
 * only the lines that were looked at. Open it with {@link LogSession.start}, which returns what closes it; what
 * belongs to the reader (search, cleared lines) stays for the next time.
 */
export class LogSession {
  readonly containerIds: readonly string[];
  readonly state: StoreApi<LogState> = createStore<LogState>(() => ({
    status: 'opening',
    problem: undefined,
    firstLine: 0,
    lineCount: 0,
    revision: 0,
    clearedBelow: 0,
    search: NO_SEARCH,
    isOnlyMatches: false,
    matchCount: 0,
    isSearchComplete: true,
    searchProblem: undefined,
    currentLine: undefined,
  }));
  readonly #cache = new LogCache();
  #matches = new MatchList();
  #logId: string | undefined;
  #generation = 0;
  /** Newest state of the host; `state.lineCount` follows it once the last lines are here. */
  #pending: LogUpdate | undefined;
  #isFetchingTail = false;
  readonly #inFlight = new Set<string>();
  #searchAbort: AbortController | undefined;
  #isFollowing = true;

  constructor(containerIds: readonly string[]) {
    this.containerIds = containerIds;
  }

  /** Opens the log. Returns what closes it. */
  start(): () => void {
    const stop = bridge.subscribe(
      'logs.open',
      { containerIds: [...this.containerIds] },
      {
        onItem: (item) => {
          if (item.type === 'opened') {
            this.#opened(item.logId);
          } else {
            this.#updated(item);
          }
        },
        onRestart: () => {
          this.#logId = undefined;
          this.state.setState({ status: 'offline' });
        },
        onEnd: (error) => {
          if (error !== undefined) {
            this.state.setState({ status: 'failed', problem: problemOf(error) });
          }
        },
      },
    );
    return () => {
      stop();
      this.#searchAbort?.abort();
      this.#logId = undefined;
    };
  }

  /** Whether the view stands at the end: new lines are then fetched before they are announced. */
  setFollowing(isFollowing: boolean): void {
    this.#isFollowing = isFollowing;
  }

  /** Handle of the log in the host, while it is open. */
  get logId(): string | undefined {
    return this.#logId;
  }

  /** How many rows the view has. */
  get rowCount(): number {
    const { isOnlyMatches, search, lineCount } = this.state.getState();
    return isOnlyMatches && search.query !== ''
      ? this.#matches.length - this.#firstMatch
      : Math.max(0, lineCount - this.#base);
  }

  /** Line number of a row. */
  lineOfRow(row: number): number {
    const { isOnlyMatches, search } = this.state.getState();
    return isOnlyMatches && search.query !== ''
      ? (this.#matches.at(row + this.#firstMatch) ?? this.#base)
      : row + this.#base;
  }

  /** Row of a line, or of the first after it. */
  rowOfLine(line: number): number {
    const { isOnlyMatches, search } = this.state.getState();
    return isOnlyMatches && search.query !== ''
      ? Math.max(0, lowerBound(this.#matches, line) - this.#firstMatch)
      : Math.max(0, line - this.#base);
  }

  /** The line, when it has been fetched. */
  line(line: number): LogLine | undefined {
    return this.#cache.get(line);
  }

  /** Sees to it that these rows are fetched; a new revision tells when. */
  ensureRows(firstRow: number, count: number): void {
    const rowCount = this.rowCount;
    const from = Math.max(0, firstRow - MARGIN_LINES);
    const to = Math.min(rowCount, firstRow + count + MARGIN_LINES);
    const near: number[] = [];
    let isMissing = false;
    for (let row = from; row < to; row += 1) {
      const line = this.lineOfRow(row);
      near.push(line);
      if (row >= firstRow && row < firstRow + count && this.#cache.get(line) === undefined) {
        isMissing = true;
      }
    }
    if (!isMissing) {
      return;
    }
    const has = (line: number): boolean => this.#cache.get(line) !== undefined;
    for (const range of missingRanges(near, has, GAP_LINES, MAX_LOG_WINDOW_LINES)) {
      void this.#fetch(range.first, range.count);
    }
  }

  /** Fetches lines that are not on the screen, for the clipboard. At most 20,000. */
  async readLines(first: number, count: number, signal?: AbortSignal): Promise<readonly LogLine[]> {
    const lines: LogLine[] = [];
    for (let at = first; at < first + count; at += MAX_LOG_WINDOW_LINES) {
      const logId = this.#logId;
      if (logId === undefined) {
        break;
      }
      const answer = await bridge.call(
        'logs.window',
        { logId, first: at, count: Math.min(MAX_LOG_WINDOW_LINES, first + count - at) },
        { signal },
      );
      lines.push(...answer.lines);
    }
    return lines;
  }

  /** Starts a search, or ends it with an empty query. */
  setSearch(search: SearchQuery): void {
    this.state.setState({ search, currentLine: undefined });
    this.#restartSearch();
  }

  /** Shows all lines or only those that match. */
  setOnlyMatches(isOnlyMatches: boolean): void {
    this.state.setState((state) => ({ isOnlyMatches, revision: state.revision + 1 }));
  }

  /** Hides what is there now; new lines appear. */
  clear(): void {
    this.state.setState((state) => ({
      clearedBelow: state.lineCount,
      revision: state.revision + 1,
    }));
    this.#countMatches();
  }

  /** Shows again what was cleared. */
  undoClear(): void {
    this.state.setState((state) => ({ clearedBelow: 0, revision: state.revision + 1 }));
    this.#countMatches();
  }

  /**
   * Moves to the next or previous match, round the ends.
   * @param fromLine  where to start when there is no current match
   * @returns its line
   */
  stepMatch(step: 1 | -1, fromLine: number): number | undefined {
    const first = this.#firstMatch;
    const count = this.#matches.length - first;
    if (count === 0) {
      return undefined;
    }
    const { currentLine } = this.state.getState();
    let index: number;
    if (currentLine === undefined) {
      index = lowerBound(this.#matches, fromLine) - first + (step === -1 ? -1 : 0);
    } else {
      const at = lowerBound(this.#matches, currentLine) - first;
      index = at + step;
    }
    const line = this.#matches.at(first + ((index + count) % count));
    this.state.setState({ currentLine: line });
    return line;
  }

  /** Place of the current match among all, from 1; 0 = none is current. */
  currentMatchNumber(): number {
    const { currentLine } = this.state.getState();
    return currentLine === undefined
      ? 0
      : lowerBound(this.#matches, currentLine) - this.#firstMatch + 1;
  }

  /** First line that can be shown: neither dropped by the host nor cleared. */
  get #base(): number {
    const { firstLine, clearedBelow } = this.state.getState();
    return Math.max(firstLine, clearedBelow);
  }

  get #firstMatch(): number {
    return lowerBound(this.#matches, this.#base);
  }

  #opened(logId: string): void {
    this.#logId = logId;
    this.#generation = -1;
    this.#cache.clear();
  }

  #updated(update: LogUpdate): void {
    if (update.generation !== this.#generation) {
      const isFirst = this.#generation === -1;
      this.#generation = update.generation;
      this.#cache.clear();
      if (!isFirst) {
        // Numbers start over: a mark in the old ones means nothing.
        this.state.setState({ clearedBelow: 0, currentLine: undefined });
      }
      this.#restartSearch();
    }
    this.#pending = update;
    void this.#announce();
  }

  /** Announces new lines. While following, their last ones are fetched first: the end is never drawn empty. */
  async #announce(): Promise<void> {
    if (this.#isFetchingTail) {
      return;
    }
    this.#isFetchingTail = true;
    try {
      while (this.#pending !== undefined) {
        const update = this.#pending;
        this.#pending = undefined;
        const before = this.state.getState();
        if (this.#isFollowing && update.lineCount > before.lineCount) {
          const first = Math.max(
            update.firstLine,
            update.lineCount - MARGIN_LINES,
            before.lineCount,
          );
          await this.#fetch(first, update.lineCount - first);
        }
        if (update.generation === this.#generation) {
          this.#matches.dropBelow(update.firstLine);
          this.state.setState((state) => ({
            status: update.state,
            problem: undefined,
            firstLine: update.firstLine,
            lineCount: update.lineCount,
            revision: state.revision + 1,
          }));
        }
      }
    } finally {
      this.#isFetchingTail = false;
    }
  }

  async #fetch(first: number, count: number): Promise<void> {
    const logId = this.#logId;
    const key = `${first}:${count}`;
    if (logId === undefined || count <= 0 || this.#inFlight.has(key)) {
      return;
    }
    this.#inFlight.add(key);
    try {
      const answer = await bridge.call('logs.window', {
        logId,
        first,
        count: Math.min(MAX_LOG_WINDOW_LINES, count),
      });
      if (answer.generation === this.#generation && logId === this.#logId) {
        this.#cache.add(answer.first, answer.lines);
        this.state.setState((state) => ({ revision: state.revision + 1 }));
      }
    } catch {
      // The stream of the log says what is wrong; the lines are asked for again at the next draw.
    } finally {
      this.#inFlight.delete(key);
    }
  }

  #restartSearch(): void {
    this.#searchAbort?.abort();
    this.#matches = new MatchList();
    const { search } = this.state.getState();
    const isSearching = search.query !== '' && this.#logId !== undefined;
    this.state.setState((state) => ({
      matchCount: 0,
      searchProblem: undefined,
      isSearchComplete: !isSearching,
      revision: state.revision + 1,
    }));
    if (isSearching) {
      const abort = new AbortController();
      this.#searchAbort = abort;
      void this.#runSearch(search, abort.signal);
    }
  }

  async #runSearch(search: SearchQuery, signal: AbortSignal): Promise<void> {
    const logId = this.#logId;
    if (logId === undefined) {
      return;
    }
    try {
      const stream = await bridge.open(
        'logs.search',
        { logId, query: search, follow: true },
        { signal },
      );
      for await (const item of stream) {
        if (signal.aborted) {
          return;
        }
        if (!(item instanceof Uint8Array) && item.generation === this.#generation) {
          this.#matches.push(item.lines);
          this.#countMatches(item.isComplete);
        }
      }
    } catch (error) {
      if (!isCancelled(error) && !signal.aborted) {
        this.state.setState({ searchProblem: problemOf(error), isSearchComplete: true });
      }
    }
  }

  #countMatches(isComplete?: boolean): void {
    this.state.setState((state) => ({
      matchCount: this.#matches.length - this.#firstMatch,
      isSearchComplete: isComplete ?? state.isSearchComplete,
      revision: state.revision + 1,
    }));
  }
}

const MAX_KEPT = 30;
const sessions = new Map<string, LogSession>();

/** The session of a log: the same one as before while it is among the last that were looked at. */
export function logSession(containerIds: readonly string[]): LogSession {
  const key = containerIds.join(' ');
  const session = sessions.get(key) ?? new LogSession(containerIds);
  sessions.delete(key);
  sessions.set(key, session);
  for (const old of sessions.keys()) {
    if (sessions.size <= MAX_KEPT) {
      break;
    }
    sessions.delete(old);
  }
  return session;
}
