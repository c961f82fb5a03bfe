import { join } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import { type ExitStatus, readExitRecord } from '../../runtime/shim/contract.ts';
import type { ContainerCore } from '../core.ts';

/** Where the shim of a container records its end. */
export function exitRecordPath(core: ContainerCore, id: string): string {
  return join(core.store.folder(id), 'exit.json');
}

/** How the last run ended; undefined when that is not recorded, or not readably. */
export async function findExit(core: ContainerCore, id: string): Promise<ExitStatus | undefined> {
  try {
    return await readExitRecord(exitRecordPath(core, id));
  } catch (error) {
    core.logger.warn('exit record cannot be read', { id, problem: messageOf(error) });
    return undefined;
  }
}
