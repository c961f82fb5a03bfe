import { constants } from 'node:fs';
import { mkdir, open, readlink, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { InvalidParameterError } from '../../base/errors.ts';
import { run, runOrThrow } from '../../base/node/run.ts';

/** Linux's O_PATH, which Node has no name for. */
const O_PATH = 0o10000000;

/** Mounts a tmpfs on a fresh folder. @throws SystemError */
export async function mountTmpfs(path: string, options: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await runOrThrow('mount', ['-t', 'tmpfs', '-o', options, 'shm', path]);
}

/** Unmounts and removes the folder; whatever is missing is no error. */
export async function dropMount(path: string): Promise<void> {
  await run('umount', ['-l', path]);
  await rmdir(path).catch(() => {});
}

/**
 * Binds a file or folder inside a tree that others may change meanwhile to a place of the engine's own, so that no
 * exchanged link leads elsewhere: what was opened is compared with what was resolved, and the opened one is bound.
 *
 * @param path  resolved path, below `root`
 * @throws InvalidParameterError  it moved out of the tree meanwhile
 */
export async function bindInside(root: string, path: string, place: string): Promise<void> {
  const handle = await open(path, O_PATH | constants.O_NOFOLLOW);
  try {
    const actual = await readlink(`/proc/self/fd/${handle.fd}`);
    if (actual !== root && !actual.startsWith(root === '/' ? '/' : `${root}/`)) {
      throw new InvalidParameterError(`path escapes from its volume: ${path}`);
    }
    const facts = await handle.stat();
    if (facts.isDirectory()) {
      await mkdir(place, { recursive: true, mode: 0o700 });
    } else {
      await (await open(place, 'a', 0o600)).close();
    }
    const source = `/proc/${process.pid}/fd/${handle.fd}`;
    await runOrThrow('mount', ['--no-canonicalize', '--bind', source, place]);
  } finally {
    await handle.close();
  }
}

/**
 * Binds a host file or folder over a path of a file tree that is not in use, making the path when it is missing.
 *
 * @param target  resolved path below `root`
 * @throws InvalidParameterError  the target is not below `root`; SystemError
 */
export async function bindOver(source: string, root: string, target: string): Promise<void> {
  const from = await open(source, O_PATH);
  try {
    if ((await from.stat()).isDirectory()) {
      await mkdir(target, { recursive: true });
    } else {
      await mkdir(dirname(target), { recursive: true });
      await (await open(target, constants.O_CREAT | constants.O_NOFOLLOW, 0o644)).close();
    }
    const to = await open(target, O_PATH | constants.O_NOFOLLOW);
    try {
      const actual = await readlink(`/proc/self/fd/${to.fd}`);
      if (!actual.startsWith(`${root}/`)) {
        throw new InvalidParameterError(`mount point escapes from its container: ${target}`);
      }
      const fd = `/proc/${process.pid}/fd`;
      await runOrThrow('mount', [
        '--no-canonicalize',
        '--bind',
        `${fd}/${from.fd}`,
        `${fd}/${to.fd}`,
      ]);
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}
