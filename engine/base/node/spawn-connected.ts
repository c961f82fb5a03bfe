import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { BugError, SystemError } from '../errors.ts';
import { PLAIN_ENV } from './run.ts';

const MAX_STDERR_BYTES = 16 * 1024;

/** A child that talks with us over its descriptor 3. */
export interface ConnectedChild {
  /** Our end of the stream socket; the caller destroys it. Outlives the child when a grandchild holds the other end. */
  readonly socket: Socket;
  /** How the child itself ended (not what it forked), with at most 16 KiB of its standard error. */
  readonly exited: Promise<{ readonly exitCode: number; readonly stderr: string }>;
}

/**
 * Starts a program whose descriptor 3 is a stream socket to us, without input and output.
 * It may detach itself: nothing is done to it when this process ends.
 *
 * @throws SystemError  (from `exited`) the program cannot be started
 */
export function spawnConnected(file: string, args: readonly string[]): ConnectedChild {
  const child = spawn(file, [...args], {
    env: { ...PLAIN_ENV },
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  const socket = child.stdio[3];
  if (!(socket instanceof Socket)) {
    throw new BugError('descriptor 3 of a child is not a socket');
  }
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(0, MAX_STDERR_BYTES);
  });
  const exited = new Promise<{ exitCode: number; stderr: string }>((resolve, reject) => {
    child.once('error', (cause) => {
      reject(new SystemError(`cannot run ${file}: ${cause.message}`, { cause }));
    });
    child.once('exit', (code) => {
      // What it wrote before it ended is read in the same turn at the latest when its pipe ends.
      const finish = (): void => resolve({ exitCode: code ?? 128, stderr });
      if (code === 0 || child.stderr === null || child.stderr.readableEnded) {
        finish();
      } else {
        child.stderr.once('close', finish);
      }
    });
  });
  return { socket, exited };
}
