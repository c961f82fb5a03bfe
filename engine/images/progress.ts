import type { ProgressMessage, ProgressSink } from './contract.ts';

/** Between two lines for one id: fast enough for the eye, few enough for slow clients. */
const INTERVAL_MS = 100;
const BAR_WIDTH = 50;

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** `12.3MB`: four significant digits, decimal units, as Docker prints sizes. */
export function humanSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${Number(value.toPrecision(4))}${UNITS[unit] ?? ''}`;
}

/** The bar that Docker sends for clients that draw none. */
export function progressBar(current: number, total: number): string {
  if (total <= 0 || current > total) {
    return humanSize(current).padStart(8);
  }
  const filled = Math.floor((current / total) * BAR_WIDTH);
  const head = filled < BAR_WIDTH ? '>' : '';
  const bar = `${'='.repeat(filled)}${head}`.padEnd(BAR_WIDTH);
  return `[${bar}] ${humanSize(current).padStart(8)}/${humanSize(total)}`;
}

/**
 * Progress of one operation. Status lines pass at once; byte counts of one id and status pass every 100 ms, the last
 * one always.
 */
export class ProgressWriter {
  readonly #sink: ProgressSink;
  readonly #lastAtMs = new Map<string, number>();

  constructor(sink: ProgressSink | undefined) {
    this.#sink = sink ?? (() => {});
  }

  /** A line about the whole. */
  message(status: string, id?: string): void {
    this.#sink(id === undefined ? { status } : { status, id });
  }

  /** A state of one layer. */
  status(id: string, status: string): void {
    this.#sink({ status, progressDetail: {}, id });
  }

  /** Bytes done of one layer. */
  bytes(id: string, status: string, currentBytes: number, totalBytes: number): void {
    const key = `${id} ${status}`;
    const nowMs = performance.now();
    const isLast = currentBytes >= totalBytes;
    if (!isLast && nowMs - (this.#lastAtMs.get(key) ?? Number.NEGATIVE_INFINITY) < INTERVAL_MS) {
      return;
    }
    this.#lastAtMs.set(key, nowMs);
    this.#sink({
      status,
      progressDetail: {
        current: currentBytes,
        ...(totalBytes > 0 ? { total: totalBytes } : {}),
      },
      progress: progressBar(currentBytes, totalBytes),
      id,
    });
  }

  /** Anything else. */
  send(message: ProgressMessage): void {
    this.#sink(message);
  }
}
