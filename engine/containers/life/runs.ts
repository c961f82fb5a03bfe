import { abortable, delay } from '../../base/async.ts';
import { ConflictError, isAbortError, messageOf, UnavailableError } from '../../base/errors.ts';
import type { ExitStatus, ShimClient } from '../../runtime/shim/contract.ts';
import type { Container } from '../container.ts';
import type { ContainerCore } from '../core.ts';
import type { Execs } from '../exec.ts';
import { HealthMonitor, probeOf } from '../health.ts';
import { RestartBackoff, type RestartDecision } from '../restart-policy.ts';
import { formatTimeNs, nowNs, nowText, parseTimeNs } from '../times.ts';
import { findExit } from './exit-record.ts';
import { clearSandbox } from './network.ts';
import { destroy } from './remove.ts';
import { launch, releaseResources, StartFailure } from './start.ts';

/** A runtime that does not forget a container within this is left behind. */
const GONE_WAIT_MS = 30_000;
/** Exit code of a container whose end nobody saw. */
const EXIT_UNKNOWN = 255;

/** Runs of containers from their start to their end, and what follows from the end. */
export class Runs {
  readonly #core: ContainerCore;
  readonly #execs: Execs;

  constructor(core: ContainerCore, execs: Execs) {
    this.#core = core;
    this.#execs = execs;
  }

  /** Starts; the caller holds the lock. @throws ConflictError, InvalidParameterError, SystemError as start does */
  async start(container: Container, isManual: boolean): Promise<void> {
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
      await this.killLeftovers(container);
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

  /** SIGKILL for everything in a container's cgroup. */
  async killLeftovers(container: Container): Promise<void> {
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

  async #waitGone(container: Container, client: ShimClient): Promise<void> {
    try {
      await abortable(client.waitGone(), AbortSignal.timeout(GONE_WAIT_MS));
    } catch (error) {
      if (!(error instanceof UnavailableError)) {
        this.#core.logger.warn('runtime did not forget a container', {
          id: container.id,
          problem: messageOf(error),
        });
      }
    }
  }

  /** Whether a run that ended is followed by another. */
  #decide(container: Container, exitCode: number, durationMs: number): RestartDecision {
    if (this.#core.isShuttingDown || container.isBeingRestarted) {
      return { kind: 'stay-down' };
    }
    const { hostConfig, isManuallyStopped } = container.record;
    const run = { exitCode, isManuallyStopped, durationMs };
    return container.backoff.decide(hostConfig.RestartPolicy, run);
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
    const decision = this.#decide(container, exitCode, durationMs);
    const isAutoRemoved =
      decision.kind === 'stay-down' &&
      record.hostConfig.AutoRemove === true &&
      !container.isBeingRestarted;
    const gone = this.#waitGone(container, client);
    await releaseResources(this.#core, container, { keepsRoot: isAutoRemoved, gone });
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
        await this.start(container, false);
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
  async cancelRestart(container: Container): Promise<void> {
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
    await this.killLeftovers(container);
    await this.#core.saveState(container);
  }

  /** Ends a container that runs without a shim to talk to. Under the lock. */
  async endWithoutShim(container: Container): Promise<void> {
    await this.killLeftovers(container);
    await this.settleMissedExit(container);
    container.notifyStopped();
    this.#core.publish(container, 'die', {
      exitCode: String(container.record.state.exitCode),
      execDuration: '0',
    });
  }

  /** Removes what a cut-off removal left. */
  async finishRemoval(container: Container): Promise<void> {
    await this.#core.lock.run(container.id, async () => {
      await destroy(this.#core, this.#execs, container, {
        withVolumes: container.record.hostConfig.AutoRemove === true,
      });
    });
  }
}
