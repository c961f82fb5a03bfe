import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SystemError } from '../base/errors.ts';
import { silentLogger } from '../base/logger.ts';
import { runOrThrow } from '../base/node/run.ts';
import { FileContentStore } from './file-content-store.ts';

const DISK_BYTES = 8 * 1024 * 1024;

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'content-full-'));
  await runOrThrow('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', root]);
});

afterEach(async () => {
  await runOrThrow('umount', [root]);
  await rm(root, { recursive: true });
});

async function fill(store: FileContentStore, ref: string, sizeBytes: number): Promise<void> {
  await using ingest = await store.ingest(ref);
  const chunk = Buffer.alloc(256 * 1024, 1);
  try {
    for (let offset = 0; offset < sizeBytes; offset += chunk.length) {
      await ingest.write(chunk);
    }
    await ingest.commit({});
  } catch (error) {
    await ingest.reset();
    throw error;
  }
}

describe('a full disk', () => {
  it('is a clear error, shows nothing half done, and is over when there is room', async () => {
    const store = await FileContentStore.open(root, silentLogger);
    const small = await store.put(Buffer.from('kept'));
    const failure = await fill(store, 'large', 2 * DISK_BYTES).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(SystemError);
    expect(String(failure)).toContain('no space left on device');
    expect(await Array.fromAsync(store.list())).toEqual([{ digest: small, sizeBytes: 4 }]);
    await fill(store, 'fits', DISK_BYTES / 2);
    expect(await Array.fromAsync(store.list())).toHaveLength(2);
    await store.sync();
  });
});
