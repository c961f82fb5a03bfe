import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runOrThrow } from '../../base/node/run.ts';
import { bytesOf, RealEngine } from '../testing/real-engine.ts';

let engine: RealEngine;
let scratch: string;

beforeAll(async () => {
  engine = await RealEngine.make();
  scratch = await mkdtemp(join(tmpdir(), 'gantry-archive-'));
});

afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true, force: true });
});

const PUT = { noOverwriteDirNonDir: false, copiesUidGid: false };

async function* once(data: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield await Promise.resolve(data);
}

let count = 0;
async function tarOf(files: Record<string, string>): Promise<Buffer> {
  count += 1;
  const folder = join(scratch, `in-${count}`);
  await mkdir(folder);
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(folder, name), text);
  }
  await runOrThrow('tar', ['-cf', `${folder}.tar`, '-C', folder, ...Object.keys(files)]);
  return await readFile(`${folder}.tar`);
}

async function listTar(data: Buffer): Promise<string[]> {
  count += 1;
  const path = join(scratch, `out-${count}.tar`);
  await writeFile(path, data);
  return (await runOrThrow('tar', ['-tPf', path])).trim().split('\n').sort();
}

async function get(id: string, path: string): Promise<string[]> {
  return await listTar(await bytesOf((await engine.containers.getArchive(id, path)).tar));
}

describe.each(['running', 'stopped'])('a %s container', (state) => {
  let id: string;

  beforeAll(async () => {
    id = await engine.create(
      {
        Cmd: [
          'sh',
          '-c',
          'mkdir -p /d/sub; echo one > /d/f; ln -s /d /link; ln -s ../../../../etc /v/escape; ln -s f /d/l; echo vol > /v/file; sleep 1000',
        ],
      },
      { Binds: [`vol-${state}:/v`] },
    );
    await engine.containers.start(id);
    while ((await engine.exec(id, 'cat /v/file')).output !== 'vol\n') {
      // The script is still at work.
    }
    if (state === 'stopped') {
      await engine.containers.stop(id, { timeoutSec: 0 });
    }
  });

  it('gives files and folders by Docker path rules', async () => {
    expect(await get(id, '/d/f')).toEqual(['f']);
    expect(await get(id, '/d')).toEqual(['d/', 'd/f', 'd/l', 'd/sub/']);
    expect(await get(id, '/d/.')).toEqual(['./', './f', './l', './sub/']);
    expect(await get(id, 'd/sub')).toEqual(['sub/']);
    expect(await get(id, '/link')).toEqual(['link']);
    expect(await get(id, '/link/')).toEqual(['link/', 'link/f', 'link/l', 'link/sub/']);
    expect(await get(id, '/')).toContain('/etc/passwd');
    expect(await get(id, './')).toContain('./etc/passwd');
    expect(await get(id, '/link/.')).toEqual(['./', './f', './l', './sub/']);
  });

  it('tells facts of a path', async () => {
    const file = await engine.containers.statArchive(id, '/d/f');
    expect(file).toMatchObject({ name: 'f', size: 4, linkTarget: '' });
    expect(file.mode & 0o777).toBe(0o644);
    expect(await engine.containers.statArchive(id, '/d/l')).toMatchObject({
      name: 'l',
      linkTarget: '/d/f',
    });
    await expect(engine.containers.statArchive(id, '/nope')).rejects.toMatchObject({
      code: 'not-found',
      message: `Could not find the file /nope in container ${id}`,
    });
    await expect(engine.containers.statArchive(id, '/d/f/')).rejects.toThrow('not a directory');
    await expect(engine.containers.getArchive(id, '/nope')).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('shows its volumes, and their links stay inside', async () => {
    const { tar } = await engine.containers.getArchive(id, '/v/file');
    expect((await bytesOf(tar)).toString('latin1')).toContain('vol\n');
    const names = await get(id, '/v/escape/.');
    expect(names).toContain('./passwd');
    const passwd = await bytesOf((await engine.containers.getArchive(id, '/v/escape/passwd')).tar);
    expect(passwd.toString('latin1')).toContain('root:x:0:0:root:/root:/bin/sh');
    expect(passwd.toString('latin1')).not.toContain('daemon');
  });

  it('takes archives, also compressed ones, also through links', async () => {
    await engine.containers.putArchive(id, '/d', once(await tarOf({ new: 'fresh' })), PUT);
    await engine.containers.putArchive(
      id,
      '/link/sub',
      once(gzipSync(await tarOf({ zipped: 'small' }))),
      PUT,
    );
    await engine.containers.putArchive(id, '/v', once(await tarOf({ 'in-volume': 'x' })), PUT);
    expect(await get(id, '/d')).toEqual(['d/', 'd/f', 'd/l', 'd/new', 'd/sub/', 'd/sub/zipped']);
    expect(await get(id, '/v/in-volume')).toEqual(['in-volume']);
  });

  it('refuses to unpack onto files, into nothing, or from rubbish', async () => {
    const tar = await tarOf({ x: 'y' });
    await expect(engine.containers.putArchive(id, '/d/f', once(tar), PUT)).rejects.toMatchObject({
      code: 'invalid-parameter',
      message: 'extraction point is not a directory',
    });
    await expect(engine.containers.putArchive(id, '/nope', once(tar), PUT)).rejects.toMatchObject({
      code: 'not-found',
    });
    await expect(
      engine.containers.putArchive(
        id,
        '/d',
        once(Buffer.from('no tar at all, sorry'.repeat(99))),
        PUT,
      ),
    ).rejects.toMatchObject({ code: 'invalid-parameter' });
  });
});

describe('read-only places', () => {
  it('are refused', async () => {
    const id = await engine.create(
      { Cmd: ['sleep', '1000'] },
      { ReadonlyRootfs: true, Binds: ['ro-volume:/ro:ro', 'rw-volume:/rw'] },
    );
    await engine.containers.start(id);
    const tar = await tarOf({ x: 'y' });
    await expect(engine.containers.putArchive(id, '/etc', once(tar), PUT)).rejects.toThrow(
      'container rootfs is marked read-only',
    );
    await expect(engine.containers.putArchive(id, '/ro', once(tar), PUT)).rejects.toThrow(
      'mounted volume is marked read-only',
    );
    await engine.containers.putArchive(id, '/rw', once(tar), PUT);
    expect((await engine.exec(id, 'cat /rw/x')).output).toBe('y');
  });
});

describe('the whole tree', () => {
  it('export, changes and commit agree', async () => {
    const { id } = await engine.run('echo made > /made; rm /etc/group; mkdir /v/x', {
      Binds: ['side:/v'],
    });
    const names = await listTar(await bytesOf(await engine.containers.export(id)));
    expect(names).toContain('made');
    expect(names).toContain('etc/passwd');
    expect(names).not.toContain('etc/group');
    expect(names).not.toContain('v/x/');
    const changes = await engine.containers.changes(id);
    expect(changes).toContainEqual({ path: '/made', kind: 1 });
    expect(changes).toContainEqual({ path: '/etc', kind: 0 });
    expect(changes).toContainEqual({ path: '/etc/group', kind: 2 });
    const image = await engine.containers.commit(id, {
      repo: 'made',
      tag: 'v1',
      comment: 'why',
      author: 'me',
      pauses: true,
      changes: ['CMD ["cat", "/made"]', 'ENV A=1'],
      config: undefined,
    });
    expect(image.id).toMatch(/^sha256:[0-9a-f]{64}$/);
    const again = await engine.run(
      'cat /made; echo $A; ls /etc/group 2>&1',
      {},
      { Image: 'made:v1' },
    );
    expect(again.output).toContain('made\n1\n');
    expect(again.output).toContain('No such file');
  });
});
