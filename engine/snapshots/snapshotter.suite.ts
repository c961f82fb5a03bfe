import { createHash, randomBytes } from 'node:crypto';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConflictError, InvalidParameterError, NotFoundError } from '../base/errors.ts';
import { silentLogger } from '../base/logger.ts';
import { run } from '../base/node/run.ts';
import { chainIdOf } from './chain-id.ts';
import type { ChainId, DiffId, LayerInfo, Snapshotter } from './contract.ts';
import { LayerProgram } from './layer-program.ts';
import { openSnapshotter } from './open-snapshotter.ts';
import { layerProgramPath } from './testing/program-path.ts';
import { collectBytes, inPieces, listTar, makeTar, type TarMember } from './testing/tar-fixture.ts';

function digestOf(tar: Uint8Array): DiffId {
  return `sha256:${createHash('sha256').update(tar).digest('hex')}`;
}

const BASE: readonly TarMember[] = [
  { name: 'bin/', mode: 0o755 },
  { name: 'bin/sh', content: 'shell', mode: 0o4755 },
  { name: 'bin/ash', type: '1', link: 'bin/sh' },
  { name: 'etc/', mode: 0o750, uid: 3, gid: 4, modifiedAtSec: 1_600_000_000.25 },
  { name: 'etc/passwd', content: 'root', modifiedAtSec: 1_500_000_000.125 },
  { name: 'etc/conf/' },
  { name: 'etc/conf/a', content: 'a' },
  { name: 'etc/conf/b', content: 'b' },
  { name: 'lib', type: '2', link: 'usr/lib' },
  { name: 'usr/lib/' },
  { name: 'usr/lib/x', content: 'x'.repeat(70_000) },
];

/** What every storage driver must do; `driver` is opened on a fresh folder per test. */
export function snapshotterSuite(driver: Snapshotter['driver']): void {
  let root: string;
  let program: LayerProgram;
  let snapshots: Snapshotter;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'gantry-snapshots-'));
    program = new LayerProgram(layerProgramPath());
    snapshots = await openSnapshotter({ root, program, logger: silentLogger, driver });
  });

  afterEach(async () => {
    for (const id of await snapshots.listWritables()) {
      await snapshots.unmount(id);
    }
    await snapshots[Symbol.asyncDispose]();
    const mounts = await readFile('/proc/self/mountinfo', 'utf8');
    const isClean = !mounts.includes(root);
    if (isClean) {
      await program.run(['remove', '--path', root]);
    }
    await program[Symbol.asyncDispose]();
    expect(isClean, 'nothing stays mounted').toBe(true);
  });

  async function reopen(): Promise<void> {
    await snapshots[Symbol.asyncDispose]();
    snapshots = await openSnapshotter({ root, program, logger: silentLogger, driver });
  }

  function apply(members: readonly TarMember[], parent?: ChainId): Promise<LayerInfo> {
    return snapshots.applyLayer({ parent, tar: inPieces(makeTar(members)) });
  }

  async function mountNew(id: string, parent?: ChainId): Promise<string> {
    await snapshots.createWritable(id, parent);
    return await snapshots.mount(id);
  }

  describe('applyLayer', () => {
    test('tells digest, chain id and size, hard links once', async () => {
      const tar = makeTar(BASE);
      const layer = await snapshots.applyLayer({ parent: undefined, tar: inPieces(tar) });
      expect(layer).toEqual({
        chainId: digestOf(tar),
        diffId: digestOf(tar),
        parent: undefined,
        sizeBytes: 5 + 4 + 1 + 1 + 70_000,
      });
      const upper = makeTar([{ name: 'new', content: 'new' }]);
      const child = await snapshots.applyLayer({ parent: layer.chainId, tar: inPieces(upper) });
      expect(child.chainId).toBe(chainIdOf(layer.chainId, digestOf(upper)));
    });

    test('keeps owners, modes, times, links and implied folders', async () => {
      const layer = await apply([...BASE, { name: 'opt/implied/file', content: '1' }]);
      const tree = await mountNew('c', layer.chainId);
      const etc = await lstat(join(tree, 'etc'), { bigint: true });
      expect([etc.mode & 0o7777n, etc.uid, etc.gid, etc.mtimeNs]).toEqual([
        0o750n,
        3n,
        4n,
        1_600_000_000_250_000_000n,
      ]);
      const passwd = await lstat(join(tree, 'etc/passwd'), { bigint: true });
      expect(passwd.mtimeNs).toBe(1_500_000_000_125_000_000n);
      const shell = await lstat(join(tree, 'bin/sh'));
      expect(shell.mode & 0o7777).toBe(0o4755);
      expect((await lstat(join(tree, 'bin/ash'))).ino).toBe(shell.ino);
      expect(await readlink(join(tree, 'lib'))).toBe('usr/lib');
      expect((await stat(join(tree, 'opt/implied'))).mode & 0o7777).toBe(0o755);
    });

    test.each(['none', 'gzip', 'zstd'] as const)(
      'reads a file (%s) and tells how far',
      async (compression) => {
        const tar = makeTar([{ name: 'big', content: randomBytes(3_000_000) }]);
        const pack = { none: (data: Buffer) => data, gzip: gzipSync, zstd: zstdCompressSync };
        const path = join(root, 'blob');
        await writeFile(path, pack[compression](tar));
        const reports: number[] = [];
        const layer = await snapshots.applyLayer({
          parent: undefined,
          tar: { path, compression, onProgress: (bytes) => reports.push(bytes) },
          expectedDiffId: digestOf(tar),
        });
        expect(layer.sizeBytes).toBe(3_000_000);
        expect(reports.length).toBeGreaterThan(0);
      },
    );

    test('hides what whiteouts name, and what is below an opaque folder', async () => {
      const base = await apply(BASE);
      const layer = await apply(
        [
          { name: 'etc/.wh.passwd' },
          { name: 'etc/conf/c', content: 'c' },
          { name: 'etc/conf/.wh..wh..opq' },
          { name: '.wh.bin' },
        ],
        base.chainId,
      );
      const tree = await mountNew('c', layer.chainId);
      expect(await readdir(join(tree, 'etc/conf'))).toEqual(['c']);
      expect(await readdir(join(tree, 'etc'))).not.toContain('passwd');
      expect(await readdir(tree)).not.toContain('bin');
      expect(await readdir(join(tree, 'usr/lib'))).toEqual(['x']);
    });

    test('makes devices and keeps attributes, but not those that speak to the driver', async () => {
      const layer = await apply([
        { name: 'null', type: '3', device: [1, 3], mode: 0o666 },
        { name: 'fifo', type: '6' },
        {
          name: 'file',
          pax: {
            'SCHILY.xattr.user.note': 'hello',
            'SCHILY.xattr.trusted.overlay.redirect': '/etc',
          },
        },
      ]);
      const tree = await mountNew('c', layer.chainId);
      const device = await lstat(join(tree, 'null'));
      expect([device.isCharacterDevice(), device.rdev, device.mode & 0o777]).toEqual([
        true,
        0x103,
        0o666,
      ]);
      expect((await lstat(join(tree, 'fifo'))).isFIFO()).toBe(true);
      const tar = (await collectBytes(snapshots.layerTar(layer.chainId))).toString('latin1');
      expect(tar).toContain('SCHILY.xattr.user.note=hello\n');
      expect(tar).not.toContain('overlay');
    });

    test('a folder made anew after its whiteout does not show what was in it', async () => {
      const base = await apply(BASE);
      const layer = await apply(
        [{ name: 'etc/.wh.conf' }, { name: 'etc/conf/' }, { name: 'etc/conf/z', content: 'z' }],
        base.chainId,
      );
      const tree = await mountNew('c', layer.chainId);
      expect(await readdir(join(tree, 'etc/conf'))).toEqual(['z']);
    });

    test('replaces files by folders and the other way round', async () => {
      const base = await apply(BASE);
      const layer = await apply(
        [
          { name: 'etc/conf', content: 'now a file' },
          { name: 'etc/passwd/' },
          { name: 'etc/passwd/p' },
        ],
        base.chainId,
      );
      const tree = await mountNew('c', layer.chainId);
      expect(await readFile(join(tree, 'etc/conf'), 'utf8')).toBe('now a file');
      expect(await readdir(join(tree, 'etc/passwd'))).toEqual(['p']);
    });

    test('the same layer at the same time is stored once', async () => {
      const tar = makeTar(BASE);
      let readCount = 0;
      const one = (): AsyncIterable<Uint8Array> => {
        readCount += 1;
        return inPieces(tar);
      };
      const all = await Promise.all(
        [1, 2, 3].map(() =>
          snapshots.applyLayer({
            parent: undefined,
            tar: { [Symbol.asyncIterator]: () => one()[Symbol.asyncIterator]() },
            expectedDiffId: digestOf(tar),
          }),
        ),
      );
      expect(new Set(all.map((layer) => layer.chainId)).size).toBe(1);
      expect(readCount).toBe(1);
      expect(await snapshots.listLayers()).toHaveLength(1);
    });

    test('without an expected digest the second of two equal layers gives way', async () => {
      await Promise.all([apply(BASE), apply(BASE)]);
      expect(await snapshots.listLayers()).toHaveLength(1);
      expect(await readdir(join(root, 'layers'))).toHaveLength(1);
    });

    test('another digest than expected is refused and leaves nothing', async () => {
      const refused = snapshots.applyLayer({
        parent: undefined,
        tar: inPieces(makeTar(BASE)),
        expectedDiffId: digestOf(Buffer.from('other')),
      });
      await expect(refused).rejects.toBeInstanceOf(InvalidParameterError);
      expect(await snapshots.listLayers()).toEqual([]);
      expect(await readdir(join(root, 'tmp'))).toEqual([]);
    });

    test.each<[string, readonly TarMember[]]>([
      ['a name with ".."', [{ name: 'a/../../evil', content: 'x' }]],
      ['an absolute name', [{ name: '/etc/evil', content: 'x' }]],
      ['a hard link out', [{ name: 'evil', type: '1', link: '../../../../etc/passwd' }]],
      ['a whiteout of the folder above', [{ name: 'a/.wh...' }]],
      ['a member of unknown kind', [{ name: 'evil', type: 'Z' }]],
    ])('refuses %s', async (_, members) => {
      await expect(apply(members)).rejects.toBeInstanceOf(InvalidParameterError);
      expect(await readdir(join(root, 'tmp'))).toEqual([]);
    });

    test('a symbolic link does not lead out', async () => {
      const outside = join(root, 'outside');
      await mkdir(outside);
      const layer = await apply([
        { name: 'way', type: '2', link: outside },
        { name: 'way/evil', content: 'x' },
        { name: 'up', type: '2', link: '../../../../../../../../tmp' },
        { name: 'up/evil', content: 'x' },
      ]);
      expect(await readdir(outside)).toEqual([]);
      const tree = await mountNew('c', layer.chainId);
      expect(await readFile(join(tree, 'tmp/evil'), 'utf8')).toBe('x');
    });

    test('an archive that is cut short, or none at all, is refused', async () => {
      const tar = makeTar(BASE);
      for (const bad of [tar.subarray(0, 40_000), randomBytes(2048)]) {
        await expect(
          snapshots.applyLayer({ parent: undefined, tar: inPieces(bad) }),
        ).rejects.toBeInstanceOf(InvalidParameterError);
      }
    });

    test('a failing source and an abort pass through, and leave nothing', async () => {
      const failure = new Error('the network went away');
      async function* broken(): AsyncGenerator<Uint8Array, void, void> {
        yield makeTar(BASE).subarray(0, 2000);
        throw failure;
      }
      await expect(snapshots.applyLayer({ parent: undefined, tar: broken() })).rejects.toBe(
        failure,
      );
      const abort = new AbortController();
      async function* endless(): AsyncGenerator<Uint8Array, void, void> {
        yield makeTar(BASE).subarray(0, 512);
        abort.abort();
        await new Promise(() => {});
      }
      await expect(
        snapshots.applyLayer({ parent: undefined, tar: endless(), signal: abort.signal }),
      ).rejects.toHaveProperty('name', 'AbortError');
      expect(await readdir(join(root, 'tmp'))).toEqual([]);
    });

    test('a missing parent is reported', async () => {
      await expect(apply(BASE, digestOf(Buffer.from('none')))).rejects.toBeInstanceOf(
        NotFoundError,
      );
    });
  });

  describe('layers', () => {
    test('survive a new start; sync clears the marks', async () => {
      const base = await apply(BASE);
      const top = await apply([{ name: 'top' }], base.chainId);
      expect(await readdir(join(root, 'unsynced'))).toHaveLength(2);
      await snapshots.sync();
      expect(await readdir(join(root, 'unsynced'))).toEqual([]);
      await reopen();
      expect(await snapshots.findLayer(top.chainId)).toEqual(top);
      expect(await snapshots.listLayers()).toHaveLength(2);
    });

    test('what a power cut may have damaged is gone at the next start', async () => {
      const base = await apply(BASE);
      await snapshots.sync();
      const top = await apply([{ name: 'top' }], base.chainId);
      const [marker] = await readdir(join(root, 'unsynced'));
      const hex = marker?.split('.')[0] ?? '';
      await rm(join(root, 'unsynced', marker ?? ''));
      await writeFile(join(root, 'unsynced', `${hex}.of-an-earlier-boot`), '');
      await reopen();
      expect(await snapshots.findLayer(top.chainId)).toBeUndefined();
      expect(await snapshots.findLayer(base.chainId)).toEqual(base);
    });

    test('a damaged record takes the layer and those above it away', async () => {
      const base = await apply(BASE);
      await apply([{ name: 'top' }], base.chainId);
      await truncate(join(root, 'layers', base.chainId.slice(7), 'record.json'));
      await reopen();
      expect(await snapshots.listLayers()).toEqual([]);
      expect(await readdir(join(root, 'layers'))).toEqual([]);
    });

    test('with children or writables they stay, then they go', async () => {
      const base = await apply(BASE);
      const top = await apply([{ name: 'top' }], base.chainId);
      await expect(snapshots.removeLayer(base.chainId)).rejects.toBeInstanceOf(ConflictError);
      await snapshots.createWritable('c', top.chainId);
      await expect(snapshots.removeLayer(top.chainId)).rejects.toBeInstanceOf(ConflictError);
      await snapshots.removeWritable('c');
      await snapshots.removeLayer(top.chainId);
      await snapshots.removeLayer(top.chainId);
      await snapshots.removeLayer(base.chainId);
      expect(await snapshots.listLayers()).toEqual([]);
      await reopen();
      expect(await readdir(join(root, 'layers'))).toEqual([]);
    });

    test('a layer that is being built on cannot be removed', async () => {
      const base = await apply(BASE);
      const started = Promise.withResolvers<void>();
      const go = Promise.withResolvers<void>();
      async function* slow(): AsyncGenerator<Uint8Array, void, void> {
        started.resolve();
        await go.promise;
        yield makeTar([{ name: 'top' }]);
      }
      const applying = snapshots.applyLayer({ parent: base.chainId, tar: slow() });
      await started.promise;
      await expect(snapshots.removeLayer(base.chainId)).rejects.toBeInstanceOf(ConflictError);
      go.resolve();
      expect((await applying).parent).toBe(base.chainId);
    });

    test('are seen read-only as a whole', async () => {
      const base = await apply(BASE);
      const top = await apply([{ name: 'etc/.wh.passwd' }, { name: 'top' }], base.chainId);
      await using view = await snapshots.mountLayer(top.chainId);
      expect(await readdir(join(view.path, 'etc'))).toEqual(['conf']);
      expect(await readdir(view.path)).toContain('top');
    });

    test('a view that a crash left is taken away', async () => {
      const base = await apply(BASE);
      const view = await snapshots.mountLayer(base.chainId);
      await reopen();
      expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(`${root}/mounts`);
      await Promise.allSettled([view[Symbol.asyncDispose]()]);
    });

    test('a hundred of them on top of each other make one container', async () => {
      let parent: ChainId | undefined;
      const count = driver === 'vfs' ? 5 : 100;
      for (let i = 0; i < count; i += 1) {
        parent = (await apply([{ name: `file-${i}` }, { name: 'last', content: `${i}` }], parent))
          .chainId;
      }
      const tree = await mountNew('c', parent);
      expect(await readFile(join(tree, 'last'), 'utf8')).toBe(`${count - 1}`);
      expect((await readdir(tree)).filter((name) => name.startsWith('file-'))).toHaveLength(count);
      await writeFile(join(tree, 'file-0'), 'changed');
      expect(await snapshots.changes('c')).toEqual([{ path: '/file-0', kind: 0 }]);
    });
  });

  describe('writables', () => {
    test('are created once, mounted as often as asked, and removed for good', async () => {
      const base = await apply(BASE);
      const tree = await mountNew('c', base.chainId);
      await expect(snapshots.createWritable('c', undefined)).rejects.toBeInstanceOf(ConflictError);
      await writeFile(join(tree, 'file'), 'mine');
      expect(await snapshots.mount('c')).toBe(tree);
      await snapshots.unmount('c');
      await snapshots.unmount('c');
      await reopen();
      expect(await snapshots.listWritables()).toEqual(['c']);
      expect(await readFile(join(await snapshots.mount('c'), 'file'), 'utf8')).toBe('mine');
      await snapshots.removeWritable('c');
      await snapshots.removeWritable('c');
      await snapshots.unmount('c');
      expect(await snapshots.listWritables()).toEqual([]);
      await expect(snapshots.mount('c')).rejects.toBeInstanceOf(NotFoundError);
    });

    test('a mount outlives the engine', async () => {
      const tree = await mountNew('c', (await apply(BASE)).chainId);
      await writeFile(join(tree, 'file'), 'mine');
      await reopen();
      expect(await readFile(join(tree, 'file'), 'utf8')).toBe('mine');
      expect(await snapshots.mount('c')).toBe(tree);
    });

    test('begin empty without a parent, but for what every container has', async () => {
      const tree = await mountNew('c');
      expect((await readdir(tree)).sort()).toEqual(['.dockerenv', 'dev', 'etc', 'proc', 'sys']);
      expect(await snapshots.changes('c')).toEqual([]);
      expect(await snapshots.writableSize('c')).toBe(0);
    });

    test('what every container has does not change the folders of the image', async () => {
      const tree = await mountNew('c', (await apply(BASE)).chainId);
      const etc = await lstat(join(tree, 'etc'), { bigint: true });
      expect([etc.mode & 0o7777n, etc.uid, etc.gid]).toEqual([0o750n, 3n, 4n]);
      expect(await readdir(join(tree, 'etc'))).toContain('hosts');
      expect(await snapshots.changes('c')).toEqual([]);
    });

    test('a name that is no name is refused', async () => {
      for (const id of ['', '..', 'a/b', '.hidden']) {
        await expect(snapshots.createWritable(id, undefined)).rejects.toBeInstanceOf(
          InvalidParameterError,
        );
      }
    });

    test('count every file once, whatever its names', async () => {
      const tree = await mountNew('c', (await apply(BASE)).chainId);
      await writeFile(join(tree, 'one'), 'x'.repeat(1000));
      const linked = await run('ln', [join(tree, 'one'), join(tree, 'two')]);
      expect(linked.exitCode).toBe(0);
      expect(await snapshots.writableSize('c')).toBe(1000);
    });

    test('trees deeper than a path may be long can be removed', async () => {
      const tree = await mountNew('c');
      const made = await run(
        process.execPath,
        [
          '-e',
          'for (let i = 0; i < 400; i += 1) { fs.mkdirSync("d".repeat(20)); process.chdir("d".repeat(20)); }',
        ],
        { cwd: tree },
      );
      expect(made).toMatchObject({ exitCode: 0, stderr: '' });
      await snapshots.removeWritable('c');
      await snapshots[Symbol.asyncDispose]();
      expect(await readdir(join(root, 'tmp'))).toEqual([]);
    });
  });

  describe('changes', () => {
    test('lists what was added, modified and deleted, sorted', async () => {
      const tree = await mountNew('c', (await apply(BASE)).chainId);
      await mkdir(join(tree, 'new'));
      await writeFile(join(tree, 'new/file'), 'x');
      await writeFile(join(tree, 'etc/passwd'), 'other');
      await rm(join(tree, 'etc/conf'), { recursive: true });
      await rm(join(tree, 'bin/sh'));
      const changes = await snapshots.changes('c');
      expect(changes.map(({ kind, path }) => `${'CAD'[kind]} ${path}`)).toEqual([
        'C /bin',
        'D /bin/sh',
        'C /etc',
        'D /etc/conf',
        'C /etc/passwd',
        'A /new',
        'A /new/file',
      ]);
    });

    test('a folder deleted and made anew shows what is gone from it', async () => {
      const tree = await mountNew('c', (await apply(BASE)).chainId);
      await rm(join(tree, 'etc/conf'), { recursive: true });
      await mkdir(join(tree, 'etc/conf'));
      await writeFile(join(tree, 'etc/conf/b'), 'other');
      const paths = (await snapshots.changes('c')).map(({ kind, path }) => `${kind} ${path}`);
      expect(paths).toContain('2 /etc/conf/a');
      expect(paths).toContain('0 /etc/conf/b');
    });

    test('a folder that was merely copied up is none', async () => {
      const tree = await mountNew('c', (await apply(BASE)).chainId);
      const file = join(tree, 'usr/lib/x');
      const before = await stat(file);
      await chmod(file, 0o600);
      await utimes(file, before.atime, before.mtime);
      const paths = (await snapshots.changes('c')).map((change) => change.path);
      expect(paths).toContain('/usr/lib/x');
      if (driver === 'overlay2') {
        expect(paths).toEqual(['/usr/lib/x']);
      }
    });
  });

  describe('commitWritable', () => {
    test('makes a layer that shows the same tree', async () => {
      const base = await apply(BASE);
      const tree = await mountNew('c', base.chainId);
      await writeFile(join(tree, 'added'), 'added');
      await symlink('added', join(tree, 'link'));
      await rm(join(tree, 'etc/passwd'));
      await rm(join(tree, 'etc/conf'), { recursive: true });
      await mkdir(join(tree, 'etc/conf'));
      const layer = await snapshots.commitWritable('c');
      expect(layer.parent).toBe(base.chainId);
      expect(layer.sizeBytes).toBe(5);
      const copy = await mountNew('d', layer.chainId);
      expect(await readFile(join(copy, 'added'), 'utf8')).toBe('added');
      expect(await readlink(join(copy, 'link'))).toBe('added');
      expect(await readdir(join(copy, 'etc/conf'))).toEqual([]);
      expect(await readdir(join(copy, 'etc'))).not.toContain('passwd');
      expect(await snapshots.changes('d')).toEqual([]);
    });

    test('its tar has the digest of the layer, and ordinary whiteouts', async () => {
      const base = await apply(BASE);
      const tree = await mountNew('c', base.chainId);
      await writeFile(join(tree, `long-${'n'.repeat(200)}`), 'x');
      await rm(join(tree, 'etc/passwd'));
      const layer = await snapshots.commitWritable('c');
      const tar = await collectBytes(snapshots.layerTar(layer.chainId));
      expect(digestOf(tar)).toBe(layer.diffId);
      const names = listTar(tar).map((member) => member.name);
      expect(names).toContain('etc/.wh.passwd');
      expect(names).toContain(`long-${'n'.repeat(200)}`);
    });

    test('nothing changed is the empty layer', async () => {
      await mountNew('c', (await apply(BASE)).chainId);
      const layer = await snapshots.commitWritable('c');
      expect(layer.sizeBytes).toBe(0);
      expect(layer.diffId).toBe(digestOf(Buffer.alloc(1024)));
    });
  });
}
