import { afterEach, describe, expect, test } from 'vitest';
import { AckProcess, type AckProtocol } from './ack-process.ts';

/** A shell plays the program: it runs each line; an acknowledgement is an echo to standard error. */
const SHELL: AckProtocol = {
  file: 'sh',
  args: [],
  acknowledge: (token) => `echo ${token} >&2`,
  clean: (lines) => lines.slice(0, -1),
};

const opened: AckProcess[] = [];
function open(timeoutMs = 60_000): AckProcess {
  const shell = new AckProcess(SHELL, { timeoutMs });
  opened.push(shell);
  return shell;
}

afterEach(async () => {
  for (const shell of opened.splice(0)) {
    await shell[Symbol.asyncDispose]();
  }
});

describe('AckProcess', () => {
  test('answers concurrent requests in order, each with what was said for it', async () => {
    const shell = open();
    const said = await Promise.all(
      Array.from({ length: 50 }, (_, index) => shell.request([`echo said-${index} >&2`, ':'])),
    );
    expect(said).toEqual(Array.from({ length: 50 }, (_, index) => [`said-${index}`]));
  });

  test('a request that says nothing gives nothing', async () => {
    expect(await open().request([':'])).toEqual([]);
  });

  test('the death of the program fails what was pending, and the next request works', async () => {
    const shell = open();
    const [first, second] = await Promise.allSettled([
      shell.request(['echo dying >&2; exit 3']),
      shell.request([':']),
    ]);
    expect(first).toMatchObject({ reason: { message: 'sh ended unexpectedly (3): dying' } });
    expect(second.status).toBe('rejected');
    expect(await shell.request(['echo back >&2'])).toEqual(['back']);
  });

  test('a program that hangs is killed after the limit', async () => {
    const shell = open(200);
    await expect(shell.request(['exec sleep 1000'])).rejects.toThrow(
      'ended unexpectedly (SIGKILL)',
    );
  });

  test('recycling lets the old program finish', async () => {
    const shell = open();
    const before = shell.request(['echo $$ >&2']);
    shell.recycle();
    const after = shell.request(['echo $$ >&2']);
    expect(await before).not.toEqual(await after);
  });

  test('many requests go through several programs without a loss', async () => {
    const shell = open();
    for (let round = 0; round < 11; round += 1) {
      const said = await Promise.all(
        Array.from({ length: 100 }, (_, index) => shell.request([`echo ${index} >&2`])),
      );
      expect(said.flat()).toEqual(Array.from({ length: 100 }, (_, index) => String(index)));
    }
  });

  test('a missing program is a plain error', async () => {
    const missing = new AckProcess({ ...SHELL, file: '/no/such/program' });
    await expect(missing.request([':'])).rejects.toThrow('/no/such/program cannot be run');
  });
});
