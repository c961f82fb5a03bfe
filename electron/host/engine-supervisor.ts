import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { SystemError } from '../../engine/base/errors.ts';
import type { Logger } from '../../engine/base/logger.ts';
import { pause } from './pause.ts';

/** How to run the engine. */
export interface SupervisorOptions {
  /** Program, normally Node itself. */
  readonly command: string;
  /** `engine/main.ts` and its flags. */
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Socket that the engine will listen on. */
  readonly socketPath: string;
  readonly log: Logger;
  /** Receives the engine's standard error, line for line or in parts. */
  readonly onOutput?: (text: string) => void;
  /** How long the engine may take to listen; default 30 s. */
  readonly readyTimeoutMs?: number;
  /** How long it may take to stop before it is killed; default 25 s (its own limit is 20 s). */
  readonly stopTimeoutMs?: number;
}

const DEFAULT_READY_TIMEOUT_MS = 30_000;
const DEFAULT_STOP_TIMEOUT_MS = 25_000;
const POLL_MS = 25;
/** Delays between restarts, ms; an engine that ran for a minute starts over with the first. */
const RESTART_DELAYS_MS = [100, 500, 1000, 2000, 5000, 10_000];
const STABLE_MS = 60_000;
/** Output kept to explain a start that failed. */
const MAX_TAIL_CHARS = 4000;

interface Running {
  readonly child: ChildProcess;
  readonly exited: Promise<string>;
  tail: string;
}

/**
 * Runs the engine as a child process: waits until its socket answers, starts it again when it dies, stops it with
 * SIGTERM on disposal. Containers outlive the engine in every case: their supervisors are processes of their own.
 */
export class EngineSupervisor implements AsyncDisposable {
  readonly #options: SupervisorOptions;
  readonly #life = new AbortController();
  #running: Running | undefined;
  #loop: Promise<void> = Promise.resolve();
  #restarts = 0;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Process id of the engine, while it runs. */
  get pid(): number | undefined {
    return this.#running?.child.pid;
  }

  /** How often it has been started again. */
  get restartCount(): number {
    return this.#restarts;
  }

  /**
   * Starts the engine and resolves when it listens.
   *
   * @throws SystemError  it ended or did not listen in time; the message has its last output
   */
  async start(): Promise<void> {
    const running = this.#spawn();
    try {
      await this.#waitUntilReady(running);
    } catch (error) {
      running.child.kill('SIGKILL');
      await running.exited;
      throw error;
    }
    this.#loop = this.#keepRunning(running);
  }

  /** Stops the engine; containers go on running. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#life.abort(new DOMException('the engine is being stopped', 'AbortError'));
    const running = this.#running;
    if (running !== undefined) {
      running.child.kill('SIGTERM');
      const timer = setTimeout(() => {
        this.#options.log.warn('engine did not stop in time and is killed', {});
        running.child.kill('SIGKILL');
      }, this.#options.stopTimeoutMs ?? DEFAULT_STOP_TIMEOUT_MS);
      await running.exited;
      clearTimeout(timer);
    }
    await this.#loop;
  }

  #spawn(): Running {
    const { command, args, cwd, env } = this.#options;
    const child = spawn(command, [...args], {
      cwd,
      env: { ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
      // A Ctrl-C in the terminal must reach the engine through us, in our order.
      detached: true,
    });
    const { promise, resolve } = Promise.withResolvers<string>();
    const running: Running = { child, exited: promise, tail: '' };
    child.once('error', (error) => resolve(`could not be started: ${error.message}`));
    child.once('exit', (code, signal) =>
      resolve(signal === null ? `ended with code ${code}` : `ended by ${signal}`),
    );
    if (child.stderr instanceof Readable) {
      child.stderr.setEncoding('utf8');
      child.stderr.on('data', (text: string) => {
        running.tail = (running.tail + text).slice(-MAX_TAIL_CHARS);
        this.#options.onOutput?.(text);
      });
    }
    this.#running = running;
    void promise.then(() => {
      if (this.#running === running) {
        this.#running = undefined;
      }
    });
    return running;
  }

  async #waitUntilReady(running: Running): Promise<void> {
    const timeoutMs = this.#options.readyTimeoutMs ?? DEFAULT_READY_TIMEOUT_MS;
    const deadline = AbortSignal.any([this.#life.signal, AbortSignal.timeout(timeoutMs)]);
    let outcome: string | undefined;
    void running.exited.then((text) => {
      outcome = text;
    });
    for (;;) {
      if (outcome !== undefined) {
        throw new SystemError(`the engine ${outcome}\n${running.tail}`.trim());
      }
      if (deadline.aborted) {
        throw new SystemError(
          `the engine does not listen on ${this.#options.socketPath} after ${timeoutMs / 1000} s\n${running.tail}`.trim(),
        );
      }
      if (await canConnect(this.#options.socketPath)) {
        return;
      }
      await pause(POLL_MS, deadline);
    }
  }

  async #keepRunning(first: Running): Promise<void> {
    const { signal } = this.#life;
    let running = first;
    let startedAt = performance.now();
    let attempt = 0;
    for (;;) {
      const outcome = await running.exited;
      if (signal.aborted) {
        return;
      }
      attempt = performance.now() - startedAt > STABLE_MS ? 0 : attempt;
      this.#options.log.error('engine ended and is started again', { outcome, attempt });
      await pause(
        RESTART_DELAYS_MS[Math.min(attempt, RESTART_DELAYS_MS.length - 1)] ?? 10_000,
        signal,
      );
      if (signal.aborted) {
        return;
      }
      attempt += 1;
      this.#restarts += 1;
      startedAt = performance.now();
      running = this.#spawn();
    }
  }
}

/** True when something accepts connections on the socket. */
export function canConnect(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
