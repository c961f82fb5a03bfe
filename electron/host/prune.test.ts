import { describe, expect, it } from 'vitest';
import type { DiskKind, PruneItem } from '../contract/storage-channels.ts';
import { openPage, type TestPage } from './testing/page.ts';

const ALL: DiskKind[] = ['containers', 'images', 'volumes', 'networks', 'buildCache'];

function fill(page: Pick<TestPage, 'engine'>): void {
  const { engine } = page;
  engine.addImage({ Id: 'sha256:used', RepoTags: ['used:1'], Size: 10 });
  engine.addImage({ Id: 'sha256:two', RepoTags: ['two:1', 'two:2'], Size: 3000, SharedSize: 1000 });
  engine.addImage({ Id: 'sha256:dangling', RepoTags: ['<none>:<none>'], Size: 70 });
  engine.addContainer({ id: 'up', name: 'up', imageId: 'sha256:used' });
  engine.addContainer({
    id: 'ended',
    name: 'ended',
    imageId: 'sha256:used',
    state: 'exited',
    finishedAt: '2026-01-01T00:00:00Z',
  });
  engine.addVolume('named');
  engine.addVolume('f'.repeat(64));
  engine.networks.set('app', { Id: 'app-id', Name: 'app', Driver: 'bridge' });
}

async function pruneAll(page: TestPage, items: PruneItem[]) {
  return await Array.fromAsync(page.client.open('disk.prune', { items }));
}

describe('disk.preview', () => {
  it('lists only the safe things by default', async () => {
    await using page = await openPage((engine) => fill({ engine }));
    const { items, totalBytes } = await page.client.call('disk.preview', { kinds: ALL });
    expect(items.map((item) => `${item.kind} ${item.id}`).sort()).toEqual([
      'containers ended',
      'images sha256:dangling',
      'networks app-id',
      `volumes ${'f'.repeat(64)}`,
    ]);
    expect(totalBytes).toBe(100 + 70 + 500);
    expect(items.find((item) => item.kind === 'containers')?.reason).toMatch(
      /^ended \d+ days ago$/,
    );
  });

  it('includes named volumes and unused images on request, shared bytes not counted', async () => {
    await using page = await openPage((engine) => fill({ engine }));
    const { items } = await page.client.call('disk.preview', {
      kinds: ['images', 'volumes'],
      allImages: true,
      allVolumes: true,
    });
    expect(items.map((item) => item.id).sort()).toEqual([
      'f'.repeat(64),
      'named',
      'sha256:dangling',
      'sha256:two',
    ]);
    expect(items.find((item) => item.id === 'sha256:two')?.bytes).toBe(2000);
  });

  it('includes what only containers in the list use, and leaves it when they are unticked', async () => {
    await using page = await openPage((engine) => {
      engine.addImage({ Id: 'sha256:app', RepoTags: ['app:1'] });
      engine.addVolume('data');
      engine.addContainer({
        id: 'ended',
        imageId: 'sha256:app',
        state: 'exited',
        mounts: [{ Type: 'volume', Name: 'data', Source: '/v', Destination: '/d', RW: true }],
      });
    });
    const options = { allImages: true, allVolumes: true };
    const kinds: DiskKind[] = ['images', 'volumes'];
    const without = await page.client.call('disk.preview', { kinds, ...options });
    expect(without.items).toEqual([]);
    const { items } = await page.client.call('disk.preview', {
      kinds: ['containers', ...kinds],
      ...options,
    });
    expect(items.map((item) => item.id)).toEqual(['ended', 'sha256:app', 'data']);
    await pruneAll(page, items.slice(1));
    expect(page.engine.images.size).toBe(1);
    expect(page.engine.volumes.size).toBe(1);
    await pruneAll(page, items);
    expect(page.engine.images.size).toBe(0);
    expect(page.engine.volumes.size).toBe(0);
  });

  it('leaves out what is too young', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'old', state: 'exited', finishedAt: '2026-01-01T00:00:00Z' });
      engine.addContainer({ id: 'new', state: 'exited', finishedAt: new Date().toISOString() });
    });
    const { items } = await page.client.call('disk.preview', {
      kinds: ['containers'],
      olderThanSec: 3600,
    });
    expect(items.map((item) => item.id)).toEqual(['old']);
  });

  it('changes nothing', async () => {
    await using page = await openPage((engine) => fill({ engine }));
    await page.client.call('disk.preview', { kinds: ALL, allImages: true, allVolumes: true });
    expect(page.engine.requests.filter((line) => !line.startsWith('GET'))).toEqual([]);
  });
});

describe('disk.prune', () => {
  it('removes exactly the items given', async () => {
    await using page = await openPage((engine) => fill({ engine }));
    const preview = await page.client.call('disk.preview', { kinds: ALL, allImages: true });
    const chosen = preview.items.filter((item) => item.kind !== 'networks');
    const results = await pruneAll(page, chosen);
    expect(results.at(-1)).toEqual({
      type: 'summary',
      removedCount: 4,
      failedCount: 0,
      freedBytes: chosen.reduce((sum, item) => sum + item.bytes, 0),
    });
    expect([...page.engine.containers.keys()]).toEqual(['up']);
    expect([...page.engine.images.keys()]).toEqual(['sha256:used']);
    expect([...page.engine.volumes.keys()]).toEqual(['named']);
    expect(page.engine.networks.has('app')).toBe(true);
  });

  it('spares what came into use since the preview, and says so', async () => {
    await using page = await openPage((engine) => fill({ engine }));
    const { items } = await page.client.call('disk.preview', {
      kinds: ALL,
      allImages: true,
      allVolumes: true,
    });
    const ended = page.engine.containers.get('ended');
    if (ended !== undefined) {
      ended.state = 'running';
    }
    page.engine.addContainer({
      id: 'late',
      name: 'late',
      imageId: 'sha256:two',
      mounts: [{ Type: 'volume', Name: 'named', Source: '/v', Destination: '/d', RW: true }],
      networks: { app: { NetworkID: 'app-id', IPAddress: '' } },
    });
    const results = await pruneAll(page, items);
    const failed = results.flatMap((item) =>
      !(item instanceof Uint8Array) && item.type === 'result' && item.error !== undefined
        ? [`${item.id} ${item.error.code}`]
        : [],
    );
    expect(failed.sort()).toEqual([
      'app-id conflict',
      'ended conflict',
      'named conflict',
      'sha256:two conflict',
    ]);
    expect(page.engine.images.get('sha256:two')?.RepoTags).toEqual(['two:1', 'two:2']);
    expect(page.engine.volumes.has('named')).toBe(true);
    expect(page.engine.containers.has('ended')).toBe(true);
  });

  it('puts the names of an image back when a container takes it in the middle', async () => {
    await using page = await openPage((engine) => fill({ engine }));
    const { items } = await page.client.call('disk.preview', {
      kinds: ['images'],
      allImages: true,
    });
    page.engine.beforeDelete = (path) => {
      if (path === '/images/two:2') {
        page.engine.addContainer({ id: 'racer', imageId: 'sha256:two' });
      }
    };
    await pruneAll(page, items);
    const two = page.engine.images.get('sha256:two');
    expect([...(two?.RepoTags ?? [])].sort()).toEqual(['two:1', 'two:2']);
  });

  it('stops before the next item when the page leaves', async () => {
    await using page = await openPage((engine) => {
      for (let index = 0; index < 500; index += 1) {
        engine.addVolume(`${index}`.padStart(64, 'a'));
      }
    });
    const { items } = await page.client.call('disk.preview', { kinds: ['volumes'] });
    expect(items).toHaveLength(500);
    const stream = page.client.open('disk.prune', { items });
    await stream.next();
    stream.close();
    // Another call goes through the same connection and host, so the stop has been seen by then.
    await page.client.call('settings.get', {});
    expect(page.engine.volumes.size).toBeGreaterThan(0);
  });
});

describe('disk.usage', () => {
  it('has parts that do not overlap', async () => {
    await using page = await openPage((engine) => fill({ engine }));
    const usage = await page.client.call('disk.usage', {});
    expect(usage.images).toMatchObject({ count: 3, inUseCount: 1, totalBytes: 3080 });
    expect(usage.images.reclaimableBytes).toBe(2070);
    expect(usage.containers).toMatchObject({ count: 2, totalBytes: 200, reclaimableBytes: 100 });
    expect(usage.volumes).toMatchObject({ count: 2, totalBytes: 1000, reclaimableBytes: 1000 });
    expect(usage.logs.isKnown).toBe(true);
  });
});
