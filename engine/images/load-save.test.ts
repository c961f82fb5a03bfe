import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTar } from './archive/tar-reader.ts';
import { digestOf } from './image-config.ts';
import { parseReference } from './reference.ts';
import type { FakeSnapshotter } from './testing/fake-snapshotter.ts';
import {
  dockerArchive,
  ImageHarness,
  sampleImage,
  streamOf,
  tarOf,
} from './testing/image-harness.ts';

let harness: ImageHarness;

beforeEach(async () => {
  harness = await ImageHarness.open();
});

afterEach(async () => {
  await harness[Symbol.asyncDispose]();
});

async function load(bytes: Uint8Array): Promise<void> {
  await harness.service.load(streamOf(bytes), { onProgress: harness.onProgress });
}

async function save(...refs: string[]): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(await harness.service.save(refs)));
}

async function membersOf(tar: Uint8Array): Promise<Map<string, Buffer>> {
  const members = new Map<string, Buffer>();
  for await (const entry of readTar(streamOf(tar))) {
    members.set(entry.name, Buffer.concat(await Array.fromAsync(entry.body)));
  }
  return members;
}

async function expectNothingLeft(): Promise<void> {
  expect(harness.service.all()).toEqual([]);
  expect(await harness.snapshots.listLayers()).toEqual([]);
  expect(await harness.blobs()).toEqual([]);
}

describe('load', () => {
  it('loads several images of a docker-archive and says so', async () => {
    const one = sampleImage();
    const two = sampleImage({ layers: [tarOf({ two: '2' })] });
    await load(
      dockerArchive([
        { image: one, tags: ['one:1', 'uno:1'] },
        { image: two, tags: ['two:1'] },
      ]),
    );
    expect(harness.lines().filter((line) => line.startsWith('Loaded'))).toEqual([
      'Loaded image: one:1\n',
      'Loaded image: uno:1\n',
      'Loaded image: two:1\n',
    ]);
    expect((await harness.service.resolve('two:1')).id).toBe(two.id);
    expect(harness.eventLines()).toEqual([`load ${one.id}`, `load ${two.id}`]);
  });

  it.each([
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ])('takes %s archives', async (_name, pack) => {
    const image = sampleImage();
    await load(pack(dockerArchive([{ image, tags: [] }])));
    expect(harness.lines().at(-1)).toBe(`Loaded image ID: ${image.id}\n`);
  });

  it('moves a name and says which image lost it', async () => {
    const before = await harness.add(sampleImage(), 'app:1');
    await load(
      dockerArchive([{ image: sampleImage({ layers: [tarOf({ n: '1' })] }), tags: ['app:1'] }]),
    );
    expect(harness.lines()).toContain(
      `The image app:1 already exists, renaming the old one with ID ${before} to empty string\n`,
    );
  });

  it('loads an OCI layout', async () => {
    const image = sampleImage({ isDocker: false });
    const files: Record<string, Uint8Array | string> = {
      'oci-layout': '{"imageLayoutVersion":"1.0.0"}',
      'index.json': JSON.stringify({
        schemaVersion: 2,
        manifests: [
          {
            mediaType: image.manifest.mediaType,
            digest: image.manifest.digest,
            size: image.manifest.bytes.length,
            annotations: { 'io.containerd.image.name': 'docker.io/library/oci:1' },
          },
        ],
      }),
      [`blobs/sha256/${image.manifest.digest.slice(7)}`]: image.manifest.bytes,
    };
    for (const [digest, bytes] of image.blobs) {
      files[`./blobs/sha256/${digest.slice(7)}`.slice(2)] = bytes;
    }
    await load(tarOf(files));
    const found = await harness.service.resolve('oci:1');
    expect(found.id).toBe(image.id);
    expect(found.descriptor?.digest).toBe(image.manifest.digest);
  });

  it.each([
    ['an archive without image', tarOf({ readme: 'hello' }), 'it holds no image'],
    ['a missing config', tarOf({ 'manifest.json': '[{"Config":"x","Layers":[]}]' }), 'has no x'],
    ['a config outside', tarOf({ 'manifest.json': '[{"Config":"../../etc/passwd"}]' }), 'has no'],
    ['JSON that is none', tarOf({ 'manifest.json': '{' }), 'not valid JSON'],
    ['a manifest of another shape', tarOf({ 'manifest.json': '[1]' }), 'invalid manifest.json'],
    ['noise', Buffer.alloc(3000, 7), 'invalid tar header'],
    [
      'a truncated archive',
      dockerArchive([{ image: sampleImage(), tags: [] }]).subarray(0, 2000),
      'unexpected EOF',
    ],
  ])('refuses %s and leaves nothing behind', async (_what, bytes, message) => {
    await expect(load(bytes)).rejects.toThrow(message);
    await expectNothingLeft();
  });

  it('refuses a layer that is not what the config says', async () => {
    const image = sampleImage();
    const wrong = { ...image, tars: [tarOf({ evil: '1' }), tarOf({ evil: '2' })] };
    await expect(load(dockerArchive([{ image: wrong, tags: [] }]))).rejects.toThrow(
      'cannot load layer 0',
    );
    await expectNothingLeft();
    const short = { ...image, tars: image.tars.slice(0, 1) };
    await expect(load(dockerArchive([{ image: short, tags: [] }]))).rejects.toThrow(
      'layers length mismatch: expected 1, got 2',
    );
  });
});

describe('save', () => {
  it('writes an archive that is docker-archive and OCI layout at once', async () => {
    const image = sampleImage();
    await harness.add(image, 'app:1');
    const members = await membersOf(await save('app:1'));
    const manifest = JSON.parse(String(members.get('manifest.json'))) as {
      Config: string;
      RepoTags: string[];
      Layers: string[];
    }[];
    expect(manifest).toHaveLength(1);
    expect(manifest[0]?.RepoTags).toEqual(['app:1']);
    expect(manifest[0]?.Config).toBe(`blobs/sha256/${image.id.slice(7)}`);
    expect(manifest[0]?.Layers.map((name) => members.get(name)?.length)).toEqual(
      image.tars.map((tar) => tar.length),
    );
    const index = JSON.parse(String(members.get('index.json'))) as {
      manifests: { digest: string; annotations: Record<string, string> }[];
    };
    expect(index.manifests[0]?.annotations).toEqual({
      'io.containerd.image.name': 'docker.io/library/app:1',
      'org.opencontainers.image.ref.name': '1',
    });
    for (const [name, bytes] of members) {
      if (/^blobs\/sha256\/./.test(name)) {
        expect(digestOf(bytes)).toBe(`sha256:${name.slice('blobs/sha256/'.length)}`);
      }
    }
    expect(members.has('oci-layout')).toBe(true);
    expect(harness.eventLines().at(-1)).toBe(`save ${image.id}`);
  });

  it('saves several images, each layer once, and they load elsewhere with parents', async () => {
    const base = await harness.add(sampleImage(), 'base:1', 'base:2');
    const snapshots = harness.snapshots as FakeSnapshotter;
    await snapshots.createWritable('box', harness.service.get(base)?.chainId);
    const made = await (async () => {
      await using lease = harness.service.lease();
      const layer = await lease.commitWritable('box');
      const { rootfs: _rootfs, ...config } = (await harness.service.resolve('base:1')).config;
      return await harness.service.createImage({
        lease,
        chainId: layer.chainId,
        parent: base,
        config,
        references: [parseReference('top')],
      });
    })();
    const archive = await save('base', 'top:latest');
    await using other = await ImageHarness.open();
    await other.service.load(streamOf(archive), {});
    expect(
      other.service
        .all()
        .flatMap((image) => image.references)
        .toSorted(),
    ).toEqual(['base:1', 'base:2', 'top:latest']);
    expect((await other.service.resolve('top')).parent).toBe(base);
    expect((await other.service.resolve('top')).id).toBe(made.id);
    // The blob that was made for the committed layer is kept for the next time.
    expect(harness.service.get(made.id)?.layers.at(-1)?.blob).toBeDefined();
  });

  it('fails before the first byte when a name is not there', async () => {
    await harness.add(sampleImage(), 'app:1');
    await expect(harness.service.save(['app:1', 'app:2'])).rejects.toThrow(
      'reference does not exist',
    );
    await expect(harness.service.save(['nope'])).rejects.toThrow('No such image: nope:latest');
  });
});

describe('importTar', () => {
  it('makes an image from a file system with changes', async () => {
    const tar = tarOf({ 'bin/sh': 'shell' });
    const id = await harness.service.importTar(streamOf(gzipSync(tar)), {
      reference: parseReference('imported'),
      changes: ['CMD ["sh"]', 'ENV A=1'],
      message: 'from a file',
    });
    const info = await harness.service.inspect('imported:latest');
    expect(info).toMatchObject({
      Id: id,
      Comment: 'from a file',
      Config: { Cmd: ['sh'], Env: ['A=1'] },
      RootFS: { Layers: [digestOf(tar)] },
    });
    expect(harness.eventLines()).toEqual([`tag ${id}`, `import ${id}`]);
  });

  it('leaves nothing behind when the client goes or a change is wrong', async () => {
    async function* broken(): AsyncGenerator<Uint8Array, void, void> {
      yield tarOf({ a: 'b' }).subarray(0, 600);
      throw new Error('client is gone');
    }
    await expect(harness.service.importTar(broken(), {})).rejects.toThrow('client is gone');
    await expect(
      harness.service.importTar(streamOf(tarOf({ a: 'b' })), { changes: ['RUN x'] }),
    ).rejects.toThrow('RUN is not a valid change command');
    await expectNothingLeft();
  });
});
