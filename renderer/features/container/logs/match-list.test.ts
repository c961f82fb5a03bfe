import { describe, expect, it } from 'vitest';
import { lowerBound } from './log-cache.ts';
import { MatchList } from './match-list.ts';

describe('MatchList', () => {
  it('grows beyond its first size and finds by number', () => {
    const matches = new MatchList();
    for (let batch = 0; batch < 100; batch += 1) {
      matches.push(Array.from({ length: 100 }, (_, index) => (batch * 100 + index) * 3));
    }
    expect(matches.length).toBe(10_000);
    expect(matches.at(9999)).toBe(29_997);
    expect(lowerBound(matches, 301)).toBe(101);
  });

  it('drops what lies below a line', () => {
    const matches = new MatchList();
    matches.push([1, 5, 9]);
    matches.dropBelow(5);
    expect([matches.length, matches.at(0), matches.at(2)]).toEqual([2, 5, undefined]);
  });
});
