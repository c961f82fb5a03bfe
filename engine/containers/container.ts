import type { ShimClient } from '../runtime/shim/contract.ts';
import type { ContainerStatus, WaitResult } from './contract.ts';
import type { ExecSessionRecord } from './exec.ts';
import type { HealthMonitor } from './health.ts';
import type { ContainerRecord } from './record.ts';
import { RestartBackoff } from './restart-policy.ts';
import type { PendingAttach } from './stream/attach.ts';
import type { ClientLog } from './stream/output.ts';
import { humanDuration, nowNs, parseTimeNs, ZERO_TIME } from './times.ts';

/** The run of a container that is going on. */
export interface Run {
  readonly client: ShimClient;
  /** Resolves when the exit is handled: record written, `die` published. */
  readonly ended: Promise<void>;
}

/** One container in memory: its record and what lives only as long as the engine. */
export class Container {
  readonly record: ContainerRecord;
  run: Run | undefined;
  backoff: RestartBackoff;
  /** Set while a restart is awaited; aborting it cancels the restart. */
  restartTimer: AbortController | undefined;
  health: HealthMonitor | undefined;
  readonly execs = new Map<string, ExecSessionRecord>();
  /** Sessions that wait for the container to start. */
  readonly pendingAttaches = new Set<PendingAttach>();
  /** Logs that clients may still have to read; held before they are removed. */
  readonly clientLogs = new Set<ClientLog>();
  /** A restart on request is between its stop and its start: no auto remove, no policy. */
  isBeingRestarted = false;
  isRemoved = false;
  #stopWaiters = new Set<(result: WaitResult) => void>();
  #removeWaiters = new Set<(result: WaitResult) => void>();

  constructor(record: ContainerRecord) {
    this.record = record;
    this.backoff = new RestartBackoff(record.restartCount);
  }

  get id(): string {
    return this.record.id;
  }

  /** Docker's state word. */
  get status(): ContainerStatus {
    return statusOf(this.record);
  }

  /** True when its process runs (and nobody waits for a restart). */
  get isUp(): boolean {
    const { state } = this.record;
    return state.isRunning && !state.isRestarting;
  }

  /** Settles with the next stop. The second function takes the registration back. */
  onStop(): { readonly result: Promise<WaitResult>; readonly cancel: () => void } {
    return subscribe(this.#stopWaiters);
  }

  onRemove(): { readonly result: Promise<WaitResult>; readonly cancel: () => void } {
    return subscribe(this.#removeWaiters);
  }

  notifyStopped(error?: string): void {
    settle(this.#stopWaiters, { statusCode: this.record.state.exitCode, error });
  }

  /** Wakes those who wait for a stop as well: a container may go without ever having run. */
  notifyRemoved(error?: string): void {
    const result = { statusCode: this.record.state.exitCode, error };
    settle(this.#stopWaiters, result);
    settle(this.#removeWaiters, result);
  }
}

function subscribe(waiters: Set<(result: WaitResult) => void>): {
  readonly result: Promise<WaitResult>;
  readonly cancel: () => void;
} {
  const { promise, resolve } = Promise.withResolvers<WaitResult>();
  waiters.add(resolve);
  return { result: promise, cancel: () => waiters.delete(resolve) };
}

function settle(waiters: Set<(result: WaitResult) => void>, result: WaitResult): void {
  const all = [...waiters];
  waiters.clear();
  for (const resolve of all) {
    resolve(result);
  }
}

/** Docker's state word of a record. */
export function statusOf(record: ContainerRecord): ContainerStatus {
  const { state } = record;
  if (state.isRunning) {
    return state.isPaused ? 'paused' : state.isRestarting ? 'restarting' : 'running';
  }
  if (state.isRemoving) {
    return 'removing';
  }
  if (state.isDead) {
    return 'dead';
  }
  return state.startedAt === ZERO_TIME ? 'created' : 'exited';
}

function since(text: string): string {
  const then = parseTimeNs(text);
  return then === undefined ? '' : humanDuration(Number((nowNs() - then) / 1_000_000n));
}

/** `Up 2 minutes (healthy)`, `Exited (0) 3 seconds ago` ... */
export function statusText(record: ContainerRecord): string {
  const { state } = record;
  if (state.isRunning) {
    if (state.isPaused) {
      return `Up ${since(state.startedAt)} (Paused)`;
    }
    if (state.isRestarting) {
      return `Restarting (${state.exitCode}) ${since(state.finishedAt)} ago`;
    }
    const health = state.health;
    if (health !== undefined && health.Status !== 'none') {
      const word = health.Status === 'starting' ? 'health: starting' : health.Status;
      return `Up ${since(state.startedAt)} (${word})`;
    }
    return `Up ${since(state.startedAt)}`;
  }
  if (state.isRemoving) {
    return 'Removal In Progress';
  }
  if (state.isDead) {
    return 'Dead';
  }
  if (state.startedAt === ZERO_TIME) {
    return 'Created';
  }
  return state.finishedAt === ZERO_TIME
    ? ''
    : `Exited (${state.exitCode}) ${since(state.finishedAt)} ago`;
}
