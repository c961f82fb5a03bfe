import { once } from 'node:events';
import type { Duplex } from 'node:stream';

/** How long a client may take to close its side after the end of the output. */
const LINGER_MS = 30_000;

/**
 * A connection taken over from HTTP: bytes both ways, each side closed on its own.
 * The client's end of input is an ordinary end; a connection that breaks aborts `signal`.
 */
export class RawConnection {
  readonly #socket: Duplex;
  readonly #abort = new AbortController();

  constructor(socket: Duplex) {
    this.#socket = socket;
    const onGone = (): void => {
      this.#abort.abort();
    };
    socket.on('error', onGone);
    socket.on('close', onGone);
    if (socket.destroyed) {
      onGone();
    }
  }

  /** Aborts when the connection is gone in both directions. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** What the client sends until it closes its side or is gone; to be read once. */
  async *input(): AsyncGenerator<Uint8Array, void, void> {
    try {
      for await (const chunk of this.#socket.iterator({ destroyOnReturn: false })) {
        yield chunk as Uint8Array;
      }
    } catch (error) {
      if (!this.#socket.destroyed) {
        throw error;
      }
    }
  }

  /** Resolves when there is room for more; at once when the connection is gone. */
  async write(data: Uint8Array | string): Promise<void> {
    if (this.#socket.destroyed || this.#socket.writableEnded) {
      return;
    }
    if (!this.#socket.write(data)) {
      await once(this.#socket, 'drain', { signal: this.signal }).catch(() => {});
    }
  }

  /** Ends the output, then lets go of the connection when the client has closed its side too. */
  end(): void {
    const socket = this.#socket;
    if (socket.destroyed) {
      return;
    }
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    timer.unref();
    socket.once('close', () => clearTimeout(timer));
    socket.end(() => {
      if (socket.readableEnded) {
        socket.destroy();
        return;
      }
      socket.once('end', () => socket.destroy());
      // What still comes is of no interest, but must be read for the end to be seen.
      socket.resume();
    });
  }

  /** Breaks the connection. */
  destroy(): void {
    this.#socket.destroy();
  }
}
