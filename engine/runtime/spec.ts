import type { HostConfig } from '../api/types/container.ts';
import { InvalidParameterError } from '../base/errors.ts';
import { readTextIfThere } from '../base/node/atomic-file.ts';
import { effectiveCapabilities } from './capabilities.ts';
import type { MachineFacts, SpecInput } from './contract.ts';
import { hostDevices } from './devices.ts';
import { containerResources } from './resources.ts';
import {
  type OciSeccomp,
  ociSeccomp,
  parseDefaultSeccompProfile,
  parseSeccompProfile,
  type SeccompProfile,
} from './seccomp.ts';

/** Host paths and names that go into every document of this engine. */
export interface SpecSettings {
  /** Cgroup below which containers live when nothing is said; absolute, such as `/gantry`. */
  readonly cgroupParent: string;
  /** The default seccomp profile; undefined: the machine has none. */
  readonly defaultSeccompProfile: SeccompProfile | undefined;
  /** AppArmor profile for containers; undefined: none loaded. */
  readonly defaultAppArmorProfile: string | undefined;
  /** Upper end for oom_score_adj the engine may lower to; its own value. */
  readonly minOomScoreAdj: number;
}

/** Docker's lists of what an unprivileged container may not see or change. */
export const DEFAULT_MASKED_PATHS: readonly string[] = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
export const DEFAULT_READONLY_PATHS: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];

/** 64 MiB, Docker's /dev/shm. */
export const DEFAULT_SHM_BYTES = 64 * 1024 * 1024;

interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** Security options of HostConfig.SecurityOpt, decoded. */
export interface SecurityOptions {
  readonly hasNoNewPrivileges: boolean;
  /** 'default', 'unconfined' or the text of a profile. */
  readonly seccomp: string;
  /** 'default', 'unconfined' or a profile's name. */
  readonly appArmor: string;
  readonly areSystemPathsUnconfined: boolean;
  /** The container may change its own cgroup. */
  readonly hasWritableCgroups: boolean;
  /** SELinux labels are accepted and ignored with a warning. */
  readonly hasLabel: boolean;
}

/**
 * Decodes `--security-opt` in both spellings (`key=value` and the older `key:value`).
 *
 * @throws InvalidParameterError  an unknown option
 */
export function parseSecurityOptions(options: readonly string[]): SecurityOptions {
  const result = {
    hasNoNewPrivileges: false,
    seccomp: 'default',
    appArmor: 'default',
    areSystemPathsUnconfined: false,
    hasWritableCgroups: false,
    hasLabel: false,
  };
  for (const option of options) {
    if (option === 'no-new-privileges') {
      result.hasNoNewPrivileges = true;
      continue;
    }
    if (option === 'writable-cgroups') {
      result.hasWritableCgroups = true;
      continue;
    }
    const match = /^([a-z-]+)[=:]([\s\S]*)$/.exec(option);
    const [, key = '', value = ''] = match ?? [];
    if (key === 'label') {
      result.hasLabel = true;
    } else if (key === 'apparmor') {
      result.appArmor = value;
    } else if (key === 'seccomp') {
      result.seccomp = value === 'builtin' ? 'default' : value;
    } else if (key === 'no-new-privileges' && (value === 'true' || value === 'false')) {
      result.hasNoNewPrivileges = value === 'true';
    } else if (key === 'systempaths' && value === 'unconfined') {
      result.areSystemPathsUnconfined = true;
    } else if (key === 'writable-cgroups' && (value === 'true' || value === 'false')) {
      result.hasWritableCgroups = value === 'true';
    } else {
      throw new InvalidParameterError(`invalid --security-opt 2: "${option}"`);
    }
  }
  return result;
}

function defaultMounts(
  input: SpecInput,
  isPrivileged: boolean,
  hasWritableCgroups: boolean,
): OciMount[] {
  const cgroupMode = isPrivileged || hasWritableCgroups ? 'rw' : 'ro';
  const mounts: OciMount[] = [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    {
      destination: '/sys',
      type: 'sysfs',
      source: 'sysfs',
      options: ['nosuid', 'noexec', 'nodev', isPrivileged ? 'rw' : 'ro'],
    },
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: [cgroupMode, 'nosuid', 'noexec', 'nodev'],
    },
  ];
  if (
    !input.mounts.some((mount) => mount.target === '/dev/mqueue') &&
    input.ipcNamespace !== 'none'
  ) {
    mounts.push({
      destination: '/dev/mqueue',
      type: 'mqueue',
      source: 'mqueue',
      options: ['nosuid', 'noexec', 'nodev'],
    });
  }
  return mounts;
}

function namespaces(input: SpecInput, isCgroupPrivate: boolean): { type: string; path?: string }[] {
  const list: { type: string; path?: string }[] = [{ type: 'mount' }];
  if (input.network.kind === 'path') {
    list.push({ type: 'network', path: input.network.path });
  }
  const choose = (type: string, value: string): void => {
    if (value === 'host') {
      return;
    }
    list.push(value === 'private' || value === 'none' ? { type } : { type, path: value });
  };
  choose('pid', input.pidNamespace);
  choose('ipc', input.ipcNamespace);
  choose('uts', input.utsNamespace);
  if (isCgroupPrivate) {
    list.push({ type: 'cgroup' });
  }
  return list;
}

function chooseSeccomp(
  security: SecurityOptions,
  capabilities: readonly string[],
  hostConfig: HostConfig,
  machine: MachineFacts,
  settings: SpecSettings,
): OciSeccomp | undefined {
  if (
    !machine.hasSeccomp ||
    security.seccomp === 'unconfined' ||
    (hostConfig.Privileged === true && security.seccomp === 'default')
  ) {
    return undefined;
  }
  const profile =
    security.seccomp === 'default'
      ? settings.defaultSeccompProfile
      : parseSeccompProfile(security.seccomp);
  if (profile === undefined) {
    return undefined;
  }
  return ociSeccomp(profile, {
    capabilities,
    goArch: process.arch === 'x64' ? 'amd64' : process.arch,
    kernelVersion: machine.kernelVersion,
    missingAbis: machine.missingAbis ?? [],
  });
}

const RLIMIT_NAMES = new Set([
  'as',
  'core',
  'cpu',
  'data',
  'fsize',
  'locks',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
]);

/** Unlimited, as the kernel and the OCI document write it; runs over a double's precision, hence the raw token. */
const UNLIMITED = 18446744073709551615n;

/** `process.rlimits`. @throws InvalidParameterError  an unknown name or soft above hard */
export function rlimits(
  hostConfig: HostConfig,
): { type: string; soft: number | bigint; hard: number | bigint }[] {
  return (hostConfig.Ulimits ?? []).map((limit) => {
    const name = limit.Name ?? '';
    if (!RLIMIT_NAMES.has(name)) {
      throw new InvalidParameterError(`invalid ulimit type: ${name}`);
    }
    const soft = limit.Soft ?? 0;
    const hard = limit.Hard ?? 0;
    if (hard !== -1 && (soft === -1 || soft > hard)) {
      throw new InvalidParameterError(
        `ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`,
      );
    }
    return {
      type: `RLIMIT_${name.toUpperCase()}`,
      soft: soft === -1 ? UNLIMITED : soft,
      hard: hard === -1 ? UNLIMITED : hard,
    };
  });
}

/** OCI capabilities object; a user other than root starts with none in force, as after execve. */
function capabilitySets(names: readonly string[], uid: number): Record<string, readonly string[]> {
  return uid === 0
    ? { bounding: names, effective: names, permitted: names }
    : { bounding: names, effective: [], permitted: [] };
}

/** The part of the document that also describes an exec session. */
export interface ProcessInput {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: SpecInput['user'];
  readonly hasTty: boolean;
  /** Rows and columns; [0, 0] unknown. */
  readonly consoleSize?: readonly [number, number] | undefined;
  readonly hostConfig: HostConfig;
  /** True for `exec --privileged`, on top of HostConfig.Privileged. */
  readonly isPrivileged?: boolean;
}

/** `process` of the OCI document. @throws InvalidParameterError */
export function buildProcess(
  input: ProcessInput,
  machine: MachineFacts,
  settings: SpecSettings,
): Record<string, unknown> {
  const { hostConfig } = input;
  const security = parseSecurityOptions(hostConfig.SecurityOpt ?? []);
  const isPrivileged = hostConfig.Privileged === true || input.isPrivileged === true;
  const capabilities = effectiveCapabilities(
    { isPrivileged, add: hostConfig.CapAdd ?? [], drop: hostConfig.CapDrop ?? [] },
    machine.capabilities,
  );
  const [rows = 0, columns = 0] = input.consoleSize ?? [];
  const wantedOom = hostConfig.OomScoreAdj ?? 0;
  const appArmor =
    security.appArmor === 'default'
      ? isPrivileged
        ? undefined
        : settings.defaultAppArmorProfile
      : security.appArmor;
  const hasConsoleSize = input.hasTty && rows > 0 && columns > 0;
  return {
    terminal: input.hasTty,
    ...(hasConsoleSize ? { consoleSize: { height: rows, width: columns } } : {}),
    user: {
      uid: input.user.uid,
      gid: input.user.gid,
      additionalGids: [...new Set([input.user.gid, ...input.user.additionalGids])],
    },
    args: input.args,
    env: input.env,
    cwd: input.cwd,
    capabilities: capabilitySets(capabilities, input.user.uid),
    rlimits: rlimits(hostConfig),
    noNewPrivileges: security.hasNoNewPrivileges,
    oomScoreAdj: Math.max(wantedOom, settings.minOomScoreAdj),
    ...(machine.hasAppArmor && appArmor !== undefined && appArmor !== 'unconfined'
      ? { apparmorProfile: appArmor }
      : {}),
  };
}

/** The cgroup of a container, absolute below the hierarchy's mount point. */
export function cgroupPathOf(id: string, hostConfig: HostConfig, settings: SpecSettings): string {
  const parent = hostConfig.CgroupParent || settings.cgroupParent;
  return `${parent.startsWith('/') ? parent : `/${parent}`}/${id}`.replaceAll('//', '/');
}

/** Widest propagation that the mounts need of the root. */
function rootPropagation(input: SpecInput): string {
  const options = new Set(input.mounts.flatMap((mount) => mount.options));
  if (options.has('shared') || options.has('rshared')) {
    return 'shared';
  }
  return options.has('slave') || options.has('rslave') ? 'slave' : 'private';
}

/**
 * The OCI runtime document of a container (OCI runtime specification 1.0.2).
 * Serialise with {@link specJson}: rlimits may hold bigints.
 *
 * @throws InvalidParameterError  an option that cannot be honoured, named
 */
export async function buildSpec(
  input: SpecInput,
  machine: MachineFacts,
  settings: SpecSettings,
): Promise<Record<string, unknown>> {
  const { hostConfig, config } = input;
  const isPrivileged = hostConfig.Privileged === true;
  const security = parseSecurityOptions(hostConfig.SecurityOpt ?? []);
  const cgroupMode = hostConfig.CgroupnsMode || (machine.cgroupVersion === 2 ? 'private' : 'host');
  const isCgroupPrivate = cgroupMode === 'private';
  const { resources, devices } = await containerResources(hostConfig, machine, isPrivileged);
  const allDevices = isPrivileged ? [...(await hostDevices()), ...devices] : devices;
  const process = buildProcess(
    {
      args: input.initPath === undefined ? input.args : ['/sbin/docker-init', '--', ...input.args],
      env: input.env,
      cwd: input.cwd,
      user: input.user,
      hasTty: config.Tty === true,
      consoleSize: hostConfig.ConsoleSize,
      hostConfig,
    },
    machine,
    settings,
  );
  const capabilities = effectiveCapabilities(
    { isPrivileged, add: hostConfig.CapAdd ?? [], drop: hostConfig.CapDrop ?? [] },
    machine.capabilities,
  );
  const seccomp = chooseSeccomp(security, capabilities, hostConfig, machine, settings);
  const ownTargets = new Set(input.mounts.map((mount) => mount.target));
  const mounts = [
    ...defaultMounts(input, isPrivileged, security.hasWritableCgroups).filter(
      (mount) => !ownTargets.has(mount.destination),
    ),
    ...input.mounts.map(({ type, source, target, options }) => ({
      destination: target,
      type,
      source: type === 'tmpfs' ? 'tmpfs' : source,
      options,
    })),
    ...(input.initPath === undefined
      ? []
      : [
          {
            destination: '/sbin/docker-init',
            type: 'bind',
            source: input.initPath,
            options: ['bind', 'ro'],
          },
        ]),
  ];
  const arePathsOpen = isPrivileged || security.areSystemPathsUnconfined;
  const maskedPaths = hostConfig.MaskedPaths ?? (arePathsOpen ? [] : DEFAULT_MASKED_PATHS);
  const readonlyPaths = hostConfig.ReadonlyPaths ?? (arePathsOpen ? [] : DEFAULT_READONLY_PATHS);
  const hasOwnUts = input.utsNamespace === 'private';
  return {
    ociVersion: '1.0.2',
    process,
    root: { path: input.rootfs, readonly: hostConfig.ReadonlyRootfs === true },
    ...(hasOwnUts ? { hostname: input.hostname } : {}),
    mounts,
    annotations: hostConfig.Annotations ?? {},
    linux: {
      sysctl: {
        ...input.networkSysctls,
        // runc 1.1 knows no `domainname` member; the sysctl does the same.
        ...(hasOwnUts && config.Domainname ? { 'kernel.domainname': config.Domainname } : {}),
        ...hostConfig.Sysctls,
      },
      cgroupsPath: cgroupPathOf(input.id, hostConfig, settings),
      resources,
      devices: allDevices,
      namespaces: namespaces(input, isCgroupPrivate),
      rootfsPropagation: rootPropagation(input),
      ...(seccomp === undefined ? {} : { seccomp }),
      maskedPaths,
      readonlyPaths,
    },
  };
}

/** JSON of a document; bigints become plain numbers, which JSON allows and a double would round. */
export function specJson(document: Record<string, unknown>): string {
  const marker = '\u0001bigint:';
  const text = JSON.stringify(document, (_key, value: unknown) =>
    typeof value === 'bigint' ? `${marker}${value}` : value,
  );
  return text.replaceAll(/"\\u0001bigint:(\d+)"/g, '$1');
}

/** Where Debian keeps the seccomp profile that Docker and Podman share as data, and where an administrator may put one. */
const SECCOMP_PATHS: readonly string[] = [
  '/etc/gantry/seccomp.json',
  '/usr/share/containers/seccomp.json',
  '/etc/containers/seccomp.json',
];

/**
 * Loads the default seccomp profile; undefined when the machine has none.
 *
 * @throws InvalidParameterError  the file is not a profile
 */
export async function loadDefaultSeccomp(): Promise<SeccompProfile | undefined> {
  for (const path of SECCOMP_PATHS) {
    const text = await readTextIfThere(path);
    if (text !== undefined) {
      return parseDefaultSeccompProfile(text);
    }
  }
  return undefined;
}
