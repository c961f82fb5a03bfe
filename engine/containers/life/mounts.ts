import { mkdir, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { InvalidParameterError, isMissing, NotFoundError } from '../../base/errors.ts';
import type { SpecMount } from '../../runtime/contract.ts';
import type { Digest } from '../../snapshots/contract.ts';
import type { Container } from '../container.ts';
import type { ContainerCore } from '../core.ts';
import { cleanPath, tmpfsMountOptions } from '../create/mount-spec.ts';
import { containerMode } from '../create/validate.ts';
import type { MountRecord } from '../record.ts';
import { bindInside, dropMount, mountTmpfs } from './host-mounts.ts';
import { resolveSubpath } from './subpath.ts';

/** Mounts of one start. What lives on the host only for the start is dropped by `afterStart`. */
export interface ResolvedMounts {
  readonly mounts: readonly SpecMount[];
  readonly afterStart: () => Promise<void>;
}

/** Folder of a shareable container's /dev/shm. */
export function shmPath(core: ContainerCore, id: string): string {
  return join(core.runDir(id), 'shm');
}

const DEFAULT_TMPFS = ['noexec', 'nosuid', 'nodev'];
const OPPOSITES: Readonly<Record<string, string>> = {
  exec: 'noexec',
  suid: 'nosuid',
  dev: 'nodev',
  noexec: 'exec',
  nosuid: 'suid',
  nodev: 'dev',
  ro: 'rw',
  rw: 'ro',
};

/** Later options win over earlier ones of the same meaning. */
export function mergeTmpfsOptions(given: readonly string[]): string[] {
  const result: string[] = [];
  for (const option of [...DEFAULT_TMPFS, ...given]) {
    if (option === '' || option === 'defaults') {
      continue;
    }
    const key = option.split('=', 1)[0] ?? option;
    const rivals = new Set([key, OPPOSITES[key] ?? key]);
    const kept = result.filter((entry) => !rivals.has(entry.split('=', 1)[0] ?? entry));
    result.splice(0, result.length, ...kept, option);
  }
  return result;
}

/** mount_setattr(2) with recursion, which `rro` needs. */
function hasRecursiveReadOnly(kernelVersion: string): boolean {
  const [major = 0, minor = 0] = kernelVersion.split('.').map((part) => Number.parseInt(part, 10));
  return major > 5 || (major === 5 && minor >= 12);
}

function bindOptions(core: ContainerCore, mount: MountRecord): string[] {
  const options = mount.spec.BindOptions;
  const isRecursive = options?.NonRecursive !== true;
  const isRuncLike = core.ports.runtime.runtimes.defaultName !== 'crun';
  const canRecurse = hasRecursiveReadOnly(core.ports.runtime.machine.kernelVersion) && isRuncLike;
  if (options?.ReadOnlyForceRecursive === true && !canRecurse) {
    throw new InvalidParameterError(
      `recursive read-only mounts are not supported on this machine: ${mount.destination}`,
    );
  }
  const list = [isRecursive ? 'rbind' : 'bind', mount.propagation || 'rprivate'];
  if (!mount.isWritable) {
    const isWanted = isRecursive && options?.ReadOnlyNonRecursive !== true;
    const isPrivate = !['shared', 'rshared', 'slave', 'rslave'].includes(mount.propagation);
    list.push(isWanted && isPrivate && canRecurse ? 'rro' : 'ro');
  }
  return list;
}

async function bindMount(core: ContainerCore, mount: MountRecord): Promise<SpecMount> {
  try {
    await stat(mount.source);
  } catch (error) {
    if (!isMissing(error)) {
      throw error;
    }
    if (!mount.createsSource) {
      throw new InvalidParameterError(
        `invalid mount config for type "bind": bind source path does not exist: ${mount.source}`,
        { cause: error },
      );
    }
    await mkdir(mount.source, { recursive: true, mode: 0o755 });
  }
  return {
    type: 'bind',
    source: mount.source,
    target: mount.destination,
    options: bindOptions(core, mount),
  };
}

interface Temporary {
  readonly undo: (() => Promise<void>)[];
  readonly folder: string;
}

async function subpathSource(root: string, subpath: string, temporary: Temporary): Promise<string> {
  const resolved = await resolveSubpath(root, subpath);
  const place = join(temporary.folder, `subpath-${temporary.undo.length}`);
  try {
    await bindInside(root, resolved, place);
  } catch (error) {
    if (isMissing(error)) {
      throw new InvalidParameterError(
        `cannot access path ${posix.join(root, subpath)}: lstat ${posix.join(root, subpath)}: no such file or directory`,
        { cause: error },
      );
    }
    throw error;
  }
  temporary.undo.push(async () => await dropMount(place));
  return place;
}

async function volumeMount(
  core: ContainerCore,
  container: Container,
  mount: MountRecord,
  temporary: Temporary,
): Promise<SpecMount> {
  const root = await core.ports.volumes.acquire(mount.name, container.id);
  const subpath = mount.spec.VolumeOptions?.Subpath ?? '';
  const source = subpath === '' ? root : await subpathSource(root, subpath, temporary);
  return {
    type: 'bind',
    source,
    target: mount.destination,
    options: ['rbind', 'rprivate', ...(mount.isWritable ? [] : ['ro'])],
  };
}

async function imageMount(
  core: ContainerCore,
  mount: MountRecord,
  temporary: Temporary,
): Promise<SpecMount> {
  const chainId = core.ports.images.mountableChainId(mount.source as Digest);
  if (chainId === undefined) {
    throw new NotFoundError(`No such image: ${mount.name}`);
  }
  const tree = await core.ports.snapshots.mountLayer(chainId);
  temporary.undo.push(async () => await tree[Symbol.asyncDispose]());
  const subpath = mount.spec.ImageOptions?.Subpath ?? '';
  const source = subpath === '' ? tree.path : await subpathSource(tree.path, subpath, temporary);
  return {
    type: 'bind',
    source,
    target: mount.destination,
    options: ['rbind', 'rprivate', 'ro'],
  };
}

function tmpfsMounts(container: Container): SpecMount[] {
  const { hostConfig, mounts } = container.record;
  const flags = Object.entries(hostConfig.Tmpfs ?? {}).map(
    ([target, options]): SpecMount => ({
      type: 'tmpfs',
      source: 'tmpfs',
      target: cleanPath(target),
      options: mergeTmpfsOptions(options.split(',')),
    }),
  );
  const specs = mounts
    .filter((mount) => mount.type === 'tmpfs')
    .map(
      (mount): SpecMount => ({
        type: 'tmpfs',
        source: 'tmpfs',
        target: mount.destination,
        options: mergeTmpfsOptions(tmpfsMountOptions(mount.spec)),
      }),
    );
  return [...flags, ...specs];
}

function donorShm(core: ContainerCore, ref: string): string {
  const donor = core.registry.get(ref);
  const mode = donor.record.hostConfig.IpcMode;
  if (mode === 'host') {
    return '/dev/shm';
  }
  const inherited = containerMode(mode);
  if (inherited !== undefined) {
    return donorShm(core, inherited);
  }
  if (mode !== 'shareable') {
    throw new InvalidParameterError(
      `failed to join IPC namespace: container ${ref}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
    );
  }
  return shmPath(core, donor.id);
}

async function shmMount(core: ContainerCore, container: Container): Promise<SpecMount[]> {
  const { hostConfig } = container.record;
  const mode = hostConfig.IpcMode ?? 'private';
  const size = hostConfig.ShmSize ?? core.settings.defaultShmBytes;
  const bound = (source: string): SpecMount[] => [
    { type: 'bind', source, target: '/dev/shm', options: ['rbind', 'rprivate'] },
  ];
  if (mode === 'none') {
    return [];
  }
  if (mode === 'host') {
    return bound('/dev/shm');
  }
  const donor = containerMode(mode);
  if (donor !== undefined) {
    return bound(donorShm(core, donor));
  }
  if (mode === 'shareable') {
    const path = shmPath(core, container.id);
    await mountTmpfs(path, `mode=1777,size=${size},noexec,nosuid,nodev`);
    return bound(path);
  }
  return [
    {
      type: 'tmpfs',
      source: 'shm',
      target: '/dev/shm',
      options: ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${size}`],
    },
  ];
}

/** Paths of the files that are bound to /etc. */
export interface NetworkFiles {
  readonly resolvConf: string;
  readonly hostname: string;
  readonly hosts: string;
}

function fileMounts(container: Container, files: NetworkFiles): SpecMount[] {
  const mode = container.record.hostConfig.ReadonlyRootfs === true ? ['ro'] : [];
  const entry = (source: string, target: string): SpecMount => ({
    type: 'bind',
    source,
    target,
    options: ['rbind', 'rprivate', ...mode],
  });
  return [
    entry(files.resolvConf, '/etc/resolv.conf'),
    entry(files.hostname, '/etc/hostname'),
    entry(files.hosts, '/etc/hosts'),
  ];
}

function depth(target: string): number {
  return target.split('/').length;
}

/**
 * Everything that is mounted for one start, outer paths first.
 *
 * @throws InvalidParameterError, NotFoundError, SystemError; what was mounted by then is dropped again
 */
export async function resolveMounts(
  core: ContainerCore,
  container: Container,
  files: NetworkFiles,
): Promise<ResolvedMounts> {
  const temporary: Temporary = { undo: [], folder: core.runDir(container.id) };
  const afterStart = async (): Promise<void> => {
    for (const undo of temporary.undo.toReversed()) {
      await undo();
    }
  };
  try {
    const own: SpecMount[] = tmpfsMounts(container);
    for (const mount of container.record.mounts) {
      if (mount.type === 'bind') {
        own.push(await bindMount(core, mount));
      } else if (mount.type === 'volume') {
        own.push(await volumeMount(core, container, mount, temporary));
      } else if (mount.type === 'image') {
        own.push(await imageMount(core, mount, temporary));
      }
    }
    const targets = new Set(own.map((mount) => mount.target));
    const shm = targets.has('/dev/shm') ? [] : await shmMount(core, container);
    const etc = fileMounts(container, files).filter((mount) => !targets.has(mount.target));
    const mounts = [...shm, ...own, ...etc].sort((a, b) => depth(a.target) - depth(b.target));
    return { mounts, afterStart };
  } catch (error) {
    await afterStart();
    throw error;
  }
}
