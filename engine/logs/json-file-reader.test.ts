import {
  appendFile,
  mkdir,
  mkdtemp,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogEntry, LogQuery } from './contract.ts';
import { JsonFileReader } from './json-file-reader.ts';

let dir: string;
let path: string;
const reader = new JsonFileReader();

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gantry-log-'));
  path = join(dir, 'x-json.log');
});
afterEach(async () => await rm(dir, { recursive: true, force: true }));

function line(text: string, second = 0, stream = 'stdout'): string {
  const time = `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000001Z`;
  return `${JSON.stringify({ log: text, stream, time })}\n`;
}

function query(more: Partial<LogQuery> = {}): LogQuery {
  return { path, wantsStdout: true, wantsStderr: true, tail: 'all', ...more };
}

async function texts(more: Partial<LogQuery> = {}): Promise<string[]> {
  const result: string[] = [];
  for await (const batch of reader.read(query(more))) {
    result.push(...batch.map((entry) => Buffer.from(entry.data).toString()));
  }
  return result;
}

const SECOND_0_NS = BigInt(Date.parse('2026-01-01T00:00:00Z')) * 1_000_000n;

describe('read', () => {
  it('no file › is an empty log', async () => {
    expect(await texts()).toEqual([]);
  });

  it('rotated files › come oldest first', async () => {
    await writeFile(`${path}.2`, line('a\n'));
    await writeFile(`${path}.1`, line('b\n'));
    await writeFile(path, line('c\n'));
    expect(await texts()).toEqual(['a\n', 'b\n', 'c\n']);
  });

  it('tail › reaches into rotated files', async () => {
    await writeFile(`${path}.1`, line('a\n') + line('b\n'));
    await writeFile(path, line('c\n'));
    expect(await texts({ tail: 2 })).toEqual(['b\n', 'c\n']);
    expect(await texts({ tail: 0 })).toEqual([]);
    expect(await texts({ tail: 99 })).toEqual(['a\n', 'b\n', 'c\n']);
  });

  it('tail › is right at every distance over many blocks', async () => {
    const lines = Array.from({ length: 9000 }, (_, index) => `line ${index} ${'x'.repeat(40)}\n`);
    await writeFile(path, lines.map((text) => line(text)).join(''));
    for (const tail of [1, 2, 999, 1000, 1001, 4321, 8999, 9000]) {
      expect(await texts({ tail })).toEqual(lines.slice(-tail));
    }
  });

  it('streams › tail counts only the wanted one', async () => {
    await writeFile(path, line('o1\n') + line('e1\n', 0, 'stderr') + line('o2\n'));
    expect(await texts({ wantsStdout: false, tail: 1 })).toEqual(['e1\n']);
  });

  it('times › since and until are inclusive', async () => {
    await writeFile(path, [1, 2, 3].map((second) => line(`${second}`, second)).join(''));
    const at = (second: bigint): bigint => SECOND_0_NS + second * 1_000_000_000n + 1n;
    expect(await texts({ sinceNs: at(2n) })).toEqual(['2', '3']);
    expect(await texts({ untilNs: at(2n) })).toEqual(['1', '2']);
  });

  it('nanoseconds › are kept', async () => {
    await writeFile(path, line('x', 7));
    const entries: LogEntry[] = [];
    for await (const batch of reader.read(query())) {
      entries.push(...batch);
    }
    expect(entries[0]?.timeNs).toBe(SECOND_0_NS + 7_000_000_001n);
  });

  it('bytes that are no text › come back as they were', async () => {
    await writeFile(
      path,
      '{"log":"\\udcff\\udc80é😀\\udcc3(\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n',
    );
    const parts: Uint8Array[] = [];
    for await (const batch of reader.read(query())) {
      parts.push(...batch.map((entry) => entry.data));
    }
    const expected = [
      Buffer.from([0xff, 0x80]),
      Buffer.from('é😀'),
      Buffer.from([0xc3]),
      Buffer.from('(\n'),
    ];
    expect(Buffer.concat(parts)).toEqual(Buffer.concat(expected));
  });

  it('held files › are read after their removal, folder and all', async () => {
    const gone = join(dir, 'gone');
    await mkdir(gone);
    const removed = join(gone, 'log');
    await writeFile(`${removed}.1`, line('a') + line('b'));
    await writeFile(removed, line('c'));
    const { ino } = await stat(`${removed}.1`, { bigint: true });
    await using held = await reader.hold(removed);
    await rm(gone, { recursive: true });
    const start = {
      inode: ino,
      offsetBytes: line('a').length,
      skipBytes: { stdout: 0, stderr: 0 },
    };
    const got = await texts({ path: removed, held, start, follow: { ended: Promise.resolve() } });
    expect(got).toEqual(['b', 'c']);
  });

  it('a torn line › is left out, the others stay', async () => {
    await writeFile(path, `${line('a')}{"log":"torn\n${line('b')}`);
    expect(await texts()).toEqual(['a', 'b']);
  });

  it('start › skips what was delivered, per stream', async () => {
    await writeFile(path, line('old\n') + line('partial-out\n') + line('err\n', 0, 'stderr'));
    const { ino } = await stat(path, { bigint: true });
    const start = {
      inode: ino,
      offsetBytes: Buffer.byteLength(line('old\n')),
      skipBytes: { stdout: 8, stderr: 0 },
    };
    expect(await texts({ start })).toEqual(['out\n', 'err\n']);
  });
});

describe('end', () => {
  it('position › nothing after it is read, newer files neither', async () => {
    await writeFile(`${path}.1`, line('a') + line('b'));
    await writeFile(path, line('c'));
    const { ino } = await stat(`${path}.1`, { bigint: true });
    const end = { inode: ino, offsetBytes: line('a').length, skipBytes: { stdout: 0, stderr: 0 } };
    expect(await texts({ end })).toEqual(['a']);
  });
});

describe('follow', () => {
  it('new lines, rotation and truncation › are all delivered once, in order', async () => {
    await writeFile(path, line('1'));
    const ended = Promise.withResolvers<void>();
    const got: string[] = [];
    let wake = (): void => {};
    const reading = (async () => {
      for await (const batch of reader.read(query({ follow: { ended: ended.promise } }))) {
        got.push(...batch.map((entry) => Buffer.from(entry.data).toString()));
        wake();
      }
    })();
    const until = async (count: number): Promise<void> => {
      while (got.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    };
    await until(1);
    await appendFile(path, line('2'));
    await until(2);
    await appendFile(path, line('3'));
    await rename(path, `${path}.1`);
    await writeFile(path, line('4'));
    await until(4);
    await truncate(path, 0);
    await appendFile(path, line('5').slice(0, 10));
    await appendFile(path, line('5').slice(10));
    await appendFile(path, line('6'));
    ended.resolve();
    await reading;
    expect(got).toEqual(['1', '2', '3', '4', '5', '6']);
  });

  it('abort › ends a waiting reader with the reason', async () => {
    await writeFile(path, line('1'));
    const controller = new AbortController();
    const reading = (async () => {
      for await (const _ of reader.read(
        query({
          follow: { ended: new Promise<void>(() => {}) },
          signal: controller.signal,
        }),
      )) {
        controller.abort();
      }
    })();
    await expect(reading).rejects.toThrow('abort');
  });
});

describe('size', () => {
  it('counts rotated files', async () => {
    await writeFile(path, 'abc');
    await writeFile(`${path}.1`, 'de');
    expect(await reader.size(path)).toBe(5);
  });
});
