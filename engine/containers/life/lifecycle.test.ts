import { describe, expect, it } from 'vitest';
import { FakeEngine, until } from '../testing/fake-engine.ts';

const REMOVE = { isForced: false, withVolumes: false, isLink: false };

describe('create', () => {
  it('refuses a taken name and tells by whom', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    await expect(engine.create('web')).rejects.toThrow(
      `Conflict. The container name "/web" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`,
    );
  });

  it('of two creations with one name at the same time one wins', async () => {
    await using engine = await FakeEngine.make();
    const results = await Promise.allSettled([engine.create('web'), engine.create('web')]);
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  it('a missing image leaves nothing behind', async () => {
    await using engine = await FakeEngine.make();
    await expect(engine.create('web', { Image: 'nope' })).rejects.toThrow(
      'No such image: nope:latest',
    );
    expect(
      await engine.containers.list({ isAll: true, withSizes: false, filters: new Map() }),
    ).toEqual([]);
    await engine.create('web');
  });

  it('is found by id, name and prefix', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    for (const ref of [id, 'web', '/web', id.slice(0, 12), id.slice(0, 3)]) {
      expect(engine.containers.resolve(ref)).toBe(id);
    }
    expect(() => engine.containers.resolve('db')).toThrow('No such container: db');
  });

  it('publishes with image, name and labels', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web', { Labels: { tier: 'front' } });
    expect(engine.events.at(-1)).toEqual({
      type: 'container',
      action: 'create',
      id,
      attributes: { image: 'busybox', name: 'web', tier: 'front' },
    });
  });

  it('makes anonymous volumes for what the image declares', async () => {
    await using engine = await FakeEngine.make({
      images: new Map([['busybox:latest', { Cmd: ['sh'], Volumes: { '/data': {} } }]]),
    });
    const id = await engine.create('web');
    const { Mounts } = await engine.containers.inspect(id);
    expect(Mounts).toMatchObject([
      { Type: 'volume', Destination: '/data', RW: true, Driver: 'local' },
    ]);
    expect(engine.containers.volumeUsers().get(Mounts[0]?.Name ?? '')).toEqual(new Set([id]));
    await engine.containers.remove(id, { ...REMOVE, withVolumes: true });
    expect(engine.containers.volumeUsers().size).toBe(0);
  });
});

describe('start and exit', () => {
  it('runs, ends, and tells both', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    expect(await engine.containers.start(id)).toBe('started');
    expect(await engine.containers.start(id)).toBe('already-running');
    const running = await engine.containers.inspect(id);
    expect(running.State).toMatchObject({ Status: 'running', Running: true, ExitCode: 0 });
    expect(running.State.Pid).toBeGreaterThan(0);
    const wait = await engine.containers.wait(id, { condition: 'not-running' });
    engine.shims.runOf(id).end(3);
    expect(await wait.result).toEqual({ statusCode: 3, error: undefined });
    await until(() => engine.actionsOf(id).includes('die'));
    const ended = await engine.containers.inspect(id);
    expect(ended.State).toMatchObject({ Status: 'exited', ExitCode: 3, Pid: 0 });
    expect(engine.actionsOf(id)).toEqual(['create', 'start', 'die']);
    expect(engine.events.at(-1)?.attributes).toMatchObject({ exitCode: '3', execDuration: '0' });
  });

  it('a command that is not there: 127 and the words clients look for', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    engine.shims.failure = 'exec: "x": executable file not found in $PATH';
    await expect(engine.containers.start(id)).rejects.toMatchObject({
      code: 'invalid-parameter',
      message:
        'failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: exec: "x": executable file not found in $PATH: unknown',
    });
    const { State } = await engine.containers.inspect(id);
    expect(State).toMatchObject({ Status: 'created', ExitCode: 127 });
    expect(State.Error).toContain('executable file not found');
    engine.shims.failure = undefined;
    expect(await engine.containers.start(id)).toBe('started');
  });

  it('auto remove takes it away with its anonymous volumes', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web', { Volumes: { '/data': {} } }, { AutoRemove: true });
    const removed = await engine.containers.wait(id, { condition: 'removed' });
    await engine.containers.start(id);
    engine.shims.runOf(id).end(5);
    expect((await removed.result).statusCode).toBe(5);
    expect(() => engine.containers.resolve(id)).toThrow('No such container');
    expect(engine.actionsOf(id)).toEqual(['create', 'start', 'die', 'destroy']);
    await engine.create('web');
  });

  it('a failed start of an auto remove container removes it', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web', {}, { AutoRemove: true });
    engine.shims.failure = 'exec: "x": executable file not found in $PATH';
    await expect(engine.containers.start(id)).rejects.toThrow('executable file not found');
    expect(() => engine.containers.resolve(id)).toThrow('No such container');
  });

  it('a runtime that hangs is given up, and the container can be removed', async () => {
    await using engine = await FakeEngine.make({ settings: { startTimeoutMs: 20 } });
    const id = await engine.create('web');
    engine.shims.isHanging = true;
    await expect(engine.containers.start(id)).rejects.toThrow(
      'the OCI runtime did not start the container within 20 ms',
    );
    expect((await engine.containers.inspect(id)).State).toMatchObject({
      Status: 'created',
      ExitCode: 128,
    });
    await engine.containers.remove(id, REMOVE);
  });

  it('an OOM kill is told', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create();
    await engine.containers.start(id);
    engine.shims.runOf(id).oom();
    engine.shims.runOf(id).end(137, 9);
    await until(() => engine.actionsOf(id).includes('die'));
    expect(engine.actionsOf(id)).toContain('oom');
    expect((await engine.containers.inspect(id)).State.OOMKilled).toBe(true);
  });

  it('a shim that vanishes ends the container with an unknown exit code', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create();
    await engine.containers.start(id);
    engine.shims.runOf(id).vanish();
    await until(() => engine.actionsOf(id).includes('die'));
    expect((await engine.containers.inspect(id)).State).toMatchObject({ ExitCode: 255 });
  });
});

describe('stop, kill, pause', () => {
  it('stop sends the stop signal and waits', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web', { StopSignal: 'SIGQUIT' });
    expect(await engine.containers.stop(id)).toBe('already-stopped');
    await engine.containers.start(id);
    expect(await engine.containers.stop(id)).toBe('stopped');
    expect(engine.shims.runOf(id).signals).toEqual([3]);
    expect(engine.actionsOf(id)).toEqual(['create', 'start', 'kill', 'die', 'stop']);
  });

  it('stop kills what does not listen', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create();
    await engine.containers.start(id);
    engine.shims.runOf(id).reaction = () => 'ignore';
    expect(await engine.containers.stop(id, { timeoutSec: 0 })).toBe('stopped');
    expect(engine.shims.runOf(id).signals).toEqual([15, 9]);
    expect((await engine.containers.inspect(id)).State.ExitCode).toBe(137);
  });

  it('kill needs a running container and a known signal', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    await expect(engine.containers.kill('web')).rejects.toMatchObject({
      code: 'conflict',
      message: `cannot kill container: web: container ${id} is not running`,
    });
    await engine.containers.start(id);
    await expect(engine.containers.kill('web', 'NOPE')).rejects.toMatchObject({
      code: 'invalid-parameter',
    });
    engine.shims.runOf(id).reaction = () => 'ignore';
    await engine.containers.kill('web', 'HUP');
    expect(engine.shims.runOf(id).signals).toEqual([1]);
    expect((await engine.containers.inspect(id)).State.Running).toBe(true);
    await engine.containers.kill('web');
    expect((await engine.containers.inspect(id)).State.ExitCode).toBe(137);
  });

  it('pause freezes, unpause thaws', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create();
    await expect(engine.containers.pause(id)).rejects.toThrow(`container ${id} is not running`);
    await engine.containers.start(id);
    await engine.containers.pause(id);
    expect(engine.frozen.has(id)).toBe(true);
    expect((await engine.containers.inspect(id)).State).toMatchObject({
      Status: 'paused',
      Running: true,
    });
    await expect(engine.containers.pause(id)).rejects.toThrow(`Container ${id} is already paused`);
    await expect(engine.containers.start(id)).rejects.toThrow(
      'cannot start a paused container, try unpause instead',
    );
    await engine.containers.unpause(id);
    expect(engine.frozen.has(id)).toBe(false);
    await expect(engine.containers.unpause(id)).rejects.toThrow(`Container ${id} is not paused`);
  });

  it('killing a paused container thaws it', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create();
    await engine.containers.start(id);
    await engine.containers.pause(id);
    await engine.containers.kill(id);
    expect(engine.frozen.has(id)).toBe(false);
    expect((await engine.containers.inspect(id)).State.Status).toBe('exited');
  });
});

describe('restart', () => {
  it('by hand: one stop, one start, no restart count', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web', {}, { AutoRemove: true });
    await engine.containers.start(id);
    await engine.containers.restart(id);
    const { State, RestartCount } = await engine.containers.inspect(id);
    expect(State.Status).toBe('running');
    expect(RestartCount).toBe(0);
    expect(engine.actionsOf(id)).toEqual([
      'create',
      'start',
      'kill',
      'die',
      'stop',
      'start',
      'restart',
    ]);
  });

  it('by policy until the count is used up', async () => {
    await using engine = await FakeEngine.make();
    engine.shims.onLaunch = (run) => setImmediate(() => run.end(1));
    const id = await engine.create(
      'web',
      {},
      {
        RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 2 },
      },
    );
    await engine.containers.start(id);
    await until(() => engine.actionsOf(id).filter((action) => action === 'die').length === 3);
    await until(async () => (await engine.containers.inspect(id)).State.Status === 'exited');
    expect((await engine.containers.inspect(id)).RestartCount).toBe(2);
  });

  it('a stop while it waits for its restart is final', async () => {
    await using engine = await FakeEngine.make();
    engine.shims.onLaunch = (run) => setImmediate(() => run.end(1));
    const id = await engine.create('web', {}, { RestartPolicy: { Name: 'always' } });
    await engine.containers.start(id);
    await until(async () => (await engine.containers.inspect(id)).RestartCount >= 3);
    await engine.containers.stop(id);
    const launches = engine.shims.runs.length;
    expect((await engine.containers.inspect(id)).State).toMatchObject({
      Status: 'exited',
      Running: false,
      Restarting: false,
    });
    await engine.containers.remove(id, REMOVE);
    expect(engine.shims.runs.length).toBe(launches);
  });
});

describe('remove', () => {
  it('refuses a running one unless forced', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    await engine.containers.start(id);
    await expect(engine.containers.remove('web', REMOVE)).rejects.toMatchObject({
      code: 'conflict',
      message:
        'cannot remove container "/web": container is running: stop the container before removing or force remove',
    });
    await engine.containers.remove('web', { ...REMOVE, isForced: true });
    expect(() => engine.containers.resolve('web')).toThrow('No such container: web');
    expect(engine.actionsOf(id)).toEqual(['create', 'start', 'kill', 'die', 'destroy']);
  });

  it('wakes those who wait', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create();
    const removed = await engine.containers.wait(id, { condition: 'removed' });
    const next = await engine.containers.wait(id, { condition: 'next-exit' });
    await engine.containers.remove(id, REMOVE);
    expect((await removed.result).statusCode).toBe(0);
    expect((await next.result).statusCode).toBe(0);
  });

  it('prune takes the stopped ones that match', async () => {
    await using engine = await FakeEngine.make();
    const kept = await engine.create('kept', { Labels: { keep: '1' } });
    const gone = await engine.create('gone');
    const running = await engine.create('running');
    await engine.containers.start(running);
    const { deleted } = await engine.containers.prune(new Map([['label!', ['keep']]]));
    expect(deleted).toEqual([gone]);
    expect(engine.containers.resolve('kept')).toBe(kept);
    await expect(engine.containers.prune(new Map([['odd', ['x']]]))).rejects.toThrow(
      "invalid filter 'odd'",
    );
  });
});

describe('rename', () => {
  it('frees the old name', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    await engine.create('db');
    await expect(engine.containers.rename('web', 'db')).rejects.toThrow(
      'Error when allocating new name: Conflict. The container name "/db" is already in use',
    );
    await expect(engine.containers.rename('web', '/web')).rejects.toThrow(
      'Renaming a container with the same name as its current name',
    );
    await engine.containers.rename('web', 'front');
    expect(engine.containers.resolve('front')).toBe(id);
    expect(engine.events.at(-1)).toMatchObject({
      action: 'rename',
      attributes: { name: 'front', oldName: '/web' },
    });
    await engine.create('web');
  });
});

describe('update', () => {
  it('changes policy and limits of a stopped container', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create();
    await engine.containers.update(id, {
      changes: { RestartPolicy: { Name: 'always' }, Memory: 64 * 2 ** 20, MemorySwap: -1 },
    });
    const { HostConfig } = await engine.containers.inspect(id);
    expect(HostConfig).toMatchObject({
      Memory: 64 * 2 ** 20,
      RestartPolicy: { Name: 'always', MaximumRetryCount: 0 },
    });
    await expect(engine.containers.update(id, { changes: { CpuPeriod: 1 } })).rejects.toThrow(
      'CPU cfs period can not be less than 1ms',
    );
  });
});
