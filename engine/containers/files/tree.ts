import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf } from '../../base/errors.ts';
import { run, runOrThrow } from '../../base/node/run.ts';
import type { Container } from '../container.ts';
import type { ContainerCore } from '../core.ts';
import { bindOver } from '../life/host-mounts.ts';
import { networkFiles } from '../life/network.ts';

/** A container's file tree, held until disposed. */
export interface ContainerTree extends AsyncDisposable {
  /** Host path of its root. Only for programs that chroot into it. */
  readonly root: string;
}

/** How views are named below the run root; `restore` removes what a crash left. */
export const VIEW_PREFIX = 'view-';

let viewCount = 0;

interface Binding {
  readonly source: string;
  readonly destination: string;
  readonly isWritable: boolean;
}

/** What is mounted in a container besides its own tree, outer paths first. */
async function bindings(
  core: ContainerCore,
  container: Container,
  path: string,
  undo: (() => Promise<void>)[],
): Promise<Binding[]> {
  const { record, id } = container;
  const list: Binding[] = [];
  if (record.hasBeenStarted && (path === '/' || path === '/.' || path.startsWith('/etc'))) {
    const files = networkFiles(core, container);
    const isWritable = record.hostConfig.ReadonlyRootfs !== true;
    list.push(
      { source: files.hosts, destination: '/etc/hosts', isWritable },
      { source: files.hostname, destination: '/etc/hostname', isWritable },
      { source: files.resolvConf, destination: '/etc/resolv.conf', isWritable },
    );
  }
  for (const { type, name, source, destination, isWritable, spec } of record.mounts) {
    if (type === 'volume') {
      // A running container has acquired its volumes already.
      const folder = container.isUp ? source : await core.ports.volumes.acquire(name, id);
      if (!container.isUp) {
        undo.push(async () => await core.ports.volumes.release(name, id));
      }
      const subpath = spec.VolumeOptions?.Subpath ?? '';
      const inside =
        subpath === '' ? folder : await core.ports.runtime.resolveInRoot(folder, subpath);
      list.push({ source: inside, destination, isWritable });
    } else if (type === 'bind') {
      list.push({ source, destination, isWritable });
    }
  }
  const depth = (binding: Binding): number => binding.destination.split('/').length;
  return list.sort((a, b) => depth(a) - depth(b));
}

async function show(
  core: ContainerCore,
  view: string,
  binding: Binding,
  isForWriting: boolean,
): Promise<void> {
  const target = await core.ports.runtime.resolveInRoot(view, binding.destination);
  try {
    await bindOver(binding.source, view, target);
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'EEXIST' || code === 'ENOTDIR' || code === 'ENOENT' || code === 'EISDIR') {
      // Another kind of file is there, or the source is gone: the tree is shown without it.
      return;
    }
    throw error;
  }
  if (isForWriting && !binding.isWritable) {
    await runOrThrow('mount', ['-o', 'remount,bind,ro', target]);
  }
}

/** Takes a view and everything in it away. */
export async function dropView(path: string): Promise<void> {
  await run('umount', ['--recursive', '--lazy', path]);
  await rmdir(path).catch(() => {});
}

async function openView(
  core: ContainerCore,
  root: string,
  binds: readonly Binding[],
  options: { readonly isForWriting: boolean; readonly isReadOnly: boolean },
): Promise<string> {
  viewCount += 1;
  const view = join(core.settings.runRoot, `${VIEW_PREFIX}${process.pid}-${viewCount}`);
  await mkdir(view, { recursive: true, mode: 0o700 });
  try {
    await runOrThrow('mount', ['--bind', '--make-private', root, view]);
    for (const binding of binds) {
      await show(core, view, binding, options.isForWriting);
    }
    if (options.isForWriting && options.isReadOnly) {
      await runOrThrow('mount', ['-o', 'remount,bind,ro', view]);
    }
    return view;
  } catch (error) {
    await dropView(view);
    throw error;
  }
}

/**
 * Opens the tree of a container with its volumes and binds in place, but without what the runtime mounts (proc, sys, dev,
 * tmpfs). For a stopped one the caller holds its lock.
 *
 * @param path  what it is opened for
 */
export async function openTree(
  core: ContainerCore,
  container: Container,
  options: { readonly path: string; readonly isForWriting: boolean },
): Promise<ContainerTree> {
  const { snapshots } = core.ports;
  const undo: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) {
      await step().catch((error: unknown) => {
        core.logger.warn('file tree of a container was not released', {
          id: container.id,
          problem: messageOf(error),
        });
      });
    }
  };
  try {
    const isUp = container.isUp;
    const root = await snapshots.mount(container.id);
    if (!isUp) {
      undo.push(async () => await snapshots.unmount(container.id));
    }
    const binds = await bindings(core, container, options.path, undo);
    if (binds.length === 0) {
      return { root, [Symbol.asyncDispose]: close };
    }
    const view = await openView(core, root, binds, {
      isForWriting: options.isForWriting,
      isReadOnly: container.record.hostConfig.ReadonlyRootfs === true,
    });
    undo.push(async () => await dropView(view));
    return { root: view, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
