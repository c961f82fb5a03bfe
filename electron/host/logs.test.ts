import { describe, expect, it } from 'vitest';
import type { BridgeClient } from '../contract/client.ts';
import type { LogUpdate } from '../contract/log-channels.ts';
import { openPage, readUntil, until } from './testing/page.ts';

/** Opens a log and follows its updates in the background. */
async function openLog(client: BridgeClient, containerIds: string[], tailLines?: number) {
  const stream = client.open('logs.open', {
    containerIds,
    ...(tailLines === undefined ? {} : { tailLines }),
  });
  const opened = await stream.next();
  if (opened === undefined || opened instanceof Uint8Array || opened.type !== 'opened') {
    throw new Error('not opened');
  }
  let latest: LogUpdate | undefined;
  const reading = (async () => {
    for await (const item of stream) {
      if (!(item instanceof Uint8Array) && item.type === 'update') {
        latest = item;
      }
    }
  })();
  reading.catch(() => {});
  const { logId } = opened;
  return {
    logId,
    stream,
    latest: () => latest,
    waitForLines: (count: number) => until(() => (latest?.lineCount ?? 0) >= count),
    waitForState: (state: LogUpdate['state']) => until(() => latest?.state === state),
    texts: async () => {
      const { lines } = await client.call('logs.window', { logId, first: 0, count: 2000 });
      return lines.map((line) => line.text);
    },
  };
}

describe('logs.open', () => {
  it('shows the past and follows', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'web' });
      engine.writeLog('web', 'old out');
      engine.writeLog('web', 'old err', { isStderr: true });
    });
    const log = await openLog(page.client, ['web']);
    await log.waitForLines(2);
    await log.waitForState('following');
    page.engine.writeLog('web', 'grün ✓');
    await log.waitForLines(3);
    const { lines } = await page.client.call('logs.window', {
      logId: log.logId,
      first: 0,
      count: 10,
    });
    expect(lines.map((line) => [line.stream, line.text])).toEqual([
      ['stdout', 'old out'],
      ['stderr', 'old err'],
      ['stdout', 'grün ✓'],
    ]);
  });

  it('reads the log of a container with a terminal', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'tty', hasTty: true });
      engine.writeLog('tty', 'one\r');
    });
    const log = await openLog(page.client, ['tty']);
    await log.waitForLines(1);
    page.engine.writeLog('tty', 'two\r');
    await log.waitForLines(2);
    expect(await log.texts()).toEqual(['one', 'two']);
  });

  it('has no gap and no line twice after the engine was away', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'web' });
    });
    const log = await openLog(page.client, ['web']);
    const stamp = '2026-05-05T05:05:05.000000005Z';
    page.engine.writeLog('web', 'early', { stamp: '2026-05-05T05:05:04Z' });
    // Three lines of exactly the same time, two of them before the engine goes.
    page.engine.writeLog('web', 'same 1', { stamp });
    page.engine.writeLog('web', 'same 2', { stamp });
    await until(async () => {
      const count = log.latest()?.lineCount ?? 0;
      return count >= 3;
    });
    await page.engine.stop();
    await log.waitForState('offline');
    page.engine.writeLog('web', 'same 3', { stamp });
    page.engine.writeLog('web', 'meanwhile', { stamp: '2026-05-05T05:05:06Z' });
    await page.engine.start();
    await log.waitForLines(5);
    page.engine.writeLog('web', 'after', { stamp: '2026-05-05T05:05:07Z' });
    await log.waitForLines(6);
    expect(await log.texts()).toEqual([
      'early',
      'same 1',
      'same 2',
      'same 3',
      'meanwhile',
      'after',
    ]);
  });

  it('goes on when the container is started again', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'web' });
    });
    const container = page.engine.containers.get('web');
    const log = await openLog(page.client, ['web']);
    page.engine.writeLog('web', 'first life', { stamp: '2026-05-05T05:05:04Z' });
    await log.waitForLines(1);
    if (container !== undefined) {
      container.state = 'exited';
    }
    page.engine.endLog('web');
    await log.waitForState('ended');
    if (container !== undefined) {
      container.state = 'running';
    }
    page.engine.writeLog('web', 'second life', { stamp: '2026-05-05T05:05:05Z' });
    page.engine.emit('container', 'start', 'web');
    await log.waitForLines(2);
    expect(await log.texts()).toEqual(['first life', 'second life']);
  });

  it('merges several containers by time', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'a' });
      engine.addContainer({ id: 'b' });
      for (let second = 0; second < 10; second += 1) {
        const stamp = `2026-05-05T05:05:0${second}Z`;
        engine.writeLog(second % 2 === 0 ? 'a' : 'b', `line ${second}`, { stamp });
      }
    });
    const log = await openLog(page.client, ['a', 'b']);
    await log.waitForLines(10);
    expect(await log.texts()).toEqual(Array.from({ length: 10 }, (_unused, n) => `line ${n}`));
    const { lines } = await page.client.call('logs.window', {
      logId: log.logId,
      first: 0,
      count: 2,
    });
    expect(lines.map((line) => line.source)).toEqual([0, 1]);
  });

  it('shares one reader between pages', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'web' });
      engine.writeLog('web', 'x');
    });
    const one = await openLog(page.client, ['web']);
    const two = await openLog(page.another(), ['web']);
    await one.waitForLines(1);
    await two.waitForLines(1);
    expect(two.logId).toBe(one.logId);
    expect(page.engine.requests.filter((line) => line.endsWith('/logs'))).toHaveLength(1);
  });

  it('starts with the tail that was asked for', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'web' });
      for (let line = 0; line < 50; line += 1) {
        engine.writeLog('web', `line ${line}`);
      }
    });
    const log = await openLog(page.client, ['web'], 5);
    await log.waitForLines(5);
    await log.waitForState('following');
    expect(await log.texts()).toEqual([45, 46, 47, 48, 49].map((n) => `line ${n}`));
  });
});

describe('logs.search', () => {
  it('finds the past, and what comes while it follows', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'web' });
      for (let line = 0; line < 20_000; line += 1) {
        engine.writeLog('web', line % 1000 === 0 ? `hit ${line}` : `line ${line}`);
      }
    });
    const log = await openLog(page.client, ['web']);
    await log.waitForLines(20_000);
    const search = page.client.open('logs.search', {
      logId: log.logId,
      query: { query: 'HIT', isRegex: false, isCaseSensitive: false },
      follow: true,
    });
    const found: number[] = [];
    const collect = (item: Awaited<ReturnType<typeof search.next>>): void => {
      if (item !== undefined && !(item instanceof Uint8Array)) {
        found.push(...item.lines);
      }
    };
    await readUntil(search, (item) => {
      collect(item);
      return !(item instanceof Uint8Array) && item.isComplete;
    });
    expect(found).toEqual(Array.from({ length: 20 }, (_unused, n) => n * 1000));
    page.engine.writeLog('web', 'a late hit');
    await readUntil(search, (item) => {
      collect(item);
      return found.length === 21;
    });
    expect(found.at(-1)).toBe(20_000);
  });

  it('ends with invalid-parameter for a bad expression', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'web' });
    });
    const log = await openLog(page.client, ['web']);
    const search = page.client.open('logs.search', {
      logId: log.logId,
      query: { query: '[', isRegex: true, isCaseSensitive: false },
      follow: false,
    });
    await expect(search.next()).rejects.toMatchObject({ code: 'invalid-parameter' });
  });
});

describe('logs.export', () => {
  it('offers the lines as a file, once', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'web' });
      engine.writeLog('web', '\u001b[31mred\u001b[0m', { stamp: '2026-05-05T05:05:04Z' });
      engine.writeLog('web', 'plain', { stamp: '2026-05-05T05:05:05Z' });
    });
    const log = await openLog(page.client, ['web']);
    await log.waitForLines(2);
    const { path } = await page.client.call('logs.export', {
      logId: log.logId,
      withTimestamps: true,
    });
    const download = page.host.downloads.take(path);
    expect(page.host.downloads.take(path)).toBeUndefined();
    const parts = await Array.fromAsync(download?.open(new AbortController().signal) ?? []);
    expect(Buffer.concat(parts).toString()).toBe(
      '2026-05-05T05:05:04.000Z red\n2026-05-05T05:05:05.000Z plain\n',
    );
  });

  it('fails with gone for a log that is closed', async () => {
    await using page = await openPage();
    await expect(
      page.client.call('logs.window', { logId: 'nonsense', first: 0, count: 1 }),
    ).rejects.toMatchObject({ code: 'gone' });
  });
});
