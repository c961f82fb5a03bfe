import type { WireMessage } from './frames.ts';

/** Carries messages in order and without loss until it closes; a lost connection is a close. */
export interface Transport {
  /** Queues a message. After the close it does nothing. */
  send(message: WireMessage): void;
  /** Sets the one receiver; messages that came earlier are delivered first. */
  listen(receiver: TransportReceiver): void;
  /** Closes; `onClose` is called once, whoever closed. */
  close(): void;
}

/** What a transport calls. */
export interface TransportReceiver {
  onMessage(message: WireMessage): void;
  onClose(): void;
}

/** The part of a DOM `MessagePort` (and of Electron's, through an adapter) that is used. */
export interface PortLike {
  postMessage(message: unknown): void;
  close(): void;
  start?(): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close', listener: () => void): void;
}

/** The part of a `WebSocket` that is used; `binaryType` is set to `arraybuffer`. */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { code: number }) => void): void;
  removeEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
}

/** Delivers to a receiver that may come later. */
export class Inbox {
  #receiver: TransportReceiver | undefined;
  #held: WireMessage[] = [];
  #isClosed = false;
  #isCloseTold = false;

  /** See {@link Transport.listen}. */
  listen(receiver: TransportReceiver): void {
    this.#receiver = receiver;
    const held = this.#held;
    this.#held = [];
    for (const message of held) {
      receiver.onMessage(message);
    }
    this.#tellClose();
  }

  /** A message of unknown shape arrived; what is neither text nor bytes is dropped. */
  deliver(data: unknown): void {
    const message = asWireMessage(data);
    if (message === undefined || this.#isClosed) {
      return;
    }
    if (this.#receiver === undefined) {
      this.#held.push(message);
    } else {
      this.#receiver.onMessage(message);
    }
  }

  /** The connection is over. */
  close(): void {
    this.#isClosed = true;
    this.#tellClose();
  }

  /** Whether it is over. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  #tellClose(): void {
    if (this.#isClosed && !this.#isCloseTold && this.#receiver !== undefined) {
      this.#isCloseTold = true;
      this.#receiver.onClose();
    }
  }
}

function asWireMessage(data: unknown): WireMessage | undefined {
  if (typeof data === 'string' || data instanceof Uint8Array) {
    return data;
  }
  return data instanceof ArrayBuffer ? new Uint8Array(data) : undefined;
}

/**
 * Transport over a message port. Bytes are copied by the port, never put into the transfer list: Electron loses
 * messages silently whose buffers are transferred.
 */
export function portTransport(port: PortLike): Transport {
  const inbox = new Inbox();
  port.addEventListener('message', (event) => inbox.deliver(event.data));
  port.addEventListener('close', () => inbox.close());
  port.start?.();
  return {
    send: (message) => {
      if (!inbox.isClosed) {
        port.postMessage(message);
      }
    },
    listen: (receiver) => inbox.listen(receiver),
    close: () => {
      port.close();
      inbox.close();
    },
  };
}

/** Transport over an open WebSocket. */
export function webSocketTransport(socket: WebSocketLike): Transport {
  const inbox = new Inbox();
  socket.binaryType = 'arraybuffer';
  socket.addEventListener('message', (event) => inbox.deliver(event.data));
  socket.addEventListener('close', () => inbox.close());
  return {
    send: (message) => {
      // 1 is OPEN in every implementation.
      if (socket.readyState === 1) {
        // Frames are never built on shared memory.
        socket.send(typeof message === 'string' ? message : (message as Uint8Array<ArrayBuffer>));
      }
    },
    listen: (receiver) => inbox.listen(receiver),
    close: () => {
      socket.close();
      inbox.close();
    },
  };
}

/** Two transports joined in memory; messages arrive in a later microtask, bytes as copies. For tests and in-process use. */
export function transportPair(): [Transport, Transport] {
  const inboxes = [new Inbox(), new Inbox()] as const;
  const end = (own: Inbox, other: Inbox): Transport => ({
    send: (message) => {
      const copy = typeof message === 'string' ? message : message.slice();
      queueMicrotask(() => other.deliver(copy));
    },
    listen: (receiver) => own.listen(receiver),
    close: () => {
      own.close();
      queueMicrotask(() => other.close());
    },
  });
  return [end(inboxes[0], inboxes[1]), end(inboxes[1], inboxes[0])];
}
