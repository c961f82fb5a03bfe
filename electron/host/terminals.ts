import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { readText } from '../../engine/api/client/bytes.ts';
import { pathSegment } from '../../engine/api/client/client.ts';
import { containerInspectSchema, execInspectSchema } from '../../engine/api/client/responses.ts';
import type { ApiDuplex } from '../../engine/api/client/transport.ts';
import { EngineError, messageOf } from '../../engine/base/errors.ts';
import type { Logger } from '../../engine/base/logger.ts';
import { BridgeError } from '../contract/error.ts';
import type { TerminalSession } from '../contract/terminal-channels.ts';
import type { EngineLink } from './engine-link.ts';
import { pause, Wakeup } from './pause.ts';
import { HostedTerminal, type TerminalChannel, type TerminalStream } from './terminal-session.ts';

/** Sessions kept at most; ended ones that nobody closed go first. */
const MAX_SESSIONS = 100;
/** A program that printed nothing in this time is taken to have started. */
const START_WAIT_MS = 3000;
/** After an engine restart: how long to wait before a lost terminal is called over. */
const RECOVER_TIMEOUT_MS = 60_000;
/** What engines print or answer when the program is not in the container. */
const NO_PROGRAM =
  /executable file not found|no such file or directory|not found in \$PATH|stat .*: no such/i;

/** Tried in this order; the first goes on to bash by itself when there is one. */
const SHELLS: readonly (readonly string[])[] = [
  ['sh', '-c', 'command -v bash >/dev/null 2>&1 && exec bash; exec sh'],
  ['bash'],
  ['ash'],
  ['/bin/busybox', 'sh'],
];

/** How to start a session. */
export interface OpenTerminal {
  readonly containerId: string;
  readonly kind: 'exec' | 'attach';
  readonly command?: readonly string[] | undefined;
  readonly user?: string | undefined;
  readonly workdir?: string | undefined;
  readonly cols: number;
  readonly rows: number;
}

interface StartedExec {
  readonly execId: string;
  readonly channel: TerminalChannel;
  readonly reader: AsyncIterator<Uint8Array>;
  readonly first: Uint8Array | undefined;
}

/** What a session does after its connection ended. */
type Continuation = 'over' | { readonly first?: Uint8Array };

const execCreatedSchema = z.object({ Id: z.string() });

/** The terminal sessions of all pages. */
export class Terminals implements Disposable {
  readonly #link: EngineLink;
  readonly #log: Logger;
  readonly #sessions = new Map<string, HostedTerminal>();
  readonly #execIds = new Map<HostedTerminal, string>();

  constructor(link: EngineLink, log: Logger) {
    this.#link = link;
    this.#log = log.child({ component: 'terminals' });
  }

  [Symbol.dispose](): void {
    for (const session of this.#sessions.values()) {
      session.close();
    }
    this.#sessions.clear();
  }

  /** Sessions, those of one container when it is named. */
  list(containerId?: string): TerminalSession[] {
    return [...this.#sessions.values()]
      .filter((session) => containerId === undefined || session.containerId === containerId)
      .map((session) => session.info);
  }

  /**
   * Starts a session.
   *
   * @throws BridgeError  `no-shell`
   */
  async open(params: OpenTerminal): Promise<TerminalSession> {
    this.#makeRoom();
    const size = { cols: params.cols, rows: params.rows };
    if (params.kind === 'attach') {
      const channel = await this.#openAttach(params.containerId, size);
      const session = this.#add(params, 'attach', channel);
      void this.#run(session, params, session.pump());
      return session.info;
    }
    const started = await this.#startShell(params, size);
    const title = params.command?.[0] ?? 'shell';
    const session = this.#add(params, title, withReader(started.channel, started.reader));
    this.#execIds.set(session, started.execId);
    void this.#run(session, params, session.pump(started.first));
    return session.info;
  }

  /** Serves `terminal.attach`. */
  async attach(
    params: { sessionId: string; cols: number; rows: number },
    context: TerminalStream,
  ): Promise<void> {
    const session = this.#sessions.get(params.sessionId);
    if (session === undefined) {
      throw new BridgeError('gone', 'this terminal is closed');
    }
    await session.attach({ cols: params.cols, rows: params.rows }, context);
  }

  /** Ends a session. */
  async close(sessionId: string): Promise<void> {
    const session = this.#sessions.get(sessionId);
    if (session === undefined) {
      return;
    }
    this.#sessions.delete(sessionId);
    const execId = this.#execIds.get(session);
    this.#execIds.delete(session);
    if (execId !== undefined && session.info.exit === undefined) {
      await this.#hangUp(execId, session.containerId);
    }
    session.close();
  }

  #add(params: OpenTerminal, title: string, channel: TerminalChannel): HostedTerminal {
    const session = new HostedTerminal({
      containerId: params.containerId,
      title,
      channel,
      size: { cols: params.cols, rows: params.rows },
    });
    this.#sessions.set(session.sessionId, session);
    return session;
  }

  #makeRoom(): void {
    if (this.#sessions.size < MAX_SESSIONS) {
      return;
    }
    const over = [...this.#sessions.values()].find((session) => session.info.exit !== undefined);
    if (over === undefined) {
      throw new BridgeError('conflict', 'too many terminals are open', {
        hint: 'Close some of them first.',
      });
    }
    this.#sessions.delete(over.sessionId);
  }

  /** Follows a session to its end, through engine restarts. */
  async #run(session: HostedTerminal, params: OpenTerminal, pump: Promise<void>): Promise<void> {
    let current = pump;
    for (;;) {
      try {
        await current;
      } catch (error) {
        this.#log.debug('terminal connection ended', { error: messageOf(error) });
      }
      if (session.signal.aborted) {
        return;
      }
      const next = await this.#afterEnd(session, params);
      if (next === 'over') {
        return;
      }
      current = session.pump(next.first);
    }
  }

  /** Tells the exit; or, when it was the engine that went away, gets a new channel to read from. */
  async #afterEnd(session: HostedTerminal, params: OpenTerminal): Promise<Continuation> {
    const wasLost = await this.#waitForEngine(session);
    if (session.signal.aborted) {
      return 'over';
    }
    try {
      if (params.kind === 'attach') {
        return await this.#continueAttach(session);
      }
      const exit = await this.#execExit(session);
      if (exit !== 'running' && !(wasLost && exit === 'unknown')) {
        session.finish(exit === 'unknown' ? { reason: 'the session is over' } : exit);
        return 'over';
      }
      return await this.#continueExec(session, params);
    } catch (error) {
      session.finish({ reason: messageOf(error) });
      return 'over';
    }
  }

  /** Waits until the engine answers; true when it was away. */
  async #waitForEngine(session: HostedTerminal): Promise<boolean> {
    // A connection that broke because the engine died is noticed here a moment before the link notices.
    const deadline = AbortSignal.any([session.signal, AbortSignal.timeout(RECOVER_TIMEOUT_MS)]);
    try {
      const ping = await this.#link.client.bytes('GET', '/_ping', { signal: deadline });
      await readText(ping.body, 100);
      return false;
    } catch (error) {
      this.#log.debug('the engine is away', { error: messageOf(error) });
    }
    const wakeup = new Wakeup();
    using registration = this.#link.listen({ onConnected: () => wakeup.wake() });
    void registration;
    session.notice('connection to the engine lost, waiting');
    while (!deadline.aborted) {
      await pause(200, deadline);
      if (this.#link.status.status === 'connected') {
        try {
          await this.#link.client.get('/version', z.unknown(), { signal: deadline });
          return true;
        } catch {
          // Not yet.
        }
      } else {
        await wakeup.wait(deadline);
      }
    }
    return true;
  }

  async #execExit(
    session: HostedTerminal,
  ): Promise<'running' | 'unknown' | { code?: number; reason?: string }> {
    const execId = this.#execIds.get(session);
    if (execId === undefined) {
      return 'unknown';
    }
    try {
      // The exit is recorded an instant after the streams end.
      for (let attempt = 0; attempt < 20; attempt += 1) {
        const exec = await this.#link.client.get(
          `/exec/${pathSegment(execId)}/json`,
          execInspectSchema,
        );
        if (!exec.Running) {
          const code = exec.ExitCode ?? undefined;
          return code === undefined ? {} : { code };
        }
        await pause(100, session.signal);
      }
      return 'running';
    } catch (error) {
      if (error instanceof EngineError && error.code === 'not-found') {
        return 'unknown';
      }
      throw error;
    }
  }

  async #continueAttach(session: HostedTerminal): Promise<Continuation> {
    const container = await this.#inspect(session.containerId);
    if (!container.State.Running) {
      session.finish({ code: container.State.ExitCode, reason: 'the container stopped' });
      return 'over';
    }
    session.replaceChannel(await this.#openAttach(session.containerId, session.size));
    session.notice('connected again');
    return {};
  }

  /** Joins the running program again where the engine can, else starts a new shell in the same terminal. */
  async #continueExec(session: HostedTerminal, params: OpenTerminal): Promise<Continuation> {
    const container = await this.#inspect(session.containerId);
    if (!container.State.Running) {
      session.finish({ reason: 'the container stopped' });
      return 'over';
    }
    const execId = this.#execIds.get(session);
    if (execId !== undefined) {
      try {
        const channel = await this.#startExec(execId, session.size);
        session.replaceChannel(channel);
        session.notice('connected again');
        await channel.resize(session.size.cols, session.size.rows).catch(() => {});
        return {};
      } catch (error) {
        this.#log.debug('the exec session cannot be joined again', { error: messageOf(error) });
      }
    }
    const started = await this.#startShell(params, session.size);
    this.#execIds.set(session, started.execId);
    session.replaceChannel(withReader(started.channel, started.reader));
    session.notice('the engine was restarted; this is a new shell');
    return started.first === undefined ? {} : { first: started.first };
  }

  async #inspect(containerId: string) {
    return await this.#link.client.get(
      `/containers/${pathSegment(containerId)}/json`,
      containerInspectSchema,
    );
  }

  async #startShell(
    params: OpenTerminal,
    size: { cols: number; rows: number },
  ): Promise<StartedExec> {
    const candidates = params.command === undefined ? SHELLS : [params.command];
    let reason = '';
    for (const command of candidates) {
      const result = await this.#tryExec(params, command, size);
      if ('channel' in result) {
        return result;
      }
      reason = result.missing;
    }
    if (params.command !== undefined) {
      throw new BridgeError('not-found', reason);
    }
    throw new BridgeError('no-shell', 'this container has no shell', {
      hint: 'Its image holds only the program itself. Give a command of your own instead of a shell.',
    });
  }

  async #tryExec(
    params: OpenTerminal,
    command: readonly string[],
    size: { cols: number; rows: number },
  ): Promise<StartedExec | { missing: string }> {
    const { client } = this.#link;
    try {
      const { Id: execId } = await client.post(
        `/containers/${pathSegment(params.containerId)}/exec`,
        execCreatedSchema,
        {
          json: {
            AttachStdin: true,
            AttachStdout: true,
            AttachStderr: true,
            Tty: true,
            ConsoleSize: [size.rows, size.cols],
            Env: ['TERM=xterm-256color'],
            Cmd: command,
            ...(params.user === undefined ? {} : { User: params.user }),
            ...(params.workdir === undefined ? {} : { WorkingDir: params.workdir }),
          },
        },
      );
      const channel = await this.#startExec(execId, size);
      // Engines that know no console size at start get it now; the prompt is drawn after that or drawn again.
      await channel.resize(size.cols, size.rows).catch(() => {});
      const reader = channel.duplex.output[Symbol.asyncIterator]();
      const pending = reader.next();
      const first = await Promise.race([pending, pause(START_WAIT_MS, neverAborts)]);
      if (first === undefined) {
        return { execId, channel, reader: resumed(pending, reader), first: undefined };
      }
      const missing = await this.#missingProgram(execId, first);
      if (missing !== undefined) {
        channel.duplex.close();
        return { missing };
      }
      return first.done === true
        ? { execId, channel, reader: ended(), first: undefined }
        : { execId, channel, reader, first: first.value };
    } catch (error) {
      if (error instanceof EngineError && NO_PROGRAM.test(error.message)) {
        return { missing: error.message };
      }
      throw error;
    }
  }

  /** The engine's complaint when the program could not be started, judged by exit status and first output. */
  async #missingProgram(
    execId: string,
    first: IteratorResult<Uint8Array>,
  ): Promise<string | undefined> {
    const text = first.done === true ? '' : new TextDecoder().decode(first.value);
    if (first.done !== true && !/OCI runtime|exec failed|executable/i.test(text)) {
      return undefined;
    }
    const exec = await this.#link.client.get(
      `/exec/${pathSegment(execId)}/json`,
      execInspectSchema,
    );
    const isMissing = exec.ExitCode === 126 || exec.ExitCode === 127 || NO_PROGRAM.test(text);
    return !exec.Running && isMissing ? text.trim() || 'the program was not found' : undefined;
  }

  async #startExec(execId: string, size: { cols: number; rows: number }): Promise<TerminalChannel> {
    const duplex = await this.#link.client.hijack(`/exec/${pathSegment(execId)}/start`, {
      json: { Detach: false, Tty: true, ConsoleSize: [size.rows, size.cols] },
    });
    return {
      duplex,
      isRaw: true,
      resize: async (cols, rows) => {
        await this.#link.client.run('POST', `/exec/${pathSegment(execId)}/resize`, {
          query: { w: cols, h: rows },
        });
      },
    };
  }

  async #openAttach(
    containerId: string,
    size: { cols: number; rows: number },
  ): Promise<TerminalChannel> {
    const container = await this.#inspect(containerId);
    if (!container.State.Running) {
      throw new BridgeError('conflict', 'the container does not run');
    }
    const path = `/containers/${pathSegment(containerId)}`;
    const duplex = await this.#link.client.hijack(`${path}/attach`, {
      query: { stream: 1, stdin: 1, stdout: 1, stderr: 1 },
    });
    const resize = async (cols: number, rows: number): Promise<void> => {
      if (container.Config.Tty) {
        await this.#link.client.run('POST', `${path}/resize`, { query: { w: cols, h: rows } });
      }
    };
    await resize(size.cols, size.rows).catch(() => {});
    return { duplex, isRaw: container.Config.Tty, resize };
  }

  /**
   * The API has no way to end an exec session, so its process gets the hang-up that a closed terminal sends. Only where
   * the engine's process ids are ours, and only a process that is provably inside the container.
   */
  async #hangUp(execId: string, containerId: string): Promise<void> {
    if (!this.#link.endpoint.isLocal || process.platform !== 'linux') {
      return;
    }
    try {
      const [exec, container] = await Promise.all([
        this.#link.client.get(`/exec/${pathSegment(execId)}/json`, execInspectSchema),
        this.#inspect(containerId),
      ]);
      const groups = await readFile(`/proc/${exec.Pid}/cgroup`, 'utf8');
      if (exec.Running && exec.Pid > 1 && groups.includes(container.Id)) {
        process.kill(exec.Pid, 'SIGHUP');
      }
    } catch (error) {
      this.#log.debug('no hang-up for the exec session', { error: messageOf(error) });
    }
  }
}

const neverAborts = new AbortController().signal;

/** A reader that begins with a read under way. */
function resumed(
  pending: Promise<IteratorResult<Uint8Array>>,
  reader: AsyncIterator<Uint8Array>,
): AsyncIterator<Uint8Array> {
  let first: Promise<IteratorResult<Uint8Array>> | undefined = pending;
  return {
    next: () => {
      const next = first ?? reader.next();
      first = undefined;
      return next;
    },
    return: async () => (await reader.return?.()) ?? { done: true, value: undefined },
  };
}

function ended(): AsyncIterator<Uint8Array> {
  return { next: () => Promise.resolve({ done: true, value: undefined }) };
}

/** A channel whose output is read through `reader`, which has begun already. */
function withReader(channel: TerminalChannel, reader: AsyncIterator<Uint8Array>): TerminalChannel {
  const { duplex } = channel;
  const output: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: () => reader };
  const wrapped: ApiDuplex = {
    headers: duplex.headers,
    output,
    write: (bytes) => duplex.write(bytes),
    end: () => duplex.end(),
    close: () => duplex.close(),
  };
  return { ...channel, duplex: wrapped };
}
