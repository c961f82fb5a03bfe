import { posix } from 'node:path';
import type { HostConfig, Mount } from '../../api/types/container.ts';
import { InvalidParameterError } from '../../base/errors.ts';
import type { MountRecord } from '../record.ts';

const PROPAGATIONS = new Set(['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared']);
const RW_MODES = new Set(['rw', 'ro']);
const LABEL_MODES = new Set(['z', 'Z']);
const COPY_MODES = new Set(['nocopy']);
const CONSISTENCIES = new Set(['consistent', 'cached', 'delegated']);
const DEFAULT_PROPAGATION = 'rprivate';

function refuse(message: string): never {
  throw new InvalidParameterError(message);
}

/** True for the third part of `-v SRC:DST:MODE`. */
export function isValidMode(mode: string): boolean {
  if (mode === '') {
    return true;
  }
  const counts = new Map<Set<string>, number>();
  for (const part of mode.split(',')) {
    const group = [RW_MODES, LABEL_MODES, PROPAGATIONS, COPY_MODES, CONSISTENCIES].find((set) =>
      set.has(part),
    );
    if (group === undefined || counts.has(group)) {
      return false;
    }
    counts.set(group, 1);
  }
  return true;
}

/** True unless the mode says `ro`. */
export function isWritableMode(mode: string): boolean {
  return isValidMode(mode) && !mode.split(',').includes('ro');
}

/** A path that stays inside: relative and never above its start. */
function isLocalPath(path: string): boolean {
  if (path === '' || path.startsWith('/')) {
    return false;
  }
  const clean = posix.normalize(path);
  return clean !== '..' && !clean.startsWith('../');
}

function checkTarget(mount: Mount): void {
  const target = (mount.Target ?? '').replaceAll('\\', '/');
  if (target === '') {
    refuse(described(mount, 'field Target must not be empty'));
  }
  if (posix.normalize(target) === '/') {
    refuse(described(mount, "invalid specification: destination can't be '/'"));
  }
  if (!target.startsWith('/')) {
    refuse(described(mount, `invalid mount path: '${mount.Target}' mount path must be absolute`));
  }
}

function described(mount: Mount, problem: string): string {
  return `invalid mount config for type "${mount.Type ?? ''}": ${problem}`;
}

type OptionField = 'BindOptions' | 'VolumeOptions' | 'ImageOptions' | 'TmpfsOptions';

function forbid(mount: Mount, fields: readonly OptionField[]): void {
  for (const field of fields) {
    if (mount[field] !== undefined) {
      refuse(described(mount, `field ${field} must not be specified`));
    }
  }
}

function checkBind(mount: Mount): void {
  if (!mount.Source) {
    refuse(described(mount, 'field Source must not be empty'));
  }
  const propagation = mount.BindOptions?.Propagation ?? '';
  if (propagation !== '' && !PROPAGATIONS.has(propagation)) {
    refuse(described(mount, `invalid propagation mode: ${propagation}`));
  }
  forbid(mount, ['VolumeOptions', 'ImageOptions']);
  if (!mount.Source.startsWith('/')) {
    refuse(described(mount, `invalid mount path: '${mount.Source}' mount path must be absolute`));
  }
  const options = mount.BindOptions;
  const isReadOnly = mount.ReadOnly === true;
  if (options?.ReadOnlyNonRecursive === true && !isReadOnly) {
    refuse(
      described(mount, 'mount options conflict: !ReadOnly && BindOptions.ReadOnlyNonRecursive'),
    );
  }
  if (options?.ReadOnlyForceRecursive === true && !isReadOnly) {
    refuse(
      described(mount, 'mount options conflict: !ReadOnly && BindOptions.ReadOnlyForceRecursive'),
    );
  }
  if (options?.ReadOnlyForceRecursive === true && options.ReadOnlyNonRecursive === true) {
    refuse(
      described(
        mount,
        'mount options conflict: ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive',
      ),
    );
  }
}

function checkVolume(mount: Mount): void {
  forbid(mount, ['BindOptions', 'ImageOptions']);
  const isAnonymous = !mount.Source;
  const subpath = mount.VolumeOptions?.Subpath ?? '';
  if (subpath !== '' && isAnonymous) {
    refuse(described(mount, 'must not set Subpath when using anonymous volumes'));
  }
  if (subpath !== '' && !isLocalPath(subpath)) {
    refuse(described(mount, 'subpath must be a relative path within the volume'));
  }
  if (mount.ReadOnly === true && isAnonymous) {
    refuse(described(mount, 'must not set ReadOnly mode when using anonymous volumes'));
  }
}

function checkTmpfs(mount: Mount): void {
  forbid(mount, ['BindOptions', 'ImageOptions', 'VolumeOptions']);
  if (mount.Source) {
    refuse(described(mount, 'field Source must not be specified'));
  }
  try {
    tmpfsMountOptions(mount);
  } catch (error) {
    refuse(described(mount, error instanceof Error ? error.message : String(error)));
  }
}

function checkImage(mount: Mount): void {
  forbid(mount, ['BindOptions', 'VolumeOptions']);
  if (!mount.Source) {
    refuse(described(mount, 'field Source must not be empty'));
  }
  const subpath = mount.ImageOptions?.Subpath ?? '';
  if (subpath !== '' && !isLocalPath(subpath)) {
    refuse(described(mount, 'subpath must be a relative path within the volume'));
  }
}

/** Checks one `--mount` as Docker does. @throws InvalidParameterError */
export function checkMount(mount: Mount): void {
  checkTarget(mount);
  switch (mount.Type ?? '') {
    case 'bind':
      checkBind(mount);
      return;
    case 'volume':
      checkVolume(mount);
      return;
    case 'tmpfs':
      checkTmpfs(mount);
      return;
    case 'image':
      checkImage(mount);
      return;
    default:
      refuse(described(mount, 'mount type unknown'));
  }
}

/** tmpfs options of a `--mount type=tmpfs`: `ro`, `mode=1770`, `size=64m`, `exec`. */
export function tmpfsMountOptions(mount: Mount): readonly string[] {
  const options: string[] = mount.ReadOnly === true ? ['ro'] : [];
  const { Mode: mode, SizeBytes: size, Options: raw } = mount.TmpfsOptions ?? {};
  if (mode !== undefined && mode !== 0) {
    options.push(`mode=${mode.toString(8)}`);
  }
  if (size !== undefined && size !== 0) {
    const units: readonly (readonly [string, number])[] = [
      ['g', 2 ** 30],
      ['m', 2 ** 20],
      ['k', 2 ** 10],
    ];
    const [unit, factor] = units.find(([, bytes]) => size % bytes === 0) ?? ['', 1];
    options.push(`size=${size / factor}${unit}`);
  }
  for (const option of raw ?? []) {
    const [key = '', value] = option;
    if (option.length < 1 || option.length > 2) {
      refuse('invalid option array length');
    }
    if (key !== 'exec' && key !== 'noexec') {
      refuse(`invalid option: ${key}`);
    }
    options.push(value === undefined ? key : `${key}=${value}`);
  }
  return options;
}

/** Checks the destination of a `--tmpfs`. @throws InvalidParameterError */
export function checkTmpfsDestination(target: string): void {
  if (posix.normalize(target.replaceAll('\\', '/')) === '/') {
    refuse("invalid specification: destination can't be '/'");
  }
  if (!target.startsWith('/')) {
    refuse(`invalid mount path: '${target}' mount path must be absolute`);
  }
}

/** `/a/./b/` -> `/a/b`. */
export function cleanPath(path: string): string {
  const clean = posix.normalize(path);
  return clean.length > 1 ? clean.replace(/\/+$/, '') : clean;
}

function recordOf(mount: Mount, mode: string, createsSource: boolean): MountRecord {
  const type = mount.Type;
  if (type !== 'bind' && type !== 'volume' && type !== 'tmpfs' && type !== 'image') {
    return refuse(described(mount, 'mount type unknown'));
  }
  const source = mount.Source ?? '';
  const base: MountRecord = {
    type,
    name: '',
    source: '',
    destination: cleanPath(mount.Target ?? ''),
    driver: '',
    mode,
    isWritable: mount.ReadOnly !== true,
    propagation: '',
    copiesData: false,
    createsSource,
    spec: mount,
  };
  switch (type) {
    case 'bind': {
      const propagation = mount.BindOptions?.Propagation || DEFAULT_PROPAGATION;
      return { ...base, source: cleanPath(source), propagation };
    }
    case 'volume': {
      const driver = mount.VolumeOptions?.DriverConfig?.Name ?? '';
      const copiesData = mount.VolumeOptions?.NoCopy !== true;
      return { ...base, name: source, driver, copiesData };
    }
    case 'image':
      return { ...base, name: source, isWritable: false, propagation: DEFAULT_PROPAGATION };
    default:
      return base;
  }
}

/** The `--mount` that a `-v` stands for. */
function bindAsMount(
  source: string,
  target: string,
  flags: readonly string[],
  driver: string,
): Mount {
  const isBind = source.startsWith('/');
  const propagation = flags.find((flag) => PROPAGATIONS.has(flag));
  const hasNoCopy = !isBind && flags.includes('nocopy');
  const options = {
    ...(driver === '' ? {} : { DriverConfig: { Name: driver } }),
    ...(hasNoCopy ? { NoCopy: true } : {}),
  };
  return {
    Type: isBind ? 'bind' : 'volume',
    Source: source,
    Target: target,
    ...(flags.includes('ro') ? { ReadOnly: true } : {}),
    ...(propagation === undefined ? {} : { BindOptions: { Propagation: propagation } }),
    ...(Object.keys(options).length === 0 ? {} : { VolumeOptions: options }),
  };
}

/** Decodes one `-v` (HostConfig.Binds). @throws InvalidParameterError "invalid volume specification: 'X'" */
export function parseBind(raw: string, volumeDriver: string): MountRecord {
  const parts = raw.split(':');
  const wrong = `invalid volume specification: '${raw}'`;
  const [first = '', second, mode = ''] = parts;
  if (first === '' || parts.length > 3) {
    refuse(wrong);
  }
  if (parts.length === 2 && isValidMode(second ?? '')) {
    refuse(wrong);
  }
  if (!isValidMode(mode)) {
    refuse(`invalid mode: ${mode}`);
  }
  const source = second === undefined ? '' : first;
  const isBind = source.startsWith('/');
  const flags = mode.split(',');
  const mount = bindAsMount(source, second ?? first, flags, isBind ? '' : volumeDriver);
  if (isBind && flags.includes('nocopy')) {
    refuse(`${wrong}: ${described(mount, 'field VolumeOptions must not be specified')}`);
  }
  try {
    checkMount(mount);
  } catch (error) {
    refuse(`${wrong}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return recordOf(mount, mode, true);
}

/** Decodes one `--mount`. @throws InvalidParameterError */
export function parseMount(mount: Mount): MountRecord {
  checkMount(mount);
  const createsSource = mount.Type !== 'bind' || mount.BindOptions?.CreateMountpoint === true;
  return recordOf(mount, '', createsSource);
}

/** `--volumes-from ID[:mode]`. @throws InvalidParameterError */
export function parseVolumesFrom(text: string): { readonly ref: string; readonly mode: string } {
  const [ref = '', ...rest] = text.split(':');
  if (text === '') {
    refuse('volumes-from specification cannot be an empty string');
  }
  const mode = rest.join(':') || 'rw';
  const flags = mode.split(',');
  const isForbidden = flags.some((flag) => PROPAGATIONS.has(flag) || COPY_MODES.has(flag));
  if (!isValidMode(mode) || isForbidden) {
    refuse(`invalid mode: ${mode}`);
  }
  return { ref, mode };
}

/** Own binds and mounts of a configuration, without what comes from images and other containers. */
export function ownMounts(hostConfig: HostConfig): readonly MountRecord[] {
  const seen = new Set(Object.keys(hostConfig.Tmpfs ?? {}).map(cleanPath));
  const records: MountRecord[] = [];
  const binds = (hostConfig.Binds ?? []).map((raw) =>
    parseBind(raw, hostConfig.VolumeDriver ?? ''),
  );
  const mounts = (hostConfig.Mounts ?? []).map(parseMount);
  for (const record of [...binds, ...mounts]) {
    if (seen.has(record.destination)) {
      refuse(`Duplicate mount point: ${record.destination}`);
    }
    seen.add(record.destination);
    records.push(record);
  }
  return records;
}
