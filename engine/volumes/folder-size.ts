import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing } from '../base/errors.ts';

/** System calls on their way at once. */
const PARALLEL = 32;

/**
 * Bytes of all files below a folder, hard links counted once; folders themselves count nothing.
 * What vanishes meanwhile is passed over.
 */
export async function folderSize(root: string): Promise<number> {
  const seen = new Set<string>();
  const folders = [root];
  let bytes = 0;
  const count = async (path: string): Promise<void> => {
    try {
      const stat = await lstat(path);
      const key = `${stat.dev}:${stat.ino}`;
      if (stat.nlink > 1 && seen.has(key)) {
        return;
      }
      if (stat.nlink > 1) {
        seen.add(key);
      }
      bytes += stat.size;
    } catch (error) {
      if (!isMissing(error)) {
        throw error;
      }
    }
  };
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    let batch: Promise<void>[] = [];
    try {
      for await (const entry of await opendir(folder)) {
        const path = join(folder, entry.name);
        if (entry.isDirectory()) {
          folders.push(path);
        } else {
          batch.push(count(path));
        }
        if (batch.length >= PARALLEL) {
          await Promise.all(batch);
          batch = [];
        }
      }
    } catch (error) {
      if (!isMissing(error)) {
        throw error;
      }
    }
    await Promise.all(batch);
  }
  return bytes;
}
