import { isCancelled } from '../../../electron/contract/error.ts';
import type { PruneItem } from '../../../electron/contract/storage-channels.ts';
import { bridge, type Problem, problemOf } from '../../data/bridge.ts';

/** A running or finished clean-up. */
export interface PruneRun {
  readonly status: 'running' | 'done' | 'stopped' | 'failed';
  readonly doneCount: number;
  readonly totalCount: number;
  readonly removedCount: number;
  readonly freedBytes: number;
  readonly failures: readonly {
    readonly key: string;
    readonly name: string;
    readonly message: string;
  }[];
  readonly problem?: Problem;
}

/** Deletes exactly `items`; aborting stops before the next one. Never rejects. */
export async function runPrune(
  items: readonly PruneItem[],
  signal: AbortSignal,
  onChange: (run: PruneRun) => void,
): Promise<void> {
  let run: PruneRun = {
    status: 'running',
    doneCount: 0,
    totalCount: items.length,
    removedCount: 0,
    freedBytes: 0,
    failures: [],
  };
  const set = (change: Partial<PruneRun>): void => {
    run = { ...run, ...change };
    onChange(run);
  };
  set({});
  try {
    const stream = await bridge.open('disk.prune', { items: [...items] }, { signal });
    for await (const item of stream) {
      if (item instanceof Uint8Array) {
        continue;
      }
      if (item.type === 'summary') {
        set({ status: 'done', removedCount: item.removedCount, freedBytes: item.freedBytes });
      } else if (item.error === undefined) {
        set({
          doneCount: run.doneCount + 1,
          removedCount: run.removedCount + 1,
          freedBytes: run.freedBytes + item.bytes,
        });
      } else {
        const failure = {
          key: `${item.kind} ${item.id}`,
          name: item.name,
          message: item.error.message,
        };
        set({ doneCount: run.doneCount + 1, failures: [...run.failures, failure] });
      }
    }
    if (run.status === 'running') {
      set({ status: signal.aborted ? 'stopped' : 'done' });
    }
  } catch (error) {
    if (isCancelled(error) || signal.aborted) {
      set({ status: 'stopped' });
    } else {
      set({ status: 'failed', problem: problemOf(error) });
    }
  }
}
