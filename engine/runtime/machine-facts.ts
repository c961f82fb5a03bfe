import { access, readFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { readTextIfThere } from '../base/node/atomic-file.ts';
import { capabilitiesOfMask } from './capabilities.ts';
import type { MachineFacts } from './contract.ts';

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** Controllers of cgroup v1 that are mounted, from the mount table. */
function mountedControllers(mountinfo: string): Set<string> {
  const controllers = new Set<string>();
  for (const line of mountinfo.split('\n')) {
    const separator = line.indexOf(' - cgroup ');
    if (separator === -1) {
      continue;
    }
    const superOptions = line.slice(separator).split(' ')[4] ?? '';
    for (const option of superOptions.split(',')) {
      controllers.add(option);
    }
  }
  return controllers;
}

/** How the kernel was built, when it or its package tells. */
async function kernelConfig(): Promise<string> {
  try {
    return (await promisify(gunzip)(await readFile('/proc/config.gz'))).toString('utf8');
  } catch {
    // Not every kernel carries it, and /boot is not every machine's: then nothing is known.
    return (await readTextIfThere(`/boot/config-${release()}`).catch(() => undefined)) ?? '';
  }
}

/** See {@link MachineFacts.missingAbis}, from the text of a kernel configuration. */
export function missingAbis(config: string): readonly string[] {
  return /^# CONFIG_X86_X32(_ABI)? is not set$/m.test(config) ? ['SCMP_ARCH_X32'] : [];
}

/** Asks the kernel what this machine can do. */
export async function probeMachine(): Promise<MachineFacts> {
  const [status, mountinfo, rootControllers, config] = await Promise.all([
    readFile('/proc/self/status', 'utf8'),
    readFile('/proc/self/mountinfo', 'utf8'),
    readTextIfThere('/sys/fs/cgroup/cgroup.controllers'),
    kernelConfig(),
  ]);
  const cgroupVersion = rootControllers === undefined ? 1 : 2;
  const controllers =
    rootControllers === undefined
      ? mountedControllers(mountinfo)
      : new Set(rootControllers.trim().split(' '));
  return {
    cgroupVersion,
    capabilities: capabilitiesOfMask(/^CapBnd:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'),
    hasAppArmor: (await readTextIfThere('/sys/module/apparmor/parameters/enabled'))?.[0] === 'Y',
    hasSeccomp: /^Seccomp:/m.test(status),
    controllers,
    cpuCount: cpus().length,
    memoryBytes: totalmem(),
    kernelVersion: release(),
    missingAbis: missingAbis(config),
    hasSwapLimit:
      cgroupVersion === 2 || (await exists('/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes')),
  };
}
