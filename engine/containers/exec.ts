import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { delay } from '../base/async.ts';
import {
  ConflictError,
  InvalidParameterError,
  isMissing,
  messageOf,
  NotFoundError,
  SystemError,
} from '../base/errors.ts';
import { newId } from '../base/ids.ts';
import type { ExecSession } from '../runtime/shim/contract.ts';
import type { Container } from './container.ts';
import type {
  ExecCreateRequest,
  ExecInspect,
  ExecStartOptions,
  StreamSession,
} from './contract.ts';
import type { ContainerCore } from './core.ts';
import { containerEnvironment, mergeEnvironment } from './environment.ts';
import { classifyRuntimeMessage } from './runtime-errors.ts';
import { parseDetachKeys } from './stream/detach-keys.ts';
import { sessionOutput } from './stream/output.ts';
import { ClientSession } from './stream/session.ts';

/** How long a resize waits for its exec to start. */
const START_WAIT_MS = 10_000;
/** An ended exec can be inspected this long at least. */
const KEEP_ENDED_MS = 10 * 60_000;
const SWEEP_EVERY_MS = 60_000;

/** One exec of a container, until it is forgotten. */
export interface ExecSessionRecord {
  readonly id: string;
  readonly container: Container;
  readonly request: ExecCreateRequest;
  readonly env: readonly string[];
  state: 'created' | 'running' | 'ended';
  exitCode: number | undefined;
  pid: number;
  endedAtMs: number;
  readonly started: PromiseWithResolvers<void>;
}

function commandLine(exec: ExecSessionRecord): string {
  const [entrypoint = '', ...args] = exec.request.cmd;
  return `${entrypoint} ${args.join(' ')}`;
}

/** Execs of all containers. They do not outlive the engine in its memory, though the processes do. */
export class Execs {
  readonly #core: ContainerCore;
  readonly #byId = new Map<string, ExecSessionRecord>();
  #sweptAtMs = 0;

  constructor(core: ContainerCore) {
    this.#core = core;
  }

  /** Implements {@link ContainerService.createExec}. */
  async create(container: Container, request: ExecCreateRequest): Promise<string> {
    this.#assertActive(container);
    if (request.cmd.length === 0) {
      throw new InvalidParameterError('No exec command specified');
    }
    const keys = parseDetachKeys(request.detachKeys);
    if (keys === 'invalid') {
      throw new InvalidParameterError(`Invalid escape keys (${request.detachKeys}) provided`);
    }
    if (request.user !== '') {
      await this.#resolveUser(container, request.user);
    }
    this.#sweep();
    const env = containerEnvironment(this.#core, container, request.hasTty);
    const exec: ExecSessionRecord = {
      id: newId(),
      container,
      request,
      env: mergeEnvironment(env, request.env),
      state: 'created',
      exitCode: undefined,
      pid: 0,
      endedAtMs: 0,
      started: Promise.withResolvers<void>(),
    };
    exec.started.promise.catch(() => {});
    this.#byId.set(exec.id, exec);
    container.execs.set(exec.id, exec);
    this.#core.publish(container, `exec_create: ${commandLine(exec)}`, { execID: exec.id });
    return exec.id;
  }

  /** @throws NotFoundError "No such exec instance: ID"; ConflictError */
  assertReady(execId: string): void {
    this.#assertActive(this.#get(execId).container);
  }

  /** Implements {@link ContainerService.startExec}. */
  async start(execId: string, options: ExecStartOptions): Promise<StreamSession | undefined> {
    const exec = this.#get(execId);
    const { container } = exec;
    this.#assertActive(container);
    if (exec.state === 'ended') {
      throw new ConflictError(`exec command ${exec.id} has already run`);
    }
    if (exec.state === 'running') {
      throw new ConflictError(`exec command ${exec.id} is already running`);
    }
    exec.state = 'running';
    this.#core.publish(container, `exec_start: ${commandLine(exec)}`, { execID: exec.id });
    const session = await this.#launch(exec, options);
    if (options.isDetached) {
      await session[Symbol.asyncDispose]();
      return undefined;
    }
    const keys = parseDetachKeys(exec.request.detachKeys);
    const wanted = {
      wantsStdout: exec.request.attachStdout,
      wantsStderr: exec.request.attachStderr,
    };
    return new ClientSession({
      hasTty: exec.request.hasTty,
      session: Promise.resolve(session),
      output: (signal) => sessionOutput(session, wanted, undefined, signal),
      wantsStdin: exec.request.attachStdin,
      detachKeys: keys === 'invalid' ? [] : keys,
      endOfInput: exec.request.hasTty ? 'detach' : 'close',
      onDetach: () => this.#core.publish(container, 'exec_detach', { execID: exec.id }),
      // Clients inspect the exec as soon as its stream ends.
      linger: async () => await this.#ended(exec),
      signal: options.signal,
    });
  }

  /** Implements {@link ContainerService.inspectExec}. */
  inspect(execId: string): ExecInspect {
    const exec = this.#get(execId);
    const { request } = exec;
    const [entrypoint = '', ...args] = request.cmd;
    return {
      ID: exec.id,
      Running: exec.state === 'running',
      ExitCode: exec.exitCode ?? null,
      ProcessConfig: {
        tty: request.hasTty,
        entrypoint,
        arguments: args,
        privileged: request.isPrivileged,
        ...(request.user === '' ? {} : { user: request.user }),
      },
      OpenStdin: request.attachStdin,
      OpenStderr: request.attachStderr,
      OpenStdout: request.attachStdout,
      CanRemove: false,
      ContainerID: exec.container.id,
      DetachKeys: request.detachKeys,
      Pid: exec.pid,
    };
  }

  /** Implements {@link ContainerService.resizeExec}. */
  async resize(
    execId: string,
    size: { readonly rows: number; readonly columns: number },
  ): Promise<void> {
    const exec = this.#get(execId);
    this.#assertActive(exec.container);
    const timeout = delay(START_WAIT_MS).then(() => {
      throw new SystemError('timeout waiting for exec session ready');
    });
    await Promise.race([exec.started.promise, timeout]);
    const run = exec.container.run;
    if (exec.state !== 'running' || run === undefined) {
      throw new InvalidParameterError('exec process is not started');
    }
    await run.client.resize(size, exec.id);
  }

  /**
   * Runs a command without a client; output up to `maxOutputBytes`. For health probes. The time limit counts from the
   * moment the command runs; it is killed then.
   */
  async probe(
    container: Container,
    cmd: readonly string[],
    options: {
      readonly maxOutputBytes: number;
      readonly timeoutMs: number;
      readonly signal: AbortSignal;
    },
  ): Promise<{
    readonly exitCode: number;
    readonly output: string;
    readonly isTimedOut: boolean;
  }> {
    const id = await this.create(container, {
      cmd,
      env: [],
      user: '',
      workingDir: '',
      hasTty: false,
      isPrivileged: false,
      attachStdin: false,
      attachStdout: true,
      attachStderr: true,
      detachKeys: '',
      consoleSize: undefined,
    });
    const exec = this.#get(id);
    let isTimedOut = false;
    const onAbort = (): void => {
      container.run?.client.kill(9, id).catch(() => {});
    };
    const session = await this.start(id, { isDetached: false, consoleSize: undefined });
    const timer = setTimeout(() => {
      isTimedOut = true;
      onAbort();
    }, options.timeoutMs);
    try {
      options.signal.addEventListener('abort', onAbort, { once: true });
      if (options.signal.aborted) {
        onAbort();
      }
      const parts: Uint8Array[] = [];
      let size = 0;
      for await (const chunk of session?.output ?? []) {
        if (size < options.maxOutputBytes) {
          const part = chunk.data.subarray(0, options.maxOutputBytes - size);
          parts.push(part);
          size += part.length;
        }
      }
      await this.#ended(exec);
      const output = Buffer.concat(parts).toString('utf8');
      return { exitCode: exec.exitCode ?? -1, output, isTimedOut };
    } finally {
      clearTimeout(timer);
      options.signal.removeEventListener('abort', onAbort);
    }
  }

  /** All execs of a container that ended: those still running are over, unknown ones are forgotten later. */
  containerEnded(container: Container): void {
    for (const exec of container.execs.values()) {
      if (exec.state === 'created') {
        exec.state = 'ended';
        exec.endedAtMs = Date.now();
        exec.started.resolve();
      }
    }
    container.execs.clear();
  }

  /** Nothing of a removed container can be inspected. */
  forget(container: Container): void {
    for (const [id, exec] of this.#byId) {
      if (exec.container === container) {
        this.#byId.delete(id);
      }
    }
  }

  readonly #endings = new WeakMap<ExecSessionRecord, Promise<void>>();

  async #ended(exec: ExecSessionRecord): Promise<void> {
    await this.#endings.get(exec);
  }

  async #launch(exec: ExecSessionRecord, options: ExecStartOptions): Promise<ExecSession> {
    const { container, request } = exec;
    const run = container.run;
    const processPath = join(this.#core.runDir(container.id), `process-${exec.id}.json`);
    try {
      if (run === undefined) {
        throw new ConflictError(`container ${container.id} is not running`);
      }
      await writeFile(processPath, await this.#process(exec, options), { mode: 0o600 });
      const [rows = 0, columns = 0] = options.consoleSize ?? request.consoleSize ?? [];
      const wanted = {
        execId: exec.id,
        processPath,
        hasTty: request.hasTty,
        ...(request.hasTty && rows > 0 && columns > 0 ? { consoleSize: { rows, columns } } : {}),
        wantsStdin: request.attachStdin && !options.isDetached,
        wantsStdout: request.attachStdout && !options.isDetached,
        wantsStderr: request.attachStderr && !options.isDetached,
      };
      const session = await this.#core.withRuntimeLimit(
        'start the process',
        async (signal) => await run.client.exec({ ...wanted, signal }),
      );
      exec.pid = session.process.pid;
      exec.started.resolve();
      this.#endings.set(exec, this.#watch(exec, run.client.waitExit(exec.id)));
      return session;
    } catch (error) {
      throw this.#failed(exec, error);
    } finally {
      // Read once by the runtime; probes would fill the folder.
      await rm(processPath, { force: true });
    }
  }

  #failed(exec: ExecSessionRecord, error: unknown): unknown {
    if (isMissing(error)) {
      // The container ended meanwhile, and its run-time folder or its processes went.
      this.#settle(exec, 126);
      return new ConflictError(`container ${exec.container.id} is not running`, { cause: error });
    }
    const isRuntime = error instanceof SystemError;
    const failure = isRuntime ? classifyRuntimeMessage('exec', messageOf(error)) : undefined;
    this.#settle(exec, failure === undefined || failure.exitCode === 128 ? 126 : failure.exitCode);
    return failure?.error ?? error;
  }

  #settle(exec: ExecSessionRecord, exitCode: number): void {
    exec.state = 'ended';
    exec.exitCode = exitCode;
    exec.endedAtMs = Date.now();
    exec.container.execs.delete(exec.id);
    exec.started.resolve();
  }

  async #watch(exec: ExecSessionRecord, exit: Promise<{ exitCode: number }>): Promise<void> {
    // A shim that vanished took the process with it or left it to the kernel: nothing can be known.
    const exitCode = await exit.then(
      (status) => status.exitCode,
      () => 137,
    );
    this.#settle(exec, exitCode);
    this.#core.publish(exec.container, 'exec_die', {
      execID: exec.id,
      exitCode: String(exitCode),
    });
  }

  async #resolveUser(container: Container, user: string) {
    const { pid } = container.record.state;
    const groups = container.record.hostConfig.GroupAdd ?? [];
    return await this.#core.ports.runtime.resolveUser(`/proc/${pid}/root`, user, groups);
  }

  async #process(exec: ExecSessionRecord, options: ExecStartOptions): Promise<string> {
    const { request, container } = exec;
    const { config, hostConfig } = container.record;
    return this.#core.ports.runtime.processJson({
      args: request.cmd,
      env: exec.env,
      cwd: request.workingDir || config.WorkingDir || '/',
      user: await this.#resolveUser(container, request.user || config.User || ''),
      hasTty: request.hasTty,
      consoleSize: options.consoleSize ?? request.consoleSize,
      hostConfig,
      isPrivileged: request.isPrivileged,
    });
  }

  #get(execId: string): ExecSessionRecord {
    const exec = this.#byId.get(execId);
    if (exec === undefined || exec.container.isRemoved) {
      throw new NotFoundError(`No such exec instance: ${execId}`);
    }
    return exec;
  }

  #assertActive(container: Container): void {
    this.#core.assertRunning(container);
    if (container.record.state.isPaused) {
      throw new ConflictError(
        `Container ${container.id} is paused, unpause the container before exec`,
      );
    }
    this.#core.assertNotRestarting(container);
  }

  #sweep(): void {
    const now = Date.now();
    if (now - this.#sweptAtMs < SWEEP_EVERY_MS) {
      return;
    }
    this.#sweptAtMs = now;
    for (const [id, exec] of this.#byId) {
      if (exec.state === 'ended' && now - exec.endedAtMs > KEEP_ENDED_MS) {
        this.#byId.delete(id);
      }
    }
  }
}
