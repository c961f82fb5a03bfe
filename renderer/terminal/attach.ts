import type { Terminal } from '@xterm/xterm';
import { BridgeError, isCancelled } from '../../electron/contract/error.ts';
import { bridge, type Problem, problemOf } from '../data/bridge.ts';
import { FlowGate } from './flow-gate.ts';

/** How a session stands, as the terminal shows it. */
export type SessionStatus =
  | { readonly type: 'attached' }
  | { readonly type: 'lost' }
  | {
      readonly type: 'exited';
      readonly code: number | undefined;
      readonly reason: string | undefined;
    }
  | { readonly type: 'failed'; readonly problem: Problem };

/**
 * Joins a terminal to a session of the host until the signal aborts or the session is over; a lost connection is
 * joined again, with what the host kept. What the terminal answers to replayed bytes is not sent: the program has
 * had its answer long ago.
 */
export async function attachTerminal(
  terminal: Terminal,
  sessionId: string,
  signal: AbortSignal,
  onStatus: (status: SessionStatus) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await attachOnce(terminal, sessionId, signal, onStatus);
      return;
    } catch (error) {
      if (isCancelled(error) || signal.aborted) {
        return;
      }
      if (!(error instanceof BridgeError && error.code === 'disconnected')) {
        onStatus({ type: 'failed', problem: problemOf(error) });
        return;
      }
      onStatus({ type: 'lost' });
    }
  }
}

async function attachOnce(
  terminal: Terminal,
  sessionId: string,
  signal: AbortSignal,
  onStatus: (status: SessionStatus) => void,
): Promise<void> {
  const { cols, rows } = terminal;
  const stream = await bridge.open('terminal.attach', { sessionId, cols, rows }, { signal });
  const encoder = new TextEncoder();
  const gate = new FlowGate();
  let replayBytes = 0;
  const send = (bytes: Uint8Array): void => {
    if (replayBytes <= 0) {
      stream.sendBytes(bytes).catch(() => {
        // The reading side tells that the stream is over.
      });
    }
  };
  const listeners = [
    terminal.onData((data) => send(encoder.encode(data))),
    terminal.onBinary((data) => send(Uint8Array.from(data, (char) => char.charCodeAt(0) & 0xff))),
    terminal.onResize((size) => {
      stream.send({ type: 'resize', cols: size.cols, rows: size.rows }).catch(() => {
        // The reading side tells that the stream is over.
      });
    }),
  ];
  try {
    for await (const item of stream) {
      if (item instanceof Uint8Array) {
        const { byteLength } = item;
        gate.add(byteLength);
        terminal.write(item, () => {
          replayBytes -= byteLength;
          gate.done(byteLength);
        });
        await gate.ready();
      } else if (item.type === 'attached') {
        terminal.reset();
        ({ replayBytes } = item);
        onStatus({ type: 'attached' });
      } else {
        onStatus({ type: 'exited', code: item.code, reason: item.reason });
      }
    }
  } finally {
    for (const listener of listeners) {
      listener.dispose();
    }
  }
}
