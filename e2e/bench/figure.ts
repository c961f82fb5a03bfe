import type { BenchEngine } from './engine-under-test.ts';

/** A state of the engines that several figures are measured in; made once per engine. */
export interface Scene {
  readonly prepare: (engine: BenchEngine) => Promise<void>;
  /** Absent when the scene stays: what comes later builds on it. */
  readonly tidy?: (engine: BenchEngine) => Promise<void>;
}

/** One thing that is measured. */
export interface Figure {
  /** What the command line calls it. */
  readonly key: string;
  readonly name: string;
  readonly unit: 'ms' | 's' | 'MiB' | 'MB/s' | '%';
  /** Measured samples per engine; the median counts. */
  readonly repeats: number;
  /** Samples before those, thrown away. */
  readonly warmUps?: number;
  /** Throughput: more is better. */
  readonly isMoreBetter?: boolean;
  /** Highest ratio to dockerd that is good enough. */
  readonly ratioBar?: number;
  /** Highest own value that is good enough. */
  readonly valueBar?: number;
  readonly scene?: Scene;
  /** One sample, in `unit`. Cleans up after itself outside the time that it measures. */
  readonly run: (engine: BenchEngine) => Promise<number>;
}

/** Samples of one figure, by engine name. */
export interface Measured {
  readonly figure: Figure;
  readonly samples: ReadonlyMap<string, readonly number[]>;
}

/** Middle value; the mean of the two middle ones for an even count; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** Milliseconds that something takes. */
export async function timeMs(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

/** Does `work` for each item, `width` at a time. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    // All workers take from the same iterator.
    for (const item of queue) {
      await work(item);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
}

/** The engines take turns, and take turns in going first, so that noise of the machine hits them alike. */
async function sampleAll(figure: Figure, engines: readonly BenchEngine[]): Promise<Measured> {
  const samples = new Map<string, number[]>(engines.map((engine) => [engine.name, []]));
  const warmUps = figure.warmUps ?? 0;
  for (let round = 0; round < warmUps + figure.repeats; round += 1) {
    for (const engine of round % 2 === 0 ? engines : engines.toReversed()) {
      const value = await figure.run(engine);
      if (round >= warmUps) {
        samples.get(engine.name)?.push(value);
      }
    }
  }
  return { figure, samples };
}

/**
 * Measures figures in the order given, which keeps figures of one scene together. A figure that fails is reported and left
 * out; the rest goes on.
 */
export async function measureAll(
  figures: readonly Figure[],
  engines: readonly BenchEngine[],
  report: { done: (measured: Measured) => void; failed: (figure: Figure, error: unknown) => void },
): Promise<Measured[]> {
  const results: Measured[] = [];
  let scene: Scene | undefined;
  const change = async (next: Scene | undefined): Promise<void> => {
    if (next !== scene) {
      const last = scene;
      scene = next;
      for (const engine of engines) {
        await last?.tidy?.(engine);
        await next?.prepare(engine);
      }
    }
  };
  for (const figure of figures) {
    try {
      await change(figure.scene);
      const measured = await sampleAll(figure, engines);
      results.push(measured);
      report.done(measured);
    } catch (error) {
      report.failed(figure, error);
    }
  }
  return results;
}
