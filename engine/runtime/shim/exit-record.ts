import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { isMissing, SystemError } from '../../base/errors.ts';
import type { ExitStatus } from './contract.ts';

const nanoseconds = z
  .string()
  .regex(/^\d{1,20}$/)
  .transform((text) => BigInt(text));

const exitRecordSchema = z.object({
  version: z.literal(1),
  id: z.string(),
  pid: z.int().nonnegative(),
  exitCode: z.int().min(0).max(255),
  signal: z.int().min(0).max(127),
  oomKilled: z.boolean(),
  startedAtNs: nanoseconds,
  finishedAtNs: nanoseconds,
  lostLogBytes: nanoseconds,
});

/**
 * Reads the exit record that a shim wrote.
 *
 * @returns undefined when there is none: the process still runs, never ran, or was killed together with its shim
 * @throws SystemError  the file is damaged
 */
export async function readExitRecord(path: string): Promise<ExitStatus | undefined> {
  try {
    const record = exitRecordSchema.parse(JSON.parse(await readFile(path, 'utf8')));
    return {
      exitCode: record.exitCode,
      signal: record.signal,
      isOomKilled: record.oomKilled,
      startedAtNs: record.startedAtNs,
      finishedAtNs: record.finishedAtNs,
      pid: record.pid,
      lostLogBytes: record.lostLogBytes,
    };
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw new SystemError(`exit record ${path} cannot be read`, { cause: error });
  }
}
