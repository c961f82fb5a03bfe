import { abortable } from '../../base/async.ts';
import type { AttachSession } from '../../runtime/shim/contract.ts';
import type { OutputChunk, StreamSession } from '../contract.ts';
import { DetachScanner } from './detach-keys.ts';

/** What a {@link ClientSession} is made of. */
export interface ClientSessionOptions {
  readonly hasTty: boolean;
  /** The shim's session, once there is one; undefined: it never came. */
  readonly session: Promise<AttachSession | undefined>;
  /** Output for the client; its end ends the session. */
  readonly output: (signal: AbortSignal) => AsyncIterable<OutputChunk>;
  readonly wantsStdin: boolean;
  /** Looked for in the input of a terminal. */
  readonly detachKeys: readonly number[];
  /** What the client's end of input does: closes the program's input, or ends the session. */
  readonly endOfInput: 'close' | 'detach';
  /** The client left by its keys. */
  readonly onDetach: () => void;
  /** The session is over, whatever the reason; called once. */
  readonly onEnd?: () => void;
  /** After the last output of a program that ended by itself; the session ends when it resolves. */
  readonly linger?: () => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** A client's duplex connection to a container or an exec. */
export class ClientSession implements StreamSession {
  readonly hasTty: boolean;
  readonly output: AsyncIterable<OutputChunk>;
  readonly #options: ClientSessionOptions;
  readonly #scanner: DetachScanner | undefined;
  readonly #end = new AbortController();

  constructor(options: ClientSessionOptions) {
    this.#options = options;
    this.hasTty = options.hasTty;
    this.#scanner = options.hasTty ? new DetachScanner(options.detachKeys) : undefined;
    this.#end.signal.addEventListener('abort', () => options.onEnd?.(), { once: true });
    const onAbort = (): void => this.#end.abort();
    if (options.signal?.aborted === true) {
      onAbort();
    }
    options.signal?.addEventListener('abort', onAbort, { once: true });
    this.output = this.#deliver();
  }

  /**
   * Settles as `work` does; undefined when the session ends first. Leaves nothing behind on the end, which may come
   * after millions of chunks.
   */
  async #unlessEnded<T>(work: Promise<T>): Promise<T | undefined> {
    try {
      return await abortable(work, this.#end.signal);
    } catch (error) {
      if (this.#end.signal.aborted) {
        return undefined;
      }
      throw error;
    }
  }

  async *#deliver(): AsyncGenerator<OutputChunk, void, void> {
    const source = this.#options.output(this.#end.signal)[Symbol.asyncIterator]();
    try {
      while (!this.#end.signal.aborted) {
        const next = await this.#unlessEnded(source.next());
        if (next === undefined || next.done === true) {
          break;
        }
        yield next.value;
      }
      if (!this.#end.signal.aborted && this.#options.linger !== undefined) {
        await this.#unlessEnded(this.#options.linger());
      }
    } catch (error) {
      if (!this.#end.signal.aborted) {
        throw error;
      }
    } finally {
      this.#end.abort();
      await this.#dropSession();
      // The source may be waiting for output that never comes; its end is not awaited.
      source.return?.(undefined)?.catch(() => {});
    }
  }

  async #dropSession(): Promise<void> {
    this.#options.session
      .then(async (session) => await session?.[Symbol.asyncDispose]())
      .catch(() => {});
    await Promise.resolve();
  }

  async write(data: Uint8Array): Promise<void> {
    if (this.#end.signal.aborted || !this.#options.wantsStdin) {
      return;
    }
    const scanned = this.#scanner?.scan(data) ?? { pass: data, isDetached: false };
    const session = await this.#unlessEnded(this.#options.session.catch(() => undefined));
    if (session !== undefined && scanned.pass.length > 0) {
      // A program that is gone takes no more input; its end shows in the output.
      await this.#unlessEnded(session.writeStdin(scanned.pass).catch(() => {}));
    }
    if (scanned.isDetached && !this.#end.signal.aborted) {
      this.#options.onDetach();
      this.#end.abort();
    }
  }

  async closeInput(): Promise<void> {
    if (this.#end.signal.aborted || !this.#options.wantsStdin) {
      return;
    }
    if (this.#options.endOfInput === 'detach') {
      this.#end.abort();
      return;
    }
    const session = await this.#unlessEnded(this.#options.session.catch(() => undefined));
    await session?.closeStdin().catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#dropSession();
  }
}
