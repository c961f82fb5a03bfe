import { describe, expect, it } from 'vitest';
import {
  formatAgo,
  formatBytes,
  formatDuration,
  formatMemory,
  formatPercent,
  plural,
  shortId,
} from './format.ts';

describe('formatBytes', () => {
  it('uses decimal units with three digits at most', () => {
    expect([0, 999, 1000, 1234, 12_340_000, 999_600, 1.25e9].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1 kB',
      '1.23 kB',
      '12.3 MB',
      '1 MB',
      '1.25 GB',
    ]);
  });

  it('is a dash for what is not known', () => {
    expect([formatBytes(-1), formatBytes(undefined), formatBytes(Number.NaN)]).toEqual([
      '—',
      '—',
      '—',
    ]);
  });
});

describe('formatMemory', () => {
  it('uses binary units', () => {
    expect([1024, 12.4 * 1024 * 1024, 1023.9 * 1024].map(formatMemory)).toEqual([
      '1 KiB',
      '12.4 MiB',
      '1 MiB',
    ]);
  });
});

describe('times', () => {
  it('are given in their two largest units', () => {
    const minute = 60_000;
    expect(
      [0, 59_000, 5 * minute, 65 * minute, 120 * minute, 50 * 60 * minute].map(formatDuration),
    ).toEqual(['0 s', '59 s', '5 m', '1 h 5 m', '2 h', '2 d 2 h']);
  });

  it('treat the zero time of the engine as unknown', () => {
    expect(formatAgo(0, 1_800_000_000_000)).toBe('—');
    expect(formatAgo(1_800_000_000_000 - 180_000, 1_800_000_000_000)).toBe('3 m ago');
  });
});

describe('small ones', () => {
  it('reads as people write', () => {
    expect(formatPercent(12.345)).toBe('12.3%');
    expect(formatPercent(250)).toBe('250%');
    expect(shortId('sha256:0123456789abcdef')).toBe('0123456789ab');
    expect(plural(1, 'image')).toBe('1 image');
    expect(plural(2000, 'image')).toBe('2,000 images');
  });
});
