import type { HostConfig } from '../api/types/container.ts';
import { InvalidParameterError } from '../base/errors.ts';
import { normalizeCapabilities } from './capabilities.ts';
import {
  cgroupDirs,
  cgroupPids,
  isFrozen,
  oomFileOf,
  readCgroupStats,
  removeCgroup,
  setFrozen,
} from './cgroup.ts';
import type { ContainerCgroup, MachineFacts, RuntimeSide } from './contract.ts';
import { parseDeviceRule } from './devices.ts';
import type { RuntimeSet } from './oci-runtime.ts';
import { limitResources } from './resources.ts';
import { parseSeccompProfile } from './seccomp.ts';
import {
  buildProcess,
  buildSpec,
  cgroupPathOf,
  DEFAULT_MASKED_PATHS,
  DEFAULT_READONLY_PATHS,
  parseSecurityOptions,
  rlimits,
  type SpecSettings,
  specJson,
} from './spec.ts';
import { resolveInRoot, resolveUser } from './user.ts';

function checkCapabilities(field: string, names: readonly string[]): void {
  for (const name of names) {
    try {
      normalizeCapabilities([name]);
    } catch (cause) {
      const upper = name.toUpperCase();
      const full = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
      throw new InvalidParameterError(`invalid ${field}: unknown capability: "${full}"`, { cause });
    }
  }
}

/** Checks everything that can be checked without starting. */
function validate(hostConfig: HostConfig): void {
  const security = parseSecurityOptions(hostConfig.SecurityOpt ?? []);
  if (security.seccomp !== 'default' && security.seccomp !== 'unconfined') {
    parseSeccompProfile(security.seccomp);
  }
  checkCapabilities('CapAdd', hostConfig.CapAdd ?? []);
  checkCapabilities('CapDrop', hostConfig.CapDrop ?? []);
  rlimits(hostConfig);
  for (const rule of hostConfig.DeviceCgroupRules ?? []) {
    parseDeviceRule(rule);
  }
}

/** Binds the functions of this concept to one machine and one engine's settings. */
export function createRuntimeSide(options: {
  readonly machine: MachineFacts;
  readonly runtimes: RuntimeSet;
  readonly settings: SpecSettings;
}): RuntimeSide {
  const { machine, runtimes, settings } = options;
  return {
    machine,
    runtimes,
    appArmorProfile: machine.hasAppArmor ? (settings.defaultAppArmorProfile ?? '') : '',
    defaultMaskedPaths: DEFAULT_MASKED_PATHS,
    defaultReadonlyPaths: DEFAULT_READONLY_PATHS,
    specJson: async (input) => specJson(await buildSpec(input, machine, settings)),
    processJson: (input) => specJson(buildProcess(input, machine, settings)),
    limitsJson: async (hostConfig) => JSON.stringify(await limitResources(hostConfig, machine)),
    validate,
    resolveUser,
    resolveInRoot,
    cgroup: (id, hostConfig): ContainerCgroup => {
      const path = cgroupPathOf(id, hostConfig, settings);
      return {
        dirs: cgroupDirs(path, machine),
        oomFile: oomFileOf(path, machine),
        stats: async () => await readCgroupStats(path, machine),
        pids: async () => await cgroupPids(path, machine),
        freeze: async () => await setFrozen(path, true, machine),
        thaw: async () => await setFrozen(path, false, machine),
        isFrozen: async () => await isFrozen(path, machine),
        remove: async () => await removeCgroup(path, machine),
      };
    },
  };
}
