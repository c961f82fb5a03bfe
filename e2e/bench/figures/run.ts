import { type Figure, timeMs } from '../figure.ts';

/** The command everybody times first. */
export const run: Figure = {
  key: 'run',
  name: '`docker run --rm busybox true`',
  unit: 'ms',
  repeats: 15,
  warmUps: 3,
  ratioBar: 0.33,
  run: async (engine) =>
    await timeMs(async () => await engine.docker.ok(['run', '--rm', 'busybox', 'true'])),
};
