import { posix } from 'node:path';
import { InvalidParameterError, NotFoundError } from '../../base/errors.ts';
import { unpacked } from '../../base/node/decompress.ts';
import type { PathStat } from '../../snapshots/contract.ts';
import type { Container } from '../container.ts';
import type { ContainerPathStat } from '../contract.ts';
import type { ContainerCore } from '../core.ts';
import { formatTimeNs } from '../times.ts';
import { type ContainerTree, openTree } from './tree.ts';

/** Absolute form of a path in a container; a trailing `/` or `/.` stays, since it follows a link. */
export function absolutePath(path: string): string {
  const clean = posix.normalize(`/${path}`);
  const bare = clean.replace(/\/+$/, '');
  const isFolderItself = /(^|\/)\.\/*$/.test(path);
  return isFolderItself ? `${bare}/.` : clean;
}

/** What the members of an archive of an absolute path are called. */
export function archiveName(path: string): string {
  if (path.endsWith('/.')) {
    return '.';
  }
  return path === '/' ? '/' : posix.basename(path);
}

function assertPath(path: string): void {
  if (path === '') {
    throw new InvalidParameterError("bad parameter: 'path' cannot be empty");
  }
  if (path.includes('\0')) {
    throw new InvalidParameterError("bad parameter: 'path' holds a NUL character");
  }
}

function notFound(path: string, ref: string): NotFoundError {
  return new NotFoundError(`Could not find the file ${path} in container ${ref}`);
}

/** The wire form of a stat. */
export function wireStat(stat: PathStat): ContainerPathStat {
  return {
    name: stat.name,
    size: stat.sizeBytes,
    mode: stat.goMode,
    mtime: formatTimeNs(stat.modifiedAtNs),
    linkTarget: stat.linkTarget,
  };
}

async function statInTree(
  core: ContainerCore,
  tree: ContainerTree,
  path: string,
  ref: string,
): Promise<PathStat> {
  const wanted = absolutePath(path);
  const stat = await core.ports.layerTool.statPath({ root: tree.root, path: wanted });
  if (stat !== undefined) {
    return stat;
  }
  const bare = wanted.replace(/\/\.?$/, '');
  if (bare !== wanted && bare !== '') {
    const file = await core.ports.layerTool.statPath({ root: tree.root, path: bare });
    if (file !== undefined && !file.isDirectory && file.linkTarget === '') {
      throw new InvalidParameterError(`${path}: not a directory`);
    }
  }
  throw notFound(path, ref);
}

/** Opens the tree under the container's lock while it is stopped; a running one needs none. */
async function lockedTree(
  core: ContainerCore,
  container: Container,
  options: { readonly path: string; readonly isForWriting: boolean },
): Promise<ContainerTree> {
  const held = await core.lock.acquire(container.id);
  try {
    const isUp = container.isUp;
    const tree = await openTree(core, container, options);
    if (isUp) {
      held[Symbol.dispose]();
      return tree;
    }
    return {
      root: tree.root,
      [Symbol.asyncDispose]: async () => {
        try {
          await tree[Symbol.asyncDispose]();
        } finally {
          held[Symbol.dispose]();
        }
      },
    };
  } catch (error) {
    held[Symbol.dispose]();
    throw error;
  }
}

/** Implements {@link ContainerService.statArchive}. */
export async function statArchive(
  core: ContainerCore,
  ref: string,
  path: string,
): Promise<ContainerPathStat> {
  assertPath(path);
  const container = core.registry.get(ref);
  const wanted = { path: absolutePath(path), isForWriting: false };
  await using tree = await lockedTree(core, container, wanted);
  return wireStat(await statInTree(core, tree, path, ref));
}

async function* releasing(
  tar: AsyncIterable<Uint8Array>,
  tree: ContainerTree,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* tar;
  } finally {
    await tree[Symbol.asyncDispose]();
  }
}

/** Waits for the first chunk, so that a failure is an error and not a cut-off body. */
async function primed(tar: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const iterator = tar[Symbol.asyncIterator]();
  const first = await iterator.next();
  async function* all(): AsyncGenerator<Uint8Array, void, void> {
    try {
      if (first.done !== true) {
        yield first.value;
        for (;;) {
          const next = await iterator.next();
          if (next.done === true) {
            return;
          }
          yield next.value;
        }
      }
    } finally {
      await iterator.return?.();
    }
  }
  return all();
}

/** Implements {@link ContainerService.getArchive}. */
export async function getArchive(
  core: ContainerCore,
  ref: string,
  path: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly stat: ContainerPathStat; readonly tar: AsyncIterable<Uint8Array> }> {
  assertPath(path);
  const container = core.registry.get(ref);
  const wanted = absolutePath(path);
  const tree = await lockedTree(core, container, { path: wanted, isForWriting: false });
  try {
    const stat = await statInTree(core, tree, path, ref);
    const tar = core.ports.layerTool.readTree({
      root: tree.root,
      path: wanted,
      name: archiveName(wanted),
      ...(signal === undefined ? {} : { signal }),
    });
    const body = await primed(releasing(tar, tree));
    core.publish(container, 'archive-path');
    return { stat: wireStat(stat), tar: body };
  } catch (error) {
    await tree[Symbol.asyncDispose]();
    throw error;
  }
}

/** @throws InvalidParameterError  the place is read-only in the container */
function assertWritable(container: Container, path: string): void {
  const { mounts, hostConfig } = container.record;
  const inside = mounts
    .filter((mount) => path === mount.destination || path.startsWith(`${mount.destination}/`))
    .toSorted((a, b) => b.destination.length - a.destination.length)[0];
  if (inside !== undefined) {
    if (!inside.isWritable) {
      throw new InvalidParameterError('mounted volume is marked read-only');
    }
    return;
  }
  if (hostConfig.ReadonlyRootfs === true) {
    throw new InvalidParameterError('container rootfs is marked read-only');
  }
}

/** Folder that an archive is to be unpacked in, links followed. */
async function extractionFolder(
  core: ContainerCore,
  tree: ContainerTree,
  path: string,
  ref: string,
): Promise<string> {
  const stat = await statInTree(core, tree, path, ref);
  if (stat.isDirectory) {
    return absolutePath(path).replace(/(?<=.)\/\.?$/, '') || '/';
  }
  const target =
    stat.linkTarget === ''
      ? undefined
      : await core.ports.layerTool.statPath({ root: tree.root, path: stat.linkTarget });
  if (stat.linkTarget !== '' && target === undefined) {
    throw notFound(path, ref);
  }
  if (target?.isDirectory !== true) {
    throw new InvalidParameterError('extraction point is not a directory');
  }
  return stat.linkTarget;
}

/** Implements {@link ContainerService.putArchive}. */
export async function putArchive(
  core: ContainerCore,
  ref: string,
  path: string,
  tar: AsyncIterable<Uint8Array>,
  options: {
    readonly noOverwriteDirNonDir: boolean;
    readonly copiesUidGid: boolean;
    readonly signal?: AbortSignal;
  },
): Promise<void> {
  assertPath(path);
  const container = core.registry.get(ref);
  const wanted = { path: absolutePath(path), isForWriting: true };
  await using tree = await lockedTree(core, container, wanted);
  const folder = await extractionFolder(core, tree, path, ref);
  assertWritable(container, folder);
  const { config, hostConfig } = container.record;
  const user = options.copiesUidGid
    ? await core.ports.runtime.resolveUser(tree.root, config.User ?? '', hostConfig.GroupAdd ?? [])
    : undefined;
  await core.ports.layerTool.writeTree({
    root: tree.root,
    path: folder,
    tar: unpacked(tar),
    noOverwriteDirNonDir: options.noOverwriteDirNonDir,
    ...(user === undefined ? {} : { owner: { uid: user.uid, gid: user.gid } }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  core.publish(container, 'extract-to-dir');
}

/** Implements {@link ContainerService.export}: the container's own tree, without its volumes. */
export async function exportContainer(
  core: ContainerCore,
  container: Container,
  signal: AbortSignal | undefined,
): Promise<AsyncIterable<Uint8Array>> {
  const held = await core.lock.acquire(container.id);
  const isUp = container.isUp;
  let root: string;
  try {
    root = await core.ports.snapshots.mount(container.id);
  } catch (error) {
    held[Symbol.dispose]();
    throw error;
  }
  if (isUp) {
    held[Symbol.dispose]();
  }
  const tree: ContainerTree = {
    root,
    [Symbol.asyncDispose]: async () => {
      if (!isUp) {
        try {
          await core.ports.snapshots.unmount(container.id);
        } finally {
          held[Symbol.dispose]();
        }
      }
    },
  };
  try {
    const tar = core.ports.layerTool.readTree({
      root,
      path: '/',
      name: '',
      ...(signal === undefined ? {} : { signal }),
    });
    const body = await primed(releasing(tar, tree));
    core.publish(container, 'export');
    return body;
  } catch (error) {
    await tree[Symbol.asyncDispose]();
    throw error;
  }
}
