import { access, readFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
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

/** Asks the kernel what this machine can do. */
export async function probeMachine(): Promise<MachineFacts> {
  const [status, mountinfo, rootControllers] = await Promise.all([
    readFile('/proc/self/status', 'utf8'),
    readFile('/proc/self/mountinfo', 'utf8'),
    readTextIfThere('/sys/fs/cgroup/cgroup.controllers'),
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
    hasSwapLimit:
      cgroupVersion === 2 || (await exists('/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes')),
  };
}
