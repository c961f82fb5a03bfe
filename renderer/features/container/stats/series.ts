import type { StatsSample } from '../../../../electron/contract/container-channels.ts';

/** Samples kept for the charts: ten minutes at one a second. */
export const MAX_SAMPLES = 600;

/** Columns of the charts; undefined values are gaps. Times are epoch seconds, rates bytes per second. */
export interface StatsSeries {
  readonly timesSec: readonly number[];
  readonly cpuPercent: readonly (number | null)[];
  readonly memoryBytes: readonly (number | null)[];
  readonly memoryLimitBytes: readonly (number | null)[];
  readonly rxRate: readonly (number | null)[];
  readonly txRate: readonly (number | null)[];
  readonly readRate: readonly (number | null)[];
  readonly writeRate: readonly (number | null)[];
}

/** Samples with one more, without doubles and in order, at most {@link MAX_SAMPLES}. */
export function addSample(
  samples: readonly StatsSample[],
  sample: StatsSample,
): readonly StatsSample[] {
  const last = samples.at(-1);
  if (last !== undefined && sample.timeMs <= last.timeMs) {
    return samples;
  }
  return [...samples.slice(-(MAX_SAMPLES - 1)), sample];
}

/** History and live samples as one, by time. */
export function mergeSamples(
  history: readonly StatsSample[],
  live: readonly StatsSample[],
): readonly StatsSample[] {
  const first = live[0]?.timeMs ?? Number.POSITIVE_INFINITY;
  return [...history.filter((sample) => sample.timeMs < first), ...live].slice(-MAX_SAMPLES);
}

/**
 * Samples as chart columns. Totals become rates between neighbours; where a total falls (the container started
 * anew) or the pause is long (it did not run) there is a gap instead of a wrong number.
 */
export function toSeries(samples: readonly StatsSample[]): StatsSeries {
  const timesSec: number[] = [];
  const cpuPercent: (number | null)[] = [];
  const memoryBytes: (number | null)[] = [];
  const memoryLimitBytes: (number | null)[] = [];
  const rates: [(number | null)[], (number | null)[], (number | null)[], (number | null)[]] = [
    [],
    [],
    [],
    [],
  ];
  let before: StatsSample | undefined;
  for (const sample of samples) {
    const gapSec = before === undefined ? 0 : (sample.timeMs - before.timeMs) / 1000;
    if (gapSec > MAX_GAP_SEC && before !== undefined) {
      timesSec.push(before.timeMs / 1000 + 1);
      for (const column of [cpuPercent, memoryBytes, memoryLimitBytes, ...rates]) {
        column.push(null);
      }
    }
    timesSec.push(sample.timeMs / 1000);
    cpuPercent.push(sample.cpuPercent ?? null);
    memoryBytes.push(sample.memoryBytes);
    memoryLimitBytes.push(sample.memoryLimitBytes > 0 ? sample.memoryLimitBytes : null);
    const previous = gapSec > MAX_GAP_SEC ? undefined : before;
    rates[0].push(rate(previous?.netRxBytes, sample.netRxBytes, gapSec));
    rates[1].push(rate(previous?.netTxBytes, sample.netTxBytes, gapSec));
    rates[2].push(rate(previous?.blockReadBytes, sample.blockReadBytes, gapSec));
    rates[3].push(rate(previous?.blockWriteBytes, sample.blockWriteBytes, gapSec));
    before = sample;
  }
  const [rxRate, txRate, readRate, writeRate] = rates;
  return {
    timesSec,
    cpuPercent,
    memoryBytes,
    memoryLimitBytes,
    rxRate,
    txRate,
    readRate,
    writeRate,
  };
}

/** Longer pauses between samples are shown as a gap. */
const MAX_GAP_SEC = 10;

function rate(before: number | undefined, now: number, gapSec: number): number | null {
  return before === undefined || gapSec <= 0 || now < before ? null : (now - before) / gapSec;
}
