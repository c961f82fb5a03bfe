import type { CallName, Item, Params, Result, StreamName, UpItem } from './channels.ts';
import { BridgeClient, type BridgeStream, type RequestOptions } from './client.ts';
import { BridgeError, isCancelled } from './error.ts';
import type { Transport } from './transport.ts';

/** Connection between page and host (not to be confused with host and engine, which is in `app.state`). */
export type ConnectionStatus =
  | { readonly status: 'connecting' }
  | { readonly status: 'connected' }
  /** The host is away or refuses us; `isFinal` when trying again is pointless (wrong token). */
  | { readonly status: 'disconnected'; readonly reason: string; readonly isFinal: boolean };

/** Opens a transport; rejects with a `BridgeError`, whose code `unauthorized` means: never try again. */
export type Connect = (signal: AbortSignal) => Promise<Transport>;

/** Delays between attempts, ms: quick first, because a restarted host is back in a second. */
const RETRY_DELAYS_MS = [100, 250, 500, 1000, 2000, 3000];

/**
 * The page's handle on the host: reconnects by itself, and re-opens subscriptions after a reconnect.
 * One per page.
 */
export class Bridge {
  readonly #connect: Connect;
  readonly #listeners = new Set<() => void>();
  readonly #life = new AbortController();
  #status: ConnectionStatus = { status: 'connecting' };
  #client: BridgeClient | undefined;
  #waiting: (() => void)[] = [];

  constructor(connect: Connect) {
    this.#connect = connect;
    void this.#run();
  }

  /** Present status; a new object at each change, so it suits `useSyncExternalStore`. */
  readonly getStatus = (): ConnectionStatus => this.#status;

  /** Calls `listener` after each change of the status. */
  readonly subscribeStatus = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Calls a method; waits for the connection first. Never repeated by itself: a lost answer is `disconnected`. */
  async call<M extends CallName>(
    method: M,
    params: Params<M>,
    options: RequestOptions = {},
  ): Promise<Result<M>> {
    return (await this.#ready(options.signal)).call(method, params, options);
  }

  /** Opens a stream on the present connection; for work that must not be repeated by itself (pull, load, terminals). */
  async open<M extends StreamName>(
    method: M,
    params: Params<M>,
    options: RequestOptions = {},
  ): Promise<BridgeStream<Item<M>, UpItem<M>>> {
    return (await this.#ready(options.signal)).open(method, params, options);
  }

  /**
   * Keeps a stream open across reconnects until the returned function is called. After a reconnect `onRestart` is
   * called before the first new item. `onEnd` is called once when the host ended it (with the error, if any), never
   * after the returned function. Handlers run in order; an asynchronous `onItem` holds the stream back.
   */
  subscribe<M extends StreamName>(
    method: M,
    params: Params<M>,
    handlers: {
      onItem(item: Item<M>, stream: BridgeStream<Item<M>, UpItem<M>>): void | Promise<void>;
      onBytes?(bytes: Uint8Array): void | Promise<void>;
      onRestart?(): void;
      onEnd?(error: BridgeError | undefined): void;
    },
  ): () => void {
    const stop = new AbortController();
    const run = async (): Promise<void> => {
      for (let round = 0; !stop.signal.aborted; round += 1) {
        const stream = await this.open(method, params, { signal: stop.signal });
        try {
          if (round > 0) {
            handlers.onRestart?.();
          }
          for await (const item of stream) {
            if (item instanceof Uint8Array) {
              await handlers.onBytes?.(item);
            } else {
              await handlers.onItem(item, stream);
            }
          }
          return;
        } catch (error) {
          if (!(error instanceof BridgeError && error.code === 'disconnected')) {
            throw error;
          }
        }
      }
    };
    run().then(
      () => {
        if (!stop.signal.aborted) {
          handlers.onEnd?.(undefined);
        }
      },
      (error: unknown) => {
        if (!stop.signal.aborted && !isCancelled(error)) {
          handlers.onEnd?.(
            error instanceof BridgeError
              ? error
              : new BridgeError('internal', String(error), { cause: error }),
          );
        }
      },
    );
    return () => stop.abort();
  }

  /** Closes for good. */
  close(): void {
    this.#life.abort();
    this.#client?.close();
  }

  async #ready(signal: AbortSignal | undefined): Promise<BridgeClient> {
    for (;;) {
      if (signal?.aborted === true) {
        throw new BridgeError('cancelled', 'cancelled');
      }
      if (this.#client !== undefined && !this.#client.isClosed) {
        return this.#client;
      }
      if (
        this.#life.signal.aborted ||
        (this.#status.status === 'disconnected' && this.#status.isFinal)
      ) {
        throw new BridgeError('disconnected', 'not connected to the application');
      }
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        signal?.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }

  async #run(): Promise<void> {
    for (let attempt = 0; !this.#life.signal.aborted; attempt += 1) {
      try {
        const client = new BridgeClient(await this.#connect(this.#life.signal));
        this.#client = client;
        this.#setStatus({ status: 'connected' });
        await new Promise<void>((resolve) => client.onClose(resolve));
        attempt = 0;
        this.#setStatus({
          status: 'disconnected',
          reason: 'the connection was lost',
          isFinal: false,
        });
      } catch (error) {
        const isFinal = error instanceof BridgeError && error.code === 'unauthorized';
        const reason = error instanceof Error ? error.message : String(error);
        this.#setStatus({ status: 'disconnected', reason, isFinal });
        if (isFinal) {
          return;
        }
      }
      await pause(
        RETRY_DELAYS_MS[Math.min(attempt, RETRY_DELAYS_MS.length - 1)] ?? 3000,
        this.#life.signal,
      );
    }
  }

  #setStatus(status: ConnectionStatus): void {
    this.#status = status;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) {
      wake();
    }
    for (const listener of this.#listeners) {
      listener();
    }
  }
}

function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, delayMs);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
