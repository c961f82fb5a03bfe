import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConflictError, NotFoundError } from '../base/errors.ts';
import type { Digest } from '../snapshots/contract.ts';
import { chainIdsOf } from './image-config.ts';
import { parsePlatform } from './platform.ts';
import { parseReference } from './reference.ts';
import type { FakeSnapshotter } from './testing/fake-snapshotter.ts';
import { ImageHarness, type SampleImage, sampleImage, tarOf } from './testing/image-harness.ts';

let harness: ImageHarness;

beforeEach(async () => {
  harness = await ImageHarness.open();
});

afterEach(async () => {
  await harness[Symbol.asyncDispose]();
});

const FORCE = { isForced: true, hasPrune: true };
const PLAIN = { isForced: false, hasPrune: true };

function other(text: string, created?: string): SampleImage {
  return sampleImage({
    layers: [tarOf({ text })],
    ...(created === undefined ? {} : { created }),
  });
}

function filters(values: Readonly<Record<string, readonly string[]>>) {
  return new Map(Object.entries(values));
}

async function tagsOf(values: Readonly<Record<string, readonly string[]>> = {}): Promise<string[]> {
  const list = await harness.service.list({ filters: filters(values) });
  return list.flatMap((image) => (image.RepoTags.length === 0 ? [image.Id] : image.RepoTags));
}

function use(id: Digest, isRunning: boolean, containerId = 'c'.repeat(64)): void {
  harness.users.push({ containerId, imageId: id, isRunning });
}

/** An image made from a container over `parent`, as commit does it. */
async function commit(parent: Digest, name: string, tag?: string): Promise<Digest> {
  const base = harness.service.get(parent);
  const snapshots = harness.snapshots as FakeSnapshotter;
  await snapshots.createWritable(name, base?.chainId);
  await using lease = harness.service.lease();
  const layer = await lease.commitWritable(name);
  await snapshots.removeWritable(name);
  const created = new Date(Date.parse('2024-06-01T00:00:00Z')).toISOString();
  const image = await harness.service.createImage({
    lease,
    chainId: layer.chainId,
    parent,
    config: {
      architecture: 'amd64',
      os: 'linux',
      created,
      config: { Cmd: [name] },
      history: [...(base?.config.history ?? []), { created, created_by: name }],
    },
    ...(tag === undefined ? {} : { references: [parseReference(tag)] }),
    eventAction: 'commit',
  });
  return image.id;
}

describe('resolve', () => {
  it('finds by name, id, id prefix and default tag', async () => {
    const id = await harness.add(sampleImage(), 'app:latest');
    for (const ref of [
      'app',
      'app:latest',
      'docker.io/library/app',
      id,
      id.slice(7),
      id.slice(0, 20),
      id.slice(7, 19),
    ]) {
      expect((await harness.service.resolve(ref)).id).toBe(id);
    }
  });

  it('says what is missing as Docker does', async () => {
    const missing = async (ref: string): Promise<unknown> =>
      await harness.service.resolve(ref).catch((error: unknown) => error);
    expect(await missing('nope')).toEqual(new NotFoundError('No such image: nope:latest'));
    expect(await missing('host.io/a:b')).toEqual(new NotFoundError('No such image: host.io/a:b'));
    const id = 'f'.repeat(64);
    expect(await missing(id)).toEqual(new NotFoundError(`No such image: sha256:${id}`));
    await expect(harness.service.resolve('Bad Name')).rejects.toThrow('invalid reference format');
    await harness.add(sampleImage(), 'app');
    await expect(
      harness.service.resolve('app', { platform: parsePlatform('linux/arm64') }),
    ).rejects.toThrow('does not match the specified platform (linux/arm64)');
  });
});

describe('list', () => {
  it('sorts by age and filters', async () => {
    const oldId = await harness.add(other('old', '2020-01-01T00:00:00Z'), 'old:1', 'alias:1');
    const midId = await harness.add(other('mid', '2022-01-01T00:00:00Z'), 'mid:1');
    const newId = await harness.add(other('new', '2024-01-01T00:00:00Z'));
    expect(await tagsOf()).toEqual([newId, 'mid:1', 'alias:1', 'old:1']);
    expect(await tagsOf({ before: ['mid:1'] })).toEqual(['alias:1', 'old:1']);
    expect(await tagsOf({ since: ['mid:1'] })).toEqual([newId]);
    expect(await tagsOf({ until: ['2021-01-01'] })).toEqual(['alias:1', 'old:1']);
    expect(await tagsOf({ dangling: ['true'] })).toEqual([newId]);
    expect(await tagsOf({ dangling: ['false'] })).toEqual(['mid:1', 'alias:1', 'old:1']);
    expect(await tagsOf({ reference: ['a*'] })).toEqual(['alias:1']);
    expect(await tagsOf({ label: ['color=red'] })).toHaveLength(4);
    expect(await tagsOf({ label: ['color=blue'] })).toEqual([]);
    await expect(tagsOf({ nonsense: ['1'] })).rejects.toThrow("invalid filter 'nonsense'");
    await expect(tagsOf({ dangling: ['maybe'] })).rejects.toThrow(
      "invalid filter 'dangling=[maybe]'",
    );
    expect([oldId, midId]).toHaveLength(2);
  });

  it('counts shared layers and containers', async () => {
    const base = tarOf({ base: 'x'.repeat(2000) });
    const first = await harness.add(sampleImage({ layers: [base] }), 'one');
    await harness.add(sampleImage({ layers: [base, tarOf({ more: '1' })] }), 'two');
    use(first, false);
    const list = await harness.service.list({ filters: new Map(), hasSharedSize: true });
    const byTag = new Map(list.map((image) => [image.RepoTags[0], image]));
    const [one, two] = [byTag.get('one:latest'), byTag.get('two:latest')];
    // Unpacked and as it came.
    expect(one?.SharedSize).toBe(2 * base.length);
    expect(one).toMatchObject({ Containers: 1, Labels: { color: 'red' } });
    expect(two?.SharedSize).toBe(2 * base.length);
    const usage = await harness.service.usage();
    expect(usage.layersBytes).toBe(base.length + tarOf({ more: '1' }).length);
    expect(usage.totalBytes).toBe((one?.Size ?? 0) + (two?.Size ?? 0) - 2 * base.length);
    expect(usage).toMatchObject({ totalCount: 2, activeCount: 1 });
  });

  it('hides parents without a name unless all are wanted', async () => {
    const base = await harness.add(sampleImage(), 'base');
    const middle = await commit(base, 'middle');
    await commit(middle, 'top', 'top:1');
    expect(await tagsOf()).toEqual(['top:1', 'base:latest']);
    const all = await harness.service.list({ filters: new Map(), hasIntermediate: true });
    expect(all).toHaveLength(3);
    expect(harness.service.childrenOf(base).map((image) => image.id)).toEqual([middle]);
  });
});

describe('inspect and history', () => {
  it('give the wire form', async () => {
    const image = sampleImage();
    await harness.add(image, 'app:v1');
    const info = await harness.service.inspect('app:v1');
    expect(info).toMatchObject({
      Id: image.id,
      RepoTags: ['app:v1'],
      RepoDigests: [],
      Parent: '',
      Created: '2024-01-02T03:04:05Z',
      Config: { Cmd: ['sh'], Labels: { color: 'red' } },
      Architecture: 'amd64',
      Os: 'linux',
      RootFS: { Type: 'layers', Layers: image.diffIds },
      GraphDriver: { Name: 'overlay2' },
      Metadata: { LastTagTime: '0001-01-01T00:00:00Z' },
    });
    const layerBytes = image.tars.reduce((sum, tar) => sum + tar.length, 0);
    expect(info.Size).toBe(2 * layerBytes + image.configBytes.length);
    expect((await harness.service.resolve('app:v1')).sizeBytes).toBe(layerBytes);
    expect((await harness.service.usage()).totalBytes).toBe(info.Size);
    const history = await harness.service.history('app:v1');
    expect(history.map((item) => [item.Id, item.CreatedBy, item.Tags])).toEqual([
      [image.id, 'step 1', ['app:v1']],
      ['<missing>', 'step 0', null],
    ]);
    expect(history[0]?.Size).toBe(image.tars[1]?.length);
  });
});

describe('tag', () => {
  it('adds and moves names', async () => {
    const first = await harness.add(sampleImage(), 'app:1');
    const second = await harness.add(other('second'), 'app:2');
    await harness.service.tag('app:1', { repo: 'moved', tag: 'x' });
    expect((await harness.service.resolve('moved:x')).id).toBe(first);
    await harness.service.tag('app:2', { repo: 'moved', tag: 'x' });
    expect((await harness.service.resolve('moved:x')).id).toBe(second);
    expect(harness.eventLines().slice(-2)).toEqual([`tag ${first}`, `tag ${second}`]);
    expect((await harness.service.inspect('app:1')).Metadata.LastTagTime).toMatch(/^20/);
  });

  it('refuses bad targets', async () => {
    await harness.add(sampleImage(), 'app');
    const tag = (repo: string, name: string) => harness.service.tag('app', { repo, tag: name });
    await expect(tag('app', '-bad')).rejects.toThrow('invalid tag format');
    await expect(tag('Bad', '')).rejects.toThrow('must be lowercase');
    await expect(tag('sha256', 'x')).rejects.toThrow('ambiguous tag');
    await expect(harness.service.tag('nope', { repo: 'a', tag: '' })).rejects.toThrow(
      'No such image: nope:latest',
    );
  });
});

describe('remove', () => {
  it('untags while another name is left, then deletes with layers and blobs', async () => {
    const image = sampleImage();
    const id = await harness.add(image, 'app:1', 'app:2');
    expect(await harness.service.remove('app:1', PLAIN)).toEqual([{ Untagged: 'app:1' }]);
    const gone = await harness.service.remove('app:2', PLAIN);
    expect(gone).toEqual([
      { Untagged: 'app:2' },
      { Deleted: id },
      ...chainIdsOf(image.diffIds)
        .toReversed()
        .map((chainId) => ({ Deleted: chainId })),
    ]);
    expect(await harness.snapshots.listLayers()).toEqual([]);
    expect(await harness.blobs()).toEqual([]);
    expect(harness.eventLines().slice(-3)).toEqual([`untag ${id}`, `untag ${id}`, `delete ${id}`]);
  });

  it('by id takes the only name along, but refuses several without force', async () => {
    const id = await harness.add(sampleImage(), 'app:1');
    await harness.service.tag('app:1', { repo: 'other', tag: '' });
    const short = id.slice(7, 19);
    await expect(harness.service.remove(id, PLAIN)).rejects.toThrow(
      new ConflictError(
        `conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
      ),
    );
    await harness.service.remove('other', PLAIN);
    const items = await harness.service.remove(short, PLAIN);
    expect(items.slice(0, 2)).toEqual([{ Untagged: 'app:1' }, { Deleted: id }]);
  });

  it('refuses an image that a container uses', async () => {
    const id = await harness.add(sampleImage(), 'app');
    use(id, false);
    const [short, container] = [id.slice(7, 19), 'c'.repeat(12)];
    await expect(harness.service.remove('app', PLAIN)).rejects.toThrow(
      `conflict: unable to remove repository reference "app" (must force) - container ${container} is using its referenced image ${short}`,
    );
    await expect(harness.service.remove(short, PLAIN)).rejects.toThrow(
      `conflict: unable to delete ${short} (must be forced) - image is being used by stopped container ${container}`,
    );
    harness.users.length = 0;
    use(id, true);
    await expect(harness.service.remove(short, FORCE)).rejects.toThrow(
      `conflict: unable to delete ${short} (cannot be forced) - image is being used by running container ${container}`,
    );
    // A name can be forced away; the image stays for the running container.
    expect(await harness.service.remove('app', FORCE)).toEqual([{ Untagged: 'app:latest' }]);
    expect(harness.service.get(id)).toBeDefined();
  });

  it('keeps the layers under a stopped container until it goes', async () => {
    const image = sampleImage();
    const id = await harness.add(image, 'app');
    const snapshots = harness.snapshots as FakeSnapshotter;
    await snapshots.createWritable('box', harness.service.get(id)?.chainId);
    use(id, false);
    expect(await harness.service.remove('app', FORCE)).toEqual([
      { Untagged: 'app:latest' },
      { Deleted: id },
    ]);
    expect(harness.service.get(id)).toBeUndefined();
    expect(await snapshots.listLayers()).toHaveLength(2);
    // Also after a restart, and then the container can still be committed and its image saved.
    await using later = await ImageHarness.open({ from: harness });
    expect(later.service.all()).toEqual([]);
    expect(await snapshots.listLayers()).toHaveLength(2);
    await snapshots.removeWritable('box');
    await later.service.collect();
    expect(await snapshots.listLayers()).toEqual([]);
    expect(await later.blobs()).toEqual([]);
  });

  it('keeps the layers of a mounted image removed by force until its container goes', async () => {
    const id = await harness.add(sampleImage(), 'app:latest');
    const top = harness.service.get(id)?.chainId;
    harness.users.push({
      containerId: 'c'.repeat(64),
      imageId: `sha256:${'0'.repeat(64)}`,
      isRunning: false,
      mountedImageIds: [id],
    });
    await harness.service.remove('app', FORCE);
    await harness.service.collect();
    expect(harness.service.get(id)).toBeUndefined();
    expect(harness.service.mountableChainId(id)).toBe(top);
    harness.users.length = 0;
    await harness.service.collect();
    expect(harness.service.mountableChainId(id)).toBeUndefined();
    expect(await harness.snapshots.listLayers()).toEqual([]);
  });

  it('refuses a parent and takes nameless parents along', async () => {
    const base = await harness.add(sampleImage(), 'base');
    const middle = await commit(base, 'middle');
    const top = await commit(middle, 'top', 'top:1');
    await expect(harness.service.remove(middle, FORCE)).rejects.toThrow(
      `conflict: unable to delete ${middle.slice(7, 19)} (cannot be forced) - image has dependent child images`,
    );
    const items = await harness.service.remove('top:1', PLAIN);
    const deleted = items.map((item) => item.Deleted);
    expect(deleted).toContain(top);
    expect(deleted).toContain(middle);
    expect(deleted).not.toContain(base);
    expect(await tagsOf()).toEqual(['base:latest']);
    expect(await harness.snapshots.listLayers()).toHaveLength(2);
  });

  it('leaves shared layers to the other image', async () => {
    const base = tarOf({ base: 'base' });
    await harness.add(sampleImage({ layers: [base] }), 'one');
    await harness.add(sampleImage({ layers: [base, tarOf({ more: '1' })] }), 'two');
    await harness.service.remove('one', PLAIN);
    expect(await harness.snapshots.listLayers()).toHaveLength(2);
    await harness.service.remove('two', PLAIN);
    expect(await harness.snapshots.listLayers()).toEqual([]);
    expect(await harness.blobs()).toEqual([]);
  });

  it('never takes layers that a lease protects', async () => {
    const image = sampleImage();
    await harness.add(image, 'app');
    const lease = await harness.service.acquire('app');
    await harness.service.remove('app', PLAIN);
    expect(await harness.snapshots.listLayers()).toHaveLength(2);
    const snapshots = harness.snapshots as FakeSnapshotter;
    await snapshots.createWritable('box', lease.image.chainId);
    await lease[Symbol.asyncDispose]();
    expect(await harness.snapshots.listLayers()).toHaveLength(2);
    await snapshots.removeWritable('box');
    await harness.service.collect();
    expect(await harness.snapshots.listLayers()).toEqual([]);
  });
});

describe('prune', () => {
  it('takes dangling images only, unless told otherwise, and never used ones', async () => {
    const used = await harness.add(other('used'));
    await harness.add(other('named'), 'named');
    use(used, false);
    const size = (await harness.service.inspect((await harness.add(other('dangling'))).slice(7)))
      .Size;
    const first = await harness.service.prune(new Map());
    expect(first.reclaimedBytes).toBe(size);
    expect(first.deleted.filter((item) => item.Deleted !== undefined)).toHaveLength(2);
    expect(await tagsOf()).toHaveLength(2);
    const second = await harness.service.prune(filters({ dangling: ['false'] }));
    expect(second.deleted[0]).toEqual({ Untagged: 'named:latest' });
    expect(await tagsOf()).toEqual([used]);
    expect(harness.events.at(-1)).toMatchObject({ action: 'prune', id: '' });
  });

  it('filters by label and age', async () => {
    await harness.add(other('a', '2020-01-01T00:00:00Z'));
    const prune = async (values: Readonly<Record<string, readonly string[]>>) =>
      (await harness.service.prune(filters(values))).deleted.length;
    expect(await prune({ label: ['color=blue'] })).toBe(0);
    expect(await prune({ 'label!': ['color=red'] })).toBe(0);
    expect(await prune({ until: ['2019-01-01'] })).toBe(0);
    expect(await prune({ until: ['24h'], label: ['color'] })).toBe(2);
    await expect(prune({ name: ['x'] })).rejects.toThrow("invalid filter 'name'");
  });
});

describe('createImage', () => {
  it('makes an image from a committed container', async () => {
    const base = await harness.add(sampleImage(), 'base');
    const id = await commit(base, 'work', 'work:1');
    const image = await harness.service.resolve('work:1');
    expect(image).toMatchObject({ id, parent: base, references: ['work:1'] });
    expect(image.layers).toHaveLength(3);
    expect(image.layers[0]?.blob).toBeDefined();
    expect(image.layers[2]?.blob).toBeUndefined();
    expect((await harness.service.history('work:1'))[1]?.Id).toBe(base);
    expect(harness.eventLines().slice(-2)).toEqual([`tag ${id}`, `commit ${id}`]);
  });

  it('leaves no layer behind when a lease ends without image', async () => {
    const snapshots = harness.snapshots as FakeSnapshotter;
    await snapshots.createWritable('box', undefined);
    {
      await using lease = harness.service.lease();
      await lease.commitWritable('box');
      expect(await snapshots.listLayers()).toHaveLength(1);
    }
    expect(await snapshots.listLayers()).toEqual([]);
  });
});

describe('a restart', () => {
  it('finds images, names and parents again and sweeps what nothing refers to', async () => {
    const base = await harness.add(sampleImage(), 'base:1', 'base:2');
    await commit(base, 'top', 'top:1');
    const before = await harness.blobs();
    await harness.content.put(Buffer.from('left over'));
    await harness.snapshots.applyLayer({
      parent: undefined,
      tar: (async function* () {
        yield Buffer.from('left over');
      })(),
    });
    await using later = await ImageHarness.open({ from: harness });
    const images = later.service.all();
    expect(images.flatMap((image) => image.references).toSorted()).toEqual([
      'base:1',
      'base:2',
      'top:1',
    ]);
    expect((await later.service.resolve('top:1')).parent).toBe(base);
    expect(await later.blobs()).toEqual(before);
    expect(await later.snapshots.listLayers()).toHaveLength(3);
  });

  it('leaves an image out whose layers are gone, without losing its record', async () => {
    const id = await harness.add(sampleImage(), 'app');
    const snapshots = harness.snapshots as FakeSnapshotter;
    const kept = new Map(snapshots.layers);
    snapshots.layers.clear();
    await using broken = await ImageHarness.open({ from: harness });
    expect(broken.service.all()).toEqual([]);
    for (const [chainId, layer] of kept) {
      snapshots.layers.set(chainId, layer);
    }
    await using healed = await ImageHarness.open({ from: harness });
    expect((await healed.service.resolve('app')).id).toBe(id);
  });
});
