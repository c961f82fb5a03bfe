import { describe, expect, it } from 'vitest';
import type { DiskUsage } from '../../../electron/contract/storage-channels.ts';
import { breakdown, totals } from './breakdown.ts';

const part = (totalBytes: number, reclaimableBytes: number) => ({
  count: 2,
  inUseCount: 1,
  totalBytes,
  reclaimableBytes,
});

const usage: DiskUsage = {
  measuredAtMs: 0,
  images: { ...part(1000, 400), sharedBytes: 100 },
  containers: part(200, 50),
  logs: { isKnown: true, totalBytes: 30, reclaimableBytes: 10 },
  volumes: part(5, 0),
  buildCache: part(0, 0),
  items: [],
};

describe('breakdown', () => {
  it('adds up every part, logs included', () => {
    expect(totals(breakdown(usage))).toEqual({ totalBytes: 1235, reclaimableBytes: 460 });
  });

  it('counts logs as nothing while their size is not known', () => {
    const rows = breakdown({
      ...usage,
      logs: { isKnown: false, totalBytes: 99, reclaimableBytes: 99 },
    });
    expect(rows.find((row) => row.kind === 'logs')?.totalBytes).toBeUndefined();
    expect(totals(rows)).toEqual({ totalBytes: 1205, reclaimableBytes: 450 });
  });
});
