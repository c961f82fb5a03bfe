import { useStore } from 'zustand';
import { createStore } from 'zustand/vanilla';

/** What is under way for an object: shown in place of its state until the engine's event confirms it. */
export type PendingVerb =
  | 'starting'
  | 'stopping'
  | 'restarting'
  | 'pausing'
  | 'resuming'
  | 'killing'
  | 'removing';

/** Work under way by object id. */
export const pending = createStore<ReadonlyMap<string, PendingVerb>>(() => new Map());

/** Marks `ids` while `work` runs. Rejections pass through; the marks are taken away in any case. */
export async function withPending<T>(
  ids: readonly string[],
  verb: PendingVerb,
  work: () => Promise<T>,
): Promise<T> {
  pending.setState(new Map([...pending.getState(), ...ids.map((id) => [id, verb] as const)]), true);
  try {
    return await work();
  } finally {
    const left = new Map(pending.getState());
    for (const id of ids) {
      if (left.get(id) === verb) {
        left.delete(id);
      }
    }
    pending.setState(left, true);
  }
}

/** What is under way for one object. */
export function usePending(id: string): PendingVerb | undefined {
  return useStore(pending, (state) => state.get(id));
}

/** Work under way by object id; a new map at each change. */
export function usePendingAll(): ReadonlyMap<string, PendingVerb> {
  return useStore(pending);
}
