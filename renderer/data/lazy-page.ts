import { type ComponentType, type LazyExoticComponent, lazy } from 'react';

/**
 * Pauses before a part of the page is asked for again, ms. Networks of containers come and go on this very machine,
 * and a browser drops what it is loading whenever one does.
 */
const RETRY_DELAYS_MS = [100, 300, 1000, 2000];

const loaders: (() => Promise<unknown>)[] = [];

async function withRetries<T>(load: () => Promise<T>): Promise<T> {
  for (const delayMs of RETRY_DELAYS_MS) {
    try {
      return await load();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }
  return await load();
}

/** A component that is loaded when it is first shown, or before when there is time; a failed load is repeated. */
export function lazyPage<P extends object>(
  load: () => Promise<{ readonly default: ComponentType<P> }>,
): LazyExoticComponent<ComponentType<P>> {
  let loading: Promise<{ readonly default: ComponentType<P> }> | undefined;
  const loadOnce = (): Promise<{ readonly default: ComponentType<P> }> => {
    loading ??= withRetries(load).catch((error: unknown) => {
      loading = undefined;
      throw error;
    });
    return loading;
  };
  loaders.push(loadOnce);
  return lazy(loadOnce);
}

/** Loads everything that was declared with {@link lazyPage}, one after the other, while the page is idle. */
export function preloadPages(): void {
  const next = async (): Promise<void> => {
    const load = loaders.shift();
    if (load !== undefined) {
      try {
        await load();
      } catch {
        // Asked for again when it is needed.
      }
      whenIdle(next);
    }
  };
  whenIdle(next);
}

function whenIdle(work: () => Promise<void>): void {
  requestIdleCallback(
    () => {
      void work();
    },
    { timeout: 3000 },
  );
}
