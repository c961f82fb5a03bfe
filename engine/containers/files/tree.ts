import { join } from 'node:path';
import { errnoOf, messageOf } from '../../base/errors.ts';
import type { Container } from '../container.ts';
import type { ContainerCore } from '../core.ts';
import { bindOver, unbind } from '../life/host-mounts.ts';
import type { MountRecord } from '../record.ts';

/** A container's file tree as it sees it, held until disposed. */
export interface ContainerTree extends AsyncDisposable {
  /** Host path of its root. Only for programs that chroot into it. */
  readonly root: string;
}

/** The host path that was bound over; undefined when the mount cannot be shown. */
async function bindOnto(
  core: ContainerCore,
  root: string,
  mount: MountRecord,
  source: string,
): Promise<string | undefined> {
  const target = await core.ports.runtime.resolveInRoot(root, mount.destination);
  try {
    await bindOver(source, root, target);
    return target;
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'EEXIST' || code === 'ENOTDIR' || code === 'ENOENT' || code === 'EISDIR') {
      // Another kind of file is there, or the source is gone: the tree is shown without it.
      return undefined;
    }
    throw error;
  }
}

/**
 * Opens the tree of a container: of a running one through its first process, with all that is mounted there; of a stopped
 * one mounted for the occasion, with its volumes and folders bound in place. For a stopped one the caller holds its lock.
 */
export async function openTree(core: ContainerCore, container: Container): Promise<ContainerTree> {
  const { state } = container.record;
  if (container.isUp && state.pid > 0) {
    return {
      root: `/proc/${state.pid}/root`,
      [Symbol.asyncDispose]: async () => {
        await Promise.resolve();
      },
    };
  }
  const { snapshots, volumes } = core.ports;
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
    const root = await snapshots.mount(container.id);
    undo.push(async () => await snapshots.unmount(container.id));
    const mounts = container.record.mounts
      .filter((mount) => mount.type === 'volume' || mount.type === 'bind')
      .toSorted((a, b) => a.destination.split('/').length - b.destination.split('/').length);
    for (const mount of mounts) {
      let source = mount.source;
      if (mount.type === 'volume') {
        source = join(
          await volumes.acquire(mount.name, container.id),
          mount.spec.VolumeOptions?.Subpath ?? '',
        );
        undo.push(async () => await volumes.release(mount.name, container.id));
      }
      const target = await bindOnto(core, root, mount, source);
      if (target !== undefined) {
        undo.push(async () => await unbind(target));
      }
    }
    return { root, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
