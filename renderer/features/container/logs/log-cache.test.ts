import { describe, expect, it } from 'vitest';
import type { LogLine } from '../../../../electron/contract/log-channels.ts';
import { LogCache, lowerBound, missingRanges } from './log-cache.ts';

const line = (text: string): LogLine => ({ source: 0, stream: 'stdout', timeMs: 0, text });

describe('LogCache', () => {
  it('stays bounded and forgets what was added first', () => {
    const cache = new LogCache();
    for (let first = 0; first < 30_000; first += 1000) {
      cache.add(
        first,
        Array.from({ length: 1000 }, (_, index) => line(`${first + index}`)),
      );
    }
    expect(cache.size).toBe(20_000);
    expect(cache.get(0)).toBeUndefined();
    expect(cache.get(29_999)?.text).toBe('29999');
  });
});

describe('missingRanges', () => {
  it('joins neighbours and leaves out what is here', () => {
    const ranges = missingRanges([1, 2, 3, 7, 500], (one) => one === 2, 10, 2000);
    expect(ranges).toEqual([
      { first: 1, count: 7 },
      { first: 500, count: 1 },
    ]);
  });

  it('never asks for more than one window at once', () => {
    const wanted = Array.from({ length: 25 }, (_, index) => index);
    expect(missingRanges(wanted, () => false, 10, 10).map((range) => range.count)).toEqual([
      10, 10, 5,
    ]);
  });
});

describe('lowerBound', () => {
  it('finds the place of a value', () => {
    expect([0, 2, 3, 9].map((value) => lowerBound([2, 4, 8], value))).toEqual([0, 0, 1, 3]);
  });
});
