import { type Figure, timeMs } from '../figure.ts';

const CONTAINER = 'bench-exec';

/** A command in a running container. */
export const exec: Figure = {
  key: 'exec',
  name: '`docker exec` of `true`',
  unit: 'ms',
  repeats: 15,
  warmUps: 3,
  ratioBar: 0.5,
  scene: {
    prepare: async ({ docker }) => {
      await docker.ok(['run', '-d', '--name', CONTAINER, 'busybox', 'sleep', '1000000']);
    },
    tidy: async ({ docker }) => {
      await docker.ok(['rm', '--force', CONTAINER]);
    },
  },
  run: async (engine) =>
    await timeMs(async () => await engine.docker.ok(['exec', CONTAINER, 'true'])),
};
