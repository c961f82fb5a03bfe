import { type Figure, timeMs } from '../figure.ts';
import { create, removeAll, start } from './containers.ts';

/** Containers created and started with all requests sent at once, until the last one runs. */
function startAtOnce(count: number): Figure {
  return {
    key: `start-${count}`,
    name: `${count} containers created and started at once`,
    unit: 's',
    repeats: 2,
    ratioBar: 0.4,
    run: async (engine) => {
      const ids: string[] = [];
      const ms = await timeMs(async () => {
        await Promise.all(
          Array.from({ length: count }, async () => {
            const id = await create(engine);
            ids.push(id);
            await start(engine, id);
          }),
        );
      });
      await removeAll(engine, ids);
      return ms / 1000;
    },
  };
}

export const start50: Figure = startAtOnce(50);
export const start100: Figure = startAtOnce(100);
