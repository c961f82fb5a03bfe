import { pathSegment } from '../../engine/api/client/client.ts';
import { statsSchema } from '../../engine/api/client/responses.ts';
import { Semaphore } from '../../engine/base/async.ts';
import { isAbortError } from '../../engine/base/errors.ts';
import type { StatsSample } from '../contract/container-channels.ts';
import type { StreamContext } from './bridge-server.ts';
import type { EngineLink } from './engine-link.ts';
import { type CpuCounters, normaliseStats } from './stats-math.ts';

/** Between two rounds. */
const DEFAULT_INTERVAL_MS = 1000;
/** Requests at once; a round that is slower than the interval delays the next, rounds never overlap. */
const CONCURRENCY = 4;
/** How long samples are kept for charts that are opened later. */
export const HISTORY_MS = 10 * 60 * 1000;

interface Track {
  counters: CpuCounters | undefined;
  readonly history: StatsSample[];
}

interface Subscriber {
  ids: ReadonlySet<string>;
  readonly latest: Map<string, StatsSample>;
  wake: () => void;
}

/**
 * Samples usage for the containers that somebody looks at, one request per container and round.
 * Without subscribers there is no timer.
 */
export class StatsSampler implements Disposable {
  readonly #link: EngineLink;
  readonly #isRunning: (id: string) => boolean;
  readonly #intervalMs: number;
  readonly #subscribers = new Set<Subscriber>();
  readonly #tracks = new Map<string, Track>();
  readonly #limit = new Semaphore(CONCURRENCY);
  readonly #life = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #isSampling = false;

  constructor(options: {
    link: EngineLink;
    /** Whether asking makes sense. */
    isRunning: (id: string) => boolean;
    intervalMs?: number;
  }) {
    this.#link = options.link;
    this.#isRunning = options.isRunning;
    this.#intervalMs = options.intervalMs ?? DEFAULT_INTERVAL_MS;
  }

  /** True while a timer or a round is there. */
  get isActive(): boolean {
    return this.#timer !== undefined || this.#isSampling;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#life.abort(new DOMException('the host stops', 'AbortError'));
  }

  /** Samples of the last 10 minutes, oldest first. */
  history(id: string): StatsSample[] {
    const oldest = Date.now() - HISTORY_MS;
    return (this.#tracks.get(id)?.history ?? []).filter((sample) => sample.timeMs >= oldest);
  }

  /** Serves `containers.stats`. */
  async serve(
    params: { ids: string[] },
    context: StreamContext<{ samples: StatsSample[] }, { ids: string[] }>,
  ): Promise<void> {
    const { signal } = context;
    const subscriber: Subscriber = {
      ids: new Set(params.ids),
      latest: new Map(),
      wake: () => {},
    };
    this.#subscribers.add(subscriber);
    const onAbort = (): void => subscriber.wake();
    signal.addEventListener('abort', onAbort, { once: true });
    const input = this.#readInput(subscriber, context.input);
    this.#schedule(0);
    try {
      while (!signal.aborted) {
        if (subscriber.latest.size === 0) {
          await new Promise<void>((resolve) => {
            subscriber.wake = resolve;
          });
        } else {
          // A page that is slow misses rounds instead of queueing them.
          const samples = [...subscriber.latest.values()];
          subscriber.latest.clear();
          await context.send({ samples });
        }
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#subscribers.delete(subscriber);
      if (this.#subscribers.size === 0) {
        clearTimeout(this.#timer);
        this.#timer = undefined;
      }
      await input;
    }
  }

  async #readInput(
    subscriber: Subscriber,
    input: AsyncIterable<{ ids: string[] } | Uint8Array>,
  ): Promise<void> {
    try {
      for await (const change of input) {
        if (!(change instanceof Uint8Array)) {
          subscriber.ids = new Set(change.ids);
          this.#schedule(0);
        }
      }
    } catch (error) {
      if (!isAbortError(error)) {
        throw error;
      }
    }
  }

  #schedule(delayMs: number): void {
    if (this.#isSampling || this.#life.signal.aborted || this.#subscribers.size === 0) {
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#round();
    }, delayMs);
    this.#timer.unref();
  }

  async #round(): Promise<void> {
    this.#isSampling = true;
    const startedAt = performance.now();
    try {
      if (this.#link.status.status === 'connected') {
        const wanted = new Set<string>();
        for (const { ids } of this.#subscribers) {
          for (const id of ids) {
            wanted.add(id);
          }
        }
        const running = [...wanted].filter((id) => this.#isRunning(id));
        await Promise.all(running.map((id) => this.#limit.run(() => this.#sample(id))));
        this.#forgetOld();
        for (const subscriber of this.#subscribers) {
          if (subscriber.latest.size > 0) {
            subscriber.wake();
          }
        }
      }
    } finally {
      this.#isSampling = false;
      this.#schedule(Math.max(0, this.#intervalMs - (performance.now() - startedAt)));
    }
  }

  async #sample(id: string): Promise<void> {
    try {
      const stats = await this.#link.client.get(
        `/containers/${pathSegment(id)}/stats`,
        statsSchema,
        {
          query: { stream: false, 'one-shot': true },
          signal: this.#life.signal,
        },
      );
      const track = this.#tracks.get(id) ?? { counters: undefined, history: [] };
      const result = normaliseStats(id, stats, track.counters);
      if (result === undefined) {
        return;
      }
      track.counters = result.counters;
      track.history.push(result.sample);
      this.#tracks.set(id, track);
      for (const subscriber of this.#subscribers) {
        if (subscriber.ids.has(id)) {
          subscriber.latest.set(id, result.sample);
        }
      }
    } catch {
      // Stopped or removed meanwhile, or the engine went away: no sample then. The list says why.
      const track = this.#tracks.get(id);
      if (track !== undefined) {
        track.counters = undefined;
      }
    }
  }

  #forgetOld(): void {
    const oldest = Date.now() - HISTORY_MS;
    for (const [id, track] of this.#tracks) {
      while (track.history[0] !== undefined && track.history[0].timeMs < oldest) {
        track.history.shift();
      }
      if (track.history.length === 0) {
        this.#tracks.delete(id);
      }
    }
  }
}
