import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../base/logger.ts';
import { run } from '../base/node/run.ts';
import type { Snapshotter } from './contract.ts';
import { LayerProgram } from './layer-program.ts';
import { openSnapshotter } from './open-snapshotter.ts';
import { layerProgramPath } from './testing/program-path.ts';
import { inPieces, makeTar } from './testing/tar-fixture.ts';

let root: string;
let program: LayerProgram;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'gantry-open-snapshotter-'));
  program = new LayerProgram(layerProgramPath());
});

afterEach(async () => {
  await program.run(['remove', '--path', root]);
  await program[Symbol.asyncDispose]();
});

function open(driver?: Snapshotter['driver']): Promise<Snapshotter> {
  return openSnapshotter({ root, program, logger: silentLogger, driver });
}

describe('openSnapshotter', () => {
  test('takes overlayfs where it works and stays with what the folder has', async () => {
    await using first = await open();
    expect(first.driver).toBe('overlay2');
    const status = await first.status();
    expect(status.map(([name]) => name)).toContain('Backing Filesystem');
    await expect(open('vfs')).rejects.toThrow('holds data of the storage driver overlay2');
    expect(await readdir(root)).not.toContain(expect.stringContaining('probe'));
  });

  test('the copying driver can be asked for, and is kept', async () => {
    await using first = await open('vfs');
    expect(first.driver).toBe('vfs');
    await using second = await open();
    expect(second.driver).toBe('vfs');
  });

  test('where overlayfs cannot be used it copies', async () => {
    const place = join(root, 'lower');
    const made = await run('sh', [
      '-c',
      'mkdir "$1" "$1/l" "$1/u" "$1/w" "$1/m" && mount -t overlay overlay -o lowerdir="$1/l",upperdir="$1/u",workdir="$1/w" "$1/m"',
      'sh',
      place,
    ]);
    expect(made.stderr).toBe('');
    try {
      await using snapshots = await openSnapshotter({
        root: join(place, 'm/snapshots'),
        program,
        logger: silentLogger,
      });
      expect(snapshots.driver).toBe('vfs');
      const layer = await snapshots.applyLayer({
        parent: undefined,
        tar: inPieces(makeTar([{ name: 'file', content: 'x' }])),
      });
      await snapshots.createWritable('c', layer.chainId);
      expect(await readFile(join(await snapshots.mount('c'), 'file'), 'utf8')).toBe('x');
    } finally {
      await run('umount', [join(place, 'm')]);
    }
  });
});

/** Applies layers and makes writables without end, telling what it has finished. */
const WORKER = `
import { LayerProgram } from './layer-program.ts';
import { openSnapshotter } from './open-snapshotter.ts';
import { silentLogger } from '../base/logger.ts';
import { inPieces, makeTar } from './testing/tar-fixture.ts';
const [root, driver, file, round] = process.argv.slice(1);
const program = new LayerProgram(file);
const snapshots = await openSnapshotter({ root, program, logger: silentLogger, driver });
let parent;
for (let i = 0; ; i += 1) {
  const content = 'x'.repeat(200000);
  const members = [0, 1, 2, 3].map((n) => ({ name: round + '-' + i + '/' + n, content }));
  const layer = await snapshots.applyLayer({ parent, tar: inPieces(makeTar(members), 4096) });
  process.stdout.write('layer ' + layer.chainId + '\\n');
  parent = i % 5 === 4 ? undefined : layer.chainId;
  const id = 'c' + round + '-' + i;
  await snapshots.createWritable(id, layer.chainId);
  process.stdout.write('writable ' + id + '\\n');
  await snapshots.mount(id);
  if (i % 2 === 0) {
    process.stdout.write('removing ' + id + '\\n');
    await snapshots.removeWritable(id);
  }
}
`;

describe('a kill at any moment', () => {
  test.each(['overlay2', 'vfs'] as const)(
    '%s keeps what was finished and nothing else',
    async (driver) => {
      const finished = new Set<string>();
      const maybe = new Set<string>();
      for (let round = 0; round < 4; round += 1) {
        const worker = spawn(
          process.execPath,
          [
            '--input-type=module-typescript',
            '-e',
            WORKER,
            root,
            driver,
            layerProgramPath(),
            `${round}`,
          ],
          { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] },
        );
        const killed = new Promise<void>((resolve) => worker.once('close', () => resolve()));
        let said = '';
        let lineCount = 0;
        worker.stdout.setEncoding('utf8').on('data', (text: string) => {
          said += text;
          lineCount = said.split('\n').length;
          // A different place in the work each time, and in the middle of whatever comes next.
          if (lineCount > 4 + 3 * round) {
            worker.kill('SIGKILL');
          }
        });
        await killed;
        for (const line of said.split('\n').slice(0, -1)) {
          const [kind, name] = line.split(' ');
          if (kind === 'removing') {
            finished.delete(`writable ${name}`);
            maybe.add(name ?? '');
          } else {
            finished.add(line);
          }
        }
        const snapshots = await open(driver);
        const layers = await snapshots.listLayers();
        const writables = await snapshots.listWritables();
        for (const line of finished) {
          const [kind, name] = line.split(' ');
          const names: readonly string[] =
            kind === 'layer' ? layers.map((layer) => layer.chainId) : writables;
          expect(names).toContain(name);
        }
        expect(await readdir(join(root, 'tmp'))).toEqual([]);
        expect((await readdir(join(root, 'layers'))).length).toBe(layers.length);
        expect((await readdir(join(root, 'writables'))).sort()).toEqual([...writables].sort());
        for (const id of writables) {
          const tree = await snapshots.mount(id);
          const folder = (await readdir(tree)).find((name) => /^\d+-\d+$/.test(name));
          const sizes = await run('stat', ['-c', '%s', join(tree, folder ?? '', '3')]);
          expect(sizes.stdout.trim()).toBe('200000');
          await snapshots.unmount(id);
        }
        await snapshots[Symbol.asyncDispose]();
      }
      const last = await open(driver);
      for (const id of await last.listWritables()) {
        await last.removeWritable(id);
      }
      await last[Symbol.asyncDispose]();
      await writeFile(join(root, 'done'), '');
    },
  );
});
