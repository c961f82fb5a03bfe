import { InvalidParameterError } from '../base/errors.ts';

/** All capabilities by number, as in linux/capability.h of Linux 6. */
export const ALL_CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
];

/** What a container gets when nothing is said: Docker's default set. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

/** Decodes a capability mask such as `CapBnd` of /proc/self/status. */
export function capabilitiesOfMask(hexMask: string): ReadonlySet<string> {
  const mask = BigInt(`0x${hexMask}`);
  return new Set(ALL_CAPABILITIES.filter((_, bit) => ((mask >> BigInt(bit)) & 1n) === 1n));
}

/**
 * Canonical names of what a user typed: upper case, with the prefix; `ALL` stays `ALL`.
 *
 * @throws InvalidParameterError  an unknown name
 */
export function normalizeCapabilities(names: readonly string[]): string[] {
  return names.map((name) => {
    const upper = name.toUpperCase();
    if (upper === 'ALL') {
      return upper;
    }
    const full = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
    if (!ALL_CAPABILITIES.includes(full)) {
      throw new InvalidParameterError(`invalid capability: "${name}"`);
    }
    return full;
  });
}

/** Which capabilities a container asks for. */
export interface CapabilityRequest {
  readonly isPrivileged: boolean;
  readonly add: readonly string[];
  readonly drop: readonly string[];
}

/**
 * The set a container gets: Docker's rules for add and drop, cut to what the engine itself may hand on.
 *
 * @throws InvalidParameterError  an unknown name
 */
export function effectiveCapabilities(
  request: CapabilityRequest,
  available: ReadonlySet<string>,
): string[] {
  const isAvailable = (name: string): boolean => available.has(name);
  if (request.isPrivileged) {
    return ALL_CAPABILITIES.filter(isAvailable);
  }
  const add = new Set(normalizeCapabilities(request.add));
  const drop = new Set(normalizeCapabilities(request.drop));
  if (add.size === 0 && drop.size === 0) {
    return DEFAULT_CAPABILITIES.filter(isAvailable);
  }
  if (add.has('ALL')) {
    return ALL_CAPABILITIES.filter((name) => !drop.has(name) && isAvailable(name));
  }
  const base = drop.has('ALL') ? [] : DEFAULT_CAPABILITIES.filter((name) => !drop.has(name));
  return [...new Set([...base, ...add])].filter(isAvailable);
}
