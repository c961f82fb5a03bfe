import { useSyncExternalStore } from 'react';

const STEP_MS = 10_000;
const listeners = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

function tick(): void {
  now = Date.now();
  for (const listener of listeners) {
    listener();
  }
}

/** No timer runs while nobody shows an age, or the page is hidden. */
function schedule(): void {
  const isNeeded = listeners.size > 0 && document.visibilityState === 'visible';
  if (isNeeded && timer === undefined) {
    timer = setInterval(tick, STEP_MS);
  } else if (!isNeeded && timer !== undefined) {
    clearInterval(timer);
    timer = undefined;
  }
}

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) {
    document.addEventListener('visibilitychange', onVisibility);
    now = Date.now();
  }
  listeners.add(listener);
  schedule();
  return () => {
    listeners.delete(listener);
    schedule();
    if (listeners.size === 0) {
      document.removeEventListener('visibilitychange', onVisibility);
    }
  };
}

function onVisibility(): void {
  if (document.visibilityState === 'visible') {
    tick();
  }
  schedule();
}

/** Present time in epoch ms, renewed every ten seconds while the page is visible: for ages and uptimes. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}
