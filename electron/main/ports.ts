import type { PortLike } from '../contract/transport.ts';

/** The part of Electron's `MessagePortMain` that is used; the utility process has the same. */
export interface ElectronPort {
  on(event: 'message', listener: (event: { data: unknown }) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
  postMessage(message: unknown): void;
  start(): void;
  close(): void;
}

/** An Electron port as the transport wants it. */
export function portLike(port: ElectronPort): PortLike {
  function addEventListener(
    type: 'message' | 'close',
    listener: ((event: { data: unknown }) => void) & (() => void),
  ): void {
    if (type === 'message') {
      port.on('message', listener);
    } else {
      port.on('close', listener);
    }
  }
  return {
    postMessage: (message) => port.postMessage(message),
    close: () => port.close(),
    start: () => port.start(),
    addEventListener,
  };
}
