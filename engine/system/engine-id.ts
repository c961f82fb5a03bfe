import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { readTextIfThere, writeFileAtomic } from '../base/node/atomic-file.ts';

/** Id of the engine that owns `dataRoot`; made at the first call and the same ever after. */
export async function readEngineId(dataRoot: string): Promise<string> {
  const path = join(dataRoot, 'engine-id');
  const known = (await readTextIfThere(path))?.trim();
  if (known !== undefined && /^[0-9a-f-]{36}$/.test(known)) {
    return known;
  }
  const id = randomUUID();
  await writeFileAtomic(path, `${id}\n`);
  return id;
}
