import { mkdir, mkdtemp, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runOrThrow } from '../../engine/base/node/run.ts';
import type { Docker } from '../fixtures/docker.ts';
import { startEngine, type TestEngine } from '../fixtures/engine.ts';
import { clearEngine } from './leftovers.ts';
import { words } from './session.ts';

let engine: TestEngine;
let docker: Docker;
let folder: string;

beforeAll(async () => {
  engine = await startEngine();
  docker = engine.docker;
  folder = await mkdtemp(join(engine.folder, 'files-'));
});
beforeEach(({ onTestFailed }) => {
  onTestFailed(async () => {
    await clearEngine(engine);
  });
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
});

async function exec(name: string, line: string): Promise<string> {
  return await docker.ok(['exec', name, 'sh', '-c', line]);
}

async function cp(from: string, to: string): Promise<void> {
  await docker.ok(['cp', from, to]);
}

/** A folder with a file, a folder with a file, an executable and two links. */
async function tree(name: string): Promise<string> {
  const root = join(folder, name);
  await mkdir(join(root, 'sub'), { recursive: true });
  await writeFile(join(root, 'file'), `file of ${name}\n`);
  await writeFile(join(root, 'sub/deep'), 'deep\n');
  await writeFile(join(root, 'run.sh'), '#!/bin/sh\n', { mode: 0o755 });
  await symlink('file', join(root, 'link'));
  await symlink('/etc/passwd', join(root, 'outside'));
  return root;
}

describe('docker cp', () => {
  it.each(['running', 'stopped'])('copies into and out of a %s container', async (state) => {
    const name = `cp-${state}`;
    const source = await tree(state);
    await docker.ok(words(`create --name ${name} -v /vol busybox sleep 1000`));
    if (state === 'running') {
      await docker.ok(['start', name]);
    }
    const out = await mkdtemp(join(folder, 'out-'));
    // A file: into a folder, under a new name, over an existing one.
    await cp(join(source, 'file'), `${name}:/tmp/`);
    await cp(join(source, 'file'), `${name}:/tmp/renamed`);
    await cp(join(source, 'sub/deep'), `${name}:/tmp/renamed`);
    await cp(`${name}:/tmp/file`, `${out}/`);
    await cp(`${name}:/tmp/renamed`, join(out, 'other'));
    expect(await readFile(join(out, 'file'), 'utf8')).toBe(`file of ${state}\n`);
    expect(await readFile(join(out, 'other'), 'utf8')).toBe('deep\n');
    // A folder: as a new one, into an existing one, its content only.
    await cp(source, `${name}:/new`);
    await cp(source, `${name}:/tmp`);
    await cp(`${source}/.`, `${name}:/vol`);
    await cp(`${name}:/new`, join(out, 'fresh'));
    await cp(`${name}:/new`, out);
    await cp(`${name}:/tmp/${state}/.`, join(out, 'content'));
    await cp(`${name}:/vol`, out);
    for (const copy of ['fresh', 'new', 'content', 'vol']) {
      const at = join(out, copy);
      expect(await readFile(join(at, 'sub/deep'), 'utf8'), copy).toBe('deep\n');
      expect(await readlink(join(at, 'link')), copy).toBe('file');
      expect(await readlink(join(at, 'outside')), copy).toBe('/etc/passwd');
      expect((await stat(join(at, 'run.sh'))).mode & 0o777, copy).toBe(0o755);
    }
    // Links: as they are, or what they point to with -L.
    await cp(`${name}:/new/link`, join(out, 'as-link'));
    expect(await readlink(join(out, 'as-link'))).toBe('file');
    await docker.ok(['cp', '-L', `${name}:/new/link`, join(out, 'as-file')]);
    expect(await readFile(join(out, 'as-file'), 'utf8')).toBe(`file of ${state}\n`);
    await docker.ok(['cp', '-L', `${name}:/new/outside`, join(out, 'passwd')]);
    expect(await readFile(join(out, 'passwd'), 'utf8')).toContain('root:x:0:0:root:/root:/bin/sh');
    await docker.ok(['rm', '-fv', name]);
  });

  it('streams archives through standard input and output', async () => {
    await docker.ok(words('create --name tars busybox'));
    const source = await tree('tarred');
    const archive = join(folder, 'in.tar');
    await runOrThrow('tar', ['-C', source, '-cf', archive, '.']);
    const copied = await docker(['cp', '-', 'tars:/home'], { input: await readFile(archive) });
    expect(copied.stderr).toBe('');
    const list = await runOrThrow('sh', [
      '-c',
      `DOCKER_HOST=unix://${engine.socketPath} ${docker.program} cp tars:/home - | tar -tf - | sort`,
    ]);
    expect(list).toBe(
      'home/\nhome/file\nhome/link\nhome/outside\nhome/run.sh\nhome/sub/\nhome/sub/deep\n',
    );
    await docker.ok(['rm', 'tars']);
  });

  it('reaches the volumes of a running container, and gives them to its user with -a', async () => {
    await docker.ok(
      words('run -d --name mounts -v other:/scratch -v named:/vol busybox sleep 1000'),
    );
    const source = await tree('mounted');
    await runOrThrow('chown', ['-R', '33:33', source]);
    await cp(`${source}/.`, 'mounts:/scratch');
    await docker.ok(['cp', '-a', `${source}/.`, 'mounts:/vol']);
    expect(
      await exec('mounts', 'cat /scratch/sub/deep; stat -c %u:%g /scratch/file /vol/file'),
    ).toBe('deep\n33:33\n0:0');
    await exec('mounts', 'echo made inside >/scratch/made');
    await cp('mounts:/scratch/made', join(folder, 'made'));
    expect(await readFile(join(folder, 'made'), 'utf8')).toBe('made inside\n');
    await docker.ok(['rm', '-f', 'mounts']);
  });

  it('refuses with the words of Docker', async () => {
    await docker.ok(words('create --name refusing --read-only -v named:/ro:ro busybox'));
    const source = await tree('refused');
    const cases: readonly [string[], RegExp][] = [
      [['refusing:/nosuch', folder], /No such container:path: refusing:\/nosuch/],
      [
        [join(source, 'file'), 'refusing:/nosuch/dir/'],
        /Could not find the file|no such directory|No such container:path/,
      ],
      [
        [source, 'refusing:/etc/passwd'],
        /cannot copy directory|extraction point is not a directory/,
      ],
      [[join(source, 'file'), 'refusing:/ro/x'], /mounted volume is marked read-only/],
      [[join(source, 'file'), 'refusing:/tmp/x'], /container rootfs is marked read-only/],
      [['nobody:/etc', folder], /No such container:path: nobody:\/etc/],
      [[join(folder, 'nothing'), 'refusing:/tmp'], /no such file or directory/],
    ];
    for (const [args, expected] of cases) {
      const result = await docker(['cp', ...args]);
      expect(result.exitCode, args.join(' ')).toBe(1);
      expect(result.stderr, args.join(' ')).toMatch(expected);
    }
    await docker.ok(['rm', 'refusing']);
  });

  it('never follows a link of the container out of it', async () => {
    await docker.ok(words('run -d --name hostile busybox sleep 1000'));
    const target = await mkdtemp(join(folder, 'host-'));
    await exec(
      'hostile',
      `ln -s ${target} /escape; ln -s ../../../../../../../..${target} /relative; ln -s /proc/1/root/tmp /proc-way`,
    );
    for (const way of ['/escape', '/relative']) {
      const result = await docker(['cp', join(folder, 'made'), `hostile:${way}/planted`]);
      expect(result.exitCode).toBe(1);
    }
    await exec('hostile', `mkdir -p ${target}`);
    await cp(join(folder, 'made'), 'hostile:/escape/planted');
    expect(await exec('hostile', `cat ${target}/planted`)).toBe('made inside');
    await expect(stat(join(target, 'planted'))).rejects.toThrow('ENOENT');
    await docker.ok(['rm', '-f', 'hostile']);
  });
});

describe('docker diff, commit, export and import', () => {
  it('diff names what changed, commit keeps it with new settings', async () => {
    await docker.ok(words('run -d --name source busybox sleep 1000'));
    await exec('source', 'mkdir /opt; echo kept >/opt/kept; rm /etc/group; chmod 600 /etc/passwd');
    expect((await docker.ok(['diff', 'source'])).split('\n').toSorted()).toEqual([
      'A /opt',
      'A /opt/kept',
      'C /etc',
      'C /etc/passwd',
      'D /etc/group',
    ]);
    const changes = [
      'ENV A="b c"',
      'CMD ["cat", "/opt/kept"]',
      'WORKDIR /opt',
      'EXPOSE 80',
      'LABEL x=y',
    ];
    const id = await docker.ok([
      ...words('commit -a me -m changed'),
      ...changes.flatMap((change) => ['--change', change]),
      'source',
      'committed:v1',
    ]);
    expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await docker.ok(words('run --rm committed:v1'))).toBe('kept');
    expect(
      await docker.ok(
        words('run --rm committed:v1 sh -c', 'echo $A; pwd; ls /etc/group 2>&1; true'),
      ),
    ).toBe('b c\n/opt\nls: /etc/group: No such file or directory');
    expect(
      await docker.ok(
        words(
          'inspect -f',
          '{{.Author}}|{{.Comment}}|{{.Config.Labels.x}}|{{json .Config.ExposedPorts}}|{{len .RootFS.Layers}}',
          'committed:v1',
        ),
      ),
    ).toBe('me|changed|y|{"80/tcp":{}}|2');
    expect(await docker.ok(['history', '-q', 'committed:v1'])).toContain(id.slice(7, 19));
    await docker.ok(['rm', '-f', 'source']);
    await docker.ok(['rmi', 'committed:v1']);
  });

  it('export writes the tree, import makes an image of it', async () => {
    await docker.ok(
      words(
        'run --name exported -v /vol busybox sh -c',
        'echo x >/file; echo y >/vol/y; ln -s file /link; chown 33:33 /file',
      ),
    );
    const archive = join(folder, 'export.tar');
    await docker.ok(['export', '-o', archive, 'exported']);
    const list = await runOrThrow('tar', ['-tvf', archive], { maxOutputBytes: 4_000_000 });
    expect(list).toMatch(/^-rw-r--r-- 33\/33 .* file$|^-rw-r--r-- www-data\/www-data .* file$/m);
    expect(list).toMatch(/ link -> file$/m);
    expect(list).toMatch(/ vol\/$/m);
    expect(list).not.toMatch(/vol\/y/);
    const id = await docker.ok([
      'import',
      '--change',
      'CMD ["cat","/link"]',
      '-m',
      'taken in',
      archive,
      'imported',
    ]);
    expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await docker.ok(words('run --rm imported'))).toBe('x');
    const piped = await docker(words('import - piped:1'), { input: await readFile(archive) });
    expect(piped.exitCode).toBe(0);
    expect(await docker.ok(words('run --rm piped:1 cat /file'))).toBe('x');
    await docker.ok(words('rm -v exported'));
    await docker.ok(words('rmi imported piped:1'));
  });
});
