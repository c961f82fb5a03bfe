import { delay } from '../../base/async.ts';
import { ConflictError, InvalidParameterError, NotImplementedError } from '../../base/errors.ts';
import type { AttachSession, ShimClient } from '../../runtime/shim/contract.ts';
import type { Container } from '../container.ts';
import type { AttachOptions, OutputChunk, StreamSession } from '../contract.ts';
import type { ContainerCore } from '../core.ts';
import { parseDetachKeys } from './detach-keys.ts';
import { ClientLog, sessionOutput } from './output.ts';
import { ClientSession } from './session.ts';

/** How long the end of a stream waits for the end of the container to be dealt with. */
const SETTLE_WAIT_MS = 10_000;

/** Opens the live half of one attach once a shim is there. */
export interface PendingAttach {
  /** Called by the start, before any output is read. */
  open(client: ShimClient, ended: Promise<void>): Promise<void>;
  /** The start failed, or the container went away. */
  giveUp(): void;
}

interface LiveSession {
  readonly session: AttachSession;
  readonly ended: Promise<void>;
}

/** Waits for a shim (or takes the one that is there) and attaches. */
class LiveHalf implements PendingAttach {
  readonly #options: AttachOptions;
  readonly #found = Promise.withResolvers<LiveSession | undefined>();

  constructor(options: AttachOptions) {
    this.#options = options;
    this.#found.promise.catch(() => {});
  }

  /** Undefined when the container never started. */
  get live(): Promise<LiveSession | undefined> {
    return this.#found.promise;
  }

  async open(client: ShimClient, ended: Promise<void>): Promise<void> {
    try {
      const session = await client.attach({
        wantsStdin: this.#options.wantsStdin,
        wantsStdout: this.#options.wantsStdout,
        wantsStderr: this.#options.wantsStderr,
        replaysPartialLines: this.#options.wantsLogs,
      });
      this.#found.resolve({ session, ended });
    } catch (error) {
      this.#found.reject(error);
      throw error;
    }
  }

  giveUp(): void {
    this.#found.resolve(undefined);
  }
}

function assertAttachable(container: Container, ref: string): void {
  const { state } = container.record;
  if (state.isPaused) {
    throw new ConflictError(`container ${ref} is paused, unpause the container before attach`);
  }
  if (state.isRestarting) {
    throw new ConflictError(`container ${ref} is restarting, wait until the container is running`);
  }
}

async function openLive(container: Container, live: LiveHalf): Promise<void> {
  const run = container.run;
  if (run === undefined) {
    container.pendingAttaches.add(live);
    return;
  }
  try {
    await live.open(run.client, run.ended);
  } catch (error) {
    // The program ended this moment: what it said is in the log, nothing more comes.
    if (!(error instanceof ConflictError)) {
      throw error;
    }
    live.giveUp();
  }
}

/**
 * Clients count on the container being down, its networks free, when the stream of a program that ended does. A
 * runtime that hangs does not hold them.
 */
async function isSettled(live: LiveSession | undefined): Promise<void> {
  if (live !== undefined && (await live.session.ended).kind === 'exited') {
    const end = new AbortController();
    await Promise.race([live.ended, delay(SETTLE_WAIT_MS, end.signal).catch(() => {})]);
    end.abort();
  }
}

/** Implements {@link ContainerService.attach}. */
export async function attachContainer(
  core: ContainerCore,
  ref: string,
  options: AttachOptions,
): Promise<StreamSession> {
  const keys = parseDetachKeys(options.detachKeys);
  if (keys === 'invalid') {
    throw new InvalidParameterError(`Invalid detach keys (${options.detachKeys}) provided`);
  }
  const container = core.registry.get(ref);
  assertAttachable(container, ref);
  const { config } = container.record;
  const hasTty = config.Tty === true;
  const path = core.logPath(container);
  if (options.wantsLogs && path === '') {
    throw new NotImplementedError('configured logging driver does not support reading');
  }
  const hasStdin = options.wantsStdin && config.OpenStdin === true;
  const live = new LiveHalf({ ...options, wantsStdin: hasStdin });
  if (options.wantsStream) {
    await openLive(container, live);
  } else {
    live.giveUp();
  }
  core.publish(container, 'attach');
  const wanted = { wantsStdout: options.wantsStdout, wantsStderr: options.wantsStderr };

  async function* output(signal: AbortSignal): AsyncGenerator<OutputChunk, void, void> {
    await using log = new ClientLog(core.ports.logReader, path);
    container.clientLogs.add(log);
    using _ = { [Symbol.dispose]: () => container.clientLogs.delete(log) };
    const isWaiting = container.pendingAttaches.has(live);
    if (options.wantsLogs) {
      const now = isWaiting ? undefined : await live.live;
      const end = now?.session.position;
      yield* log.replay(wanted, { end, signal });
    }
    const found = await live.live;
    if (found !== undefined) {
      yield* sessionOutput(found.session, wanted, { log, ended: found.ended }, signal);
    }
  }

  return new ClientSession({
    hasTty,
    session: live.live.then((found) => found?.session),
    output,
    wantsStdin: hasStdin,
    detachKeys: keys,
    endOfInput: config.StdinOnce === true && !hasTty ? 'close' : 'detach',
    onDetach: () => core.publish(container, 'detach'),
    onEnd: () => {
      if (container.pendingAttaches.delete(live)) {
        live.giveUp();
      }
    },
    ...(options.wantsStream ? { linger: async () => await isSettled(await live.live) } : {}),
    signal: options.signal,
  });
}
