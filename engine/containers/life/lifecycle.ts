import { abortable, delay } from '../../base/async.ts';
import { ConflictError, messageOf, SystemError, UnavailableError } from '../../base/errors.ts';
import type { Container } from '../container.ts';
import type { RemoveOptions, WaitCondition, WaitResult } from '../contract.ts';
import type { ContainerCore } from '../core.ts';
import type { Execs } from '../exec.ts';
import { withPrefix } from '../rewrap.ts';
import { parseSignal, SIGKILL, SIGTERM } from '../signals.ts';
import { waitForHandler } from './readiness.ts';
import { assertRemovable, destroy, removalError, removeLink } from './remove.ts';
import type { Runs } from './runs.ts';

const DEFAULT_STOP_TIMEOUT_SEC = 10;
/** A killed process is expected to be gone within this. */
const KILL_WAIT_MS = 10_000;
const LAST_WAIT_MS = 2_000;

/** Options of stop and restart. */
export interface StopOptions {
  readonly timeoutSec?: number | undefined;
  readonly stopSignal?: string | undefined;
}

/** What clients do to the life of a container: start, stop, kill, restart, pause, wait, remove. */
export class Lifecycle {
  readonly #core: ContainerCore;
  readonly #execs: Execs;
  readonly #runs: Runs;

  constructor(core: ContainerCore, execs: Execs, runs: Runs) {
    this.#core = core;
    this.#execs = execs;
    this.#runs = runs;
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
      await this.#runs.start(container, true);
      return 'started';
    });
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
          await this.#runs.cancelRestart(container);
        }
        return true;
      }
      const run = container.run;
      if (run === undefined) {
        if (signalNumber === SIGKILL) {
          await this.#runs.endWithoutShim(container);
        }
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
    await this.#runs.killLeftovers(container);
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
          await this.#runs.start(container, true);
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
    this.#runs.startHealth(container);
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
}
