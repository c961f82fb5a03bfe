import { randomUUID } from 'node:crypto';
import { StreamDemux } from '../../engine/api/client/demux.ts';
import type { ApiDuplex } from '../../engine/api/client/transport.ts';
import { TERMINAL_REPLAY_BYTES, type TerminalSession } from '../contract/terminal-channels.ts';
import type { StreamContext } from './bridge-server.ts';
import { Wakeup } from './pause.ts';
import { ReplayBuffer } from './replay-buffer.ts';

/** The program is paused while a viewer is this far behind; below the low mark it goes on. Both below the replay. */
const HIGH_WATER_BYTES = 512 * 1024;
const LOW_WATER_BYTES = 128 * 1024;
/** Bytes per frame to a page. */
const FRAME_BYTES = 64 * 1024;

/** Item of `terminal.attach`. */
export type TerminalItem =
  | {
      type: 'attached';
      session: TerminalSession;
      replayBytes: number;
      isTruncated: boolean;
    }
  | { type: 'exit'; code?: number | undefined; reason?: string | undefined };

/** What page and session exchange on `terminal.attach`. */
export type TerminalStream = StreamContext<
  TerminalItem,
  { type: 'resize'; cols: number; rows: number }
>;

/** Where a session's bytes come from and go to. */
export interface TerminalChannel {
  readonly duplex: ApiDuplex;
  /** False: the engine multiplexes stdout and stderr and the program writes bare newlines. */
  readonly isRaw: boolean;
  resize(cols: number, rows: number): Promise<void>;
}

/** One terminal, kept while pages come and go. */
export class HostedTerminal {
  readonly sessionId = randomUUID();
  readonly containerId: string;
  readonly #title: string;
  readonly #createdAtMs = Date.now();
  readonly #replay = new ReplayBuffer(TERMINAL_REPLAY_BYTES);
  readonly #changed = new Wakeup();
  readonly #drained = new Wakeup();
  readonly #life = new AbortController();
  /** Position of each page in the output. */
  readonly #viewers = new Map<TerminalStream, number>();
  #channel: TerminalChannel;
  #size: { cols: number; rows: number };
  #exit: { code?: number; reason?: string } | undefined;

  constructor(options: {
    containerId: string;
    title: string;
    channel: TerminalChannel;
    size: { cols: number; rows: number };
  }) {
    this.containerId = options.containerId;
    this.#title = options.title;
    this.#channel = options.channel;
    this.#size = options.size;
  }

  /** As the page sees it. */
  get info(): TerminalSession {
    return {
      sessionId: this.sessionId,
      containerId: this.containerId,
      title: this.#title,
      createdAtMs: this.#createdAtMs,
      ...(this.#exit === undefined ? {} : { exit: this.#exit }),
    };
  }

  /** Present size. */
  get size(): { cols: number; rows: number } {
    return this.#size;
  }

  /** Aborts when the session is closed. */
  get signal(): AbortSignal {
    return this.#life.signal;
  }

  /** Reads the channel's output to its end, holding the program back while a page is slow. */
  async pump(first?: Uint8Array): Promise<void> {
    const { duplex, isRaw } = this.#channel;
    const demux = new StreamDemux();
    const take = (bytes: Uint8Array): void => {
      if (isRaw) {
        this.#append(bytes.slice());
      } else {
        for (const chunk of demux.push(bytes)) {
          this.#append(withCarriageReturns(chunk.bytes));
        }
      }
    };
    if (first !== undefined) {
      take(first);
    }
    for await (const bytes of duplex.output) {
      take(bytes);
      await this.#holdBack();
      if (this.#life.signal.aborted) {
        return;
      }
    }
  }

  /** Continues with a new channel, after the engine was away. */
  replaceChannel(channel: TerminalChannel): void {
    this.#channel = channel;
  }

  /** Writes a line of ours into the terminal. */
  notice(text: string): void {
    this.#append(Buffer.from(`\r\n\u001b[2m[${text}]\u001b[0m\r\n`));
  }

  /** The program is over. */
  finish(exit: { code?: number; reason?: string }): void {
    this.#exit ??= exit;
    this.#changed.wake();
  }

  /** Ends everything at once. */
  close(): void {
    this.#life.abort(new DOMException('the terminal was closed', 'AbortError'));
    this.#channel.duplex.close();
    this.finish({ reason: 'closed' });
    this.#drained.wake();
  }

  /** Writes input. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.#channel.duplex.write(bytes);
  }

  /** Serves one page until it leaves, or until the program is over and its output has been seen. */
  async attach(size: { cols: number; rows: number }, context: TerminalStream): Promise<void> {
    await this.#resize(size);
    const start = this.#replay.start;
    this.#viewers.set(context, start);
    // Ends with the stream, which is over when we return.
    void this.#readInput(context);
    try {
      await context.send({
        type: 'attached',
        session: this.info,
        replayBytes: this.#replay.end - start,
        isTruncated: start > 0,
      });
      await this.#show(context);
    } finally {
      this.#viewers.delete(context);
      this.#drained.wake();
    }
  }

  async #show(context: TerminalStream): Promise<void> {
    const { signal } = context;
    while (!signal.aborted) {
      const position = this.#viewers.get(context) ?? 0;
      const { bytes, next } = this.#replay.read(position, FRAME_BYTES);
      if (bytes.byteLength > 0) {
        await context.sendBytes(bytes);
        this.#viewers.set(context, next);
        this.#drained.wake();
      } else if (this.#exit === undefined) {
        await this.#changed.wait(signal);
      } else {
        await context.send({ type: 'exit', ...this.#exit });
        return;
      }
    }
  }

  async #readInput(context: TerminalStream): Promise<void> {
    try {
      for await (const item of context.input) {
        if (this.#exit !== undefined) {
          continue;
        }
        if (item instanceof Uint8Array) {
          await this.write(item);
        } else {
          await this.#resize(item);
        }
      }
    } catch {
      // The page left, or the program is over: both are told elsewhere.
    }
  }

  async #resize(size: { cols: number; rows: number }): Promise<void> {
    const isSame = size.cols === this.#size.cols && size.rows === this.#size.rows;
    if (isSame || this.#exit !== undefined) {
      return;
    }
    this.#size = { cols: size.cols, rows: size.rows };
    try {
      await this.#channel.resize(size.cols, size.rows);
    } catch {
      // The program is just ending, or its container is; its exit will be told.
    }
  }

  #append(bytes: Uint8Array): void {
    this.#replay.append(bytes);
    this.#changed.wake();
  }

  async #holdBack(): Promise<void> {
    if (this.#lag() <= HIGH_WATER_BYTES) {
      return;
    }
    while (this.#lag() > LOW_WATER_BYTES && !this.#life.signal.aborted) {
      await this.#drained.wait(this.#life.signal);
    }
  }

  /** How far the slowest page is behind; 0 without pages: then the program runs free and the replay forgets. */
  #lag(): number {
    let lag = 0;
    for (const position of this.#viewers.values()) {
      lag = Math.max(lag, this.#replay.end - position);
    }
    return lag;
  }
}

/** A program without a terminal writes bare newlines, which a terminal would show as stairs. */
function withCarriageReturns(bytes: Uint8Array): Uint8Array {
  const out: number[] = [];
  for (const byte of bytes) {
    if (byte === 10) {
      out.push(13);
    }
    out.push(byte);
  }
  return Uint8Array.from(out);
}
