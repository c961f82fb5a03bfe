import { useEffect, useSyncExternalStore } from 'react';
import { useStore } from 'zustand';
import { createStore } from 'zustand/vanilla';
import type { StatsSample } from '../../electron/contract/container-channels.ts';
import { isCancelled } from '../../electron/contract/error.ts';
import { bridge } from './bridge.ts';

/** Most containers sampled at once; the bridge accepts 1000. */
const MAX_IDS = 1000;

/** Last sample of each container that somebody looks at. */
const samples = createStore<ReadonlyMap<string, StatsSample>>(() => new Map());
/** What each consumer wants, by a key of its own. */
const wishes = new Map<string, readonly string[]>();
let wanted: readonly string[] = [];
let stop: AbortController | undefined;
let sendIds: ((ids: string[]) => void) | undefined;

function union(): string[] {
  const ids = new Set<string>();
  if (document.visibilityState === 'visible') {
    for (const wish of wishes.values()) {
      for (const id of wish) {
        if (ids.size < MAX_IDS) {
          ids.add(id);
        }
      }
    }
  }
  return [...ids].sort();
}

function update(): void {
  const next = union();
  if (next.length === wanted.length && next.every((id, index) => id === wanted[index])) {
    return;
  }
  wanted = next;
  if (next.length === 0) {
    stop?.abort();
    stop = undefined;
    sendIds = undefined;
  } else if (stop === undefined) {
    stop = new AbortController();
    void run(stop.signal);
  } else {
    sendIds?.(next);
  }
}

/** One stream serves every consumer; it is open only while something is wanted and the page is visible. */
async function run(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const stream = await bridge.open('containers.stats', { ids: [...wanted] }, { signal });
      sendIds = (ids) => {
        stream.send({ ids }).catch(() => {
          // The stream is over: the loop opens the next one with the wishes of then.
        });
      };
      for await (const item of stream) {
        if (!(item instanceof Uint8Array) && item.samples.length > 0) {
          take(item.samples);
        }
      }
    } catch (error) {
      if (isCancelled(error)) {
        return;
      }
    }
    sendIds = undefined;
    if (!signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

function take(fresh: readonly StatsSample[]): void {
  const next = new Map(samples.getState());
  for (const sample of fresh) {
    next.set(sample.id, sample);
  }
  samples.setState(next, true);
}

document.addEventListener('visibilitychange', update);

/** Asks for samples of `ids` as long as the component stands. `key` tells consumers apart. */
export function useStatsWish(key: string, ids: readonly string[]): void {
  const joined = ids.join(' ');
  useEffect(() => {
    wishes.set(key, joined === '' ? [] : joined.split(' '));
    update();
  }, [key, joined]);
  useEffect(
    () => () => {
      wishes.delete(key);
      update();
    },
    [key],
  );
}

/** Last sample of one container, while somebody wishes it. */
export function useSample(id: string): StatsSample | undefined {
  return useStore(samples, (state) => state.get(id));
}

/** Last samples of all; changes about once a second while the stream is open. */
export function useSamples(): ReadonlyMap<string, StatsSample> {
  return useSyncExternalStore(samples.subscribe, samples.getState);
}
