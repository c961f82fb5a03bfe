import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FakeEngine, until } from '../testing/fake-engine.ts';

const ALL = { isAll: true, withSizes: false, filters: new Map<string, string[]>() };

describe('restart of the engine', () => {
  it('adopts what runs on: wait, stop and attach work', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    await engine.containers.start(id);
    const before = await engine.containers.inspect(id);
    await engine.restart();
    const after = await engine.containers.inspect('web');
    expect(after.State).toMatchObject({ Status: 'running', StartedAt: before.State.StartedAt });
    const wait = await engine.containers.wait(id, { condition: 'not-running' });
    const session = await engine.containers.attach(id, {
      wantsLogs: false,
      wantsStream: true,
      wantsStdin: false,
      wantsStdout: true,
      wantsStderr: true,
      detachKeys: undefined,
    });
    engine.shims.runOf(id).say('still here');
    engine.shims.runOf(id).end(7);
    const chunks = await Array.fromAsync(session.output);
    expect(Buffer.concat(chunks.map(({ data }) => data)).toString()).toBe('still here');
    expect((await wait.result).statusCode).toBe(7);
  });

  it('takes back a pause that nobody was told of, and keeps one that was', async () => {
    await using engine = await FakeEngine.make();
    const [cut, paused] = [await engine.create('cut'), await engine.create('paused')];
    await engine.containers.start(cut);
    await engine.containers.start(paused);
    await engine.containers.pause(paused);
    engine.frozen.add(cut);
    await engine.restart();
    expect((await engine.containers.inspect(cut)).State.Status).toBe('running');
    expect((await engine.containers.inspect(paused)).State.Status).toBe('paused');
    expect([...engine.frozen]).toEqual([paused]);
  });

  it('an exit without an engine is read from the record', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    await engine.containers.start(id);
    const run = engine.shims.runOf(id);
    const now = BigInt(Date.now()) * 1_000_000n;
    await writeFile(
      run.config.exitRecordPath,
      JSON.stringify({
        version: 1,
        id,
        pid: 5,
        exitCode: 42,
        signal: 0,
        oomKilled: false,
        startedAtNs: String(run.startedAtNs),
        finishedAtNs: String(now),
        lostLogBytes: '0',
      }),
    );
    engine.shims.runs.length = 0;
    await engine.restart();
    const { State } = await engine.containers.inspect(id);
    expect(State).toMatchObject({ Status: 'exited', ExitCode: 42, Running: false });
  });

  it('no record of the end: exit code 255', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    await engine.containers.start(id);
    engine.shims.runs.length = 0;
    await engine.restart();
    expect((await engine.containers.inspect(id)).State).toMatchObject({
      Status: 'exited',
      ExitCode: 255,
    });
  });

  it('policies start what is down, but not what was stopped by hand', async () => {
    await using engine = await FakeEngine.make();
    const policy = { RestartPolicy: { Name: 'unless-stopped' } };
    const crashed = await engine.create('crashed', {}, policy);
    const stopped = await engine.create('stopped', {}, policy);
    const always = await engine.create('always', {}, { RestartPolicy: { Name: 'always' } });
    const fresh = await engine.create('fresh', {}, { RestartPolicy: { Name: 'always' } });
    for (const id of [crashed, stopped, always]) {
      await engine.containers.start(id);
    }
    await engine.containers.stop(stopped);
    await engine.containers.stop(always);
    engine.shims.runs.length = 0;
    await engine.restart();
    await engine.containers.startRestartable();
    const states = await Promise.all(
      [crashed, stopped, always, fresh].map(
        async (id) => (await engine.containers.inspect(id)).State.Status,
      ),
    );
    expect(states).toEqual(['running', 'exited', 'running', 'created']);
  });

  it('finishes creations and removals that were cut off', async () => {
    await using engine = await FakeEngine.make();
    const halfRemoved = await engine.create('half-removed');
    const halfCreated = await engine.create('half-created');
    const kept = await engine.create('kept');
    await rm(join(engine.dir, 'trees', halfRemoved), { recursive: true });
    await rm(join(engine.dir, 'containers', halfCreated, 'container.json'));
    await engine.restart();
    const rows = await engine.containers.list(ALL);
    expect(rows.map((row) => row.Id)).toEqual([kept]);
    expect(await readdir(join(engine.dir, 'containers'))).toEqual([kept]);
    expect(await readdir(join(engine.dir, 'trees'))).toEqual([kept]);
    await engine.create('half-removed');
    await engine.create('half-created');
  });

  it('a record that cannot be read is kept, with its tree', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    await writeFile(join(engine.dir, 'containers', id, 'container.json'), '{"version":1');
    await engine.restart();
    expect(await engine.containers.list(ALL)).toEqual([]);
    expect(await readdir(join(engine.dir, 'trees'))).toEqual([id]);
  });

  it('auto remove containers that ended meanwhile go', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web', {}, { AutoRemove: true });
    await engine.containers.start(id);
    engine.shims.runs.length = 0;
    await engine.restart();
    await until(async () => (await engine.containers.list(ALL)).length === 0);
  });

  it('a shim of another version keeps its container, which can still be killed', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    await engine.containers.start(id);
    await mkdir(join(engine.dir, 'run', id), { recursive: true });
    engine.shims.isForeign = true;
    await engine.restart();
    expect((await engine.containers.inspect(id)).State.Status).toBe('running');
    await engine.containers.kill(id);
    expect((await engine.containers.inspect(id)).State).toMatchObject({
      Status: 'exited',
      ExitCode: 255,
    });
  });

  it('shutdown leaves containers running', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    await engine.containers.start(id);
    await engine.containers.shutdown();
    expect(engine.shims.runOf(id).signals).toEqual([]);
    await engine.restart();
    expect((await engine.containers.inspect(id)).State.Status).toBe('running');
  });

  it('many containers: all come back, newest first', async () => {
    await using engine = await FakeEngine.make();
    for (let index = 0; index < 50; index += 1) {
      await engine.create(`web-${index}`);
    }
    await engine.restart();
    const rows = await engine.containers.list(ALL);
    expect(rows.length).toBe(50);
    expect(rows[0]?.Names).toEqual(['/web-49']);
    expect(rows.at(-1)?.Names).toEqual(['/web-0']);
  });
});
