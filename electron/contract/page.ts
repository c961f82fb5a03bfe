import type { Connect } from './connection.ts';
import { BridgeError } from './error.ts';
import { takeToken } from './page-token.ts';
import {
  type PortLike,
  portTransport,
  type WebSocketLike,
  webSocketTransport,
} from './transport.ts';

/*
 * How the page gets to its host. Used by the renderer only, but free of DOM types: the page passes in `window`.
 */

/** What the preload puts on `window.gantry` in Electron; nothing else of Electron reaches the page. */
export interface GantryPreload {
  readonly shell: 'electron';
  /** `process.platform`. */
  readonly platform: string;
  /** Asks for a message port; it arrives as a `message` event on the window with `{gantryPort: nonce}` and one port. */
  connect(nonce: string): void;
}

/** The part of `window` that is used. */
export interface PageWindow {
  readonly gantry?: GantryPreload;
  readonly location: { readonly hash: string; readonly host: string };
  readonly history: { replaceState(data: unknown, unused: string, url: string): void };
  readonly sessionStorage: {
    getItem(key: string): string | null;
    setItem(key: string, value: string): void;
  };
  readonly crypto: { randomUUID(): string };
  readonly WebSocket: new (url: string, protocols: string[]) => WebSocketLike;
  addEventListener(type: 'message', listener: (event: PageMessageEvent) => void): void;
  removeEventListener(type: 'message', listener: (event: PageMessageEvent) => void): void;
}

/** The part of a `MessageEvent` that is used. */
export interface PageMessageEvent {
  readonly data: unknown;
  readonly source: unknown;
  readonly ports: readonly PortLike[];
}

/** WebSocket subprotocol; the token follows as a second one, `gantry.token.<token>`. Never in the URL. */
export const WEB_SOCKET_PROTOCOL = 'gantry.v1';
/** Prefix of the subprotocol that carries the token. */
export const TOKEN_PROTOCOL_PREFIX = 'gantry.token.';
/** Path of the WebSocket. */
export const WEB_SOCKET_PATH = '/bridge';
/** First message of the host on an accepted socket. */
export const GREETING = '{"t":"hello","version":1}';
/** Close code of a refused token. */
export const CLOSE_UNAUTHORIZED = 4401;

/**
 * Picks the transport: Electron's port when the preload is there, else the WebSocket of the origin.
 * The token is taken from the fragment once, moved to the session storage and removed from the address.
 */
export function pageConnect(window: PageWindow): Connect {
  const preload = window.gantry;
  if (preload !== undefined) {
    return (signal) => connectPort(window, preload, signal);
  }
  const token = takeToken(window);
  return (signal) => connectWebSocket(window, token, signal);
}

function connectPort(window: PageWindow, preload: GantryPreload, signal: AbortSignal) {
  return new Promise<ReturnType<typeof portTransport>>((resolve, reject) => {
    const nonce = window.crypto.randomUUID();
    const onMessage = (event: PageMessageEvent): void => {
      const { data } = event;
      const port = event.ports[0];
      if (
        event.source === window &&
        port !== undefined &&
        typeof data === 'object' &&
        data !== null &&
        'gantryPort' in data &&
        data.gantryPort === nonce
      ) {
        window.removeEventListener('message', onMessage);
        resolve(portTransport(port));
      }
    };
    window.addEventListener('message', onMessage);
    signal.addEventListener(
      'abort',
      () => {
        window.removeEventListener('message', onMessage);
        reject(new BridgeError('cancelled', 'cancelled'));
      },
      { once: true },
    );
    preload.connect(nonce);
  });
}

function connectWebSocket(window: PageWindow, token: string, signal: AbortSignal) {
  return new Promise<ReturnType<typeof webSocketTransport>>((resolve, reject) => {
    if (token === '') {
      reject(
        new BridgeError('unauthorized', 'this address has no access token', {
          hint: 'Open the complete address that was printed at start, with its #token=… part.',
        }),
      );
      return;
    }
    const socket = new window.WebSocket(`ws://${window.location.host}${WEB_SOCKET_PATH}`, [
      WEB_SOCKET_PROTOCOL,
      `${TOKEN_PROTOCOL_PREFIX}${token}`,
    ]);
    // The host greets a page it accepts. It closes others with a code, because a page cannot see HTTP statuses.
    const onGreeting = (): void => {
      socket.removeEventListener('message', onGreeting);
      resolve(webSocketTransport(socket));
    };
    socket.addEventListener('message', onGreeting);
    socket.addEventListener('close', (event) => {
      reject(
        event.code === CLOSE_UNAUTHORIZED
          ? new BridgeError('unauthorized', 'the access token is not valid any more', {
              hint: 'Open the address that was printed at the last start.',
            })
          : new BridgeError('disconnected', 'the application does not answer'),
      );
    });
    signal.addEventListener('abort', () => socket.close(), { once: true });
  });
}
