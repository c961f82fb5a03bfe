import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Docker } from '../fixtures/docker.ts';
import { startEngine, type TestEngine } from '../fixtures/engine.ts';
import { dataArchive } from '../fixtures/images.ts';
import { clearEngine } from './leftovers.ts';
import { words } from './session.ts';

let engine: TestEngine;
let docker: Docker;
let folder: string;

beforeAll(async () => {
  engine = await startEngine();
  docker = engine.docker;
  folder = await mkdtemp(join(engine.folder, 'volumes-'));
  await docker.ok(['load', '-qi', await dataArchive()]);
});
beforeEach(({ onTestFailed }) => {
  onTestFailed(async () => {
    await clearEngine(engine);
  });
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
});

async function shell(line: string, flags: string, image = 'busybox'): Promise<string> {
  return await docker.ok([...words(`run --rm ${flags} ${image}`), 'sh', '-c', line]);
}

async function volumes(...flags: string[]): Promise<string[]> {
  return (await docker.ok(['volume', 'ls', '-q', ...flags])).split('\n').filter(Boolean);
}

describe('docker volume', () => {
  it('create, ls, inspect and rm', async () => {
    expect(await docker.ok(words('volume create --label a=b one'))).toBe('one');
    expect(await docker.ok(words('volume create one'))).toBe('one');
    const anonymous = await docker.ok(['volume', 'create']);
    expect(anonymous).toMatch(/^[0-9a-f]{64}$/);
    expect(
      await docker.ok(
        words('volume inspect -f', '{{.Driver}} {{.Scope}} {{.Labels}} {{.Mountpoint}}', 'one'),
      ),
    ).toBe(`local local map[a:b] ${engine.dataRoot}/volumes/one/_data`);
    expect(await volumes('-f', 'label=a=b')).toEqual(['one']);
    expect(await volumes('-f', 'name=on')).toEqual(['one']);
    expect((await volumes('-f', 'dangling=true')).toSorted()).toEqual(
      [anonymous, 'one'].toSorted(),
    );
    expect(await docker.ok(['volume', 'rm', 'one', anonymous])).toBe(`one\n${anonymous}`);
    const missing = await docker(['volume', 'rm', 'one']);
    expect(missing.exitCode).toBe(1);
    expect(missing.stderr).toMatch(/no such volume: one/i);
    expect((await docker(['volume', 'create', 'b/d'])).stderr).toContain(
      'includes invalid characters',
    );
    expect(await docker.ok(['volume', 'rm', '-f', 'one'])).toBe('one');
  });

  it('is used by containers, filled from the image, and refused while in use', async () => {
    await shell('echo kept >/v/file', '-v named:/v');
    expect(await shell('cat /v/file; touch /v/x 2>&1', '-v named:/v:ro').catch(String)).toMatch(
      /kept[^]*touch: \/v\/x: Read-only file system/,
    );
    expect(await shell('cat /data/seed.txt', '', 'data')).toBe('from the image');
    expect(
      await shell('cat /data/seed.txt; echo more >>/data/seed.txt', '-v seeded:/data', 'data'),
    ).toBe('from the image');
    expect(await shell('cat /data/seed.txt', '-v seeded:/data', 'data')).toBe(
      'from the image\nmore',
    );
    expect(
      await shell('ls /data', '--mount type=volume,src=bare,dst=/data,volume-nocopy', 'data'),
    ).toBe('');
    expect(await shell('ls -A /bin | wc -l', '-v applets:/bin')).not.toBe('0');
    await docker.ok(words('create --name user -v seeded:/data busybox'));
    const refused = await docker(words('volume rm seeded'));
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toMatch(/remove seeded: volume is in use - \[[0-9a-f]{64}\]/);
    expect(await volumes('-f', 'dangling=false')).toEqual(['seeded']);
    await docker.ok(words('rm user'));
    await docker.ok(words('volume rm named seeded bare applets'));
  });

  it('anonymous ones go with rm -v and --rm, named ones stay', async () => {
    await docker.ok(words('run --name anon -v /a -v keep:/k data true'));
    expect((await volumes()).length).toBe(3);
    await docker.ok(words('rm -v anon'));
    expect(await volumes()).toEqual(['keep']);
    await docker.ok(words('run --rm -v /a -v keep:/k data true'));
    expect(await volumes()).toEqual(['keep']);
    await docker.ok(words('volume rm keep'));
  });

  it('--volumes-from takes the volumes of another container', async () => {
    await docker.ok(words('create --name giver -v shared:/one -v /two data'));
    expect(
      await shell('cat /data/seed.txt; echo s >/one/s; ls -d /two', '--volumes-from giver'),
    ).toBe('from the image\n/two');
    expect(
      await shell('touch /one/x 2>&1; cat /one/s', '--volumes-from giver:ro').catch(String),
    ).toMatch(/Read-only file system\ns$/);
    expect((await docker(words('run --rm --volumes-from nobody busybox'))).stderr).toContain(
      'No such container: nobody',
    );
    await docker.ok(words('rm -v giver'));
    await docker.ok(words('volume rm shared'));
  });

  it('has options of its driver', async () => {
    await docker.ok(
      words('volume create --opt type=tmpfs --opt device=tmpfs --opt o=size=1m,uid=33 tmp'),
    );
    expect(await shell('stat -c %u /t; df -k /t | tail -1', '-v tmp:/t')).toMatch(
      /^33\n.*\b1024\b/,
    );
    const source = await mkdtemp(join(folder, 'bind-'));
    await writeFile(join(source, 'f'), 'bound\n');
    await docker.ok(
      words(`volume create --opt type=none --opt o=bind --opt device=${source} bound`),
    );
    expect(await shell('cat /b/f', '-v bound:/b')).toBe('bound');
    expect((await docker(words('volume create --opt nosuch=1 bad'))).stderr).toMatch(
      /invalid option: "?nosuch/,
    );
    await docker.ok(words('volume rm tmp bound'));
    expect(await readFile(join(source, 'f'), 'utf8')).toBe('bound\n');
  });
});

describe('mounts', () => {
  it('bind files and folders, with options', async () => {
    const source = await mkdtemp(join(folder, 'source-'));
    await mkdir(join(source, 'sub'));
    await writeFile(join(source, 'file'), 'of the host\n');
    expect(await shell('cat /h/file; echo new >/h/new', `-v ${source}:/h`)).toBe('of the host');
    expect(await readFile(join(source, 'new'), 'utf8')).toBe('new\n');
    expect(await shell('cat /one', `-v ${source}/file:/one:ro`)).toBe('of the host');
    await shell('true', `-v ${source}/created:/c`);
    expect(await shell('ls /h', `-v ${source}:/h:ro`)).toBe('created\nfile\nnew\nsub');
    const missing = await docker(
      words(`run --rm --mount type=bind,src=${source}/nosuch,dst=/x busybox true`),
    );
    expect(missing.exitCode).toBe(125);
    expect(missing.stderr).toContain('bind source path does not exist');
    expect(
      await shell(
        'cat /m/file; touch /m/x 2>/dev/null || echo ro',
        `--mount type=bind,src=${source},dst=/m,readonly,bind-propagation=rslave`,
      ),
    ).toBe('of the host\nro');
    expect(
      await shell(
        'grep " /t " /proc/mounts',
        '--mount type=tmpfs,dst=/t,tmpfs-size=65536,tmpfs-mode=0711',
      ),
    ).toMatch(/size=64k,mode=711/);
    const twice = await docker(words(`run --rm -v ${source}:/h -v ${source}/sub:/h busybox true`));
    expect(twice.stderr).toMatch(/Duplicate mount point: \/h/);
    const relative = await docker(
      words(`run --rm --mount type=bind,src=${source},dst=relative busybox true`),
    );
    expect(relative.stderr).toMatch(/mount path must be absolute/);
    expect(
      await docker.ok(words(`create --name shown -v ${source}:/h:ro -v shownvol:/v busybox`)),
    ).not.toBe('');
    expect(
      await docker.ok(
        words('inspect -f', '{{range .Mounts}}{{.Type}}:{{.Destination}}:{{.RW}} {{end}}', 'shown'),
      ),
    ).toMatch(/^(bind:\/h:false volume:\/v:true|volume:\/v:true bind:\/h:false) $/);
    await docker.ok(words('rm shown'));
    await docker.ok(words('volume rm shownvol'));
  });

  it('are seen by the host and by others while it runs', async () => {
    await docker.ok(words('run -d --name writer -v both:/w busybox sleep 1000'));
    await docker.ok(['exec', 'writer', 'sh', '-c', 'echo hi >/w/f']);
    expect(await shell('cat /r/f', '-v both:/r')).toBe('hi');
    expect(await readFile(join(engine.dataRoot, 'volumes/both/_data/f'), 'utf8')).toBe('hi\n');
    await docker.ok(words('rm -f writer'));
    await docker.ok(words('volume rm both'));
  });

  it('prune removes unused anonymous volumes, all with the filter', async () => {
    await docker.ok(words('create --name holder -v held:/h -v /a busybox'));
    await docker.ok(words('volume create free'));
    await docker.ok(words('volume create --label stay=1 labelled'));
    const anonymous = await docker.ok(words('volume create'));
    const before = (await volumes()).length;
    expect(await docker.ok(words('volume prune -f --filter label!=stay'))).toContain(anonymous);
    const answer = await engine.api('POST', '/v1.51/volumes/prune');
    expect(JSON.parse(answer.text)).toMatchObject({ VolumesDeleted: [] });
    // The client of 20.10 speaks an API in which named volumes were pruned as well.
    expect((await volumes()).includes('free')).toBe(false);
    expect((await volumes()).length).toBe(before - 2);
    await docker.ok(words('volume create free'));
    const all = await engine.api(
      'POST',
      `/v1.51/volumes/prune?filters=${encodeURIComponent('{"all":["true"]}')}`,
    );
    expect(
      (JSON.parse(all.text) as { VolumesDeleted: string[] }).VolumesDeleted.toSorted(),
    ).toEqual(['free', 'labelled']);
    await docker.ok(words('rm -v holder'));
    expect(await volumes()).toEqual(['held']);
  });
});
