import type { DiskUsage } from '../../../electron/contract/storage-channels.ts';

/** Kinds as the disk page shows them: the prune kinds and logs. */
export type BreakdownKind = 'images' | 'containers' | 'logs' | 'volumes' | 'buildCache';

/** One row of the breakdown. */
export interface BreakdownRow {
  readonly kind: BreakdownKind;
  readonly color: string;
  /** undefined = has no items of its own (logs). */
  readonly count: number | undefined;
  readonly inUseCount: number | undefined;
  /** undefined = not known. */
  readonly totalBytes: number | undefined;
  readonly reclaimableBytes: number;
}

/** The parts of a measurement in the order of the page. */
export function breakdown(usage: DiskUsage): readonly BreakdownRow[] {
  const row = (
    kind: 'images' | 'containers' | 'volumes' | 'buildCache',
    color: string,
  ): BreakdownRow => ({
    kind,
    color,
    count: usage[kind].count,
    inUseCount: usage[kind].inUseCount,
    totalBytes: usage[kind].totalBytes,
    reclaimableBytes: usage[kind].reclaimableBytes,
  });
  return [
    row('images', 'var(--chart-1)'),
    row('containers', 'var(--chart-2)'),
    {
      kind: 'logs',
      color: 'var(--chart-4)',
      count: undefined,
      inUseCount: undefined,
      totalBytes: usage.logs.isKnown ? usage.logs.totalBytes : undefined,
      reclaimableBytes: usage.logs.isKnown ? usage.logs.reclaimableBytes : 0,
    },
    row('volumes', 'var(--chart-3)'),
    row('buildCache', 'var(--chart-5)'),
  ];
}

/** Sum of all parts, and of what can be freed. */
export function totals(rows: readonly BreakdownRow[]): {
  readonly totalBytes: number;
  readonly reclaimableBytes: number;
} {
  let totalBytes = 0;
  let reclaimableBytes = 0;
  for (const row of rows) {
    totalBytes += row.totalBytes ?? 0;
    reclaimableBytes += row.reclaimableBytes;
  }
  return { totalBytes, reclaimableBytes };
}
