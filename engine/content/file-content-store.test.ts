import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InvalidParameterError, NotFoundError } from '../base/errors.ts';
import { silentLogger } from '../base/logger.ts';
import type { Digest } from '../snapshots/contract.ts';
import { FileContentStore } from './file-content-store.ts';

let root: string;
let store: FileContentStore;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'content-'));
  store = await FileContentStore.open(root, silentLogger);
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

function digestOf(data: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}

async function readWhole(digest: Digest, offset = 0): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of store.read(digest, { offset })) {
    parts.push(part);
  }
  return Buffer.concat(parts);
}

describe('put', () => {
  it('stores bytes under their digest, once', async () => {
    const data = Buffer.from('hello');
    const digest = await store.put(data);
    expect(await store.put(data)).toBe(digest);
    expect(digest).toBe(digestOf(data));
    expect(await store.find(digest)).toEqual({ digest, sizeBytes: 5 });
    expect(Buffer.from(await store.readAll(digest)).toString()).toBe('hello');
    await store.sync();
    const all = await Array.fromAsync(store.list());
    expect(all).toEqual([{ digest, sizeBytes: 5 }]);
  });
});

describe('read', () => {
  it('starts at the offset', async () => {
    const digest = await store.put(Buffer.from('0123456789'));
    expect((await readWhole(digest, 4)).toString()).toBe('456789');
  });

  it('refuses a missing blob, a digest that is a path and a blob that is too large', async () => {
    const missing = digestOf(Buffer.from('nothing'));
    await expect(readWhole(missing)).rejects.toThrow(NotFoundError);
    await expect(store.readAll(missing)).rejects.toThrow(NotFoundError);
    expect(() => store.pathOf('sha256:../../etc/passwd')).toThrow(InvalidParameterError);
    const digest = await store.put(Buffer.alloc(100));
    await expect(store.readAll(digest, 99)).rejects.toThrow('more than the 99 allowed');
  });
});

describe('ingest', () => {
  it('publishes many chunks as one blob', async () => {
    const chunks = Array.from({ length: 50 }, (_unused, index) => Buffer.alloc(65_536, index));
    const whole = Buffer.concat(chunks);
    await using ingest = await store.ingest('layer');
    for (const chunk of chunks) {
      await ingest.write(chunk);
    }
    const digest = await ingest.commit({ digest: digestOf(whole), sizeBytes: whole.length });
    expect(Buffer.compare(await readWhole(digest), whole)).toBe(0);
    expect(await readdir(join(root, 'ingest'))).toEqual([]);
  });

  it('shows nothing and drops the bytes when the digest is wrong', async () => {
    const expected = digestOf(Buffer.from('good'));
    await using ingest = await store.ingest('layer');
    await ingest.write(Buffer.from('evil'));
    await expect(ingest.commit({ digest: expected })).rejects.toThrow('verification failed');
    expect(await Array.fromAsync(store.list())).toEqual([]);
    expect(ingest.offset).toBe(0);
    await ingest.write(Buffer.from('good'));
    expect(await ingest.commit({ digest: expected, sizeBytes: 4 })).toBe(expected);
  });

  it('refuses a wrong size', async () => {
    await using ingest = await store.ingest('layer');
    await ingest.write(Buffer.from('abc'));
    await expect(ingest.commit({ sizeBytes: 4 })).rejects.toThrow('3 bytes instead of 4');
  });

  it('keeps the bytes of an unfinished one, also for a new store', async () => {
    {
      await using first = await store.ingest('layer');
      await first.write(Buffer.from('half '));
    }
    const later = await FileContentStore.open(root, silentLogger);
    await using second = await later.ingest('layer');
    expect(second.offset).toBe(5);
    await second.write(Buffer.from('whole'));
    expect(await second.commit({})).toBe(digestOf(Buffer.from('half whole')));
  });

  it('has one holder at a time', async () => {
    const first = await store.ingest('layer');
    let isSecondHere = false;
    const second = store.ingest('layer').then((ingest) => {
      isSecondHere = true;
      return ingest;
    });
    await first.write(Buffer.from('x'));
    expect(isSecondHere).toBe(false);
    await first[Symbol.asyncDispose]();
    expect((await second).offset).toBe(1);
    await (await second)[Symbol.asyncDispose]();
  });

  it('is dropped by a sweep unless somebody holds it', async () => {
    {
      await using ingest = await store.ingest('left');
      await ingest.write(Buffer.from('left'));
    }
    await using held = await store.ingest('held');
    await held.write(Buffer.from('held'));
    expect(await store.sweepIngests()).toBe(4);
    expect(await held.commit({})).toBe(digestOf(Buffer.from('held')));
  });

  it('is forgotten after a day', async () => {
    {
      await using ingest = await store.ingest('old');
      await ingest.write(Buffer.from('old bytes'));
    }
    const [name = ''] = await readdir(join(root, 'ingest'));
    const longAgo = new Date(Date.now() - 25 * 3600 * 1000);
    await utimes(join(root, 'ingest', name), longAgo, longAgo);
    await FileContentStore.open(root, silentLogger);
    expect(await readdir(join(root, 'ingest'))).toEqual([]);
  });
});

describe('crash', () => {
  it('killed while writing, only whole blobs are visible and the rest resumes', async () => {
    const script = `
      import { FileContentStore } from ${JSON.stringify(fileURLToPath(new URL('./file-content-store.ts', import.meta.url)))};
      const log = { info() {}, warn() {}, error() {}, debug() {}, child() { return log; } };
      const store = await FileContentStore.open(${JSON.stringify(root)}, log);
      for (let round = 0; ; round += 1) {
        const ingest = await store.ingest('blob ' + round);
        for (let index = 0; index < 40; index += 1) {
          await ingest.write(Buffer.alloc(65536, round));
        }
        await ingest.commit({});
        process.stdout.write('.');
      }`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'close');

    store = await FileContentStore.open(root, silentLogger);
    const blobs = await Array.fromAsync(store.list());
    expect(blobs.length).toBeGreaterThan(0);
    for (const blob of blobs) {
      expect(blob.sizeBytes).toBe(40 * 65_536);
      expect(digestOf(await readWhole(blob.digest))).toBe(blob.digest);
    }
    for (const round of blobs.keys()) {
      await using ingest = await store.ingest(`blob ${round}`);
      expect(ingest.offset).toBeLessThanOrEqual(40 * 65_536);
    }
  });
});
