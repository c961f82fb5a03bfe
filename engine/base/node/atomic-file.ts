import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isMissing } from '../errors.ts';

/** Options of {@link writeFileAtomic}. */
export interface AtomicWriteOptions {
  /** Permission bits of the file; default 0o600. */
  readonly mode?: number;
  /** False skips fsync: for state that need not survive a power cut. Default true. */
  readonly isDurable?: boolean;
}

let sequence = 0;

/** Makes the entries of a folder (creations, renames, removals) durable. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Replaces a file whole or not at all: temp file, fsync, rename, fsync of the folder.
 * Readers see the old or the new content, also after a crash.
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  options: AtomicWriteOptions = {},
): Promise<void> {
  const isDurable = options.isDurable ?? true;
  sequence += 1;
  const temp = `${path}.${process.pid}.${sequence}.tmp`;
  try {
    const handle = await open(temp, 'wx', options.mode ?? 0o600);
    try {
      await handle.writeFile(data);
      if (isDurable) {
        await handle.datasync();
      }
    } finally {
      await handle.close();
    }
    await rename(temp, path);
  } catch (error) {
    await rm(temp, { force: true });
    throw error;
  }
  if (isDurable) {
    await syncDirectory(dirname(path));
  }
}

/** Content of a text file, or undefined when it is not there. */
export async function readTextIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw error;
  }
}

/** Names in a folder, empty when it is not there. */
export async function listIfThere(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw error;
  }
}

/** Removes temp files that a crash left in `folder`, creating the folder when missing. */
export async function sweepTempFiles(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const name of await readdir(folder)) {
    if (/\.\d+\.\d+\.tmp$/.test(name)) {
      await rm(join(folder, name), { force: true });
    }
  }
}
