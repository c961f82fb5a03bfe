import type { ContainerConfig } from '../api/types/container.ts';
import { delay } from '../base/async.ts';
import { messageOf } from '../base/errors.ts';
import type { Container } from './container.ts';
import type { HealthcheckResult, HealthState } from './contract.ts';
import type { ContainerCore } from './core.ts';
import type { Execs } from './exec.ts';
import { formatTimeNs, nowNs, nowText, parseTimeNs } from './times.ts';

const DEFAULT_INTERVAL_MS = 30_000;
const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_START_INTERVAL_MS = 5_000;
const DEFAULT_RETRIES = 3;
const MAX_LOG_ENTRIES = 5;
const MAX_OUTPUT_BYTES = 4096;

/** A healthcheck's settings with defaults filled in; undefined: there is none. */
export interface Probe {
  readonly cmd: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly startPeriodMs: number;
  readonly startIntervalMs: number;
  readonly retries: number;
}

function toMs(durationNs: number | undefined, fallbackMs: number): number {
  return durationNs === undefined || durationNs === 0 ? fallbackMs : durationNs / 1e6;
}

/** Reads `Healthcheck` of a container's configuration. */
export function probeOf(config: ContainerConfig): Probe | undefined {
  const check = config.Healthcheck;
  const [kind, ...args] = check?.Test ?? [];
  if (check === undefined || (kind !== 'CMD' && kind !== 'CMD-SHELL') || args.length === 0) {
    return undefined;
  }
  const shell = config.Shell?.length ? config.Shell : ['/bin/sh', '-c'];
  return {
    cmd: kind === 'CMD' ? args : [...shell, ...args],
    intervalMs: toMs(check.Interval, DEFAULT_INTERVAL_MS),
    timeoutMs: toMs(check.Timeout, DEFAULT_TIMEOUT_MS),
    startPeriodMs: toMs(check.StartPeriod, 0),
    startIntervalMs: toMs(check.StartInterval, DEFAULT_START_INTERVAL_MS),
    retries: check.Retries !== undefined && check.Retries > 0 ? check.Retries : DEFAULT_RETRIES,
  };
}

/** Health after one more probe. A failure within the start period does not count while nothing was healthy yet. */
export function nextHealth(
  before: HealthState,
  result: HealthcheckResult,
  probe: Probe,
  startedAt: string,
): HealthState {
  const log = [...before.Log, result].slice(-MAX_LOG_ENTRIES);
  if (result.ExitCode === 0) {
    return { Status: 'healthy', FailingStreak: 0, Log: log };
  }
  const sinceStartNs = (parseTimeNs(result.Start) ?? 0n) - (parseTimeNs(startedAt) ?? 0n);
  if (before.Status === 'starting' && Number(sinceStartNs) / 1e6 < probe.startPeriodMs) {
    return { ...before, Log: log };
  }
  const streak = before.FailingStreak + 1;
  return {
    Status: streak >= probe.retries ? 'unhealthy' : before.Status,
    FailingStreak: streak,
    Log: log,
  };
}

/** `30s`, `1m30s`, `500ms`: durations as Go prints them. */
function goDuration(ms: number): string {
  if (ms < 1000) {
    return `${ms}ms`;
  }
  const hours = Math.trunc(ms / 3_600_000);
  const minutes = Math.trunc((ms % 3_600_000) / 60_000);
  const seconds = (ms % 60_000) / 1000;
  return `${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${seconds}s`;
}

/** Probes one running container until it is disposed. */
export class HealthMonitor implements Disposable {
  readonly #core: ContainerCore;
  readonly #execs: Execs;
  readonly #container: Container;
  readonly #probe: Probe;
  readonly #end = new AbortController();

  /** Starts probing; the health state becomes `starting` unless one is kept (engine restart, unpause). */
  constructor(core: ContainerCore, execs: Execs, container: Container, probe: Probe) {
    this.#core = core;
    this.#execs = execs;
    this.#container = container;
    this.#probe = probe;
    container.record.state.health ??= { Status: 'starting', FailingStreak: 0, Log: [] };
    this.#loop().catch((error: unknown) => {
      if (!this.#end.signal.aborted) {
        core.logger.error('health monitor ended', { id: container.id, problem: messageOf(error) });
      }
    });
  }

  [Symbol.dispose](): void {
    this.#end.abort();
  }

  #intervalMs(): number {
    const { state } = this.#container.record;
    const startedNs = parseTimeNs(state.startedAt) ?? 0n;
    const isStarting = Number(nowNs() - startedNs) / 1e6 < this.#probe.startPeriodMs;
    return isStarting && state.health?.Status === 'starting'
      ? this.#probe.startIntervalMs
      : this.#probe.intervalMs;
  }

  async #loop(): Promise<void> {
    while (!this.#end.signal.aborted) {
      await delay(this.#intervalMs(), this.#end.signal);
      const result = await this.#run();
      if (this.#end.signal.aborted) {
        return;
      }
      const { state } = this.#container.record;
      const before = state.health ?? { Status: 'starting', FailingStreak: 0, Log: [] };
      state.health = nextHealth(before, result, this.#probe, state.startedAt);
      if (state.health.Status !== before.Status) {
        await this.#core.saveState(this.#container);
        this.#core.publish(this.#container, `health_status: ${state.health.Status}`);
      }
    }
  }

  async #run(): Promise<HealthcheckResult> {
    const startedAt = formatTimeNs(nowNs());
    const end = (exitCode: number, output: string): HealthcheckResult => ({
      Start: startedAt,
      End: nowText(),
      ExitCode: exitCode,
      Output: output,
    });
    try {
      const result = await this.#execs.probe(this.#container, this.#probe.cmd, {
        maxOutputBytes: MAX_OUTPUT_BYTES,
        timeoutMs: this.#probe.timeoutMs,
        signal: this.#end.signal,
      });
      if (result.isTimedOut) {
        const said = result.output === '' ? '' : `: ${result.output}`;
        const limit = goDuration(this.#probe.timeoutMs);
        return end(-1, `Health check exceeded timeout (${limit})${said}`);
      }
      return end(result.exitCode, result.output);
    } catch (error) {
      return end(-1, messageOf(error));
    }
  }
}
