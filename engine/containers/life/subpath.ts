import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, InvalidParameterError, isMissing } from '../../base/errors.ts';

/** Symbolic links followed at most, as the kernel's own limit. */
const MAX_LINKS = 40;

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch (error) {
    if (errnoOf(error) === 'EINVAL' || errnoOf(error) === 'ENOTDIR' || isMissing(error)) {
      return undefined;
    }
    throw error;
  }
}

/**
 * Resolves the subpath of a mount. Links may lead around below `root`; unlike in a container's own tree, where they
 * are held inside, one that leads out is refused: what the user named is not there.
 *
 * @returns absolute host path below `root`, which need not exist
 * @throws InvalidParameterError  a link is absolute or climbs out, or there are too many
 */
export async function resolveSubpath(root: string, subpath: string): Promise<string> {
  const escape = (): InvalidParameterError =>
    new InvalidParameterError(
      `path concatenation escapes the base directory, base: ${JSON.stringify(root)}, subpath: ${JSON.stringify(subpath)}`,
    );
  const resolved: string[] = [];
  const pending = partsOf(subpath);
  let linkCount = 0;
  for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
    if (part === '..') {
      if (resolved.pop() === undefined) {
        throw escape();
      }
      continue;
    }
    const target = await linkTarget(join(root, ...resolved, part));
    if (target === undefined) {
      resolved.push(part);
      continue;
    }
    linkCount += 1;
    if (linkCount > MAX_LINKS) {
      throw new InvalidParameterError(`too many levels of symbolic links: ${subpath}`);
    }
    if (target.startsWith('/')) {
      throw escape();
    }
    pending.unshift(...partsOf(target));
  }
  return join(root, ...resolved);
}
