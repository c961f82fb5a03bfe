import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Docker } from '../fixtures/docker.ts';
import { startEngine, type TestEngine } from '../fixtures/engine.ts';
import { webArchive } from '../fixtures/images.ts';
import { startRegistry, type TestRegistry } from '../fixtures/registry.ts';
import { waitFor } from '../fixtures/wait.ts';
import { clearEngine, expectNoLeftovers } from './leftovers.ts';
import { freePort, openSession, words } from './session.ts';

let engine: TestEngine;
let docker: Docker;
let registry: TestRegistry;
let folder: string;

beforeAll(async () => {
  [engine, registry] = await Promise.all([startEngine(), startRegistry()]);
  docker = engine.docker;
  folder = await mkdtemp(join(engine.folder, 'shared-'));
  await docker.ok(['load', '-qi', await webArchive()]);
});
beforeEach(({ onTestFailed }) => {
  onTestFailed(async () => {
    await clearEngine(engine);
  });
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
  await registry?.[Symbol.asyncDispose]();
});

async function inspect(name: string, format: string): Promise<string> {
  return await docker.ok(['inspect', '--format', format, name]);
}

async function pidOf(name: string): Promise<number> {
  return Number(await inspect(name, '{{.State.Pid}}'));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Waits in the container until the file is there. */
function untilFile(name: string, then: string): string {
  return `while [ ! -e /shared/${name} ]; do sleep 0.05; done; ${then}`;
}

/** A busybox that shares a folder with the test. */
async function start(name: string, flags: string, line: string): Promise<void> {
  await docker.ok(words(`run -d --name ${name} -v ${folder}:/shared ${flags} busybox sh -c`, line));
}

async function page(name: string): Promise<boolean> {
  const port = /:(\d+)$/.exec(await docker.ok(['port', name, '80']))?.[1] ?? '';
  const answer = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5000) });
  return (await answer.text()).includes('Hello from Gantry');
}

/** The numbers of the lines `tick N`. */
async function ticks(): Promise<number[]> {
  const text = await docker.ok(['logs', 'ticker'], { maxOutputBytes: 16_000_000 });
  return text.split('\n').map((line) => Number(/^tick (\d+)$/.exec(line)?.[1]));
}

describe.each(['SIGKILL', 'SIGTERM'] as const)('an engine that ended by %s', (signal) => {
  it('finds its containers as they are, with nothing of their output lost', async () => {
    const suffix = `${signal}-${Date.now()}`;
    await start('ticker', '', 'i=1; while :; do echo tick $i; i=$((i+1)); sleep 0.02; done');
    await start('ends', '', untilFile(suffix, 'echo last words; exit 5'));
    await start('auto', '--rm', untilFile(suffix, 'exit 1'));
    await start('always', '--restart always', `echo run; ${untilFile(suffix, 'sleep 1000')}`);
    await start('again', '--restart unless-stopped', untilFile(suffix, 'exit 3'));
    await start('reader', '-i', 'while read line; do echo "read $line"; done; exit 6');
    await start('frozen', '', 'sleep 1000');
    await start('ill', '--health-cmd true --health-interval 200ms', 'sleep 1000');
    await docker.ok(words(`run -d --name web -p ${await freePort()}:80 web`));
    await docker.ok(words('create --name never busybox true'));
    await docker.ok(words('pause frozen'));
    await docker.ok(words('network create mesh'));
    await docker.ok(words('run -d --name peer --network mesh web'));
    await waitFor('the page', async () => await page('web'));
    await waitFor('ticks', async () => (await ticks()).length > 10);
    const pids = new Map<string, number>();
    for (const name of ['ticker', 'ends', 'auto', 'again', 'reader', 'frozen', 'web', 'peer']) {
      pids.set(name, await pidOf(name));
    }
    await using follow = openSession(docker, ['logs', '-f', 'ticker']);
    await follow.sees('tick 5');
    const waiting = docker(['wait', 'ticker']);

    await (signal === 'SIGKILL' ? engine.kill() : engine.stop());
    await follow.exited();
    expect((await waiting).exitCode).not.toBe(0);
    for (const [name, pid] of pids) {
      expect(isAlive(pid), name).toBe(true);
    }
    await writeFile(join(folder, suffix), '');
    for (const name of ['ends', 'auto', 'again']) {
      await waitFor(`${name} to end alone`, () => !isAlive(pids.get(name) ?? 0));
    }
    await engine.start();

    for (const name of ['ticker', 'reader', 'frozen', 'web', 'peer']) {
      expect(await pidOf(name), name).toBe(pids.get(name));
    }
    expect(await docker.ok(['wait', 'ends'])).toBe('5');
    expect(await docker.ok(['logs', 'ends'])).toBe('last words');
    expect(await inspect('ends', '{{.State.Status}} {{.State.ExitCode}}')).toBe('exited 5');
    await waitFor('--rm', async () => (await docker(['inspect', 'auto'])).exitCode !== 0);
    await waitFor('the restart', async () => {
      const pid = await pidOf('again');
      return (await inspect('again', '{{.RestartCount}}')) !== '0' && pid !== pids.get('again');
    });
    expect(await inspect('always', '{{.State.Running}}')).toBe('true');
    expect(await docker.ok(['logs', 'always'])).toBe('run');
    expect(await inspect('frozen', '{{.State.Status}}')).toBe('paused');
    expect(await inspect('never', '{{.State.Status}}')).toBe('created');
    await docker.ok(['unpause', 'frozen']);
    await waitFor(
      'health',
      async () => (await inspect('ill', '{{.State.Health.Status}}')) === 'healthy',
    );

    await using again = openSession(docker, ['logs', '-f', 'ticker']);
    const before = (await ticks()).at(-1) ?? 0;
    await again.sees(`tick ${before + 10}\n`);
    const numbers = await ticks();
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, index) => index + 1));

    await using reader = openSession(docker, ['attach', 'reader']);
    await waitFor('an answer', () => {
      reader.write('something\n');
      return reader.stdout.includes('read something');
    });
    const ending = docker(['wait', 'reader']);
    reader.endInput();
    // The last client with input has gone, but the input stays open without StdinOnce.
    await docker.ok(['kill', '-s', 'KILL', 'reader']);
    expect((await ending).stdout).toBe('137\n');
    expect(await docker.ok(['exec', 'ticker', 'echo', 'works'])).toBe('works');
    expect(await docker.ok(['top', 'ticker'])).toContain('tick');
    await waitFor('the page, still published', async () => await page('web'));
    await docker.ok(words('run --rm --network mesh busybox nslookup peer'));
    await docker.ok(words('stop -t 0 web'));
    await docker.ok(words('start web'));
    await waitFor('the page after a restart', async () => await page('web'));
    const taken = await docker(words('run --name ticker busybox'));
    expect(taken.stderr).toContain('The container name "/ticker" is already in use');

    const names = (await docker.ok(words('ps -a --format {{.Names}}'))).split('\n');
    await docker.ok(['rm', '-fv', ...names]);
    await docker.ok(words('network rm mesh'));
    await expectNoLeftovers(engine);
  });
});

/** Same numbers for the same seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

describe('an engine killed at random moments', () => {
  it('is consistent after every start and leaves nothing behind', async () => {
    const seed = Number(process.env['GANTRY_SEED'] ?? Date.now() % 1_000_000);
    console.log(`GANTRY_SEED=${seed}`);
    const next = random(seed);
    const remote = `${registry.host}/web`;
    await docker.ok(['tag', 'web', remote]);
    await docker.ok(['push', '-q', remote]);
    await docker.ok(['rmi', remote]);
    for (let round = 0; round < 8; round += 1) {
      const name = (kind: string): string => `${kind}-${round}`;
      await docker.ok(
        words(`run -d --name ${name('old')} --network bridge -p 80 busybox sleep 1000`),
      );
      await docker.ok(
        words(
          `create --name ${name('made')} -v ${name('volume')}:/v -v /anonymous busybox sleep 1000`,
        ),
      );
      const work = [
        `run -d --name ${name('new')} -p 80 busybox sleep 1000`,
        `run --rm --name ${name('short')} -v /x busybox true`,
        `start ${name('made')}`,
        `rm -fv ${name('old')}`,
        `create --name ${name('fresh')} -v ${name('other')}:/v busybox true`,
        `pull -q ${remote}`,
        `network create ${name('net')}`,
        `commit ${name('made')} ${name('image')}`,
      ].map(async (line) => await docker(words(line)));
      const delayMs = Math.round(next() * 700);
      await new Promise<void>((resolve) => {
        setTimeout(resolve, delayMs);
      });
      await engine.kill();
      await Promise.all(work);
      await engine.start();
      const where = `seed ${seed}, round ${round}, after ${delayMs} ms`;
      const listed = (await docker.ok(words('ps -a --format {{.Names}}|{{.State}}')))
        .split('\n')
        .filter(Boolean);
      for (const entry of listed) {
        const [container = '', state = ''] = entry.split('|');
        if (state === 'running') {
          await docker.ok(['exec', container, 'true']).catch((cause: unknown) => {
            throw new Error(`${container} does not run; ${where}`, { cause });
          });
        } else {
          expect(['created', 'exited'], `${entry}; ${where}`).toContain(state);
        }
      }
      if (listed.some((entry) => entry.startsWith(name('made')))) {
        await docker.ok(['start', name('made')]);
      }
      // A list of images is one of whole images.
      const images = (await docker.ok(words('images -q'))).split('\n').filter(Boolean);
      for (const image of new Set(images)) {
        await docker.ok(['history', '-q', image]);
      }
      await docker.ok(words(`pull -q ${remote}`));
      await docker.ok(words(`run --rm ${remote} cat /www/index.html`));
      await docker.ok(['rmi', remote]);
    }
    const names = (await docker.ok(words('ps -aq'))).split('\n').filter(Boolean);
    await docker.ok(['rm', '-fv', ...names]);
    await docker.ok(words('network prune -f'));
    await docker.ok(words('volume prune -f'));
    expect(await docker.ok(words('volume ls -q'))).toBe('');
    await expectNoLeftovers(engine);
  });
});
