import type { LogLine } from '../../../../electron/contract/log-channels.ts';

/** Lines kept at most; a screen shows about 60. */
const MAX_LINES = 20_000;

/** Lines of one log by number. Keeps what was asked for most recently. */
export class LogCache {
  #lines = new Map<number, LogLine>();

  /** The line, when it is here. */
  get(line: number): LogLine | undefined {
    return this.#lines.get(line);
  }

  /** Adds a window. The oldest additions go when there are too many. */
  add(first: number, lines: readonly LogLine[]): void {
    for (const [index, line] of lines.entries()) {
      // Put at the end, so that iteration goes from the oldest addition.
      this.#lines.delete(first + index);
      this.#lines.set(first + index, line);
    }
    const surplus = this.#lines.size - MAX_LINES;
    if (surplus > 0) {
      let gone = 0;
      for (const key of this.#lines.keys()) {
        if (gone >= surplus) {
          break;
        }
        this.#lines.delete(key);
        gone += 1;
      }
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.#lines = new Map();
  }

  /** How many lines are held. */
  get size(): number {
    return this.#lines.size;
  }
}

/** A stretch of lines to ask for. */
export interface LineRange {
  readonly first: number;
  readonly count: number;
}

/**
 * The stretches that cover all wanted lines that are missing; neighbours closer than `gap` become one.
 *
 * @param wanted  ascending line numbers
 */
export function missingRanges(
  wanted: readonly number[],
  has: (line: number) => boolean,
  gap: number,
  maxCount: number,
): readonly LineRange[] {
  const ranges: { first: number; count: number }[] = [];
  for (const line of wanted) {
    if (has(line)) {
      continue;
    }
    const last = ranges.at(-1);
    if (
      last !== undefined &&
      line - (last.first + last.count) < gap &&
      line - last.first < maxCount
    ) {
      last.count = line - last.first + 1;
    } else {
      ranges.push({ first: line, count: 1 });
    }
  }
  return ranges;
}

/** Index of the first element that is at least `value`; the length when none is. */
export function lowerBound(
  sorted: { readonly length: number; at(index: number): number | undefined },
  value: number,
): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted.at(middle) ?? 0) < value) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
