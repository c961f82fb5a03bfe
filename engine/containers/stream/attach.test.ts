import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AttachOptions, StreamSession } from '../contract.ts';
import { FakeEngine, until } from '../testing/fake-engine.ts';

const LIVE: AttachOptions = {
  wantsLogs: false,
  wantsStream: true,
  wantsStdin: true,
  wantsStdout: true,
  wantsStderr: true,
  detachKeys: undefined,
};

async function textOf(session: StreamSession): Promise<string> {
  const chunks = await Array.fromAsync(session.output);
  return Buffer.concat(chunks.map(({ data }) => data)).toString();
}

describe('attach', () => {
  it('before the start: gets the output from its first byte', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create();
    const session = await engine.containers.attach(id, LIVE);
    engine.shims.onLaunch = (run) => {
      run.say('first');
      setImmediate(() => run.end(0));
    };
    await engine.containers.start(id);
    expect(await textOf(session)).toBe('first');
    // Whoever reads to the end finds it down.
    expect((await engine.containers.inspect(id)).State.Running).toBe(false);
  });

  it('a failed start ends the session', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create();
    const session = await engine.containers.attach(id, LIVE);
    engine.shims.failure = 'no';
    await expect(engine.containers.start(id)).rejects.toThrow();
    expect(await textOf(session)).toBe('');
  });

  it('removal ends a session that waits', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create();
    const session = await engine.containers.attach(id, LIVE);
    await engine.containers.remove(id, { isForced: false, withVolumes: false, isLink: false });
    expect(await textOf(session)).toBe('');
  });

  it('input reaches the program; its end closes it when stdin is meant for one client', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web', { OpenStdin: true, StdinOnce: true });
    await engine.containers.start(id);
    const session = await engine.containers.attach(id, LIVE);
    await session.write(Buffer.from('hello'));
    await session.closeInput();
    const run = engine.shims.runOf(id);
    expect(Buffer.concat(run.input).toString()).toBe('hello');
    expect(run.isInputClosed).toBe(true);
    run.end(0);
    await textOf(session);
    // The container is down by the time the stream has ended.
    expect((await engine.containers.inspect(id)).State.Running).toBe(false);
  });

  it('detach keys end the session of a terminal and are told', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web', { Tty: true, OpenStdin: true });
    await engine.containers.start(id);
    const session = await engine.containers.attach(id, LIVE);
    const text = textOf(session);
    await session.write(Buffer.from('ls\x10'));
    await session.write(Buffer.from('\x11'));
    expect(await text).toBe('');
    expect(Buffer.concat(engine.shims.runOf(id).input).toString()).toBe('ls');
    expect(engine.actionsOf(id)).toContain('detach');
    expect((await engine.containers.inspect(id)).State.Running).toBe(true);
  });

  it('without a terminal the keys are ordinary input', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web', { OpenStdin: true });
    await engine.containers.start(id);
    await using session = await engine.containers.attach(id, LIVE);
    await session.write(Buffer.from('\x10\x11'));
    expect(Buffer.concat(engine.shims.runOf(id).input).toString()).toBe('\x10\x11');
  });

  it('refuses odd keys and paused containers', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    await expect(engine.containers.attach(id, { ...LIVE, detachKeys: 'odd' })).rejects.toThrow(
      'Invalid detach keys (odd) provided',
    );
    await engine.containers.start(id);
    await engine.containers.pause(id);
    await expect(engine.containers.attach('web', LIVE)).rejects.toThrow(
      'container web is paused, unpause the container before attach',
    );
  });

  it('an aborted client is let go', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create();
    await engine.containers.start(id);
    const end = new AbortController();
    const session = await engine.containers.attach(id, { ...LIVE, signal: end.signal });
    const text = textOf(session);
    end.abort();
    expect(await text).toBe('');
  });
});

describe('exec', () => {
  const REQUEST = {
    cmd: ['sh', '-c', 'true'],
    env: ['A=1'],
    user: '',
    workingDir: '',
    hasTty: false,
    isPrivileged: false,
    attachStdin: false,
    attachStdout: true,
    attachStderr: true,
    detachKeys: '',
    consoleSize: undefined,
  };
  const START = { isDetached: false, consoleSize: undefined };

  it('runs once, and can be inspected afterwards', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    await engine.containers.start(id);
    const exec = await engine.containers.createExec(id, REQUEST);
    expect((await engine.containers.inspect(id)).ExecIDs).toEqual([exec.id]);
    expect(await engine.containers.inspectExec(exec.id)).toMatchObject({
      Running: false,
      ExitCode: null,
      ProcessConfig: { entrypoint: 'sh', arguments: ['-c', 'true'] },
    });
    const session = await engine.containers.startExec(exec.id, START);
    await expect(engine.containers.startExec(exec.id, START)).rejects.toThrow(
      `exec command ${exec.id} is already running`,
    );
    engine.shims.runOf(id).execs[0]?.end(4);
    await Array.fromAsync(session?.output ?? []);
    expect(await readdir(join(engine.dir, 'run', id))).toEqual(['config.json']);
    expect(await engine.containers.inspectExec(exec.id)).toMatchObject({
      Running: false,
      ExitCode: 4,
    });
    await expect(engine.containers.startExec(exec.id, START)).rejects.toThrow(
      `exec command ${exec.id} has already run`,
    );
    expect(engine.actionsOf(id)).toEqual([
      'create',
      'start',
      'exec_create: sh -c true',
      'exec_start: sh -c true',
      'exec_die',
    ]);
    expect(engine.events.at(-1)?.attributes).toMatchObject({ execID: exec.id, exitCode: '4' });
    expect((await engine.containers.inspect(id)).ExecIDs).toBeNull();
  });

  it('needs a running container that is not paused', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    await expect(engine.containers.createExec(id, REQUEST)).rejects.toMatchObject({
      code: 'conflict',
      message: `container ${id} is not running`,
    });
    await engine.containers.start(id);
    const exec = await engine.containers.createExec(id, REQUEST);
    await engine.containers.pause(id);
    await expect(engine.containers.createExec(id, REQUEST)).rejects.toThrow(
      `Container ${id} is paused, unpause the container before exec`,
    );
    expect(() => engine.containers.assertExecReady(exec.id)).toThrow('is paused');
    expect(() => engine.containers.assertExecReady('nope')).toThrow('No such exec instance: nope');
  });

  it('of a container that ends this moment is a conflict', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    await engine.containers.start(id);
    const exec = await engine.containers.createExec(id, REQUEST);
    await rm(join(engine.dir, 'run', id), { recursive: true });
    await expect(engine.containers.startExec(exec.id, START)).rejects.toMatchObject({
      code: 'conflict',
      message: `container ${id} is not running`,
    });
    expect(await engine.containers.inspectExec(exec.id)).toMatchObject({ Running: false });
  });

  it('detached: nothing to read, the end is told', async () => {
    await using engine = await FakeEngine.make();
    const id = await engine.create('web');
    await engine.containers.start(id);
    const exec = await engine.containers.createExec(id, REQUEST);
    expect(
      await engine.containers.startExec(exec.id, { ...START, isDetached: true }),
    ).toBeUndefined();
    engine.shims.runOf(id).execs[0]?.end(0);
    await until(() => engine.actionsOf(id).includes('exec_die'));
  });
});

describe('health', () => {
  it('probes, tells changes, and keeps the last results', async () => {
    await using engine = await FakeEngine.make();
    let exitCode = 0;
    engine.shims.onLaunch = (run) => {
      const answer = setInterval(
        () => run.execs.splice(0).forEach((exec) => exec.end(exitCode)),
        2,
      );
      answer.unref();
    };
    const id = await engine.create('web', {
      Healthcheck: { Test: ['CMD', 'check'], Interval: 2_000_000, Retries: 2 },
    });
    await engine.containers.start(id);
    await until(() => engine.actionsOf(id).includes('health_status: healthy'));
    exitCode = 1;
    await until(() => engine.actionsOf(id).includes('health_status: unhealthy'));
    const health = (await engine.containers.inspect(id)).State.Health;
    expect(health?.Status).toBe('unhealthy');
    expect(health?.Log.length).toBeLessThanOrEqual(5);
    expect(health?.FailingStreak).toBeGreaterThanOrEqual(2);
    await engine.containers.stop(id);
  });
});
