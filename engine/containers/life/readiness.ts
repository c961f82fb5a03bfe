import { readFile } from 'node:fs/promises';
import { delay } from '../../base/async.ts';
import type { Container } from '../container.ts';
import { SIGKILL } from '../signals.ts';
import { nowNs, parseTimeNs } from '../times.ts';

/** A program that has not set a handler by then has none. */
const GRACE_MS = 250;
const POLL_MS = 5;
const SIGSTOP = 19;

function ageMs(container: Container): number {
  const startedNs = parseTimeNs(container.record.state.startedAt) ?? 0n;
  return Number(nowNs() - startedNs) / 1e6;
}

async function catches(pid: number, signalNumber: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  if (/^Name:\s*runc:\[/m.test(status)) {
    // The runtime's own process, about to become the program.
    return false;
  }
  const mask = /^SigCgt:\s*([0-9a-f]+)/m.exec(status)?.[1];
  // No status: it has ended, there is nothing to wait for.
  return mask === undefined || ((BigInt(`0x${mask}`) >> BigInt(signalNumber - 1)) & 1n) === 1n;
}

/**
 * Waits until a program that was started this moment has set its handler, at most a quarter of a second after its start.
 * The first process of a pid namespace never gets a signal that it does not handle: one that is sent right after the
 * start would be lost.
 */
export async function waitForHandler(container: Container, signalNumber: number): Promise<void> {
  if (signalNumber === SIGKILL || signalNumber === SIGSTOP) {
    return;
  }
  while (container.isUp && ageMs(container) < GRACE_MS) {
    if (await catches(container.record.state.pid, signalNumber)) {
      return;
    }
    await delay(POLL_MS);
  }
}
