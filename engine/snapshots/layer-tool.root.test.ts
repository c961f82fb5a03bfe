import { createHash } from 'node:crypto';
import { link, lstat, mkdir, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InvalidParameterError, NotFoundError } from '../base/errors.ts';
import { run, runOrThrow } from '../base/node/run.ts';
import type { LayerTool } from './contract.ts';
import { LayerProgram } from './layer-program.ts';
import { createLayerTool } from './layer-tool.ts';
import { layerProgramPath } from './testing/program-path.ts';
import { collectBytes, inPieces, listTar, makeTar, type TarMember } from './testing/tar-fixture.ts';

/** A block that is no tar header: its checksum is wrong. */
const NO_HEADER = Buffer.alloc(512, 'x');

let base: string;
let root: string;
let program: LayerProgram;
let tool: LayerTool;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'gantry-layer-tool-'));
  root = join(base, 'root');
  await mkdir(join(root, 'dir/sub'), { recursive: true });
  await writeFile(join(root, 'dir/file'), 'text', { mode: 0o4755 });
  await symlink('/dir', join(root, 'link'));
  await symlink('../../../../dir/file', join(root, 'dir/up'));
  await symlink('/nowhere/at-all', join(root, 'dangling'));
  program = new LayerProgram(layerProgramPath());
  tool = createLayerTool(program);
});

afterEach(async () => {
  await program.run(['remove', '--path', base]);
  await program[Symbol.asyncDispose]();
});

async function names(path: string, name?: string): Promise<readonly string[]> {
  const tar = await collectBytes(
    tool.readTree(name === undefined ? { root, path } : { root, path, name }),
  );
  return listTar(tar).map((member) => member.name);
}

function write(members: readonly TarMember[], path = '/dir'): Promise<void> {
  return tool.writeTree({ root, path, tar: inPieces(makeTar(members)) });
}

describe('readTree', () => {
  test('names members after the path, or as asked', async () => {
    expect(await names('/dir')).toEqual(['dir/', 'dir/file', 'dir/sub/', 'dir/up']);
    expect(await names('/dir/file')).toEqual(['file']);
    expect(await names('/dir/sub', 'other')).toEqual(['other/']);
    expect(await names('/dir', '.')).toEqual(['./', './file', './sub/', './up']);
    expect(await names('/dir', '')).toEqual(['file', 'sub/', 'up']);
  });

  test('a link at the end is a link, unless a slash follows', async () => {
    expect(await names('/link')).toEqual(['link']);
    expect(await names('/link/.', '.')).toEqual(['./', './file', './sub/', './up']);
    expect(await names('/link/file')).toEqual(['file']);
  });

  test('the whole tree', async () => {
    const all = await names('/', '');
    expect(all[0]).toBe('dangling');
    expect(all).toContain('dir/sub/');
  });

  test('hard links, sparse files and attributes reach an ordinary tar program', async () => {
    await link(join(root, 'dir/file'), join(root, 'dir/twin'));
    await runOrThrow('truncate', ['-s', '3M', join(root, 'dir/sparse')]);
    const path = join(base, 'out.tar');
    await writeFile(path, await collectBytes(tool.readTree({ root, path: '/dir' })));
    await mkdir(join(base, 'copy'));
    await runOrThrow('tar', ['xpf', path, '-C', join(base, 'copy')]);
    const file = await lstat(join(base, 'copy/dir/file'));
    expect((await lstat(join(base, 'copy/dir/twin'))).ino).toBe(file.ino);
    expect(file.mode & 0o7777).toBe(0o4755);
    expect((await lstat(join(base, 'copy/dir/sparse'))).size).toBe(3 * 1024 * 1024);
  });

  test('a missing path is reported before the first byte', async () => {
    for (const path of ['/missing', '/dir/file/below', '/dangling/']) {
      await expect(collectBytes(tool.readTree({ root, path }))).rejects.toBeInstanceOf(
        NotFoundError,
      );
    }
  });

  test('a reader that leaves ends the program', async () => {
    await writeFile(join(root, 'big'), Buffer.alloc(5_000_000));
    for await (const chunk of tool.readTree({ root, path: '/big' })) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
  });
});

describe('statPath', () => {
  test("tells Go's mode bits and size", async () => {
    expect(await tool.statPath({ root, path: '/dir/file' })).toMatchObject({
      name: 'file',
      sizeBytes: 4,
      goMode: 2 ** 23 + 0o755,
      linkTarget: '',
      isDirectory: false,
    });
    const directory = await tool.statPath({ root, path: '/dir' });
    expect(directory).toMatchObject({ name: 'dir', isDirectory: true });
    expect(Math.floor((directory?.goMode ?? 0) / 2 ** 31)).toBe(1);
  });

  test('resolves a link inside the root', async () => {
    expect((await tool.statPath({ root, path: '/link' }))?.linkTarget).toBe('/dir');
    expect((await tool.statPath({ root, path: '/dir/up' }))?.linkTarget).toBe('/dir/file');
    expect((await tool.statPath({ root, path: '/dangling' }))?.linkTarget).toBe('/nowhere/at-all');
  });

  test('a missing path is undefined', async () => {
    expect(await tool.statPath({ root, path: '/missing' })).toBeUndefined();
    expect(await tool.statPath({ root, path: '/missing/below' })).toBeUndefined();
  });
});

describe('writeTree', () => {
  test('unpacks below the path, following links inside the root', async () => {
    await write([{ name: 'new', content: 'new' }], '/link/sub');
    expect(await readFile(join(root, 'dir/sub/new'), 'utf8')).toBe('new');
    await write([
      { name: 'abs', type: '2', link: '/dir/sub' },
      { name: 'abs/through', content: 'x' },
      { name: '/leading-slash', content: 'y' },
    ]);
    expect(await readFile(join(root, 'dir/sub/through'), 'utf8')).toBe('x');
    expect(await readFile(join(root, 'dir/leading-slash'), 'utf8')).toBe('y');
  });

  test('whiteout names are ordinary names', async () => {
    await write([{ name: '.wh.file', content: 'w' }]);
    expect(await readFile(join(root, 'dir/.wh.file'), 'utf8')).toBe('w');
    expect(await readFile(join(root, 'dir/file'), 'utf8')).toBe('text');
  });

  test('owner and mode for all', async () => {
    await tool.writeTree({
      root,
      path: '/',
      tar: inPieces(makeTar([{ name: 'a/' }, { name: 'a/f', mode: 0o777 }])),
      owner: { uid: 11, gid: 12 },
      mode: 0o700,
    });
    for (const name of ['a', 'a/f']) {
      const facts = await lstat(join(root, name));
      expect([facts.uid, facts.gid, facts.mode & 0o7777]).toEqual([11, 12, 0o700]);
    }
  });

  test('a folder is not replaced by a file when that is forbidden', async () => {
    const options = { root, path: '/', noOverwriteDirNonDir: true };
    await expect(
      tool.writeTree({ ...options, tar: inPieces(makeTar([{ name: 'dir', content: 'x' }])) }),
    ).rejects.toThrow('cannot overwrite directory');
    await expect(
      tool.writeTree({ ...options, tar: inPieces(makeTar([{ name: 'dir/file/' }])) }),
    ).rejects.toThrow('cannot overwrite non-directory');
    await write([{ name: 'sub', content: 'replaced' }]);
    expect(await readFile(join(root, 'dir/sub'), 'utf8')).toBe('replaced');
  });

  test('a missing folder, one that is a file, and a hostile archive are told apart', async () => {
    await expect(write([], '/missing')).rejects.toBeInstanceOf(NotFoundError);
    await expect(write([], '/dir/file')).rejects.toBeInstanceOf(InvalidParameterError);
    await expect(
      tool.writeTree({ root, path: '/', tar: Readable.from([NO_HEADER]) }),
    ).rejects.toBeInstanceOf(InvalidParameterError);
  });

  test('names that climb stay inside the root, and must stay inside a path', async () => {
    await write([{ name: '../../climber', content: 'x' }], '/');
    await expect(write([{ name: '../evil', content: 'x' }], '/dir')).rejects.toThrow('climbs');
    expect(await readFile(join(root, 'climber'), 'utf8')).toBe('x');
  });

  test('a refusal does not wait for a source that never ends', async () => {
    async function* endless(): AsyncGenerator<Uint8Array, void, void> {
      yield NO_HEADER;
      await new Promise(() => {});
    }
    await expect(tool.writeTree({ root, path: '/', tar: endless() })).rejects.toBeInstanceOf(
      InvalidParameterError,
    );
  });
});

describe('archives of other programs', () => {
  async function digests(folder: string): Promise<string> {
    const listed = await runOrThrow('sh', [
      '-c',
      'cd "$1" && find . -printf "%p %y %m %U %G %s %l %Ts\\n" | sort; find . -type f -print0 | sort -z | xargs -0 sha256sum',
      'sh',
      folder,
    ]);
    return createHash('sha256').update(listed).digest('hex');
  }

  test.each([
    ['gnu', ['--format=gnu', '--sparse']],
    ['PAX with sparse files 0.0', ['--format=pax', '--sparse', '--sparse-version=0.0']],
    ['PAX with sparse files 0.1', ['--format=pax', '--sparse', '--sparse-version=0.1']],
    ['PAX with sparse files 1.0', ['--format=pax', '--sparse', '--sparse-version=1.0']],
  ])('%s is unpacked to the same tree', async (_, format) => {
    const from = join(base, 'from');
    const to = join(base, 'to');
    const long = 'long-'.repeat(40);
    await mkdir(join(from, long), { recursive: true });
    await mkdir(to);
    await writeFile(join(from, long, long), 'deep');
    await symlink(long, join(from, 'symlink'));
    await link(join(from, long, long), join(from, 'twin'));
    const holes = Array.from({ length: 60 }, (_unused, index) => index)
      .map((index) => `printf ${index} | dd of=sparse bs=1 seek=${index * 100_000} conv=notrunc`)
      .join(' && ');
    await runOrThrow('sh', ['-c', `cd "$1" && { ${holes}; } 2>/dev/null`, 'sh', from]);
    const tar = await run('tar', ['cf', join(base, 'in.tar'), ...format, '-C', from, '.']);
    expect(tar.exitCode).toBe(0);
    await program.feed(['apply', '--target', to, '--format', 'overlay'], {
      path: join(base, 'in.tar'),
      compression: 'none',
    });
    expect(await digests(to)).toBe(await digests(from));
    const sparse = await lstat(join(to, 'sparse'));
    expect(sparse.blocks * 512).toBeLessThan(sparse.size / 2);
  });
});

describe('LayerProgram', () => {
  test('the kept program is started anew after it died', async () => {
    const before = await tool.statPath({ root, path: '/dir' });
    const listed = await runOrThrow('sh', [
      '-c',
      'for p in /proc/[0-9]*; do if [ "$(cut -d" " -f4 "$p/stat" 2>/dev/null)" = "$1" ]; then printf "%s " "${p#/proc/}"; tr "\\0" " " < "$p/cmdline"; echo; fi; done',
      'sh',
      String(process.pid),
    ]);
    const serving = listed.split('\n').filter((line) => line.includes('gantry-layer serve'));
    expect(serving).toHaveLength(1);
    const pid = Number(serving[0]?.split(' ')[0]);
    process.kill(pid, 'SIGKILL');
    await expect
      .poll(async () => await tool.statPath({ root, path: '/dir' }).catch(() => 'died'), {
        timeout: 30_000,
      })
      .toEqual(before);
  });

  test('a program that is not there is reported', async () => {
    await using missing = new LayerProgram(join(base, 'no-such-program'));
    await expect(missing.call(['stat'])).rejects.toThrow('cannot be run');
    await expect(missing.run(['du'])).rejects.toThrow('cannot run');
  });
});
