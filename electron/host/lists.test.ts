import { describe, expect, it } from 'vitest';
import type { ContainerSummary } from '../contract/container-channels.ts';
import { openPage, readUntil, until } from './testing/page.ts';

type ListItem =
  | { type: 'snapshot'; items: ContainerSummary[] }
  | { type: 'patch'; upserts: ContainerSummary[]; removed: string[] }
  | { type: 'offline'; message: string }
  | Uint8Array;

/** What a page does with a live list. */
class Mirror {
  readonly rows = new Map<string, ContainerSummary>();
  isOffline = false;

  apply(item: ListItem): void {
    if (item instanceof Uint8Array) {
      return;
    }
    this.isOffline = item.type === 'offline';
    if (item.type === 'snapshot') {
      this.rows.clear();
    }
    for (const row of item.type === 'snapshot'
      ? item.items
      : item.type === 'patch'
        ? item.upserts
        : []) {
      this.rows.set(row.id, row);
    }
    for (const id of item.type === 'patch' ? item.removed : []) {
      this.rows.delete(id);
    }
  }
}

describe('containers.list', () => {
  it('begins with everything and fills in the details', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({
        name: 'web',
        ports: [{ IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' }],
        labels: { 'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'web' },
      });
      engine.addContainer({
        name: 'done',
        state: 'exited',
        exitCode: 3,
        finishedAt: '2026-01-02T04:00:00Z',
      });
    });
    const mirror = new Mirror();
    const stream = page.client.open('containers.list', {});
    await readUntil(stream, (item) => {
      mirror.apply(item);
      const rows = [...mirror.rows.values()];
      return rows.length === 2 && rows.every((row) => row.startedAtMs !== undefined);
    });
    const [web, done] = [...mirror.rows.values()];
    expect(web).toMatchObject({
      name: 'web',
      state: 'running',
      startedAtMs: Date.parse('2026-01-02T03:04:05.123Z'),
      restartCount: 2,
      ports: [{ hostIp: '0.0.0.0', hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
      project: { name: 'shop', service: 'web' },
    });
    expect(done).toMatchObject({ state: 'exited', exitCode: 3 });
  });

  it('follows events with patches of the rows they name, without listing again', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ name: 'one' });
    });
    const mirror = new Mirror();
    const stream = page.client.open('containers.list', {});
    await readUntil(stream, (item) => {
      mirror.apply(item);
      return mirror.rows.size === 1;
    });
    const two = page.engine.addContainer({ name: 'two', state: 'created' });
    page.engine.emit('container', 'create', two.id);
    await readUntil(stream, (item) => {
      mirror.apply(item);
      return mirror.rows.get(two.id)?.state === 'created';
    });
    two.state = 'running';
    page.engine.emit('container', 'start', two.id);
    await readUntil(stream, (item) => {
      mirror.apply(item);
      return mirror.rows.get(two.id)?.state === 'running';
    });
    page.engine.containers.delete(two.id);
    page.engine.emit('container', 'destroy', two.id);
    await readUntil(stream, (item) => {
      mirror.apply(item);
      return mirror.rows.size === 1;
    });
    const lists = page.engine.requests.filter((line) => line === 'GET /containers/json');
    expect(lists).toHaveLength(1);
  });

  it('ends up right after a storm of events', async () => {
    await using page = await openPage((engine) => {
      for (let index = 0; index < 50; index += 1) {
        engine.addContainer({ name: `c${index}` });
      }
    });
    const mirror = new Mirror();
    const stream = page.client.open('containers.list', {});
    await readUntil(stream, (item) => {
      mirror.apply(item);
      return mirror.rows.size === 50;
    });
    const all = [...page.engine.containers.values()];
    for (let round = 0; round < 20; round += 1) {
      for (const container of all) {
        container.state = (round + container.name.length) % 2 === 0 ? 'exited' : 'running';
        page.engine.emit(
          'container',
          container.state === 'running' ? 'start' : 'die',
          container.id,
        );
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await readUntil(stream, (item) => {
      mirror.apply(item);
      return all.every((container) => mirror.rows.get(container.id)?.state === container.state);
    });
    expect(mirror.rows.size).toBe(50);
  });

  it('goes offline with the engine and comes back with what is true then', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ name: 'stays' });
    });
    const mirror = new Mirror();
    const stream = page.client.open('containers.list', {});
    const state = page.client.open('app.state', {});
    await readUntil(stream, (item) => {
      mirror.apply(item);
      return mirror.rows.size === 1;
    });
    await page.engine.stop();
    await readUntil(stream, (item) => {
      mirror.apply(item);
      return mirror.isOffline;
    });
    expect(mirror.rows.size).toBe(1);
    const lost = await readUntil(
      state,
      (item) => !(item instanceof Uint8Array) && item.engine.status === 'unreachable',
    );
    expect(lost).toMatchObject({ engine: { status: 'unreachable' } });
    page.engine.addContainer({ name: 'new' });
    await page.engine.start();
    await readUntil(stream, (item) => {
      mirror.apply(item);
      return mirror.rows.size === 2;
    });
    await readUntil(
      state,
      (item) => !(item instanceof Uint8Array) && item.engine.status === 'connected',
    );
    expect(page.engine.eventStreamCount).toBe(1);
  });
});

describe('images.list, volumes.list', () => {
  it('show who uses them, also after containers change', async () => {
    const imageId = `sha256:${'a'.repeat(64)}`;
    await using page = await openPage((engine) => {
      engine.addImage({ Id: imageId, RepoTags: ['busybox:latest'] });
      engine.addVolume('data');
    });
    const images = page.client.open('images.list', {});
    const volumes = page.client.open('volumes.list', {});
    await readUntil(
      images,
      (item) =>
        !(item instanceof Uint8Array) && item.type === 'snapshot' && item.items.length === 1,
    );
    const user = page.engine.addContainer({
      name: 'user',
      imageId,
      mounts: [{ Type: 'volume', Name: 'data', Source: '/x', Destination: '/data', RW: true }],
    });
    page.engine.emit('container', 'create', user.id);
    const expected = [{ id: user.id, name: 'user', isRunning: true }];
    const image = await readUntil(
      images,
      (item) =>
        !(item instanceof Uint8Array) &&
        item.type === 'patch' &&
        item.upserts[0]?.usedBy.length === 1,
    );
    expect(image).toMatchObject({ upserts: [{ id: imageId, usedBy: expected }] });
    const volume = await readUntil(
      volumes,
      (item) =>
        !(item instanceof Uint8Array) &&
        item.type === 'patch' &&
        item.upserts[0]?.usedBy.length === 1,
    );
    expect(volume).toMatchObject({
      upserts: [{ id: 'data', usedBy: [{ name: 'user', destination: '/data', isWritable: true }] }],
    });
  });

  it('moves a name from one image to another', async () => {
    await using page = await openPage((engine) => {
      engine.addImage({ RepoTags: ['app:latest'] });
    });
    const images = page.client.open('images.list', {});
    const rows = new Map<string, string[]>();
    const apply = (item: Awaited<ReturnType<typeof images.next>>): void => {
      if (item === undefined || item instanceof Uint8Array || item.type === 'offline') {
        return;
      }
      for (const row of item.type === 'snapshot' ? item.items : item.upserts) {
        rows.set(row.id, row.tags);
      }
    };
    await readUntil(images, (item) => {
      apply(item);
      return rows.size === 1;
    });
    for (const image of page.engine.images.values()) {
      image.RepoTags = [];
    }
    const pulled = page.engine.addImage({ RepoTags: ['app:latest'] });
    page.engine.emit('image', 'pull', 'app:latest');
    await readUntil(images, (item) => {
      apply(item);
      return rows.size === 2 && [...rows.values()].flat().length === 1;
    });
    expect(rows.get(pulled.Id)).toEqual(['app:latest']);
  });
});

describe('events.watch', () => {
  it('gives recent events to a page that comes later', async () => {
    await using page = await openPage();
    const first = page.client.open('events.watch', {});
    await until(() => page.engine.eventStreamCount > 0);
    page.engine.emit('container', 'start', 'x1', { name: 'web' });
    const item = await first.next();
    expect(item).toMatchObject({ events: [{ type: 'container', action: 'start', id: 'x1' }] });
    const later = await page.another().open('events.watch', {}).next();
    expect(later).toMatchObject({ events: [{ attributes: { name: 'web' } }] });
  });
});

describe('containers.bulk, projects.action', () => {
  it('reports each outcome and fails none for another', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'a'.repeat(64), name: 'running' });
      engine.addContainer({ id: 'b'.repeat(64), name: 'stopped', state: 'exited' });
    });
    const { results } = await page.client.call('containers.bulk', {
      ids: ['a'.repeat(64), 'b'.repeat(64), 'c'.repeat(64)],
      action: 'remove',
      force: false,
    });
    expect(results.map((result) => result.error?.code)).toEqual([
      'conflict',
      undefined,
      'not-found',
    ]);
    expect([...page.engine.containers.values()].map((it) => it.name)).toEqual(['running']);
  });

  it('starts a project in the order of its dependencies and stops it in reverse', async () => {
    const labels = (service: string, dependsOn: string): Record<string, string> => ({
      'com.docker.compose.project': 'shop',
      'com.docker.compose.service': service,
      'com.docker.compose.depends_on': dependsOn,
    });
    await using page = await openPage((engine) => {
      engine.addContainer({
        id: 'web',
        state: 'exited',
        labels: labels('web', 'db:service_started:true'),
      });
      engine.addContainer({ id: 'db', state: 'exited', labels: labels('db', '') });
      engine.addContainer({ id: 'other' });
    });
    const list = page.client.open('containers.list', {});
    await readUntil(list, (item) => !(item instanceof Uint8Array) && item.type === 'snapshot');
    const started = await page.client.call('projects.action', { project: 'shop', action: 'start' });
    expect(started.results.map((result) => result.id)).toEqual(['db', 'web']);
    const stopped = await page.client.call('projects.action', { project: 'shop', action: 'stop' });
    expect(stopped.results.map((result) => result.id)).toEqual(['web', 'db']);
  });
});
