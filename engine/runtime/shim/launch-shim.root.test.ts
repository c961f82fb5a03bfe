import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { listIfThere } from '../../base/node/atomic-file.ts';
import { readExitRecord } from './exit-record.ts';
import { launchShim } from './launch-shim.ts';
import { connectShim } from './shim-client.ts';
import {
  ALL_STREAMS,
  ContainerFixture,
  SHIM_PATH,
  start,
  until,
} from './testing/container-fixture.ts';

const MAX_PSS_KIB = 512;

describe('launch', () => {
  test('logs both streams, records the exit and leaves nothing behind', async () => {
    await using fixture = await ContainerFixture.make({
      script: 'echo "<out>"; echo err >&2; printf part; exit 3',
      config: {},
    });
    await using client = await start(fixture.config);
    const status = await client.waitExit();
    expect(status).toMatchObject({ exitCode: 3, signal: 0, isOomKilled: false, lostLogBytes: 0n });
    expect(status.finishedAtNs >= status.startedAtNs).toBe(true);
    expect(await readExitRecord(fixture.config.exitRecordPath)).toEqual(status);
    expect(await fixture.loggedText('stdout')).toBe('<out>\npart');
    expect(await fixture.loggedText('stderr')).toBe('err\n');
    await client.waitGone();
    expect(await fixture.leftCgroups()).toEqual([]);
    expect(await listIfThere(join(fixture.dir, 'runc'))).toEqual([]);
    await until(async () => !(await listIfThere(fixture.config.runDir)).includes('shim.sock'));
    expect(await connectShim(fixture.config.runDir)).toBeUndefined();
  });

  test('without cgroup folders the runtime deletes the container', async () => {
    await using fixture = await ContainerFixture.make({ script: 'exit 0' });
    const { cgroupDirs, runtimeStateDir, ...config } = fixture.config;
    await using client = await start(config);
    await client.waitGone();
    expect(cgroupDirs).toBeDefined();
    expect(runtimeStateDir).toBeDefined();
    expect(await listIfThere(join(fixture.dir, 'runc'))).toEqual([]);
    expect(await fixture.leftCgroups()).toEqual([]);
  });

  test('returns the sentence of the runtime when the program is not there', async () => {
    await using fixture = await ContainerFixture.make({ script: '', args: ['/bin/nosuch'] });
    const result = await launchShim(fixture.config, { shimPath: SHIM_PATH });
    expect(result).toMatchObject({ kind: 'start-failed', exitCode: 1 });
    expect(result.kind === 'start-failed' && result.runtimeMessage).toMatch(
      /^unable to start container process: exec: "\/bin\/nosuch"/,
    );
    expect(await readExitRecord(fixture.config.exitRecordPath)).toBeUndefined();
    expect(await fixture.leftCgroups()).toEqual([]);
  });

  test('a runtime that cannot be executed is a failed start', async () => {
    await using fixture = await ContainerFixture.make({ script: '' });
    const config = { ...fixture.config, runtime: { path: '/nosuch/runc', args: [] } };
    const result = await launchShim(config, { shimPath: SHIM_PATH });
    expect(result).toMatchObject({ kind: 'start-failed', exitCode: 127 });
    expect(result.kind === 'start-failed' && result.runtimeMessage).toContain('/nosuch/runc');
  });

  test('a shim that cannot begin says why', async () => {
    await using fixture = await ContainerFixture.make({ script: '' });
    const log = { path: '/nosuch/folder/c.log' };
    await expect(launchShim({ ...fixture.config, log }, { shimPath: SHIM_PATH })).rejects.toThrow(
      /open log folder \/nosuch\/folder/,
    );
    await expect(launchShim(fixture.config, { shimPath: '/nosuch/shim' })).rejects.toThrow(
      /cannot run \/nosuch\/shim/,
    );
  });

  test('a second shim for the same run folder is refused, the first goes on', async () => {
    await using fixture = await ContainerFixture.make({ script: 'sleep 1000' });
    await using client = await start(fixture.config);
    await expect(launchShim(fixture.config, { shimPath: SHIM_PATH })).rejects.toThrow(/running/);
    expect((await client.state()).status).toBe('running');
  });

  test('works in a run folder whose socket address would be too long', async () => {
    await using fixture = await ContainerFixture.make({ script: 'tty', hasTty: true });
    const runDir = join(fixture.dir, 'x'.repeat(120));
    await mkdir(runDir);
    await using client = await start({ ...fixture.config, runDir });
    expect((await client.waitExit()).exitCode).toBe(0);
    expect(await fixture.loggedText('stdout')).toContain('/dev/pts/0');
    await client.waitGone();
  });

  test('create and start can be apart', async () => {
    await using fixture = await ContainerFixture.make({
      script: 'echo started',
      config: { isStartedAtOnce: false },
    });
    await using client = await start(fixture.config);
    expect((await client.state()).status).toBe('created');
    expect(await fixture.readLog()).toEqual([]);
    const started = await client.start();
    expect(started.process.pid).toBeGreaterThan(1);
    expect((await client.waitExit()).exitCode).toBe(0);
    expect(await fixture.loggedText('stdout')).toBe('started\n');
  });

  test('aborting kills the container and cleans up', async () => {
    await using fixture = await ContainerFixture.make({ script: 'sleep 1000' });
    const abort = new AbortController();
    const launched = launchShim(fixture.config, {
      shimPath: SHIM_PATH,
      signal: abort.signal,
      beforeOutput: async () => {
        abort.abort(new Error('changed my mind'));
        await Promise.resolve();
      },
    });
    await expect(launched).rejects.toThrow('changed my mind');
    expect(await fixture.leftCgroups()).toEqual([]);
    expect(await listIfThere(join(fixture.dir, 'runc'))).toEqual([]);
  });
});

describe('end', () => {
  test('signals reach the process and become its exit code', async () => {
    await using fixture = await ContainerFixture.make({
      script: 'trap "echo term; exit 9" TERM; echo ready; while true; do usleep 10000; done',
    });
    await using client = await start(fixture.config);
    await until(async () => (await fixture.loggedText('stdout')) === 'ready\n');
    expect(await client.kill(15)).toBe(true);
    expect(await client.waitExit()).toMatchObject({ exitCode: 9, signal: 0 });
    expect(await fixture.loggedText('stdout')).toBe('ready\nterm\n');

    await using other = await ContainerFixture.make({ script: 'sleep 1000' });
    await using otherClient = await start(other.config);
    expect(await otherClient.kill(9)).toBe(true);
    expect(await otherClient.waitExit()).toMatchObject({ exitCode: 137, signal: 9 });
  });

  test('an OOM kill is told and recorded', async () => {
    await using fixture = await ContainerFixture.make({
      script: 'tail /dev/zero; echo "status $?"',
      resources: { memory: { limit: 16 * 1024 * 1024, swap: 16 * 1024 * 1024 } },
    });
    const kills: number[] = [];
    await using client = await start(fixture.config, {
      beforeOutput: async (early) => {
        early.onOom((count) => kills.push(count));
        await Promise.resolve();
      },
    });
    expect((await client.waitExit()).isOomKilled).toBe(true);
    expect(kills.at(-1)).toBeGreaterThanOrEqual(1);
  });

  test('shutdown kills, records and deletes', async () => {
    await using fixture = await ContainerFixture.make({ script: 'sleep 1000' });
    await using client = await start(fixture.config);
    await client.shutdown();
    expect(await readExitRecord(fixture.config.exitRecordPath)).toMatchObject({ exitCode: 137 });
    expect(await fixture.leftCgroups()).toEqual([]);
  });

  test('everything goes on when the engine is killed, and a new one finds it', async () => {
    await using fixture = await ContainerFixture.make({
      script:
        'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); echo $i; [ -e /stop ] && exit 6; usleep 1000; done',
    });
    const program = fileURLToPath(new URL('testing/launch-and-wait.ts', import.meta.url));
    const engine = spawn(
      process.execPath,
      [program, JSON.stringify({ config: fixture.config, shimPath: SHIM_PATH })],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await new Promise<void>((resolve) => engine.stdout.once('data', () => resolve()));
    const ended = new Promise((resolve) => engine.once('exit', resolve));
    engine.kill('SIGKILL');
    await ended;
    const before = (await fixture.readLog()).length;
    await until(async () => (await fixture.readLog()).length > before + 20);
    const found = await connectShim(fixture.config.runDir);
    if (found === undefined) {
      throw new Error('no shim');
    }
    await using client = found;
    expect((await client.state()).status).toBe('running');
    await writeFile(join(fixture.config.bundleDir, 'rootfs/stop'), '');
    expect((await client.waitExit()).exitCode).toBe(6);
    const values = (await fixture.readLog()).map((entry) => Number(entry.log));
    expect(values).toEqual(values.map((_, i) => i + 1));
  });

  // Sanitizers have their own idea of memory.
  test.skipIf(process.env['GANTRY_TEST_SHIM'] !== undefined)(
    'a shim costs little memory, also after a burst of output',
    async () => {
      await using fixture = await ContainerFixture.make({ script: 'seq 1 200000; sleep 1000' });
      await using client = await start(fixture.config);
      await until(async () => (await fixture.loggedText('stdout')).endsWith('\n200000\n'));
      const { shimPid } = await client.state();
      await using session = await client.attach(ALL_STREAMS);
      const pssKiB = async (): Promise<number> => {
        const text = await readFile(`/proc/${shimPid}/smaps_rollup`, 'utf8');
        return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1]);
      };
      expect(session.position).toBeDefined();
      expect(await pssKiB()).toBeLessThanOrEqual(MAX_PSS_KIB);
    },
  );
});
