import { ConflictError, messageOf, SystemError } from '../../base/errors.ts';
import type { Container } from '../container.ts';
import { statusOf } from '../container.ts';
import type { RemoveOptions } from '../contract.ts';
import type { ContainerCore } from '../core.ts';
import type { Execs } from '../exec.ts';
import { withPrefix } from '../rewrap.ts';

/**
 * Takes a stopped container away: file tree, folder, anonymous volumes, name. The caller holds the lock. Network and
 * mounts are released already. A failure leaves it `dead`, to be removed again.
 *
 * @throws SystemError
 */
export async function destroy(
  core: ContainerCore,
  execs: Execs,
  container: Container,
  options: { readonly withVolumes: boolean },
): Promise<void> {
  const { record } = container;
  record.state.isRemoving = true;
  for (const pending of container.pendingAttaches) {
    pending.giveUp();
  }
  container.pendingAttaches.clear();
  try {
    await holdLogs(core, container);
    // The file tree goes first: a record whose tree is missing is a removal that the next start finishes.
    await core.ports.snapshots.removeWritable(container.id);
    container.isRemoved = true;
    await core.store.remove(container.id);
  } catch (cause) {
    container.isRemoved = false;
    record.state.isRemoving = false;
    record.state.isDead = true;
    await core.saveState(container);
    throw new SystemError(`unable to remove filesystem: ${messageOf(cause)}`, { cause });
  }
  core.registry.remove(container);
  execs.forget(container);
  for (const link of record.links) {
    core.registry.removeLink(record.name, link.alias);
  }
  if (options.withVolumes) {
    await removeAnonymousVolumes(core, container);
  }
  core.publish(container, 'destroy');
  container.notifyRemoved();
  // An image removed by force meanwhile stayed for its sake.
  await core.ports.images.collect().catch((error: unknown) => {
    core.logger.warn('layers of a removed image stay', { problem: messageOf(error) });
  });
}

/** Slow clients of a container that is gone read its output to the end. */
async function holdLogs(core: ContainerCore, container: Container): Promise<void> {
  const held = [...container.clientLogs].map(async (log) => await log.hold());
  for (const result of await Promise.allSettled(held)) {
    if (result.status === 'rejected') {
      const problem = messageOf(result.reason);
      core.logger.warn('a client misses the end of the output', { id: container.id, problem });
    }
  }
}

async function removeAnonymousVolumes(core: ContainerCore, container: Container): Promise<void> {
  for (const mount of container.record.mounts) {
    if (mount.type !== 'volume' || mount.spec.Source) {
      continue;
    }
    try {
      await core.ports.volumes.remove(mount.name, { isForced: false });
    } catch (error) {
      // Another container may have it through --volumes-from.
      if (!(error instanceof ConflictError)) {
        core.logger.warn('anonymous volume stays', { name: mount.name, problem: messageOf(error) });
      }
    }
  }
}

/** @throws ConflictError  it runs, with Docker's words */
export function assertRemovable(container: Container, ref: string, isForced: boolean): void {
  const { state } = container.record;
  if (state.isRemoving) {
    throw new ConflictError(`removal of container ${ref} is already in progress`);
  }
  if (!state.isRunning || isForced) {
    return;
  }
  const problem = state.isPaused
    ? 'container is paused and must be unpaused first'
    : `container is ${statusOf(container.record)}: stop the container before removing or force remove`;
  throw new ConflictError(`cannot remove container "/${container.record.name}": ${problem}`);
}

/** Removes only the link `/parent/alias`. */
export async function removeLink(core: ContainerCore, ref: string): Promise<void> {
  const name = ref.replace(/^\//, '');
  const split = name.lastIndexOf('/');
  if (split <= 0) {
    throw new ConflictError('Conflict, cannot remove the default link name of the container');
  }
  const parent = core.registry.get(name.slice(0, split));
  const alias = name.slice(split + 1);
  await core.lock.run(parent.id, async () => {
    parent.record.links = parent.record.links.filter((link) => link.alias !== alias);
    core.registry.removeLink(parent.record.name, alias);
    await core.saveState(parent, true);
  });
}

/** The words in front of every failure of a removal. */
export function removalError(container: Container, cause: unknown): Error {
  return withPrefix(cause, `cannot remove container "/${container.record.name}"`);
}

export type { RemoveOptions };
