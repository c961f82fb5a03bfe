import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { startRegistry, type TestRegistry } from '../../fixtures/registry.ts';
import type { BenchEngine } from '../engine-under-test.ts';
import { type Figure, type Scene, timeMs } from '../figure.ts';
import { BENCH_IMAGE, benchArchive } from './bench-image.ts';

const MIN_SAVED_BYTES = 290 * 1024 * 1024;

/** The image is there, by load. */
const withImage: Scene = {
  prepare: async ({ docker }) => {
    await docker.ok(['load', '--input', await benchArchive()]);
  },
  tidy: async ({ docker }) => {
    await docker.ok(['rmi', BENCH_IMAGE]);
  },
};

let pullRegistry: TestRegistry | undefined;

/** The image is in a registry and not in the engine. Both engines pull what the first of them pushed. */
const inRegistry: Scene = {
  prepare: async ({ docker }) => {
    if (pullRegistry === undefined) {
      pullRegistry = await startRegistry();
      const name = `${pullRegistry.host}/${BENCH_IMAGE}`;
      await docker.ok(['load', '--input', await benchArchive()]);
      await docker.ok(['tag', BENCH_IMAGE, name]);
      await docker.ok(['push', name]);
      await docker.ok(['rmi', name, BENCH_IMAGE]);
    }
  },
};

export const load: Figure = {
  key: 'load',
  name: '`docker load` of 10 layers, 300 MB',
  unit: 's',
  repeats: 3,
  ratioBar: 1,
  run: async ({ docker }) => {
    const archive = await benchArchive();
    const ms = await timeMs(async () => await docker.ok(['load', '--input', archive]));
    await docker.ok(['rmi', BENCH_IMAGE]);
    return ms / 1000;
  },
};

export const save: Figure = {
  key: 'save',
  name: '`docker save` of the same',
  unit: 's',
  repeats: 3,
  ratioBar: 1,
  scene: withImage,
  run: async ({ docker, folder }) => {
    const target = join(folder, 'saved.tar');
    const ms = await timeMs(async () => await docker.ok(['save', '--output', target, BENCH_IMAGE]));
    const { size } = await stat(target);
    await rm(target);
    if (size < MIN_SAVED_BYTES) {
      throw new Error(`saved ${size} bytes only`);
    }
    return ms / 1000;
  },
};

export const push: Figure = {
  key: 'push',
  name: '`docker push` of the same to a registry on loopback',
  unit: 's',
  repeats: 2,
  ratioBar: 1,
  scene: withImage,
  run: async ({ docker }: BenchEngine) => {
    // A registry of its own for each sample: neither engine can know what it already has.
    await using registry = await startRegistry();
    const name = `${registry.host}/${BENCH_IMAGE}`;
    await docker.ok(['tag', BENCH_IMAGE, name]);
    const ms = await timeMs(async () => await docker.ok(['push', name]));
    await docker.ok(['rmi', name]);
    return ms / 1000;
  },
};

export const pull: Figure = {
  key: 'pull',
  name: '`docker pull` of the same',
  unit: 's',
  repeats: 3,
  ratioBar: 1,
  scene: inRegistry,
  run: async ({ docker }) => {
    const name = `${pullRegistry?.host ?? ''}/${BENCH_IMAGE}`;
    const ms = await timeMs(async () => await docker.ok(['pull', name]));
    await docker.ok(['rmi', name]);
    return ms / 1000;
  },
};
