import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Docker } from '../fixtures/docker.ts';
import { startEngine, type TestEngine } from '../fixtures/engine.ts';
import { waitFor } from '../fixtures/wait.ts';
import { clearEngine } from './leftovers.ts';
import { openSession, openTerminal, words } from './session.ts';

let engine: TestEngine;
let docker: Docker;
/** Ctrl-P Ctrl-Q. */
const DETACH = '\u0010\u0011';

beforeAll(async () => {
  engine = await startEngine();
  docker = engine.docker;
});
beforeEach(({ onTestFailed }) => {
  onTestFailed(async () => {
    await clearEngine(engine);
  });
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
});

async function status(name: string): Promise<string> {
  return await docker.ok(['inspect', '--format', '{{.State.Status}}', name]);
}

describe('docker run -it', () => {
  it('has a terminal of the right size that follows resizes and gives the exit code', async () => {
    await using terminal = await openTerminal(docker, ['run', '-it', '--rm', 'busybox', 'sh']);
    terminal.write('tty; stty size; echo "TERM=$TERM"\n');
    await terminal.sees('/dev/pts/0');
    // The size is sent right after the start: it is there soon, and stays.
    await waitFor('the first size', async () => {
      terminal.write('stty size\n');
      await terminal.sees('\n', terminal.stdout.length);
      return terminal.stdout.includes('24 80');
    });
    await terminal.sees('TERM=xterm');
    for (const [rows, columns] of [
      [40, 132],
      [10, 33],
    ] as const) {
      await terminal.resize(rows, columns);
      await waitFor(`size ${rows} ${columns}`, async () => {
        terminal.write('stty size\n');
        await terminal.sees('\n', terminal.stdout.length);
        return terminal.stdout.includes(`${rows} ${columns}\r\n`);
      });
    }
    terminal.write('sleep 1000\n');
    await terminal.sees('sleep 1000');
    const before = terminal.stdout.length;
    // Ctrl-C ends the command, not the shell.
    await waitFor('the prompt after Ctrl-C', () => {
      terminal.write('\u0003');
      return terminal.stdout.includes('^C', before) && terminal.stdout.includes('/ # ', before);
    });
    terminal.write('echo still he""re\n');
    await terminal.sees('still here', before);
    terminal.write('exit 5\n');
    expect(await terminal.exited()).toBe(5);
  });

  it('detaches with the keys and attaches again', async () => {
    {
      await using terminal = await openTerminal(docker, words('run -it --name shell busybox sh'));
      await terminal.sees('/ # ');
      terminal.write('A=kept\n');
      await terminal.sees('/ # ', terminal.stdout.indexOf('kept'));
      terminal.write(DETACH);
      expect(await terminal.exited()).toBe(0);
    }
    expect(await status('shell')).toBe('running');
    {
      await using terminal = await openTerminal(
        docker,
        words('attach --detach-keys ctrl-a,x shell'),
      );
      await waitFor('an answer', () => {
        terminal.write('echo "<$A>"\n');
        return terminal.stdout.includes('<kept>');
      });
      terminal.write('\u0001x');
      await terminal.sees('read escape sequence');
    }
    {
      await using terminal = await openTerminal(docker, ['attach', 'shell']);
      await waitFor('an answer', () => {
        terminal.write('echo "<again $A>"\n');
        return terminal.stdout.includes('<again kept>');
      });
      terminal.write('exit 6\n');
      expect(await terminal.exited()).toBe(6);
    }
    expect(await docker.ok(['inspect', '--format', '{{.State.ExitCode}}', 'shell'])).toBe('6');
    expect(await docker.ok(['logs', 'shell'])).toContain('<again kept>');
    await docker.ok(['rm', 'shell']);
  });

  it('starts a created container with its terminal', async () => {
    await docker.ok([
      'create',
      '-it',
      '--name',
      'made',
      'busybox',
      'sh',
      '-c',
      'read x; echo "[$x]"',
    ]);
    await using terminal = await openTerminal(docker, ['start', '-ai', 'made']);
    await waitFor('it to run', async () => (await status('made')) === 'running');
    terminal.write('word\n');
    await terminal.sees('[word]');
    expect(await terminal.exited()).toBe(0);
    await docker.ok(['rm', 'made']);
  });

  it('refuses a terminal when the input is none', async () => {
    const result = await docker(['run', '-it', '--rm', 'busybox', 'true'], { input: '' });
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain('the input device is not a TTY');
  });
});

describe('docker exec -it', () => {
  it('opens a shell of its own with size, resize, detach and exit code', async () => {
    await docker.ok(['run', '-d', '--name', 'server', 'busybox', 'sleep', '1000']);
    {
      await using terminal = await openTerminal(docker, ['exec', '-it', 'server', 'sh']);
      await terminal.sees('/ # ');
      await waitFor('the first size', async () => {
        terminal.write('stty size\n');
        await terminal.sees('\n', terminal.stdout.length);
        return terminal.stdout.includes('24 80');
      });
      await terminal.resize(50, 111);
      await waitFor('the new size', async () => {
        terminal.write('stty size\n');
        await terminal.sees('\n', terminal.stdout.length);
        return terminal.stdout.includes('50 111');
      });
      terminal.write('exit 9\n');
      expect(await terminal.exited()).toBe(9);
    }
    {
      await using terminal = await openTerminal(docker, ['exec', '-it', 'server', 'sh']);
      await terminal.sees('/ # ');
      terminal.write(DETACH);
      expect(await terminal.exited()).not.toBe(137);
    }
    expect(await status('server')).toBe('running');
    await docker.ok(['rm', '-f', 'server']);
  });
});

describe('a client that does not read', () => {
  it('gets every byte later, though the container has ended and is removed', async () => {
    const line = 'for i in 1 2 3 4 5 6; do cat /bin/busybox; done; echo end >&2; exit 3';
    const args = words('run --rm --name binary busybox sh -c', line);
    const child = spawn(docker.program, args, {
      env: { ...docker.env },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const ended = once(child, 'close');
    await waitFor('the container to come', async () => {
      const events = `events --since 1h --until ${new Date().toISOString()} --filter container=binary`;
      return (await docker.ok(words(`${events} --format {{.Action}}`))).includes('destroy');
    });
    const hash = createHash('sha256');
    for await (const part of child.stdout) {
      hash.update(part as Buffer);
    }
    expect(await ended).toEqual([3, null]);
    const program = await readFile('/bin/busybox');
    const expected = createHash('sha256');
    for (let count = 0; count < 6; count += 1) {
      expected.update(program);
    }
    expect(hash.digest('hex')).toBe(expected.digest('hex'));
  });
});

describe('docker attach', () => {
  it('streams both outputs to every client, forwards signals, and gives the exit code', async () => {
    await docker.ok(
      words(
        'run -d -i --name echo busybox sh -c',
        'trap "echo got it; exit 8" TERM; while read line; do echo "out $line"; echo "err $line" >&2; done',
      ),
    );
    await using first = openSession(docker, ['attach', 'echo']);
    await using second = openSession(docker, ['attach', '--no-stdin', 'echo']);
    await waitFor('both to be attached', () => {
      first.write('hello\n');
      return first.stdout.includes('out hello') && second.stdout.includes('out hello');
    });
    await waitFor('the other stream', () => second.stderr.includes('err hello'));
    expect(first.stderr).toContain('err hello');
    expect(second.stdout).not.toContain('err');
    first.kill('SIGTERM');
    first.write('one more\n');
    expect(await first.exited()).toBe(8);
    expect(await second.exited()).toBe(8);
    expect(await docker.ok(['wait', 'echo'])).toBe('8');
    const late = await docker(['attach', 'echo']);
    expect(late.exitCode).toBe(1);
    expect(late.stderr).toContain('You cannot attach to a stopped container, start it first');
    await docker.ok(['rm', 'echo']);
  });
});
