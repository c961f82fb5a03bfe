import type { Socket } from 'node:net';
import { abortable } from '../../base/async.ts';
import { ConflictError, NotFoundError, SystemError, UnavailableError } from '../../base/errors.ts';
import { ShimAttachSession, ShimExecSession } from './attach-session.ts';
import { type ConnectionEvents, dialShim, ShimConnection } from './connection.ts';
import type {
  AttachOptions,
  AttachSession,
  ConnectShim,
  ConsoleSize,
  ExecOptions,
  ExecSession,
  ExitStatus,
  ProcessIdentity,
  ShimClient,
  ShimState,
} from './contract.ts';
import { readExitRecord } from './exit-record.ts';
import type { Launched, Reply, ReplyFrame } from './protocol.ts';
import { runtimeMessageOf } from './runtime-message.ts';
import { findExitRecordPath } from './shim-config.ts';

/** A reply that only another program could send. */
function unexpected(reply: Reply): SystemError {
  return new SystemError(`the shim sent an unexpected ${reply.type}`);
}

function launchedOf(reply: Reply): Launched {
  if (reply.type === 'startFailed') {
    throw new SystemError(runtimeMessageOf(reply));
  }
  if (reply.type !== 'launched') {
    throw unexpected(reply);
  }
  return { process: reply.process, startedAtNs: reply.startedAtNs };
}

/** Control client over one connection; sessions get connections of their own. */
export class SocketShimClient implements ShimClient, ConnectionEvents {
  readonly runDir: string;
  /** Resolves when the connection is lost. */
  readonly closed: Promise<void>;
  readonly #connection: ShimConnection;
  readonly #oomListeners = new Set<(oomKills: number) => void>();
  readonly #resolveClosed: () => void;
  readonly #onPush: ((reply: Reply) => void) | undefined;
  #exit: Promise<ExitStatus> | undefined;
  #gone: Promise<void> | undefined;

  /**
   * Owns `socket`. Call {@link hello} before anything else.
   *
   * @param onPush  gets frames nobody asked for (launch connection)
   */
  constructor(runDir: string, socket: Socket, onPush?: (reply: Reply) => void) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.runDir = runDir;
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.#onPush = onPush;
    this.#connection = new ShimConnection(socket, this);
  }

  async hello(): Promise<void> {
    await this.#connection.hello();
  }

  /** Lets the shim read output of a container launched with held output. */
  async release(): Promise<void> {
    await this.#connection.request({ type: 'release' });
  }

  async state(): Promise<ShimState> {
    const reply = await this.#connection.request({ type: 'state' });
    if (reply.type !== 'stateOk') {
      throw unexpected(reply);
    }
    return reply.state;
  }

  async start(): Promise<{ process: ProcessIdentity; startedAtNs: bigint }> {
    return launchedOf(await this.#connection.request({ type: 'start' }));
  }

  async attach(options: AttachOptions): Promise<AttachSession> {
    const session = new ShimAttachSession(await this.#dial(options.signal));
    await this.#begin(session, options.signal, async () => {
      const reply = await session.connection.request({
        type: 'attach',
        id: '',
        streams: options,
        replays: options.replaysPartialLines ?? false,
      });
      if (reply.type !== 'attached') {
        throw unexpected(reply);
      }
      session.position = reply.position;
    });
    return session;
  }

  async exec(options: ExecOptions): Promise<ExecSession> {
    const session = new ShimExecSession(await this.#dial(options.signal), options.execId);
    await this.#begin(session, options.signal, async () => {
      const reply = await session.connection.request({
        type: 'execStart',
        id: options.execId,
        processPath: options.processPath,
        streams: options,
        hasTty: options.hasTty,
        size: options.consoleSize,
      });
      const launched = launchedOf(reply);
      session.process = launched.process;
      session.startedAtNs = launched.startedAtNs;
    });
    return session;
  }

  async resize(size: ConsoleSize, execId?: string): Promise<void> {
    await this.#connection.request({ type: 'resize', id: execId ?? '', size });
  }

  async kill(signalNumber: number, execId?: string): Promise<boolean> {
    try {
      await this.#connection.request({ type: 'signal', id: execId ?? '', signalNumber });
      return true;
    } catch (error) {
      if (error instanceof ConflictError) {
        return false;
      }
      throw error;
    }
  }

  async waitExit(execId?: string, options?: { signal?: AbortSignal }): Promise<ExitStatus> {
    if (execId === undefined || execId === '') {
      this.#exit ??= this.#awaitExit();
      return await abortable(this.#exit, options?.signal);
    }
    return await this.#awaitExecExit(execId, options?.signal);
  }

  async waitGone(options?: { signal?: AbortSignal }): Promise<void> {
    this.#gone ??= this.#awaitGone();
    await abortable(this.#gone, options?.signal);
  }

  onOom(listener: (oomKills: number) => void): Disposable {
    this.#oomListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#oomListeners.delete(listener) };
  }

  async log(action: 'reopen' | 'rotate' | 'truncate'): Promise<void> {
    await this.#connection.request({ type: 'log', action });
  }

  async shutdown(): Promise<void> {
    try {
      await this.#connection.request({ type: 'shutdown' });
    } catch (error) {
      if (!(error instanceof UnavailableError)) {
        throw error;
      }
    }
    await this.waitGone();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection[Symbol.dispose]();
    await this.closed;
  }

  onFrame({ reply }: ReplyFrame): void {
    if (reply.type === 'oom') {
      for (const listener of this.#oomListeners) {
        listener(reply.kills);
      }
    } else {
      this.#onPush?.(reply);
    }
  }

  onClose(): void {
    this.#resolveClosed();
  }

  async #dial(signal: AbortSignal | undefined): Promise<Socket> {
    const socket = await dialShim(this.runDir, signal);
    if (socket === undefined) {
      throw new UnavailableError('the shim is gone');
    }
    return socket;
  }

  /** Greets and asks on a new session's connection, which is closed when that fails or is aborted. */
  async #begin(
    session: ShimAttachSession,
    signal: AbortSignal | undefined,
    ask: () => Promise<void>,
  ): Promise<void> {
    try {
      const asked = Promise.all([session.connection.hello(), ask()]);
      await abortable(asked, signal);
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #awaitExit(): Promise<ExitStatus> {
    try {
      const reply = await this.#connection.request({ type: 'wait', id: '' });
      if (reply.type === 'exit') {
        return reply.status;
      }
      throw unexpected(reply);
    } catch (error) {
      if (!(error instanceof UnavailableError)) {
        throw error;
      }
      const path = await findExitRecordPath(this.runDir);
      const status = path === undefined ? undefined : await readExitRecord(path);
      if (status === undefined) {
        throw error;
      }
      return status;
    }
  }

  async #awaitExecExit(execId: string, signal: AbortSignal | undefined): Promise<ExitStatus> {
    let refusal: unknown;
    try {
      const socket = await this.#dial(signal);
      using connection = new ShimConnection(socket, { onFrame: () => {}, onClose: () => {} });
      const asked = Promise.all([
        connection.hello(),
        connection.request({ type: 'wait', id: execId }),
      ]);
      const [, reply] = await abortable(asked, signal);
      if (reply.type === 'exit') {
        return reply.status;
      }
      throw unexpected(reply);
    } catch (error) {
      if (!(error instanceof UnavailableError || error instanceof NotFoundError)) {
        throw error;
      }
      refusal = error;
    }
    // The shim forgets a session once it is over; its record stays.
    const status = await readExitRecord(`${this.runDir}/exec-${execId}.json`);
    if (status === undefined) {
      throw refusal;
    }
    return status;
  }

  async #awaitGone(): Promise<void> {
    try {
      await this.#connection.request({ type: 'waitGone' });
    } catch (error) {
      // A shim that has ended has made the container gone first.
      if (!(error instanceof UnavailableError)) {
        throw error;
      }
    }
  }
}

/** See {@link ConnectShim}. */
export const connectShim: ConnectShim = async (runDir, options) => {
  const socket = await dialShim(runDir, options?.signal);
  if (socket === undefined) {
    return undefined;
  }
  const client = new SocketShimClient(runDir, socket);
  try {
    await abortable(client.hello(), options?.signal);
    return client;
  } catch (error) {
    await client[Symbol.asyncDispose]();
    if (error instanceof UnavailableError) {
      // It ended between our connecting and its answer.
      return undefined;
    }
    throw error;
  }
};
