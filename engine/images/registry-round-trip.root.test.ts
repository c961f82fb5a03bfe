import { existsSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../base/logger.ts';
import type { Snapshotter } from '../snapshots/contract.ts';
import { LayerProgram } from '../snapshots/layer-program.ts';
import { openSnapshotter } from '../snapshots/open-snapshotter.ts';
import { layerProgramPath } from '../snapshots/testing/program-path.ts';
import { parseReference } from './reference.ts';
import { ImageHarness, sampleImage, streamOf, tarOf } from './testing/image-harness.ts';
import { REGISTRY_PROGRAM, RealRegistry } from './testing/real-registry.ts';

/** An image service over real layers. */
class Engine implements AsyncDisposable {
  readonly harness: ImageHarness;
  readonly snapshots: Snapshotter;
  readonly #program: LayerProgram;
  readonly #root: string;

  private constructor(
    harness: ImageHarness,
    snapshots: Snapshotter,
    program: LayerProgram,
    root: string,
  ) {
    this.harness = harness;
    this.snapshots = snapshots;
    this.#program = program;
    this.#root = root;
  }

  static async open(): Promise<Engine> {
    const root = await mkdtemp(join(tmpdir(), 'image-layers-'));
    const program = new LayerProgram(layerProgramPath());
    const snapshots = await openSnapshotter({ root, program, logger: silentLogger });
    return new Engine(await ImageHarness.open({ snapshots }), snapshots, program, root);
  }

  /** Text of a file in an image. */
  async read(ref: string, path: string): Promise<string> {
    const { chainId } = await this.harness.service.resolve(ref);
    if (chainId === undefined) {
      throw new Error('the image has no layers');
    }
    await using tree = await this.snapshots.mountLayer(chainId);
    return await readFile(join(tree.path, path), 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.harness[Symbol.asyncDispose]();
    await this.snapshots[Symbol.asyncDispose]();
    await this.#program.run(['remove', '--path', this.#root]);
    await this.#program[Symbol.asyncDispose]();
  }
}

describe.skipIf(!existsSync(REGISTRY_PROGRAM))('with a real registry and real layers', () => {
  let registry: RealRegistry;
  let engine: Engine;

  beforeEach(async () => {
    registry = await RealRegistry.open();
    engine = await Engine.open();
  });

  afterEach(async () => {
    await engine[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  });

  it('an image that is loaded, pushed, removed and pulled again is the same', async () => {
    const { service } = engine.harness;
    const name = `${registry.host}/team/app:v1`;
    const image = sampleImage();
    await engine.harness.add(image, name);
    await service.push(parseReference(name), {});
    const { repoDigests } = await service.resolve(name);
    await service.remove(name, { isForced: false, hasPrune: true });
    expect(await engine.snapshots.listLayers()).toEqual([]);
    expect(await engine.harness.blobs()).toEqual([]);
    await service.pull(parseReference(name), { onProgress: engine.harness.onProgress });
    const pulled = await service.resolve(name);
    expect(pulled.id).toBe(image.id);
    expect(pulled.repoDigests).toEqual(repoDigests);
    expect(await engine.read(name, 'etc/os')).toBe('sample');
    expect(engine.harness.lines().at(-1)).toBe(`Status: Downloaded newer image for ${name}`);
    await expect(
      service.pull(parseReference(`${registry.host}/team/app:none`), {}),
    ).rejects.toThrow(
      `manifest for ${registry.host}/team/app:none not found: manifest unknown: manifest unknown`,
    );
  });

  it('a committed layer is pushed and saved exactly, and pulls and loads elsewhere', async () => {
    const { service } = engine.harness;
    await engine.harness.add(sampleImage(), 'base');
    const base = await service.resolve('base');
    await engine.snapshots.createWritable('box', base.chainId);
    const tree = await engine.snapshots.mount('box');
    await writeFile(join(tree, 'made-here'), 'by the container');
    const name = `${registry.host}/made:1`;
    const { rootfs: _rootfs, ...config } = base.config;
    {
      await using lease = service.lease();
      const layer = await lease.commitWritable('box');
      await service.createImage({
        lease,
        chainId: layer.chainId,
        parent: base.id,
        config: {
          ...config,
          history: [...config.history, { created_by: 'touch' }],
        },
        references: [parseReference(name)],
      });
    }
    await engine.snapshots.unmount('box');
    await engine.snapshots.removeWritable('box');
    const archive = Buffer.concat(await Array.fromAsync(await service.save([name])));
    await service.push(parseReference(name), {});
    const made = await service.resolve(name);

    await using other = await Engine.open();
    await other.harness.service.pull(parseReference(name), {});
    expect((await other.harness.service.resolve(name)).id).toBe(made.id);
    expect(await other.read(name, 'made-here')).toBe('by the container');

    await using third = await Engine.open();
    await third.harness.service.load(streamOf(archive, 65_536), {});
    expect((await third.harness.service.resolve(name)).id).toBe(made.id);
    expect(await third.read(name, 'made-here')).toBe('by the container');
  });

  it('an imported file system is an image', async () => {
    const { service } = engine.harness;
    await service.importTar(streamOf(tarOf({ 'etc/name': 'imported' })), {
      reference: parseReference('imported'),
    });
    expect(await engine.read('imported', 'etc/name')).toBe('imported');
    const name = `${registry.host}/imported:1`;
    await service.tag('imported', { repo: `${registry.host}/imported`, tag: '1' });
    await service.push(parseReference(name), {});
    const all = await service.usage();
    expect(all.totalCount).toBe(1);
  });

  it('a hostile layer is refused and leaves nothing behind', async () => {
    const { service } = engine.harness;
    const image = sampleImage({ layers: [tarOf({ '../../escape': 'evil' })] });
    await expect(engine.harness.add(image, 'evil')).rejects.toThrow('cannot load layer 0');
    expect(service.all()).toEqual([]);
    expect(await engine.snapshots.listLayers()).toEqual([]);
  });
});
