import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DeviceMapping } from '../api/types/container.ts';
import { InvalidParameterError } from '../base/errors.ts';

/** `linux.devices` entry of the OCI runtime specification. */
export interface OciDevice {
  readonly path: string;
  readonly type: 'c' | 'b' | 'p';
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  readonly uid: number;
  readonly gid: number;
}

/** `linux.resources.devices` entry. */
export interface OciDeviceRule {
  readonly allow: boolean;
  readonly type?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly access: string;
}

const FORMAT_MASK = 0o170000;
const CHARACTER_DEVICE = 0o020000;
const BLOCK_DEVICE = 0o060000;

/** Docker's rules: every device may be made, only the usual few may be used. */
export const DEFAULT_DEVICE_RULES: readonly OciDeviceRule[] = [
  { allow: false, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 5, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 9, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 8, access: 'rwm' },
  { allow: true, type: 'c', major: 5, minor: 0, access: 'rwm' },
  { allow: true, type: 'c', major: 5, minor: 1, access: 'rwm' },
  { allow: false, type: 'c', major: 10, minor: 229, access: 'rwm' },
];

/** Linux encodes 12 bits of major and 20 of minor number in st_rdev. */
function deviceNumbers(rdev: number): { major: number; minor: number } {
  const wide = BigInt(rdev);
  return {
    major: Number(((wide >> 8n) & 0xfffn) | ((wide >> 32n) & ~0xfffn)),
    minor: Number((wide & 0xffn) | ((wide >> 12n) & ~0xffn)),
  };
}

async function deviceAt(hostPath: string, path: string): Promise<OciDevice | undefined> {
  const facts = await stat(hostPath);
  const format = facts.mode & FORMAT_MASK;
  if (format !== CHARACTER_DEVICE && format !== BLOCK_DEVICE) {
    return undefined;
  }
  return {
    path,
    type: format === CHARACTER_DEVICE ? 'c' : 'b',
    ...deviceNumbers(facts.rdev),
    fileMode: facts.mode & 0o7777,
    uid: facts.uid,
    gid: facts.gid,
  };
}

/** Folders and files below /dev that belong to the container itself. */
const OWN_ENTRIES = new Set([
  'pts',
  'shm',
  'fd',
  'mqueue',
  'console',
  'ptmx',
  '.lxc',
  '.lxd-mounts',
  '.udev',
]);

async function devicesBelow(hostFolder: string, folder: string): Promise<OciDevice[]> {
  const devices: OciDevice[] = [];
  for (const entry of await readdir(hostFolder, { withFileTypes: true })) {
    const hostPath = join(hostFolder, entry.name);
    if (entry.isDirectory() && !OWN_ENTRIES.has(entry.name)) {
      devices.push(...(await devicesBelow(hostPath, join(folder, entry.name))));
    } else if (
      (entry.isCharacterDevice() || entry.isBlockDevice()) &&
      !OWN_ENTRIES.has(entry.name)
    ) {
      const device = await deviceAt(hostPath, join(folder, entry.name)).catch(() => undefined);
      if (device !== undefined) {
        devices.push(device);
      }
    }
  }
  return devices;
}

/** All devices of the host, for `--privileged`. */
export async function hostDevices(): Promise<OciDevice[]> {
  return await devicesBelow('/dev', '/dev');
}

/** Devices and their rules of one `--device`. */
export interface MappedDevices {
  readonly devices: readonly OciDevice[];
  readonly rules: readonly OciDeviceRule[];
}

/**
 * Resolves `--device HOST[:CONTAINER[:rwm]]`; a folder stands for all devices below it.
 *
 * @throws InvalidParameterError  no device there
 */
export async function mapDevice(mapping: DeviceMapping): Promise<MappedDevices> {
  const hostPath = mapping.PathOnHost ?? '';
  const path = mapping.PathInContainer || hostPath;
  const access = mapping.CgroupPermissions || 'rwm';
  let devices: OciDevice[];
  try {
    const one = await deviceAt(hostPath, path);
    const isFolder = one === undefined && (await stat(hostPath)).isDirectory();
    devices = one === undefined ? (isFolder ? await devicesBelow(hostPath, path) : []) : [one];
  } catch (cause) {
    throw new InvalidParameterError(
      `error gathering device information while adding custom device "${hostPath}": no such file or directory`,
      { cause },
    );
  }
  if (devices.length === 0) {
    throw new InvalidParameterError(
      `error gathering device information while adding custom device "${hostPath}": not a device node`,
    );
  }
  return {
    devices,
    rules: devices.map(({ type, major, minor }) => ({ allow: true, type, major, minor, access })),
  };
}

/**
 * Parses `--device-cgroup-rule` such as `c 42:* rmw`.
 *
 * @throws InvalidParameterError
 */
export function parseDeviceRule(text: string): OciDeviceRule {
  const match = /^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$/.exec(text);
  if (match === null) {
    throw new InvalidParameterError(`invalid device cgroup rule format: '${text}'`);
  }
  const [, type = 'a', major = '*', minor = '*', access = 'rwm'] = match;
  return {
    allow: true,
    type,
    access,
    ...(major === '*' ? {} : { major: Number(major) }),
    ...(minor === '*' ? {} : { minor: Number(minor) }),
  };
}

/** Major and minor number of a block device, for block I/O limits. @throws InvalidParameterError */
export async function blockDeviceNumbers(path: string): Promise<{ major: number; minor: number }> {
  try {
    return deviceNumbers((await stat(path)).rdev);
  } catch (cause) {
    throw new InvalidParameterError(`no such device: ${path}`, { cause });
  }
}
