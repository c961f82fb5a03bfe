import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../testing/fake-engine.ts';
import { RealEngine } from '../testing/real-engine.ts';

let engine: RealEngine;

beforeAll(async () => {
  engine = await RealEngine.make();
});

afterAll(async () => {
  await engine[Symbol.asyncDispose]();
});

async function logLines(id: string): Promise<string[]> {
  const { batches } = await engine.containers.logs(id, {
    wantsStdout: true,
    wantsStderr: true,
    isFollowing: false,
    tail: 'all',
  });
  const entries = (await Array.fromAsync(batches)).flat();
  return entries.map(({ data }) => Buffer.from(data).toString().trim());
}

describe('an engine that is started again', () => {
  it('finds its containers running, their output complete, and follows them to the end', async () => {
    const id = await engine.create(
      {
        Cmd: [
          'sh',
          '-c',
          'i=0; while [ ! -e /end ]; do echo $i; i=$((i+1)); sleep 0.01; done; exit 6',
        ],
      },
      { NetworkMode: 'bridge' },
    );
    await engine.containers.start(id);
    const before = await engine.containers.inspect(id);
    await until(async () => (await logLines(id)).length > 5);
    await engine.restart();
    const after = await engine.containers.inspect(id);
    expect(after.State).toMatchObject({
      Status: 'running',
      Pid: before.State.Pid,
      StartedAt: before.State.StartedAt,
    });
    expect(after.NetworkSettings.IPAddress).toBe(before.NetworkSettings.IPAddress);
    expect(after.NetworkSettings.IPAddress).not.toBe('');
    const wait = await engine.containers.wait(id, { condition: 'not-running' });
    expect((await engine.exec(id, 'touch /end')).exitCode).toBe(0);
    expect((await wait.result).statusCode).toBe(6);
    const lines = await logLines(id);
    expect(lines).toEqual(lines.map((_, index) => String(index)));
  });

  it('learns of exits it did not see, and follows restart policies', async () => {
    const once = await engine.create({ Cmd: ['sh', '-c', 'sleep 0.3; exit 5'] });
    const always = await engine.create(
      { Cmd: ['sleep', '1000'] },
      { RestartPolicy: { Name: 'always' } },
    );
    const paused = await engine.create({ Cmd: ['sleep', '1000'] });
    for (const id of [once, always, paused]) {
      await engine.containers.start(id);
    }
    await engine.containers.stop(always, { timeoutSec: 0 });
    await engine.containers.pause(paused);
    await engine.restart();
    await until(async () => (await engine.containers.inspect(once)).State.Status === 'exited');
    expect((await engine.containers.inspect(once)).State.ExitCode).toBe(5);
    expect((await engine.containers.inspect(paused)).State.Status).toBe('paused');
    await engine.containers.startRestartable();
    expect((await engine.containers.inspect(always)).State.Status).toBe('running');
    await engine.containers.unpause(paused);
  });

  it('restarts by policy with a fresh run each time', async () => {
    const id = await engine.create(
      { Cmd: ['sh', '-c', 'echo run; exit 1'] },
      { RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 2 } },
    );
    await engine.containers.start(id);
    await until(async () => {
      const { RestartCount, State } = await engine.containers.inspect(id);
      return RestartCount === 2 && State.Status === 'exited';
    });
    expect(await logLines(id)).toEqual(['run', 'run', 'run']);
  });

  it('auto removed containers leave nothing', async () => {
    const id = await engine.create({ Cmd: ['true'] }, { AutoRemove: true });
    const removed = await engine.containers.wait(id, { condition: 'removed' });
    await engine.containers.start(id);
    expect((await removed.result).statusCode).toBe(0);
    expect(() => engine.containers.resolve(id)).toThrow('No such container');
  });
});
