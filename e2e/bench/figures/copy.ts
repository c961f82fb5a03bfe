import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchEngine } from '../engine-under-test.ts';
import { type Figure, type Scene, timeMs } from '../figure.ts';

const CONTAINER = 'bench-copy';
const FOLDER_COUNT = 50;
const FILES_PER_FOLDER = 80;
const FILE_BYTES = 20 * 1024;

function treeOf(engine: BenchEngine): string {
  return join(engine.folder, 'tree');
}

/** A tree of 4,000 files, 80 MB, and a running container that has it too. */
const withTree: Scene = {
  prepare: async (engine) => {
    const content = Buffer.alloc(FILE_BYTES, 'Gantry ');
    for (let folder = 0; folder < FOLDER_COUNT; folder += 1) {
      const path = join(treeOf(engine), `folder-${folder}`);
      await mkdir(path, { recursive: true });
      for (let file = 0; file < FILES_PER_FOLDER; file += 1) {
        await writeFile(join(path, `file-${file}`), content);
      }
    }
    await engine.docker.ok(['run', '-d', '--name', CONTAINER, 'busybox', 'sleep', '1000000']);
    await engine.docker.ok(['cp', treeOf(engine), `${CONTAINER}:/tree`]);
  },
  tidy: async (engine) => {
    await engine.docker.ok(['rm', '--force', CONTAINER]);
    await rm(treeOf(engine), { recursive: true });
  },
};

export const copyIn: Figure = {
  key: 'cp-in',
  name: '`docker cp` of 4,000 files, 80 MB, into a container',
  unit: 's',
  repeats: 3,
  ratioBar: 1,
  scene: withTree,
  run: async (engine) => {
    const { docker } = engine;
    const ms = await timeMs(
      async () => await docker.ok(['cp', treeOf(engine), `${CONTAINER}:/copy`]),
    );
    await docker.ok(['exec', CONTAINER, 'rm', '-r', '/copy']);
    return ms / 1000;
  },
};

export const copyOut: Figure = {
  key: 'cp-out',
  name: '`docker cp` of the same out of it',
  unit: 's',
  repeats: 3,
  ratioBar: 1,
  scene: withTree,
  run: async (engine) => {
    const target = join(engine.folder, 'copied');
    const ms = await timeMs(
      async () => await engine.docker.ok(['cp', `${CONTAINER}:/tree`, target]),
    );
    await rm(target, { recursive: true });
    return ms / 1000;
  },
};
