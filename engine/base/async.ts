/** Serialises work per key: the next caller starts when the one before has settled, whatever its outcome. */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs `work` alone among callers of the same key, in order of arrival. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    using held = await this.acquire(key);
    void held;
    return await work();
  }

  /** Waits for the turn of `key`; the lock is held until the result is disposed. */
  async acquire(key: string): Promise<Disposable> {
    const before = this.#tails.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    const tail = (before ?? Promise.resolve()).then(() => promise);
    this.#tails.set(key, tail);
    await before;
    return {
      [Symbol.dispose]: () => {
        resolve();
        if (this.#tails.get(key) === tail) {
          this.#tails.delete(key);
        }
      },
    };
  }

  /** True while someone holds or awaits `key`. */
  isHeld(key: string): boolean {
    return this.#tails.has(key);
  }
}

/** Lets at most `limit` pieces of work run at once. */
export class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#free = limit;
  }

  /** Runs `work` when a place is free. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) {
      this.#free -= 1;
    } else {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) {
        this.#free += 1;
      } else {
        next();
      }
    }
  }
}

/**
 * Resolves after `delayMs`, or rejects with the signal's reason when it aborts.
 * The timer does not keep the process alive.
 */
export function delay(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, delayMs);
    timer.unref();
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** Rejects with the signal's reason as soon as it aborts, else settles as `promise` does. `promise` itself goes on. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) {
    return promise;
  }
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) {
      onAbort();
      promise.catch(() => {});
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** What a full {@link BoundedQueue} does with the next item. */
export type OverflowPolicy = 'block' | 'drop-oldest' | 'disconnect';

/**
 * The one fan-out queue: single consumer, many producers, at most `limit` items.
 * `block`: `push` resolves when there is room. `drop-oldest`: the oldest goes and is counted.
 * `disconnect`: the queue ends after what it holds, `isOverrun` is true.
 */
export class BoundedQueue<T> implements AsyncIterable<T>, Disposable {
  readonly #limit: number;
  readonly #policy: OverflowPolicy;
  #items: T[] = [];
  #hasEnded = false;
  #wakeReader: (() => void) | undefined;
  #wakeWriters: (() => void)[] = [];
  /** Items lost under `drop-oldest`. */
  droppedCount = 0;
  /** True once `disconnect` has cut the reader off. */
  isOverrun = false;

  constructor(limit: number, policy: OverflowPolicy) {
    this.#limit = limit;
    this.#policy = policy;
  }

  /** Adds an item; a no-op after the end. Awaiting the result matters only under `block`. */
  async push(item: T): Promise<void> {
    while (!this.#hasEnded && this.#items.length >= this.#limit) {
      if (this.#policy === 'drop-oldest') {
        this.#items.shift();
        this.droppedCount += 1;
      } else if (this.#policy === 'disconnect') {
        this.isOverrun = true;
        this.end();
      } else {
        await new Promise<void>((resolve) => this.#wakeWriters.push(resolve));
      }
    }
    if (!this.#hasEnded) {
      this.#items.push(item);
      this.#wake();
    }
  }

  /** No more items; the reader gets what is held and then the end. */
  end(): void {
    this.#hasEnded = true;
    this.#wake();
    this.#releaseWriters();
  }

  /** Drops what is held and ends. */
  [Symbol.dispose](): void {
    this.#items = [];
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) {
        this.#releaseWriters();
        yield item;
      } else if (this.#hasEnded) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
      }
    }
  }

  #wake(): void {
    const wake = this.#wakeReader;
    this.#wakeReader = undefined;
    wake?.();
  }

  #releaseWriters(): void {
    const writers = this.#wakeWriters;
    this.#wakeWriters = [];
    for (const wake of writers) {
      wake();
    }
  }
}
