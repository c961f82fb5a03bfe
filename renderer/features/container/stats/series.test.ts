import { describe, expect, it } from 'vitest';
import type { StatsSample } from '../../../../electron/contract/container-channels.ts';
import { addSample, MAX_SAMPLES, mergeSamples, toSeries } from './series.ts';

const sample = (timeMs: number, change: Partial<StatsSample> = {}): StatsSample => ({
  id: 'a',
  timeMs,
  cpuCount: 2,
  cpuPercent: 10,
  memoryBytes: 100,
  memoryLimitBytes: 1000,
  netRxBytes: 0,
  netTxBytes: 0,
  blockReadBytes: 0,
  blockWriteBytes: 0,
  pids: 1,
  ...change,
});

describe('toSeries', () => {
  it('turns totals into rates', () => {
    const series = toSeries([sample(1000), sample(3000, { netRxBytes: 4000 })]);
    expect(series.rxRate).toEqual([null, 2000]);
    expect(series.timesSec).toEqual([1, 3]);
  });

  it('shows a gap instead of a negative rate when the container started anew', () => {
    expect(
      toSeries([sample(1000, { netRxBytes: 9000 }), sample(2000, { netRxBytes: 10 })]).rxRate,
    ).toEqual([null, null]);
  });

  it('breaks the line over a long pause', () => {
    const series = toSeries([sample(1000), sample(61_000)]);
    expect(series.timesSec).toEqual([1, 2, 61]);
    expect(series.memoryBytes).toEqual([100, null, 100]);
  });
});

describe('samples', () => {
  it('ignore what is not newer and stay bounded', () => {
    let samples: readonly StatsSample[] = [];
    for (let time = 1; time <= MAX_SAMPLES + 50; time += 1) {
      samples = addSample(samples, sample(time));
    }
    expect(samples).toHaveLength(MAX_SAMPLES);
    expect(addSample(samples, sample(5))).toBe(samples);
  });

  it('are joined with the history without doubles', () => {
    const joined = mergeSamples([sample(1), sample(2), sample(3)], [sample(3), sample(4)]);
    expect(joined.map((one) => one.timeMs)).toEqual([1, 2, 3, 4]);
  });
});
