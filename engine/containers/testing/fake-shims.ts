import { BoundedQueue } from '../../base/async.ts';
import { ConflictError, SystemError, UnavailableError } from '../../base/errors.ts';
import type {
  AttachEnd,
  AttachSession,
  ExecOptions,
  ExecSession,
  ExitStatus,
  LaunchShim,
  OutputChunk,
  ShimClient,
  ShimConfig,
} from '../../runtime/shim/contract.ts';
import { nowNs } from '../times.ts';

/** What a fake container's process does when it gets a signal; default: it ends with 128 + number. */
export type SignalReaction = 'end' | 'ignore';

/** One running fake container, driven by the test. */
export class FakeRun {
  readonly config: ShimConfig;
  readonly signals: number[] = [];
  readonly execs: { readonly options: ExecOptions; readonly end: (exitCode: number) => void }[] =
    [];
  readonly input: Uint8Array[] = [];
  readonly resizes: { columns: number; rows: number }[] = [];
  isInputClosed = false;
  reaction: (signalNumber: number) => SignalReaction = () => 'end';
  readonly #exit = Promise.withResolvers<ExitStatus>();
  readonly #startedAtNs = nowNs();
  readonly #sessions = new Set<BoundedQueue<OutputChunk>>();
  readonly #oom = new Set<(count: number) => void>();
  readonly #execExits = new Map<string, Promise<ExitStatus>>();

  constructor(config: ShimConfig) {
    this.config = config;
  }

  get startedAtNs(): bigint {
    return this.#startedAtNs;
  }

  /** The process ends. */
  end(exitCode: number, signal = 0): void {
    this.#exit.resolve({
      exitCode,
      signal,
      isOomKilled: false,
      startedAtNs: this.#startedAtNs,
      finishedAtNs: nowNs(),
      pid: process.pid,
      lostLogBytes: 0n,
    });
    for (const session of this.#sessions) {
      session.end();
    }
  }

  /** The shim vanishes without a word. */
  vanish(): void {
    this.#exit.reject(new UnavailableError('the shim is gone'));
  }

  /** The process writes. */
  say(text: string, stream: 'stdout' | 'stderr' = 'stdout'): void {
    for (const session of this.#sessions) {
      void session.push({ stream, data: Buffer.from(text) });
    }
  }

  oom(): void {
    for (const listener of this.#oom) {
      listener(1);
    }
  }

  #attach(): AttachSession {
    const queue = new BoundedQueue<OutputChunk>(10_000, 'block');
    this.#sessions.add(queue);
    const ended: Promise<AttachEnd> = this.#exit.promise.then(
      (status) => ({ kind: 'exited', status }),
      () => ({ kind: 'closed' }),
    );
    return {
      position: undefined,
      output: queue,
      ended,
      writeStdin: async (data) => {
        this.input.push(data);
        await Promise.resolve();
      },
      closeStdin: async () => {
        this.isInputClosed = true;
        await Promise.resolve();
      },
      [Symbol.asyncDispose]: async () => {
        queue.end();
        this.#sessions.delete(queue);
        await Promise.resolve();
      },
    };
  }

  #exec(options: ExecOptions): ExecSession {
    const { promise, resolve } = Promise.withResolvers<ExitStatus>();
    const queue = new BoundedQueue<OutputChunk>(10_000, 'block');
    this.#execExits.set(options.execId, promise);
    const end = (exitCode: number): void => {
      queue.end();
      resolve({
        exitCode,
        signal: 0,
        isOomKilled: false,
        startedAtNs: nowNs(),
        finishedAtNs: nowNs(),
        pid: 1,
        lostLogBytes: 0n,
      });
    };
    this.execs.push({ options, end });
    return {
      execId: options.execId,
      process: { pid: 4242, startTicks: 1n },
      startedAtNs: nowNs(),
      position: undefined,
      output: queue,
      ended: promise.then((status) => ({ kind: 'exited', status })),
      writeStdin: async () => {
        await Promise.resolve();
      },
      closeStdin: async () => {
        await Promise.resolve();
      },
      [Symbol.asyncDispose]: async () => {
        await Promise.resolve();
      },
    };
  }

  /** The engine's side of it. */
  client(): ShimClient {
    const hasEnded = async (): Promise<boolean> =>
      await Promise.race([
        this.#exit.promise.then(
          () => true,
          () => true,
        ),
        Promise.resolve(false),
      ]);
    return {
      runDir: this.config.runDir,
      state: async () =>
        await Promise.resolve({
          status: 'running' as const,
          shimPid: 1,
          containerId: this.config.containerId,
          process: { pid: process.pid, startTicks: 1n },
          startedAtNs: this.#startedAtNs,
          lostLogBytes: 0n,
          oomKills: 0,
        }),
      start: async () =>
        await Promise.resolve({
          process: { pid: process.pid, startTicks: 1n },
          startedAtNs: this.#startedAtNs,
        }),
      attach: async () => {
        if (await hasEnded()) {
          throw new ConflictError('it has ended');
        }
        return this.#attach();
      },
      exec: async (options) => await Promise.resolve(this.#exec(options)),
      resize: async (size) => {
        this.resizes.push({ ...size });
        await Promise.resolve();
      },
      kill: async (signalNumber, execId) => {
        if (execId !== undefined) {
          this.execs.find(({ options }) => options.execId === execId)?.end(128 + signalNumber);
          return true;
        }
        if (await hasEnded()) {
          return false;
        }
        this.signals.push(signalNumber);
        if (signalNumber === 9 || this.reaction(signalNumber) === 'end') {
          this.end(128 + signalNumber, signalNumber);
        }
        return true;
      },
      waitExit: async (execId) =>
        execId === undefined
          ? await this.#exit.promise
          : await (this.#execExits.get(execId) ?? Promise.reject(new ConflictError('no exec'))),
      waitGone: async () => {
        await Promise.resolve();
      },
      onOom: (listener) => {
        this.#oom.add(listener);
        return { [Symbol.dispose]: () => this.#oom.delete(listener) };
      },
      log: async () => {
        await Promise.resolve();
      },
      shutdown: async () => {
        this.end(137, 9);
        await Promise.resolve();
      },
      [Symbol.asyncDispose]: async () => {
        await Promise.resolve();
      },
    };
  }
}

/** Shims without processes. */
export class FakeShims {
  readonly runs: FakeRun[] = [];
  /** The runtime's message with which the next starts fail. */
  failure: string | undefined;
  /** The runtime never answers. */
  isHanging = false;
  /** Shims that are found are of another version. */
  isForeign = false;
  /** Called with each new run before its output begins. */
  onLaunch: (run: FakeRun) => void = () => {};

  /** The latest run of a container. */
  runOf(containerId: string): FakeRun {
    const found = this.runs.findLast(({ config }) => config.containerId === containerId);
    if (found === undefined) {
      throw new Error(`container ${containerId} was not launched`);
    }
    return found;
  }

  readonly launch: LaunchShim = async (config, options) => {
    if (this.failure !== undefined) {
      return { kind: 'start-failed', runtimeMessage: this.failure, exitCode: 1 };
    }
    if (this.isHanging) {
      return await new Promise((_, reject) => {
        const { signal } = options;
        signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
    }
    const run = new FakeRun(config);
    const client = run.client();
    await options.beforeOutput?.(client);
    this.runs.push(run);
    this.onLaunch(run);
    return {
      kind: 'started',
      client,
      process: { pid: process.pid, startTicks: 1n },
      startedAtNs: run.startedAtNs,
    };
  };

  /** Reconnects to what still runs. */
  readonly connect = async (runDir: string): Promise<ShimClient | undefined> => {
    if (this.isForeign) {
      throw new SystemError('the shim speaks another protocol');
    }
    const found = this.runs.findLast(({ config }) => config.runDir === runDir);
    return await Promise.resolve(found?.client());
  };
}
