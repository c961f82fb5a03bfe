import { type Figure, timeMs } from '../figure.ts';

const LINE =
  'a line of container output as programs write them, one hundred bytes long with its end of line: ok';
const BYTES = 1_000_000_000;

/** One gigabyte of lines, from start of the container until its end, all of it in the log. */
export const log: Figure = {
  key: 'log',
  name: '1 GB of container output logged',
  unit: 's',
  repeats: 1,
  ratioBar: 1,
  run: async ({ docker }) => {
    const command = `yes "${LINE}" | head -c ${BYTES}`;
    let id = '';
    const ms = await timeMs(async () => {
      id = await docker.ok(['run', '-d', 'busybox', 'sh', '-c', command]);
      await docker.ok(['wait', id], { timeoutMs: 300_000 });
    });
    const last = await docker.ok(['logs', '--tail', '2', id]);
    if (!last.includes(LINE)) {
      throw new Error('the end of the output is not in the log');
    }
    await docker.ok(['rm', id]);
    return ms / 1000;
  },
};
