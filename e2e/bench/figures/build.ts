import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Figure, timeMs } from '../figure.ts';

const DOCKERFILE = [
  'FROM busybox',
  'ENV MODE=bench',
  'WORKDIR /app',
  'COPY a.txt /app/',
  'COPY b.txt /app/',
  ...Array.from({ length: 12 }, (_, index) => `RUN echo step ${index} > /app/step-${index}`),
  'LABEL kind=bench',
  'EXPOSE 80',
  'CMD ["cat", "/app/a.txt"]',
].join('\n');

/** A build without cache: twelve commands, two copies, six settings. */
export const build: Figure = {
  key: 'build',
  name: '`docker build` of 20 steps without cache',
  unit: 's',
  repeats: 2,
  ratioBar: 1,
  run: async ({ docker, folder }) => {
    const context = join(folder, 'build-context');
    await mkdir(context, { recursive: true });
    await writeFile(join(context, 'Dockerfile'), DOCKERFILE);
    await writeFile(join(context, 'a.txt'), 'a\n');
    await writeFile(join(context, 'b.txt'), 'b\n');
    const ms = await timeMs(
      async () =>
        await docker.ok(['build', '--no-cache', '--tag', 'built', context], {
          env: { DOCKER_BUILDKIT: '0' },
        }),
    );
    await docker.ok(['rmi', 'built']);
    await rm(context, { recursive: true });
    return ms / 1000;
  },
};
