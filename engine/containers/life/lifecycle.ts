import { abortable, delay } from '../../base/async.ts';
import {
  ConflictError,
  isAbortError,
  messageOf,
  NotFoundError,
  SystemError,
  UnavailableError,
} from '../../base/errors.ts';
import type { ExitStatus, ShimClient } from '../../runtime/shim/contract.ts';
import type { Container } from '../container.ts';
import type { RemoveOptions, WaitCondition, WaitResult } from '../contract.ts';
import type { ContainerCore } from '../core.ts';
import type { Execs } from '../exec.ts';
import { HealthMonitor, probeOf } from '../health.ts';
import { RestartBackoff } from '../restart-policy.ts';
import { withPrefix } from '../rewrap.ts';
import { parseSignal, SIGKILL, SIGTERM } from '../signals.ts';
import { formatTimeNs, nowNs, nowText, parseTimeNs } from '../times.ts';
import { findExit } from './exit-record.ts';
import { clearSandbox } from './network.ts';
import { waitForHandler } from './readiness.ts';
import { assertRemovable, destroy, removalError, removeLink } from './remove.ts';
import { launch, releaseResources, StartFailure } from './start.ts';

const DEFAULT_STOP_TIMEOUT_SEC = 10;
/** A killed process is expected to be gone within this. */
const KILL_WAIT_MS = 10_000;
const LAST_WAIT_MS = 2_000;
/** A runtime that does not forget a container within this is left behind. */
const GONE_WAIT_MS = 30_000;
/** Exit code of a container whose end nobody saw. */
const EXIT_UNKNOWN = 255;

/** Options of stop and restart. */
export interface StopOptions {
  readonly timeoutSec?: number | undefined;
  readonly stopSignal?: string | undefined;
}

/** Everything that changes whether a container runs. */
export class Lifecycle {
  readonly #core: ContainerCore;
  readonly #execs: Execs;

  constructor(core: ContainerCore, execs: Execs) {
    this.#core = core;
    this.#execs = execs;
  }

  /** Implements {@link ContainerService.start}. */
  async start(ref: string): Promise<'started' | 'already-running'> {
    const container = this.#core.registry.get(ref);
    return await this.#core.lock.run(container.id, async () => {
      const { state } = container.record;
      if (state.isPaused) {
        throw new ConflictError('cannot start a paused container, try unpause instead');
      }
      if (state.isRunning && !state.isRestarting) {
        return 'already-running';
      }
      if (state.isRestarting) {
        container.restartTimer?.abort();
      }
      await this.#startLocked(container, true);
      return 'started';
    });
  }

  /** Starts under the lock. @throws ConflictError, InvalidParameterError, SystemError as start does */
  async #startLocked(container: Container, isManual: boolean): Promise<void> {
    const { record } = container;
    if (record.state.isRemoving || record.state.isDead || container.isRemoved) {
      throw new ConflictError('container is marked for removal and cannot be started');
    }
    const end = Promise.withResolvers<void>();
    try {
      const started = await launch(this.#core, container, end);
      if (isManual) {
        container.backoff = new RestartBackoff();
        record.restartCount = 0;
        record.isManuallyStopped = false;
      }
      record.hasBeenStarted = true;
      Object.assign(record.state, {
        isRunning: true,
        isPaused: false,
        isRestarting: false,
        isDead: false,
        isOomKilled: false,
        pid: started.process.pid,
        exitCode: 0,
        error: '',
        startedAt: formatTimeNs(started.startedAtNs),
        health: undefined,
      });
      this.#watch(container, started.client, end);
      this.startHealth(container);
      const saved = this.#core.saveState(container);
      this.#core.publish(container, 'start');
      await saved;
    } catch (error) {
      end.resolve();
      if (error instanceof StartFailure) {
        await this.#startFailed(container, error);
        throw error.failure;
      }
      throw error;
    }
  }

  async #startFailed(container: Container, error: StartFailure): Promise<void> {
    const { record } = container;
    clearSandbox(container);
    record.state.isRunning = false;
    record.state.isRestarting = false;
    record.state.pid = 0;
    record.state.error = error.message;
    record.state.exitCode = error.exitCode;
    await this.#core.saveState(container);
    if (record.hostConfig.AutoRemove === true) {
      container.notifyStopped(error.message);
      await destroy(this.#core, this.#execs, container, { withVolumes: true }).catch(
        (problem: unknown) => {
          this.#core.logger.warn('auto removal failed', { id: container.id, problem });
        },
      );
    } else {
      container.notifyStopped(error.message);
    }
  }

  /** Health probing of a running container, if it has a healthcheck. */
  startHealth(container: Container): void {
    container.health?.[Symbol.dispose]();
    container.health = undefined;
    const probe = probeOf(container.record.config);
    const { state } = container.record;
    if (probe !== undefined && state.isRunning && !state.isPaused) {
      container.health = new HealthMonitor(this.#core, this.#execs, container, probe);
    }
  }

  /** Follows a run to its end; also for adopted ones. */
  adopt(container: Container, client: ShimClient): void {
    this.#watch(container, client, Promise.withResolvers<void>());
  }

  #watch(
    container: Container,
    client: ShimClient,
    end: { readonly promise: Promise<void>; readonly resolve: () => void },
  ): void {
    container.run = { client, ended: end.promise };
    client.onOom(() => {
      container.record.state.isOomKilled = true;
      this.#core.publish(container, 'oom');
    });
    this.#follow(container, client)
      .catch((error: unknown) => {
        this.#core.logger.error('exit of a container was not handled', {
          id: container.id,
          problem: messageOf(error),
          error,
        });
      })
      .finally(end.resolve);
  }

  async #follow(container: Container, client: ShimClient): Promise<void> {
    let status: ExitStatus | undefined;
    try {
      status = await client.waitExit();
    } catch (error) {
      if (this.#core.isShuttingDown) {
        return;
      }
      // The shim died with or before its container: its record is the last word.
      this.#core.logger.warn('connection to a shim was lost', {
        id: container.id,
        problem: messageOf(error),
      });
      status = await findExit(this.#core, container.id);
      await this.#killLeftovers(container);
    }
    if (this.#core.isShuttingDown) {
      return;
    }
    await this.#core.lock.run(container.id, async () => {
      if (container.run?.client === client) {
        await this.#handleExit(container, client, status);
      }
    });
  }

  async #killLeftovers(container: Container): Promise<void> {
    const cgroup = this.#core.ports.runtime.cgroup(container.id, container.record.hostConfig);
    // Frozen processes do not even end by SIGKILL.
    await cgroup.thaw().catch(() => {});
    for (const pid of await cgroup.pids().catch(() => [])) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone already.
      }
    }
    await cgroup.remove().catch(() => {});
  }

  async #handleExit(
    container: Container,
    client: ShimClient,
    status: ExitStatus | undefined,
  ): Promise<void> {
    const { record } = container;
    container.health?.[Symbol.dispose]();
    container.health = undefined;
    this.#execs.containerEnded(container);
    const finishedAtNs = status?.finishedAtNs ?? nowNs();
    const exitCode = status?.exitCode ?? EXIT_UNKNOWN;
    const startedAtNs = parseTimeNs(record.state.startedAt) ?? finishedAtNs;
    const durationMs = Number((finishedAtNs - startedAtNs) / 1_000_000n);
    const decision = this.#core.isShuttingDown
      ? ({ kind: 'stay-down' } as const)
      : container.isBeingRestarted
        ? ({ kind: 'stay-down' } as const)
        : container.backoff.decide(record.hostConfig.RestartPolicy, {
            exitCode,
            isManuallyStopped: record.isManuallyStopped,
            durationMs,
          });
    const isAutoRemoved =
      decision.kind === 'stay-down' &&
      record.hostConfig.AutoRemove === true &&
      !container.isBeingRestarted;
    await abortable(client.waitGone(), AbortSignal.timeout(GONE_WAIT_MS)).catch(
      (error: unknown) => {
        if (!(error instanceof UnavailableError)) {
          this.#core.logger.warn('runtime did not forget a container', {
            id: container.id,
            problem: messageOf(error),
          });
        }
      },
    );
    await releaseResources(this.#core, container, { keepsRoot: isAutoRemoved });
    container.run = undefined;
    await client[Symbol.asyncDispose]();
    clearSandbox(container);
    Object.assign(record.state, {
      isPaused: false,
      pid: 0,
      exitCode,
      isOomKilled: record.state.isOomKilled || status?.isOomKilled === true,
      finishedAt: formatTimeNs(finishedAtNs),
      isRunning: decision.kind === 'restart',
      isRestarting: decision.kind === 'restart',
    });
    if (decision.kind === 'restart') {
      record.restartCount += 1;
    }
    container.notifyStopped();
    if (!isAutoRemoved) {
      await this.#core.saveState(container);
    }
    this.#core.publish(container, 'die', {
      exitCode: String(exitCode),
      execDuration: String(Math.max(0, Math.trunc(durationMs / 1000))),
    });
    if (decision.kind === 'restart') {
      this.#scheduleRestart(container, decision.delayMs);
    } else if (isAutoRemoved) {
      await destroy(this.#core, this.#execs, container, { withVolumes: true }).catch(
        (error: unknown) => {
          this.#core.logger.warn('auto removal failed', {
            id: container.id,
            problem: messageOf(error),
          });
          container.notifyRemoved(messageOf(error));
        },
      );
    }
  }

  #scheduleRestart(container: Container, delayMs: number): void {
    const timer = new AbortController();
    container.restartTimer = timer;
    const restart = async (): Promise<void> => {
      await delay(delayMs, timer.signal);
      await this.#core.lock.run(container.id, async () => {
        if (timer.signal.aborted || this.#core.isShuttingDown) {
          return;
        }
        container.restartTimer = undefined;
        await this.#startLocked(container, false);
      });
    };
    restart().catch((error: unknown) => {
      if (!isAbortError(error)) {
        this.#core.logger.warn('restart by policy failed', {
          id: container.id,
          problem: messageOf(error),
        });
      }
    });
  }

  /** Ends the wait for a restart; the container is then stopped. Under the lock. */
  async #cancelRestart(container: Container): Promise<void> {
    container.restartTimer?.abort();
    container.restartTimer = undefined;
    const { state } = container.record;
    state.isRunning = false;
    state.isRestarting = false;
    await this.#core.saveState(container, true);
    container.notifyStopped();
    if (container.record.hostConfig.AutoRemove === true) {
      await destroy(this.#core, this.#execs, container, { withVolumes: true });
    }
  }

  /**
   * Sends a signal under the lock.
   *
   * @returns false when the process had ended already
   * @throws ConflictError  not running
   */
  async #signal(container: Container, signalNumber: number): Promise<boolean> {
    await waitForHandler(container, signalNumber);
    return await this.#core.lock.run(container.id, async () => {
      const { record } = container;
      this.#core.assertRunning(container);
      const stopSignal = record.config.StopSignal;
      const isStop =
        signalNumber === SIGKILL || !stopSignal || parseSignal(stopSignal) === signalNumber;
      if (isStop && !this.#core.isShuttingDown && !container.isBeingRestarted) {
        record.isManuallyStopped = true;
        const hasPolicy = !['', 'no'].includes(record.hostConfig.RestartPolicy?.Name ?? '');
        if (hasPolicy) {
          await this.#core.saveState(container, true);
        }
      }
      if (record.state.isRestarting) {
        if (isStop) {
          await this.#cancelRestart(container);
        }
        return true;
      }
      const run = container.run;
      if (run === undefined) {
        return false;
      }
      const isSent = await run.client.kill(signalNumber).catch((error: unknown) => {
        if (error instanceof UnavailableError) {
          return false;
        }
        throw new SystemError(`Cannot kill container ${container.id}: ${messageOf(error)}`, {
          cause: error,
        });
      });
      if (isSent && isStop && record.state.isPaused) {
        await this.#thaw(container);
      }
      this.#core.publish(container, 'kill', { signal: String(signalNumber) });
      return isSent;
    });
  }

  async #waitStopped(container: Container, timeoutMs: number | undefined): Promise<boolean> {
    if (!container.record.state.isRunning) {
      return true;
    }
    const waiter = container.onStop();
    if (timeoutMs === undefined) {
      await waiter.result;
      return true;
    }
    const end = new AbortController();
    const timeout = delay(timeoutMs, end.signal).then(() => false);
    timeout.catch(() => {});
    const isStopped = await Promise.race([waiter.result.then(() => true), timeout]);
    end.abort();
    waiter.cancel();
    return isStopped || !container.record.state.isRunning;
  }

  /** SIGKILL until it is down. @throws SystemError  it survives */
  async #kill(container: Container): Promise<void> {
    await this.#signal(container, SIGKILL);
    if (await this.#waitStopped(container, KILL_WAIT_MS)) {
      return;
    }
    const { pid } = container.record.state;
    this.#core.logger.warn('container did not end by SIGKILL', { id: container.id, pid });
    await this.#killLeftovers(container);
    if (!(await this.#waitStopped(container, LAST_WAIT_MS))) {
      throw new SystemError('tried to kill container, but did not receive an exit event');
    }
  }

  /** Implements {@link ContainerService.kill}. */
  async kill(ref: string, stopSignal: string | undefined): Promise<void> {
    try {
      const signalNumber = stopSignal ? parseSignal(stopSignal) : SIGKILL;
      const container = this.#core.registry.get(ref);
      if (signalNumber === SIGKILL) {
        this.#core.assertRunning(container);
        await this.#kill(container);
      } else {
        await this.#signal(container, signalNumber);
      }
    } catch (error) {
      throw withPrefix(error, `cannot kill container: ${ref}`);
    }
  }

  async #stop(container: Container, options: StopOptions): Promise<void> {
    const { config } = container.record;
    const stopSignal = options.stopSignal
      ? parseSignal(options.stopSignal)
      : config.StopSignal
        ? parseSignal(config.StopSignal)
        : SIGTERM;
    const timeoutSec = options.timeoutSec ?? config.StopTimeout ?? DEFAULT_STOP_TIMEOUT_SEC;
    container.record.isManuallyStopped ||= !container.isBeingRestarted;
    const isSent = await this.#signal(container, stopSignal).catch((error: unknown) => {
      if (error instanceof ConflictError) {
        return true;
      }
      this.#core.logger.warn('stop signal was not delivered', {
        id: container.id,
        problem: messageOf(error),
      });
      return false;
    });
    const timeoutMs = timeoutSec < 0 ? undefined : isSent ? timeoutSec * 1000 : LAST_WAIT_MS;
    if (!(await this.#waitStopped(container, timeoutMs))) {
      await this.#kill(container).catch((error: unknown) => {
        if (!(error instanceof ConflictError)) {
          throw error;
        }
      });
    }
    // The exit handler holds the lock until everything is written.
    await this.#core.lock.run(container.id, async () => {
      await Promise.resolve();
    });
    this.#core.publish(container, 'stop');
  }

  /** Implements {@link ContainerService.stop}. */
  async stop(ref: string, options: StopOptions): Promise<'stopped' | 'already-stopped'> {
    const container = this.#core.registry.get(ref);
    if (!container.record.state.isRunning) {
      return 'already-stopped';
    }
    try {
      await this.#stop(container, options);
    } catch (error) {
      throw withPrefix(error, `cannot stop container: ${ref}`);
    }
    return 'stopped';
  }

  /** Implements {@link ContainerService.restart}. */
  async restart(ref: string, options: StopOptions): Promise<void> {
    const container = this.#core.registry.get(ref);
    try {
      if (container.record.state.isRunning) {
        container.isBeingRestarted = true;
        try {
          await this.#stop(container, options);
        } finally {
          container.isBeingRestarted = false;
        }
      }
      await this.#core.lock.run(container.id, async () => {
        if (!container.record.state.isRunning) {
          await this.#startLocked(container, true);
        }
      });
    } catch (error) {
      throw withPrefix(error, `Cannot restart container ${ref}`);
    }
    this.#core.publish(container, 'restart');
  }

  /** Implements {@link ContainerService.pause}. */
  async pause(ref: string): Promise<void> {
    const container = this.#core.registry.get(ref);
    await this.#core.lock.run(container.id, async () => {
      const { state, hostConfig } = container.record;
      this.#core.assertRunning(container);
      if (state.isPaused) {
        throw new ConflictError(`Container ${container.id} is already paused`);
      }
      this.#core.assertNotRestarting(container);
      try {
        await this.#core.ports.runtime.cgroup(container.id, hostConfig).freeze();
      } catch (error) {
        throw withPrefix(error, `cannot pause container ${container.id}`);
      }
      state.isPaused = true;
      container.health?.[Symbol.dispose]();
      container.health = undefined;
      await this.#core.saveState(container);
      this.#core.publish(container, 'pause');
    });
  }

  /** Implements {@link ContainerService.unpause}. */
  async unpause(ref: string): Promise<void> {
    const container = this.#core.registry.get(ref);
    await this.#core.lock.run(container.id, async () => {
      if (!container.record.state.isPaused) {
        throw new ConflictError(`Container ${container.id} is not paused`);
      }
      await this.#thaw(container);
    });
  }

  async #thaw(container: Container): Promise<void> {
    const { state, hostConfig } = container.record;
    try {
      await this.#core.ports.runtime.cgroup(container.id, hostConfig).thaw();
    } catch (error) {
      throw withPrefix(error, `Cannot unpause container ${container.id}`);
    }
    state.isPaused = false;
    this.startHealth(container);
    await this.#core.saveState(container);
    this.#core.publish(container, 'unpause');
  }

  /** Implements {@link ContainerService.wait}. */
  wait(
    ref: string,
    options: { readonly condition: WaitCondition; readonly signal?: AbortSignal },
  ): { readonly result: Promise<WaitResult> } {
    const container = this.#core.registry.get(ref);
    const { state } = container.record;
    if (options.condition === 'not-running' && !state.isRunning) {
      const error = state.error === '' ? undefined : state.error;
      return { result: Promise.resolve({ statusCode: state.exitCode, error }) };
    }
    const waiter = options.condition === 'removed' ? container.onRemove() : container.onStop();
    options.signal?.addEventListener('abort', () => waiter.cancel(), { once: true });
    return { result: abortable(waiter.result, options.signal) };
  }

  /** Implements {@link ContainerService.remove}. */
  async remove(ref: string, options: RemoveOptions): Promise<void> {
    if (options.isLink) {
      await removeLink(this.#core, ref);
      return;
    }
    const container = this.#core.registry.get(ref);
    assertRemovable(container, ref, options.isForced);
    if (container.record.state.isRunning) {
      try {
        await this.#kill(container);
      } catch (error) {
        if (!(error instanceof ConflictError)) {
          throw removalError(container, withPrefix(error, 'could not kill container'));
        }
      }
    }
    await this.#core.lock.run(container.id, async () => {
      if (container.isRemoved) {
        // Auto remove was quicker.
        return;
      }
      assertRemovable(container, ref, false);
      try {
        await destroy(this.#core, this.#execs, container, options);
      } catch (error) {
        throw removalError(container, error);
      }
    });
  }

  /** Settles a run that ended while nobody looked; under no lock, before the service answers anybody. */
  async settleMissedExit(container: Container): Promise<void> {
    const { record } = container;
    const status = await findExit(this.#core, container.id);
    const startedNs = parseTimeNs(record.state.startedAt) ?? 0n;
    const isOfThisRun = status !== undefined && status.startedAtNs >= startedNs - 1_000_000_000n;
    await releaseResources(this.#core, container);
    clearSandbox(container);
    Object.assign(record.state, {
      isRunning: false,
      isPaused: false,
      isRestarting: false,
      pid: 0,
      exitCode: isOfThisRun ? status.exitCode : EXIT_UNKNOWN,
      isOomKilled: isOfThisRun && status.isOomKilled,
      finishedAt: isOfThisRun ? formatTimeNs(status.finishedAtNs) : nowText(),
    });
    await this.#killLeftovers(container);
    await this.#core.saveState(container);
  }

  /** Removes what a cut-off removal left. */
  async finishRemoval(container: Container): Promise<void> {
    await this.#core.lock.run(container.id, async () => {
      await destroy(this.#core, this.#execs, container, {
        withVolumes: container.record.hostConfig.AutoRemove === true,
      });
    });
  }

  /** @throws NotFoundError  for tests of presence */
  assertKnown(ref: string): void {
    if (this.#core.registry.find(ref) === undefined) {
      throw new NotFoundError(`No such container: ${ref}`);
    }
  }
}
