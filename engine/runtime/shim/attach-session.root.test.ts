import { createHash } from 'node:crypto';
import { mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { delay } from '../../base/async.ts';
import { listIfThere } from '../../base/node/atomic-file.ts';
import { runOrThrow } from '../../base/node/run.ts';
import type { ShimClient } from './contract.ts';
import {
  ALL_STREAMS,
  ContainerFixture,
  collect,
  readUntil,
  start,
  until,
} from './testing/container-fixture.ts';

describe('attach', () => {
  test('delivers everything from the first byte when attached before the output', async () => {
    await using fixture = await ContainerFixture.make({
      script: 'seq 1 20000; echo end >&2',
      hasLog: false,
    });
    const outputs: Promise<{ stdout: string; stderr: string }>[] = [];
    await using client = await start(fixture.config, {
      beforeOutput: async (early) => {
        for (let i = 0; i < 3; i += 1) {
          outputs.push(collect(await early.attach(ALL_STREAMS)));
        }
      },
    });
    const expected = Array.from({ length: 20_000 }, (_, i) => `${i + 1}\n`).join('');
    for (const output of await Promise.all(outputs)) {
      expect(output.stdout).toBe(expected);
      expect(output.stderr).toBe('end\n');
    }
    expect((await client.waitExit()).exitCode).toBe(0);
  });

  test('stdin reaches the program and its end is seen', async () => {
    await using fixture = await ContainerFixture.make({
      script: 'cat | md5sum',
      config: { hasStdin: true, isStdinOnce: true },
    });
    await using client = await start(fixture.config);
    await using session = await client.attach({ ...ALL_STREAMS, wantsStdin: true });
    const output = collect(session);
    const data = Buffer.alloc(3_000_000, 'abcdefghij');
    await session.writeStdin(data);
    await session.closeStdin();
    const sum = createHash('md5').update(data).digest('hex');
    expect((await output).stdout).toBe(`${sum}  -\n`);
    expect(await session.ended).toMatchObject({ kind: 'exited', status: { exitCode: 0 } });
  });

  test('stdin-once ends with its first client, otherwise stdin stays open', async () => {
    await using once = await ContainerFixture.make({
      script: 'cat; echo end',
      config: { hasStdin: true, isStdinOnce: true },
    });
    await using onceClient = await start(once.config);
    const first = await onceClient.attach({ ...ALL_STREAMS, wantsStdin: true });
    await first.writeStdin(Buffer.from('x\n'));
    await readUntil(first.output[Symbol.asyncIterator](), 'x\n');
    await first[Symbol.asyncDispose]();
    expect((await onceClient.waitExit()).exitCode).toBe(0);
    expect(await once.loggedText('stdout')).toBe('x\nend\n');

    await using open = await ContainerFixture.make({
      script: 'cat',
      config: { hasStdin: true, isStdinOnce: false },
    });
    await using openClient = await start(open.config);
    for (const word of ['one\n', 'two\n']) {
      await using session = await openClient.attach({ ...ALL_STREAMS, wantsStdin: true });
      await session.writeStdin(Buffer.from(word));
      await readUntil(session.output[Symbol.asyncIterator](), word);
    }
    expect((await openClient.state()).status).toBe('running');
  });

  test('a tty has the first size, follows resizes, and closing stdin sends nothing', async () => {
    await using fixture = await ContainerFixture.make({
      script: 'stty size; read x; stty size; read x; echo "end $x"',
      hasTty: true,
      config: { hasStdin: true, consoleSize: { columns: 101, rows: 31 } },
    });
    let early: AsyncIterator<{ data: Uint8Array; stream: 'stdout' | 'stderr' }> | undefined;
    await using client = await start(fixture.config, {
      beforeOutput: async (shim) => {
        early = (await shim.attach(ALL_STREAMS)).output[Symbol.asyncIterator]();
      },
    });
    await using session = await client.attach({ ...ALL_STREAMS, wantsStdin: true });
    expect(early).toBeDefined();
    if (early !== undefined) {
      expect(await readUntil(early, '\r\n')).toBe('31 101\r\n');
    }
    await client.resize({ columns: 90, rows: 20 });
    await session.writeStdin(Buffer.from('\n'));
    await readUntil(session.output[Symbol.asyncIterator](), '20 90\r\n');
    await session.closeStdin();
    expect((await client.state()).status).toBe('running');
    await using other = await client.attach({ ...ALL_STREAMS, wantsStdin: true });
    await other.writeStdin(Buffer.from('word\n'));
    await readUntil(other.output[Symbol.asyncIterator](), 'end word\r\n');
    expect((await client.waitExit()).exitCode).toBe(0);
  });

  test('a slow client of a logged container lags, and the log has every byte that follows', async () => {
    await using fixture = await ContainerFixture.make({ script: 'seq 1 300000; echo end >&2' });
    let slow: Awaited<ReturnType<ShimClient['attach']>> | undefined;
    await using client = await start(fixture.config, {
      beforeOutput: async (early) => {
        slow = await early.attach(ALL_STREAMS);
      },
    });
    // Not reading: the container ends all the same.
    expect((await client.waitExit()).exitCode).toBe(0);
    if (slow === undefined) {
      throw new Error('not attached');
    }
    await using session = slow;
    const got = await collect(session);
    const end = await session.ended;
    if (end.kind !== 'lagged') {
      throw new Error(`ended as ${end.kind}`);
    }
    const log = await readFile(fixture.config.log?.path ?? '', 'utf8');
    const rest = Buffer.from(log, 'utf8').subarray(end.position.offsetBytes).toString('utf8');
    const following = rest
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { log: string; stream: string })
      .filter((entry) => entry.stream === 'stdout')
      .map((entry) => entry.log)
      .join('');
    const expected = Array.from({ length: 300_000 }, (_, i) => `${i + 1}\n`).join('');
    expect(got.stdout + following.slice(end.position.skipBytes.stdout)).toBe(expected);
  });

  test('a slow client of an unlogged container makes it wait, and loses nothing', async () => {
    await using fixture = await ContainerFixture.make({
      script: 'seq 1 300000',
      hasLog: false,
    });
    let slow: Awaited<ReturnType<ShimClient['attach']>> | undefined;
    await using client = await start(fixture.config, {
      beforeOutput: async (early) => {
        slow = await early.attach(ALL_STREAMS);
      },
    });
    if (slow === undefined) {
      throw new Error('not attached');
    }
    await using session = slow;
    expect((await client.state()).status).toBe('running');
    const expected = Array.from({ length: 300_000 }, (_, i) => `${i + 1}\n`).join('');
    expect((await collect(session)).stdout).toBe(expected);
    expect(await session.ended).toMatchObject({ kind: 'exited' });
  });

  test('a client that stops reading and dies frees an unlogged container', async () => {
    await using fixture = await ContainerFixture.make({
      script: 'seq 1 1000000; exit 4',
      hasLog: false,
    });
    await using client = await start(fixture.config, {
      beforeOutput: async (early) => {
        const session = await early.attach(ALL_STREAMS);
        void delay(300).then(async () => await session[Symbol.asyncDispose]());
      },
    });
    expect((await client.waitExit()).exitCode).toBe(4);
  });

  test('begun lines are replayed, so that log and session give every byte once', async () => {
    await using fixture = await ContainerFixture.make({
      script: 'echo line; printf "prompt> "; read x; echo "$x"',
      config: { hasStdin: true },
    });
    await using client = await start(fixture.config);
    await until(async () => ((await client.state()).log?.skipBytes.stdout ?? 0) === 8);
    await using plain = await client.attach(ALL_STREAMS);
    expect(plain.position?.skipBytes).toEqual({ stdout: 8, stderr: 0 });
    await using session = await client.attach({
      ...ALL_STREAMS,
      wantsStdin: true,
      replaysPartialLines: true,
    });
    expect(session.position?.skipBytes).toEqual({ stdout: 0, stderr: 0 });
    const reader = session.output[Symbol.asyncIterator]();
    expect(await readUntil(reader, '> ')).toBe('prompt> ');
    await session.writeStdin(Buffer.from('yes\n'));
    expect(await readUntil(reader, '\n')).toBe('yes\n');
    await client.waitExit();
    expect(await fixture.loggedText('stdout')).toBe('line\nprompt> yes\n');
  });

  test('attaching to an ended container is a conflict or finds no shim', async () => {
    await using fixture = await ContainerFixture.make({ script: 'true' });
    await using client = await start(fixture.config);
    await client.waitGone();
    await expect(client.attach(ALL_STREAMS)).rejects.toThrow(/has ended|is gone/);
  });
});

describe('log', () => {
  test('rotates by size and keeps so many files, with attributes', async () => {
    await using fixture = await ContainerFixture.make({ script: 'seq 1 5000' });
    const path = join(fixture.dir, 'state/c-json.log');
    const attributes = { tag: 'a<b' };
    const log = { path, maxSizeBytes: 20_000, maxFiles: 3, attributes };
    await using client = await start({ ...fixture.config, log });
    await client.waitExit();
    const names = await listIfThere(join(fixture.dir, 'state'));
    expect(names.filter((name) => name.startsWith('c-json')).sort()).toEqual([
      'c-json.log',
      'c-json.log.1',
      'c-json.log.2',
    ]);
    const entries = await fixture.readLog();
    expect(entries.at(-1)).toMatchObject({ log: '5000\n', attrs: attributes });
    const values = entries.map((entry) => Number(entry.log));
    expect(values).toEqual(values.map((_, i) => 5000 - values.length + 1 + i));
    expect((await readFile(`${path}.1`)).length).toBeGreaterThanOrEqual(20_000);
    expect((await readFile(`${path}.1`)).length).toBeLessThan(20_200);
  });

  test('reopens a log that was moved away, and truncates', async () => {
    await using fixture = await ContainerFixture.make({
      script: 'cat',
      config: { hasStdin: true },
    });
    await using client = await start(fixture.config);
    await using session = await client.attach({ ...ALL_STREAMS, wantsStdin: true });
    const reader = session.output[Symbol.asyncIterator]();
    const say = async (word: string): Promise<void> => {
      await session.writeStdin(Buffer.from(word));
      await readUntil(reader, word);
    };
    await say('one\n');
    const path = fixture.config.log?.path ?? '';
    await rename(path, join(fixture.dir, 'moved'));
    await client.log('reopen');
    await say('two\n');
    expect(await fixture.loggedText('stdout')).toBe('two\n');
    await client.log('truncate');
    expect(await readFile(path, 'utf8')).toBe('');
    await say('three\n');
    expect(await fixture.loggedText('stdout')).toBe('three\n');
    expect((await client.state()).log?.generation).toBe(2);
  });

  test('a full disk does not stop the container, and the loss is counted', async () => {
    await using fixture = await ContainerFixture.make({ script: 'seq 1 100000; exit 5' });
    const small = join(fixture.dir, 'small');
    await mkdir(small);
    await runOrThrow('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', small]);
    try {
      const path = join(small, 'c-json.log');
      await using client = await start({ ...fixture.config, log: { path } });
      const status = await client.waitExit();
      expect(status.exitCode).toBe(5);
      await client.waitGone();
      expect(status.lostLogBytes > 1_000_000n).toBe(true);
      const text = await readFile(path, 'utf8');
      expect(text.endsWith('"}\n')).toBe(true);
      expect(text.startsWith('{"log":"1\\n","stream":"stdout"')).toBe(true);
    } finally {
      await runOrThrow('umount', [small]);
    }
  });
});
