import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { ExitStatus, LogPosition } from './contract.ts';
import { encodeRequest, type Reply, ReplyReader, type Request } from './protocol.ts';

const GOLDEN = fileURLToPath(new URL('../../../native/shim/golden/', import.meta.url));
const IS_WRITING = process.env['GOLDEN_WRITE'] === '1';

const REQUESTS: Readonly<Record<string, Request>> = {
  hello: { type: 'hello', version: 1, wantsOom: true },
  state: { type: 'state' },
  attach: {
    type: 'attach',
    id: '',
    streams: { wantsStdin: true, wantsStdout: true, wantsStderr: false },
    replays: true,
  },
  stdin: { type: 'stdin', data: Buffer.from('typed\n') },
  'close-stdin': { type: 'closeStdin' },
  resize: { type: 'resize', id: 'exec-1', size: { columns: 120, rows: 40 } },
  signal: { type: 'signal', id: '', signalNumber: 15 },
  start: { type: 'start' },
  'exec-start': {
    type: 'execStart',
    id: 'exec-1',
    processPath: '/run/c/process.json',
    streams: { wantsStdin: true, wantsStdout: true, wantsStderr: false },
    hasTty: true,
    size: { columns: 80, rows: 24 },
  },
  wait: { type: 'wait', id: 'exec-1' },
  'wait-gone': { type: 'waitGone' },
  shutdown: { type: 'shutdown' },
  log: { type: 'log', action: 'rotate' },
  release: { type: 'release' },
};

const launched = {
  process: { pid: 4242, startTicks: 123456789012345n },
  startedAtNs: 1700000000123456789n,
};
const position: LogPosition = {
  generation: 3,
  inode: 9007199254740993n,
  offsetBytes: 4294967301,
  skipBytes: { stdout: 17, stderr: 0 },
};
const status: ExitStatus = {
  exitCode: 137,
  signal: 9,
  isOomKilled: true,
  pid: 4242,
  startedAtNs: 1700000000123456789n,
  finishedAtNs: 1700000001000000000n,
  lostLogBytes: 512n,
};

const REPLIES: Readonly<Record<string, readonly [tag: number, reply: Reply]>> = {
  ok: [9, { type: 'ok' }],
  error: [10, { type: 'error', code: 'conflict', message: 'the process has ended' }],
  hello: [1, { type: 'helloOk', version: 1, shimPid: 77 }],
  state: [
    2,
    {
      type: 'stateOk',
      state: {
        status: 'exited',
        shimPid: 77,
        containerId: '0123456789ab',
        ...launched,
        log: position,
        lostLogBytes: 512n,
        oomKills: 2,
        exit: status,
      },
    },
  ],
  attached: [3, { type: 'attached', position }],
  stdout: [3, { type: 'output', stream: 'stdout', data: Buffer.from('out\0put\n') }],
  stderr: [3, { type: 'output', stream: 'stderr', data: Buffer.from('error\n') }],
  lagged: [3, { type: 'lagged', position }],
  exit: [4, { type: 'exit', id: 'exec-1', status }],
  launched: [0, { type: 'launched', ...launched }],
  'start-failed': [
    0,
    {
      type: 'startFailed',
      exitCode: 1,
      log: '{"level":"error","msg":"no"}\n',
      text: 'runc run failed: no\n',
    },
  ],
  gone: [5, { type: 'gone' }],
  oom: [0, { type: 'oom', kills: 3 }],
};

describe('encodeRequest', () => {
  test.each(Object.entries(REQUESTS))('%s matches its golden file', async (name, request) => {
    const path = `${GOLDEN}request-${name}.bin`;
    const bytes = encodeRequest(name === 'hello' ? 1 : 7, request);
    if (IS_WRITING) {
      await writeFile(path, bytes);
    }
    expect(Buffer.from(bytes)).toEqual(await readFile(path));
  });

  test('refuses a request that is too long', () => {
    const data = new Uint8Array(16_385);
    expect(() => encodeRequest(1, { type: 'stdin', data })).toThrow(/too long/);
  });
});

describe('ReplyReader', () => {
  test.each(Object.entries(REPLIES))('understands the golden %s', async (name, [tag, reply]) => {
    const bytes = await readFile(`${GOLDEN}reply-${name}.bin`);
    expect(new ReplyReader().push(bytes)).toEqual([{ tag, reply }]);
  });

  test('is indifferent to how the bytes are cut', async () => {
    const names = Object.keys(REPLIES);
    const files = await Promise.all(names.map((name) => readFile(`${GOLDEN}reply-${name}.bin`)));
    const bytes = Buffer.concat(files);
    for (const step of [1, 2, 7, 8, 9, 50, bytes.length]) {
      const reader = new ReplyReader();
      const frames = [];
      for (let at = 0; at < bytes.length; at += step) {
        frames.push(...reader.push(bytes.subarray(at, at + step)));
      }
      expect(frames.map(({ reply }) => reply)).toEqual(names.map((name) => REPLIES[name]?.[1]));
    }
  });

  test.each([
    ['an unknown type', [0, 0, 0, 0, 99, 0, 1, 0]],
    ['a length beyond the limit', [1, 0, 1, 0, 128, 0, 1, 0]],
    ['a payload that is too short', [2, 0, 0, 0, 140, 0, 0, 0, 1, 2]],
    ['a foreign greeting', [12, 0, 0, 0, 130, 0, 0, 0, 65, 65, 65, 65, 1, 0, 0, 0, 1, 0, 0, 0]],
    [
      'an impossible status',
      [154, 0, 0, 0, 131, 0, 0, 0, 9, ...Array.from({ length: 153 }, () => 0)],
    ],
  ])('refuses %s', (_, bytes) => {
    expect(() => new ReplyReader().push(Uint8Array.from(bytes))).toThrow(/shim/);
  });
});
