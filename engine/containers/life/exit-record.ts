import { join } from 'node:path';
import { z } from 'zod';
import { readTextIfThere } from '../../base/node/atomic-file.ts';
import type { ExitStatus } from '../../runtime/shim/contract.ts';
import type { ContainerCore } from '../core.ts';

const decimal = z
  .string()
  .regex(/^\d+$/)
  .transform((text) => BigInt(text));

const exitSchema = z.object({
  version: z.literal(1),
  id: z.string(),
  pid: z.number(),
  exitCode: z.number(),
  signal: z.number(),
  oomKilled: z.boolean(),
  startedAtNs: decimal,
  finishedAtNs: decimal,
  lostLogBytes: decimal,
});

/** Where the shim of a container records its end. */
export function exitRecordPath(core: ContainerCore, id: string): string {
  return join(core.store.folder(id), 'exit.json');
}

/** How the last run ended; undefined when that is not recorded. */
export async function readExitRecord(
  core: ContainerCore,
  id: string,
): Promise<ExitStatus | undefined> {
  const text = await readTextIfThere(exitRecordPath(core, id));
  if (text === undefined) {
    return undefined;
  }
  try {
    const { oomKilled, version: _, id: __, ...rest } = exitSchema.parse(JSON.parse(text));
    return { ...rest, isOomKilled: oomKilled };
  } catch (error) {
    core.logger.warn('exit record cannot be read', { id, error });
    return undefined;
  }
}
