import type { StreamContext } from './bridge-server.ts';
import { pause } from './pause.ts';

/** Item of a live list; see `contract/lists.ts`. */
export type ListItem<T> =
  | { type: 'snapshot'; items: T[] }
  | { type: 'patch'; upserts: T[]; removed: string[] }
  | { type: 'offline'; message: string };

/** Changes are gathered this long before they are sent, so that a storm of events costs 20 messages a second. */
export const PATCH_INTERVAL_MS = 50;

interface Subscriber {
  readonly dirty: Set<string>;
  needsSnapshot: boolean;
  wake: () => void;
}

/**
 * The present elements of one kind, keyed by id, and their subscribers. A subscriber that is slow gets one merged
 * patch later instead of many: what is kept per subscriber is the set of ids that changed.
 */
export class LiveList<T extends { readonly id: string }> {
  readonly #items = new Map<string, T>();
  readonly #subscribers = new Set<Subscriber>();
  readonly #changeListeners = new Set<() => void>();
  #offline: string | undefined = 'connecting to the engine';

  /** Present elements; a live view. */
  get items(): ReadonlyMap<string, T> {
    return this.#items;
  }

  /** True between the first snapshot and the loss of the engine. */
  get isOnline(): boolean {
    return this.#offline === undefined;
  }

  /** Replaces everything, after a connect. */
  reset(items: Iterable<T>): void {
    this.#items.clear();
    for (const item of items) {
      this.#items.set(item.id, item);
    }
    this.#offline = undefined;
    this.#touch((subscriber) => {
      subscriber.needsSnapshot = true;
    });
  }

  /** Adds or replaces; equal content is no change. */
  upsert(item: T): void {
    const before = this.#items.get(item.id);
    if (before !== undefined && JSON.stringify(before) === JSON.stringify(item)) {
      return;
    }
    this.#items.set(item.id, item);
    this.#touch((subscriber) => subscriber.dirty.add(item.id));
  }

  /** Removes, if it is there. */
  remove(id: string): void {
    if (this.#items.delete(id)) {
      this.#touch((subscriber) => subscriber.dirty.add(id));
    }
  }

  /** The engine is away; the elements stay as they were last seen. */
  setOffline(message: string): void {
    this.#offline = message;
    this.#touch((subscriber) => {
      subscriber.needsSnapshot = true;
    });
  }

  /** Calls `listener` synchronously at each change. */
  onChange(listener: () => void): Disposable {
    this.#changeListeners.add(listener);
    return { [Symbol.dispose]: () => this.#changeListeners.delete(listener) };
  }

  /** Serves one page until it leaves. */
  async serve(context: StreamContext<ListItem<T>, never>): Promise<void> {
    const { signal } = context;
    const subscriber: Subscriber = { dirty: new Set(), needsSnapshot: true, wake: () => {} };
    this.#subscribers.add(subscriber);
    const onAbort = (): void => subscriber.wake();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!signal.aborted) {
        const item = this.#next(subscriber);
        if (item === undefined) {
          await new Promise<void>((resolve) => {
            subscriber.wake = resolve;
          });
        } else {
          await context.send(item);
          await pause(PATCH_INTERVAL_MS, signal);
        }
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#subscribers.delete(subscriber);
    }
  }

  #next(subscriber: Subscriber): ListItem<T> | undefined {
    if (subscriber.needsSnapshot) {
      subscriber.needsSnapshot = false;
      subscriber.dirty.clear();
      return this.#offline === undefined
        ? { type: 'snapshot', items: [...this.#items.values()] }
        : { type: 'offline', message: this.#offline };
    }
    if (subscriber.dirty.size === 0 || this.#offline !== undefined) {
      return undefined;
    }
    const upserts: T[] = [];
    const removed: string[] = [];
    for (const id of subscriber.dirty) {
      const item = this.#items.get(id);
      if (item === undefined) {
        removed.push(id);
      } else {
        upserts.push(item);
      }
    }
    subscriber.dirty.clear();
    return { type: 'patch', upserts, removed };
  }

  #touch(mark: (subscriber: Subscriber) => void): void {
    for (const subscriber of this.#subscribers) {
      mark(subscriber);
      subscriber.wake();
    }
    for (const listener of this.#changeListeners) {
      listener();
    }
  }
}
