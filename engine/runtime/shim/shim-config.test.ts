import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ShimConfig } from './contract.ts';
import { readExitRecord } from './exit-record.ts';
import { encodeShimConfig, findExitRecordPath } from './shim-config.ts';

const PLAIN: ShimConfig = {
  containerId: 'c1',
  bundleDir: '/b',
  runDir: '/r',
  runtime: { path: '/usr/sbin/runc', args: ['--root', '/rr'] },
  hasTty: false,
  hasStdin: false,
  isStdinOnce: false,
  exitRecordPath: '/x/exit.json',
};

test('encodeShimConfig › names what a plain container needs', () => {
  expect(encodeShimConfig(PLAIN, false).split('\0')).toEqual([
    'version=1',
    'id=c1',
    'bundle=/b',
    'runtime=/usr/sbin/runc',
    'runtime-arg=--root',
    'runtime-arg=/rr',
    'mode=run',
    'hold=0',
    'exit-record=/x/exit.json',
    '',
  ]);
});

test('encodeShimConfig › names every option', () => {
  const text = encodeShimConfig(
    {
      ...PLAIN,
      hasTty: true,
      consoleSize: { columns: 80, rows: 24 },
      hasStdin: true,
      isStdinOnce: true,
      isStartedAtOnce: false,
      log: { path: '/l', maxSizeBytes: 10, maxFiles: 2, attributes: { a: 'b' } },
      oomFile: '/o',
      cgroupDirs: ['/g1', '/g2'],
      runtimeStateDir: '/s',
    },
    true,
  );
  expect(text.split('\0').slice(6, -1)).toEqual([
    'mode=create',
    'hold=1',
    'tty=1',
    'columns=80',
    'rows=24',
    'stdin=1',
    'stdin-once=1',
    'log-path=/l',
    'log-max-size=10',
    'log-max-files=2',
    'log-attrs={"a":"b"}',
    'exit-record=/x/exit.json',
    'cgroup-dir=/g1',
    'cgroup-dir=/g2',
    'oom-file=/o',
    'state-dir=/s',
  ]);
});

test('encodeShimConfig › refuses a NUL', () => {
  expect(() => encodeShimConfig({ ...PLAIN, bundleDir: '/a\0b' }, false)).toThrow(/NUL/);
});

test('records › are found through the run folder, and damage is an error', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'gantry-shim-config-'));
  try {
    expect(await findExitRecordPath(dir)).toBeUndefined();
    const exitRecordPath = join(dir, 'exit.json');
    await writeFile(join(dir, 'shim.conf'), encodeShimConfig({ ...PLAIN, exitRecordPath }, false));
    expect(await findExitRecordPath(dir)).toBe(exitRecordPath);
    expect(await readExitRecord(exitRecordPath)).toBeUndefined();
    await writeFile(exitRecordPath, '{"version":1}');
    await expect(readExitRecord(exitRecordPath)).rejects.toThrow(/cannot be read/);
  } finally {
    await rm(dir, { recursive: true });
  }
});
