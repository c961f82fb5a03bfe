import { readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ContainerConfig, HostConfig } from '../../api/types/container.ts';
import { InvalidParameterError, NotFoundError } from '../../base/errors.ts';
import type { ContainerCore } from '../core.ts';
import { resolveSubpath } from '../life/subpath.ts';
import type { MountRecord } from '../record.ts';
import { cleanPath, isWritableMode, ownMounts, parseVolumesFrom } from './mount-spec.ts';

/** Mounts of a new container, with what was made for them. */
export interface PreparedMounts {
  readonly mounts: readonly MountRecord[];
  /** Anonymous volumes made for it: removed again when the creation fails. */
  readonly madeVolumes: readonly string[];
}

function inheritedMounts(core: ContainerCore, host: HostConfig): MountRecord[] {
  return (host.VolumesFrom ?? []).flatMap((text) => {
    const { ref, mode } = parseVolumesFrom(text);
    try {
      return core.registry.get(ref).record.mounts.map((mount) => ({
        ...mount,
        isWritable: mount.isWritable && isWritableMode(mode),
        copiesData: false,
      }));
    } catch (cause) {
      if (cause instanceof NotFoundError) {
        throw new InvalidParameterError(cause.message, { cause });
      }
      throw cause;
    }
  });
}

function asNonRecursive(mount: MountRecord): MountRecord {
  if (mount.type !== 'bind' || mount.isWritable) {
    return mount;
  }
  const BindOptions = { ...mount.spec.BindOptions, ReadOnlyNonRecursive: true };
  return { ...mount, spec: { ...mount.spec, BindOptions } };
}

/**
 * A bind that shows the engine's own folders must let mounts that go there away again.
 *
 * @throws InvalidParameterError  it was asked to be private
 */
function withPropagation(core: ContainerCore, mount: MountRecord): MountRecord {
  const dataRoot = dirname(core.settings.root);
  const covers = (outer: string, inner: string): boolean =>
    outer === '/' || inner === outer || inner.startsWith(`${outer}/`);
  if (
    mount.type !== 'bind' ||
    !(covers(mount.source, dataRoot) || covers(dataRoot, mount.source))
  ) {
    return mount;
  }
  const asked = mount.spec.BindOptions?.Propagation ?? '';
  if (asked === '') {
    return { ...mount, propagation: 'rslave' };
  }
  if (asked !== 'rslave' && asked !== 'rshared') {
    throw new InvalidParameterError(
      `invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source is within the daemon root, daemon root: "${dataRoot}", bind mount source: "${mount.source}", propagation: "${asked}"`,
    );
  }
  return mount;
}

/** Makes the volume of a mount, or finds it. */
async function withVolume(core: ContainerCore, mount: MountRecord): Promise<MountRecord> {
  const options = mount.spec.VolumeOptions;
  const volume = await core.ports.volumes.create({
    Name: mount.name === '' ? undefined : mount.name,
    Driver: mount.driver === '' ? undefined : mount.driver,
    DriverOpts: options?.DriverConfig?.Options,
    Labels: options?.Labels,
  });
  return {
    ...mount,
    name: volume.Name,
    driver: volume.Driver,
    source: volume.Mountpoint,
    // What the image declares has no mode; what was asked for has Docker's default.
    mode: mount.mode === '' && mount.spec.Type !== undefined ? 'z' : mount.mode,
  };
}

async function withImage(core: ContainerCore, mount: MountRecord): Promise<MountRecord> {
  const image = await core.ports.images.resolve(mount.name);
  return { ...mount, source: image.id };
}

function imageVolume(destination: string, driver: string): MountRecord {
  return {
    type: 'volume',
    name: '',
    source: '',
    destination,
    driver,
    mode: '',
    isWritable: true,
    propagation: '',
    copiesData: true,
    createsSource: true,
    spec: {},
  };
}

/**
 * Decides all mounts of a new container: volumes of other containers, then its own, then what the image declares.
 *
 * @throws InvalidParameterError, NotFoundError  bad specifications, missing images
 */
export async function prepareMounts(
  core: ContainerCore,
  config: ContainerConfig,
  host: HostConfig,
  isReadOnlyNonRecursive = false,
): Promise<PreparedMounts> {
  const byTarget = new Map<string, MountRecord>();
  const own = ownMounts(host).map((mount) =>
    withPropagation(core, isReadOnlyNonRecursive ? asNonRecursive(mount) : mount),
  );
  for (const mount of [...inheritedMounts(core, host), ...own]) {
    byTarget.set(mount.destination, mount);
  }
  const tmpfs = new Set(Object.keys(host.Tmpfs ?? {}).map(cleanPath));
  for (const target of Object.keys(config.Volumes ?? {})) {
    const destination = cleanPath(target);
    if (!byTarget.has(destination) && !tmpfs.has(destination)) {
      byTarget.set(destination, imageVolume(destination, host.VolumeDriver ?? ''));
    }
  }
  const mounts: MountRecord[] = [];
  const madeVolumes: string[] = [];
  try {
    for (const mount of byTarget.values()) {
      if (mount.type === 'volume') {
        const made = await withVolume(core, mount);
        if (mount.name === '') {
          madeVolumes.push(made.name);
        }
        mounts.push(made);
      } else {
        mounts.push(mount.type === 'image' ? await withImage(core, mount) : mount);
      }
    }
  } catch (error) {
    await dropVolumes(core, madeVolumes);
    throw error;
  }
  return { mounts, madeVolumes };
}

/** Takes anonymous volumes back after a failed creation. */
export async function dropVolumes(core: ContainerCore, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await core.ports.volumes.remove(name, { isForced: true }).catch((error: unknown) => {
      core.logger.warn('volume of a failed creation stays', { name, error });
    });
  }
}

/** False also for what is missing or leads out: the start will tell. */
async function isEmptyBelow(root: string, subpath: string): Promise<boolean> {
  try {
    return (await readdir(await resolveSubpath(root, subpath))).length === 0;
  } catch {
    return false;
  }
}

/**
 * Fills empty volumes with what the image has at their place, owners and permissions kept.
 *
 * @throws InvalidParameterError "cannot mount volume over existing file, file exists PATH"
 */
export async function fillVolumes(
  core: ContainerCore,
  id: string,
  mounts: readonly MountRecord[],
): Promise<void> {
  const volumes = mounts.filter((mount) => mount.type === 'volume' && mount.copiesData);
  if (volumes.length === 0) {
    return;
  }
  const { snapshots, layerTool, volumes: service } = core.ports;
  const root = await snapshots.mount(id);
  try {
    for (const mount of volumes) {
      const facts = await layerTool
        .statPath({ root, path: `${mount.destination}/.` })
        .catch(() => undefined);
      if (facts === undefined) {
        const file = await layerTool.statPath({ root, path: mount.destination });
        if (file !== undefined && !file.isDirectory && file.linkTarget === '') {
          throw new InvalidParameterError(
            `cannot mount volume over existing file, file exists ${mount.destination}`,
          );
        }
        continue;
      }
      const subpath = mount.spec.VolumeOptions?.Subpath ?? '';
      if (!facts.isDirectory || (subpath === '' && !(await service.isEmpty(mount.name)))) {
        continue;
      }
      const target = await service.acquire(mount.name, id);
      try {
        if (subpath === '' || (await isEmptyBelow(target, subpath))) {
          const tar = layerTool.readTree({ root, path: mount.destination, name: '.' });
          await layerTool.writeTree({ root: target, path: `/${subpath}`, tar });
        }
      } finally {
        await service.release(mount.name, id);
      }
    }
  } finally {
    await snapshots.unmount(id);
  }
}
