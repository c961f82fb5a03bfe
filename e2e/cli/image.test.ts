import { createHash } from 'node:crypto';
import { mkdtemp, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runOrThrow } from '../../engine/base/node/run.ts';
import type { Docker } from '../fixtures/docker.ts';
import { startEngine, type TestEngine } from '../fixtures/engine.ts';
import { webArchive } from '../fixtures/images.ts';
import { startRegistry, type TestRegistry } from '../fixtures/registry.ts';
import { waitFor } from '../fixtures/wait.ts';
import { clearEngine } from './leftovers.ts';
import { openSession, words } from './session.ts';

let engine: TestEngine;
let docker: Docker;
let registry: TestRegistry;
let folder: string;

beforeAll(async () => {
  [engine, registry] = await Promise.all([startEngine(), startRegistry()]);
  docker = engine.docker;
  folder = await mkdtemp(join(engine.folder, 'images-'));
  await docker.ok(['load', '-qi', await webArchive()]);
});
beforeEach(({ onTestFailed }) => {
  onTestFailed(async () => {
    await clearEngine(engine);
  });
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
  await registry?.[Symbol.asyncDispose]();
});

async function images(...flags: string[]): Promise<string[]> {
  const text = await docker.ok(['images', '--format', '{{.Repository}}:{{.Tag}}', ...flags]);
  return text.split('\n').filter(Boolean).toSorted();
}

async function idOf(reference: string): Promise<string> {
  return await docker.ok(words('inspect --type image -f {{.Id}}', reference));
}

describe('registries', () => {
  it('push, pull by tag, by digest and all tags', async () => {
    const name = `${registry.host}/team/web`;
    const id = await idOf('web');
    for (const tag of ['1', '2']) {
      await docker.ok(['tag', 'web', `${name}:${tag}`]);
    }
    const pushed = await docker.ok(['push', `${name}:1`]);
    const digest = /^1: digest: (sha256:[0-9a-f]{64}) size: \d+$/m.exec(pushed)?.[1] ?? '';
    expect(digest).not.toBe('');
    expect(pushed).toContain('Pushed');
    expect(await docker.ok(['push', `${name}:2`])).toContain('Layer already exists');
    expect(
      await docker.ok(words('images -q --no-trunc --digests --format {{.Digest}}', name)),
    ).toContain(digest);
    await docker.ok(['rmi', `${name}:1`, `${name}:2`, 'web']);
    expect((await docker(['inspect', id])).exitCode).toBe(1);
    const pulled = await docker.ok(['pull', `${name}:1`]);
    expect(pulled).toContain('Pull complete');
    expect(pulled).toContain(
      `Digest: ${digest}\nStatus: Downloaded newer image for ${name}:1\n${name}:1`,
    );
    expect(await docker.ok(['pull', `${name}:1`])).toContain('Status: Image is up to date');
    expect(await idOf(`${name}:1`)).toBe(id);
    expect(await docker.ok(['run', '--rm', `${name}:1`, 'cat', '/www/index.html'])).toBe(
      'Hello from Gantry',
    );
    await docker.ok(['rmi', `${name}:1`]);
    expect(await docker.ok(['pull', '-q', `${name}@${digest}`])).toBe(`${name}@${digest}`);
    expect(await idOf(`${name}@${digest}`)).toBe(id);
    expect(await images()).toContain(`${name}:<none>`);
    await docker.ok(['pull', '-q', '-a', name]);
    expect(await images(name)).toEqual([`${name}:1`, `${name}:2`]);
    expect(await docker.ok(words('inspect -f', '{{index .RepoDigests 0}}', `${name}:1`))).toBe(
      `${name}@${digest}`,
    );
    await docker.ok(['tag', `${name}:1`, 'web']);
    await docker.ok(['rmi', `${name}:1`, `${name}:2`]);
  });

  it('names what is not there', async () => {
    const missing = await docker(['pull', `${registry.host}/nosuch`]);
    expect(missing.exitCode).toBe(1);
    expect(missing.stderr).toContain(
      `manifest for ${registry.host}/nosuch:latest not found: manifest unknown: manifest unknown`,
    );
    const tag = await docker(['push', 'nothere']);
    expect(tag.stderr).toContain('An image does not exist locally with the tag: nothere');
    const closed = await docker(['pull', '127.0.0.1:1/closed']);
    expect(closed.exitCode).toBe(1);
    expect(closed.stderr).toMatch(/127\.0\.0\.1:1.*connection refused/);
    expect((await docker(['pull', 'UPPER/case'])).stderr).toMatch(
      /invalid reference format|repository name must be lowercase/,
    );
  });

  it('chooses from a list of platforms', async () => {
    const name = `${registry.host}/multi`;
    const base = `http://${registry.host}/v2/multi`;
    const own = process.arch === 'x64' ? 'amd64' : process.arch;
    await docker.ok(['tag', 'web', `${name}:own`]);
    await docker.ok(['push', `${name}:own`]);
    await docker.ok(['rmi', `${name}:own`]);
    const type = 'application/vnd.docker.distribution.manifest.v2+json';
    const answer = await fetch(`${base}/manifests/own`, { headers: { accept: type } });
    const manifest = Buffer.from(await answer.arrayBuffer());
    const digest = `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
    const listType = 'application/vnd.docker.distribution.manifest.list.v2+json';
    const other = `sha256:${'0'.repeat(64)}`;
    const list = JSON.stringify({
      schemaVersion: 2,
      mediaType: listType,
      manifests: [
        {
          mediaType: type,
          digest: other,
          size: 9,
          platform: { os: 'linux', architecture: 's390x' },
        },
        {
          mediaType: type,
          digest,
          size: manifest.length,
          platform: { os: 'linux', architecture: own },
        },
      ].slice(1),
    });
    const put = await fetch(`${base}/manifests/latest`, {
      method: 'PUT',
      headers: { 'content-type': listType },
      body: list,
    });
    expect(put.status).toBe(201);
    await docker.ok(['pull', name]);
    expect(await docker.ok(words('inspect -f', '{{.Os}}/{{.Architecture}}', name))).toBe(
      `linux/${own}`,
    );
    const wrong = await docker(['pull', '--platform', 'linux/s390x', name]);
    expect(wrong.exitCode).toBe(1);
    expect(wrong.stderr).toMatch(/no matching manifest for linux\/s390x/);
    await docker.ok(['rmi', name]);
  });

  it('a registry killed in the middle of a pull leaves nothing half, and the next pull completes', async () => {
    const name = `${registry.host}/big`;
    await docker.ok(
      words(
        'run --name big busybox sh -c',
        'for i in 1 2 3; do head -c 8000000 /dev/urandom >/big$i; done',
      ),
    );
    await docker.ok(['commit', 'big', name]);
    await docker.ok(['rm', 'big']);
    await docker.ok(['push', name]);
    const id = await idOf(name);
    await docker.ok(['rmi', name]);
    await using pulling = openSession(docker, ['pull', name]);
    await pulling.sees('Pulling fs layer');
    await registry.kill();
    // The pull goes on by itself when the registry is back soon, or has failed, or was quicker than the kill.
    const ended = pulling.exited();
    await waitFor('the pull to notice', async () => {
      const isOver = await Promise.race([ended.then(() => true), Promise.resolve(false)]);
      return isOver || pulling.stdout.includes('Retrying');
    });
    await registry.start();
    if ((await ended) !== 0) {
      expect(await images(name)).toEqual([]);
    }
    await docker.ok(['pull', name]);
    expect(await idOf(name)).toBe(id);
    expect(
      await docker.ok(['run', '--rm', name, 'sh', '-c', 'cat /big1 /big2 /big3 | wc -c']),
    ).toBe('24000000');
    await docker.ok(['rmi', name]);
    // Cancelled by the client, then asked for again by two at once.
    await using cancelled = openSession(docker, ['pull', name]);
    await cancelled.sees('Pulling fs layer');
    cancelled.kill('SIGKILL');
    await cancelled.exited();
    await Promise.all([docker.ok(['pull', name]), docker.ok(['pull', name])]);
    expect(await idOf(name)).toBe(id);
    await docker.ok(['rmi', name]);
  });
});

describe('tags and removal', () => {
  it('follow the rules of untagging and deleting', async () => {
    const id = await idOf('busybox');
    await docker.ok(words('tag busybox other:1'));
    await docker.ok(words('tag busybox other:2'));
    expect(await images('other')).toEqual(['other:1', 'other:2']);
    expect(await docker.ok(words('rmi other:1'))).toBe('Untagged: other:1');
    const several = await docker(['rmi', id.slice(7, 19)]);
    expect(several.exitCode).toBe(1);
    expect(several.stderr).toContain(
      '(must be forced) - image is referenced in multiple repositories',
    );
    await docker.ok(words('create --name user busybox'));
    const used = await docker(words('rmi busybox other:2'));
    expect(used.stdout + used.stderr).toMatch(/Untagged: busybox:latest/);
    expect(used.stderr).toMatch(
      /conflict: unable to remove repository reference "other:2" \(must force\) - container [0-9a-f]{12} is using its referenced image [0-9a-f]{12}/,
    );
    await docker.ok(words('tag other:2 busybox'));
    await docker.ok(words('run -d --name runner busybox sleep 1000'));
    const running = await docker(['rmi', '-f', id]);
    expect(running.stderr).toMatch(
      /conflict: unable to delete [0-9a-f]{12} \(cannot be forced\) - image is being used by running container [0-9a-f]{12}/,
    );
    await docker.ok(words('rm -f runner user'));
    await docker.ok(words('rmi other:2'));
    expect((await docker(words('rmi nosuch'))).stderr).toContain('No such image: nosuch');
    expect((await docker(words('tag busybox UPPER'))).stderr).toMatch(
      /invalid reference format|not a valid repository/,
    );
  });

  it('filters, history and prune', async () => {
    await docker.ok(words('run --name source busybox touch /x'));
    await docker.ok(words('commit -m first source derived:1'));
    await docker.ok(words('commit -c', 'LABEL kind=test', 'source', 'derived:1'));
    await docker.ok(words('rm source'));
    expect((await docker.ok(words('images -q -f dangling=true'))).split('\n').length).toBe(1);
    expect(await images('-f', 'label=kind=test')).toEqual(['derived:1']);
    expect(await images('-f', 'reference=deri*')).toEqual(['derived:1']);
    expect(await images('-f', 'since=busybox', '-f', 'dangling=false')).toEqual(['derived:1']);
    const history = await docker.ok(
      words('history --no-trunc --format', '{{.CreatedBy}}|{{.Comment}}', 'derived:1'),
    );
    expect(history.split('\n')[0]).toBe('touch /x|');
    expect(history.split('\n')).toHaveLength(2);
    const pruned = await docker.ok(words('image prune -f'));
    expect(pruned).toMatch(
      /^Deleted Images:\ndeleted: sha256:[0-9a-f]{64}[^]*Total reclaimed space: /,
    );
    expect(await images('-f', 'dangling=true')).toEqual([]);
    expect(await images('derived')).toEqual(['derived:1']);
    expect(await docker.ok(words('image prune -af --filter label=kind'))).toContain(
      'untagged: derived:1',
    );
    expect(await images('derived')).toEqual([]);
  });
});

describe('archives', () => {
  it('save and load carry several images, tags and layers', async () => {
    await docker.ok(words('tag web copy:1'));
    const id = await idOf('web');
    const archive = join(folder, 'saved.tar');
    await docker.ok(['save', '-o', archive, 'web', 'copy:1', 'busybox']);
    const list = await runOrThrow('tar', ['-tf', archive]);
    for (const name of ['manifest.json', 'index.json', 'oci-layout', 'repositories']) {
      expect(list).toContain(name);
    }
    await docker.ok(['rmi', 'web', 'copy:1', 'busybox']);
    expect(await images()).toEqual([]);
    expect((await docker.ok(['load', '-i', archive])).split('\n').toSorted()).toEqual([
      'Loaded image: busybox:latest',
      'Loaded image: copy:1',
      'Loaded image: web:latest',
    ]);
    expect(await idOf('web')).toBe(id);
    expect(await docker.ok(words('run --rm web cat index.html'))).toBe('Hello from Gantry');
    const piped = await docker(['load'], { input: await readFile(archive) });
    expect(piped.stdout).toContain('Loaded image: web:latest');
    const gzip = join(folder, 'saved.tar.gz');
    await runOrThrow('sh', ['-c', `gzip -1 <${archive} >${gzip}`]);
    expect(await docker.ok(['load', '-i', gzip])).toContain('Loaded image: copy:1');
    expect((await stat(archive)).size).toBeGreaterThan(1_000_000);
    await docker.ok(['save', '-o', join(folder, 'by-id.tar'), id]);
    await docker.ok(['rmi', '-f', id]);
    expect(await docker.ok(['load', '-i', join(folder, 'by-id.tar')])).toContain(
      `Loaded image ID: ${id}`,
    );
    const broken = await docker(['load'], { input: 'this is no archive' });
    expect(broken.exitCode).toBe(1);
    expect((await docker(words('save nosuch'))).stderr).toMatch(
      /No such image: nosuch|reference does not exist/,
    );
    await waitFor('no leftovers', async () => (await images()).length > 0);
  });
});
