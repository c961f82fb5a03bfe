import { abortable } from '../base/async.ts';
import { isAbortError } from '../base/errors.ts';

/** What one caller of shared work wants. */
export interface SharedWorkOptions<P> {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: P) => void) | undefined;
}

interface Running<T, P> {
  readonly promise: Promise<T>;
  readonly controller: AbortController;
  readonly listeners: Set<(progress: P) => void>;
  waiterCount: number;
  lastProgress: { readonly value: P } | undefined;
}

/**
 * Work that several callers want at once and that must be done once: the download of a blob, the applying of a layer.
 * A caller that aborts leaves at once; when the last one leaves, the work is aborted. A caller that joined others' work
 * does it again itself when that fails: the failure may come from the others' credentials or their abort.
 */
export class SharedWork<T, P> {
  readonly #running = new Map<string, Running<T, P>>();

  async run(
    key: string,
    work: (signal: AbortSignal, report: (progress: P) => void) => Promise<T>,
    options: SharedWorkOptions<P>,
  ): Promise<T> {
    for (;;) {
      options.signal?.throwIfAborted();
      const found = this.#running.get(key);
      if (found === undefined) {
        return await this.#wait(key, this.#start(key, work), options);
      }
      try {
        return await this.#wait(key, found, options);
      } catch (error) {
        if (options.signal?.aborted === true && isAbortError(error)) {
          throw error;
        }
        options.signal?.throwIfAborted();
        // Another joiner may already be at it: then join that one.
      }
      if (this.#running.get(key) === found) {
        this.#running.delete(key);
      }
    }
  }

  #start(
    key: string,
    work: (signal: AbortSignal, report: (progress: P) => void) => Promise<T>,
  ): Running<T, P> {
    const controller = new AbortController();
    const listeners = new Set<(progress: P) => void>();
    const report = (value: P): void => {
      running.lastProgress = { value };
      for (const listener of listeners) {
        listener(value);
      }
    };
    const promise = Promise.resolve()
      .then(() => work(controller.signal, report))
      .finally(() => {
        if (this.#running.get(key) === running) {
          this.#running.delete(key);
        }
      });
    const running: Running<T, P> = {
      promise,
      controller,
      listeners,
      waiterCount: 0,
      lastProgress: undefined,
    };
    this.#running.set(key, running);
    return running;
  }

  async #wait(
    key: string,
    running: Running<T, P>,
    { signal, onProgress }: SharedWorkOptions<P>,
  ): Promise<T> {
    running.waiterCount += 1;
    const listener = onProgress === undefined ? undefined : (value: P) => onProgress(value);
    if (listener !== undefined) {
      running.listeners.add(listener);
      if (running.lastProgress !== undefined) {
        listener(running.lastProgress.value);
      }
    }
    try {
      return await abortable(running.promise, signal);
    } finally {
      running.waiterCount -= 1;
      if (listener !== undefined) {
        running.listeners.delete(listener);
      }
      if (running.waiterCount === 0 && this.#running.get(key) === running) {
        // Nobody wants it any more; a newcomer must not join what is being torn down.
        this.#running.delete(key);
        running.promise.catch(() => {});
        running.controller.abort(signal?.reason);
      }
    }
  }
}
