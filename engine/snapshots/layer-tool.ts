import { z } from 'zod';
import { NotFoundError } from '../base/errors.ts';
import type { LayerTool, PathStat } from './contract.ts';
import type { LayerProgram } from './layer-program.ts';
import { words } from './words.ts';

const statSchema = z.object({
  name: z.string(),
  size: z.number(),
  mode: z.number(),
  mtimeSec: z.string().regex(/^-?\d+$/),
  mtimeNsec: z.number(),
  linkTarget: z.string(),
});

const TYPE_MASK = 0o170000;
/** File types of `st_mode` to Go's os.FileMode bits. */
const GO_TYPES: Readonly<Record<number, number>> = {
  0o040000: 2 ** 31,
  0o120000: 2 ** 27,
  0o060000: 2 ** 26,
  0o010000: 2 ** 25,
  0o140000: 2 ** 24,
  0o020000: 2 ** 26 + 2 ** 21,
};
const GO_SETUID = 2 ** 23;
const GO_SETGID = 2 ** 22;
const GO_STICKY = 2 ** 20;

/** Go's os.FileMode of a `st_mode`. */
export function goModeOf(mode: number): number {
  let result = (mode & 0o777) + (GO_TYPES[mode & TYPE_MASK] ?? 0);
  result += (mode & 0o4000) === 0 ? 0 : GO_SETUID;
  result += (mode & 0o2000) === 0 ? 0 : GO_SETGID;
  return result + ((mode & 0o1000) === 0 ? 0 : GO_STICKY);
}

function parseStat(text: string): PathStat {
  const stat = statSchema.parse(JSON.parse(text));
  return {
    name: stat.name,
    sizeBytes: stat.size,
    goMode: goModeOf(stat.mode),
    modifiedAtNs: BigInt(stat.mtimeSec) * 1_000_000_000n + BigInt(stat.mtimeNsec),
    linkTarget: stat.linkTarget,
    isDirectory: (stat.mode & TYPE_MASK) === 0o040000,
  };
}

/** Makes the tar tool of file trees. The program is borrowed. */
export function createLayerTool(program: LayerProgram): LayerTool {
  return {
    readTree: (options) =>
      program.stream(
        words('read', { root: options.root, path: options.path, name: options.name }),
        { signal: options.signal },
      ),
    statPath: async (options) => {
      try {
        return parseStat(
          await program.call(words('stat', { root: options.root, path: options.path })),
        );
      } catch (error) {
        if (error instanceof NotFoundError) {
          return undefined;
        }
        throw error;
      }
    },
    writeTree: async (options) => {
      const { owner, mode } = options;
      await program.feed(
        words('write', {
          root: options.root,
          path: options.path,
          owner: owner === undefined ? undefined : `${owner.uid}:${owner.gid}`,
          mode: mode?.toString(8),
          'keep-kinds': options.noOverwriteDirNonDir === true ? true : undefined,
        }),
        options.tar,
        { signal: options.signal },
      );
    },
  };
}
