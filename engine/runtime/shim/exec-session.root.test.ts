import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { listIfThere } from '../../base/node/atomic-file.ts';
import {
  ALL_STREAMS,
  ContainerFixture,
  collect,
  readUntil,
  start,
} from './testing/container-fixture.ts';

describe('exec', () => {
  test('runs beside the container with streams, stdin and exit code of its own', async () => {
    await using fixture = await ContainerFixture.make({ script: 'sleep 1000' });
    await using client = await start(fixture.config);
    await using session = await client.exec({
      execId: 'e1',
      processPath: await fixture.processFile('echo out; echo err >&2; cat; exit 7'),
      hasTty: false,
      ...ALL_STREAMS,
      wantsStdin: true,
    });
    const output = collect(session);
    await session.writeStdin(Buffer.from('typed\n'));
    await session.closeStdin();
    expect(await output).toEqual({ stdout: 'out\ntyped\n', stderr: 'err\n' });
    expect(await session.ended).toMatchObject({ kind: 'exited', status: { exitCode: 7 } });
    expect(await client.waitExit('e1')).toMatchObject({ exitCode: 7 });
    expect(await fixture.readLog()).toEqual([]);
  });

  test('a tty session has its size and is resized', async () => {
    const consoleSize = { columns: 120, rows: 40 };
    await using fixture = await ContainerFixture.make({ script: 'sleep 1000' });
    await using client = await start(fixture.config);
    await using session = await client.exec({
      execId: 'term',
      processPath: await fixture.processFile('stty size; read x; stty size', true, consoleSize),
      hasTty: true,
      consoleSize,
      ...ALL_STREAMS,
      wantsStdin: true,
    });
    const reader = session.output[Symbol.asyncIterator]();
    expect(await readUntil(reader, '\r\n')).toBe('40 120\r\n');
    await client.resize({ columns: 77, rows: 22 }, 'term');
    await session.writeStdin(Buffer.from('\n'));
    await readUntil(reader, '22 77\r\n');
    expect((await client.waitExit('term')).exitCode).toBe(0);
  });

  test('many at once, some detached, all accounted for', async () => {
    await using fixture = await ContainerFixture.make({ script: 'sleep 1000' });
    await using client = await start(fixture.config);
    const codes = await Promise.all(
      Array.from({ length: 12 }, async (_, i) => {
        const wants = i % 2 === 0;
        const session = await client.exec({
          execId: `many-${i}`,
          processPath: await fixture.processFile(`echo ${i}; exit ${i}`),
          hasTty: false,
          wantsStdin: false,
          wantsStdout: wants,
          wantsStderr: wants,
        });
        if (wants) {
          expect((await collect(session)).stdout).toBe(`${i}\n`);
        }
        await session[Symbol.asyncDispose]();
        return (await client.waitExit(`many-${i}`)).exitCode;
      }),
    );
    expect(codes).toEqual(Array.from({ length: 12 }, (_, i) => i));
  });

  test('records of old sessions do not pile up', async () => {
    await using fixture = await ContainerFixture.make({ script: 'sleep 1000' });
    await using client = await start(fixture.config);
    const processPath = await fixture.processFile('exit 2');
    for (let i = 0; i < 36; i += 1) {
      const wants = { wantsStdin: false, wantsStdout: false, wantsStderr: false };
      const execId = `check-${i}`;
      const session = await client.exec({ execId, processPath, hasTty: false, ...wants });
      expect(await session.ended).toMatchObject({ kind: 'exited', status: { exitCode: 2 } });
    }
    const names = await listIfThere(fixture.config.runDir);
    expect(names.filter((name) => name.startsWith('exec-'))).toHaveLength(32);
    expect(await client.waitExit('check-35')).toMatchObject({ exitCode: 2 });
  });

  test('refuses a bad program, a used id and a container that has ended', async () => {
    await using fixture = await ContainerFixture.make({ script: 'sleep 1000' });
    await using client = await start(fixture.config);
    const path = join(fixture.dir, 'bad.json');
    await writeFile(
      path,
      JSON.stringify({ user: { uid: 0, gid: 0 }, args: ['/bin/nosuch'], cwd: '/', env: [] }),
    );
    const options = { hasTty: false, ...ALL_STREAMS };
    await expect(client.exec({ ...options, execId: 'bad', processPath: path })).rejects.toThrow(
      /nosuch/,
    );
    await using once = await client.exec({
      ...options,
      execId: 'once',
      processPath: await fixture.processFile('true'),
    });
    await once.ended;
    await expect(client.exec({ ...options, execId: 'once', processPath: path })).rejects.toThrow(
      /used already/,
    );
    await expect(client.waitExit('never-was')).rejects.toThrow(/no such exec/);
    await client.kill(9);
    await client.waitExit();
    await expect(client.exec({ ...options, execId: 'late', processPath: path })).rejects.toThrow(
      /not running|is gone/,
    );
  });

  test('a background process that keeps the output open does not keep the session', async () => {
    await using fixture = await ContainerFixture.make({ script: 'sleep 1000' });
    await using client = await start(fixture.config);
    await using session = await client.exec({
      execId: 'bg',
      processPath: await fixture.processFile('sleep 900 & echo done'),
      hasTty: false,
      ...ALL_STREAMS,
    });
    expect((await collect(session)).stdout).toBe('done\n');
    expect(await session.ended).toMatchObject({ kind: 'exited', status: { exitCode: 0 } });
  });
});
