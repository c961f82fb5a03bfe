import { z } from 'zod';
import { InvalidParameterError } from '../base/errors.ts';
import type { MachineFacts } from './contract.ts';

const argumentSchema = z.object({
  index: z.number(),
  value: z.number(),
  valueTwo: z.number().nullish(),
  op: z.string(),
});

const conditionSchema = z
  .object({
    caps: z.array(z.string()).nullish(),
    arches: z.array(z.string()).nullish(),
    minKernel: z.string().nullish(),
  })
  .nullish();

const ruleSchema = z.object({
  name: z.string().nullish(),
  names: z.array(z.string()).nullish(),
  action: z.string(),
  errnoRet: z.number().nullish(),
  args: z.array(argumentSchema).nullish(),
  includes: conditionSchema,
  excludes: conditionSchema,
});

/** A seccomp profile in Docker's form: OCI's, plus conditions on capabilities, machine and kernel. */
const profileSchema = z.object({
  defaultAction: z.string(),
  defaultErrnoRet: z.number().nullish(),
  archMap: z
    .array(z.object({ architecture: z.string(), subArchitectures: z.array(z.string()).nullish() }))
    .nullish(),
  architectures: z.array(z.string()).nullish(),
  flags: z.array(z.string()).nullish(),
  listenerPath: z.string().nullish(),
  listenerMetadata: z.string().nullish(),
  syscalls: z.array(ruleSchema).nullish(),
});

/** A decoded profile in Docker's form. */
export type SeccompProfile = z.infer<typeof profileSchema>;
type Rule = z.infer<typeof ruleSchema>;
type Condition = z.infer<typeof conditionSchema>;

/** `linux.seccomp` of the OCI runtime specification. */
export interface OciSeccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures: readonly string[];
  readonly flags?: readonly string[];
  readonly syscalls: readonly {
    readonly names: readonly string[];
    readonly action: string;
    readonly errnoRet?: number;
    readonly args?: readonly {
      readonly index: number;
      readonly value: number;
      readonly valueTwo?: number;
      readonly op: string;
    }[];
  }[];
}

/** What the conditions of a profile are judged by. */
export interface SeccompContext {
  /** With prefix, upper case. */
  readonly capabilities: readonly string[];
  /** Go's name of the machine: amd64, arm64. */
  readonly goArch: string;
  /** Such as `6.1.0-13-amd64`. */
  readonly kernelVersion: string;
  /** See {@link MachineFacts.missingAbis}. */
  readonly missingAbis: NonNullable<MachineFacts['missingAbis']>;
}

const SECCOMP_ARCH_OF_GO: Readonly<Record<string, string>> = {
  amd64: 'SCMP_ARCH_X86_64',
  arm64: 'SCMP_ARCH_AARCH64',
};

/**
 * Reads a profile.
 *
 * @throws InvalidParameterError  not JSON, or not a profile
 */
export function parseSeccompProfile(text: string): SeccompProfile {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw new InvalidParameterError('Decoding seccomp profile failed: not valid JSON', { cause });
  }
  const parsed = profileSchema.safeParse(data);
  if (!parsed.success) {
    const first = parsed.error.issues[0];
    throw new InvalidParameterError(
      `Decoding seccomp profile failed: ${first?.path.join('.') ?? ''}: ${first?.message ?? ''}`,
    );
  }
  return parsed.data;
}

/**
 * Calls that Docker's policy gives only with a capability, while the profile that Debian ships (made for containers that are
 * nested without root) gives them to everybody. Without CAP_SYS_ADMIN they could still enter a new user namespace.
 */
const CALLS_BY_CAPABILITY: Readonly<Record<string, readonly string[]>> = {
  CAP_SYS_ADMIN: [
    'clone',
    'clone3',
    'fsconfig',
    'fsmount',
    'fsopen',
    'fspick',
    'mount',
    'mount_setattr',
    'move_mount',
    'open_tree',
    'setns',
    'umount',
    'umount2',
    'unshare',
  ],
  CAP_SYS_BOOT: ['reboot'],
  CAP_SYSLOG: ['syslog'],
};
/** Calls that Docker's policy never gives. */
const FORBIDDEN_CALLS: readonly string[] = ['add_key', 'keyctl', 'pivot_root', 'request_key'];
/** All CLONE_NEW* flags of clone(2). */
const NEW_NAMESPACE_FLAGS = 0x7e02_0000;
const ENOSYS = 38;

/** Takes from the rules that hold for everybody what Docker's policy ties to a capability. */
function withoutNesting(rules: readonly Rule[]): Rule[] {
  const tied = new Set([...Object.values(CALLS_BY_CAPABILITY).flat(), ...FORBIDDEN_CALLS]);
  const kept = rules.flatMap((rule): Rule[] => {
    const isForAll = (rule.includes?.caps ?? []).length === 0;
    if (rule.action !== 'SCMP_ACT_ALLOW' || !isForAll) {
      return [rule];
    }
    const names = (rule.names ?? []).filter((name) => !tied.has(name));
    return names.length === 0 ? [] : [{ ...rule, names }];
  });
  const given = Object.entries(CALLS_BY_CAPABILITY).map(([capability, names]): Rule => {
    return { names: [...names], action: 'SCMP_ACT_ALLOW', includes: { caps: [capability] } };
  });
  const hasNoAdmin = { caps: ['CAP_SYS_ADMIN'] };
  return [
    ...kept,
    ...given,
    {
      names: ['clone'],
      action: 'SCMP_ACT_ALLOW',
      args: [{ index: 0, value: NEW_NAMESPACE_FLAGS, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
      excludes: hasNoAdmin,
    },
    // Its flags lie in memory, where a filter cannot look: programs fall back to clone.
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS, excludes: hasNoAdmin },
  ];
}

/** `EPERM`, what Docker's policy answers to a call that it does not allow. */
const DOCKER_ERRNO = 1;

/**
 * The default profile of the machine, answering as Docker's does: the file that Debian ships gives `ENOSYS` to unlisted
 * calls and lists those that get `EPERM`; Docker gives `EPERM` to all of them (and the runtime `ENOSYS` to calls newer than
 * the profile). Rules that then only repeat the default are left out, because each one costs time at every container start.
 *
 * @throws InvalidParameterError  not JSON, or not a profile
 */
export function parseDefaultSeccompProfile(text: string): SeccompProfile {
  const profile = parseSeccompProfile(text);
  if (profile.defaultAction !== 'SCMP_ACT_ERRNO') {
    return profile;
  }
  const repeatsDefault = (rule: Rule): boolean =>
    rule.action === profile.defaultAction && (rule.errnoRet ?? DOCKER_ERRNO) === DOCKER_ERRNO;
  return {
    ...profile,
    defaultErrnoRet: DOCKER_ERRNO,
    syscalls: withoutNesting((profile.syscalls ?? []).filter((rule) => !repeatsDefault(rule))),
  };
}

function isKernelAtLeast(version: string, wanted: string): boolean {
  const [major = 0, minor = 0] = version.split(/[.-]/).map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

function matchesInclude(condition: Condition, context: SeccompContext): boolean {
  const { caps, arches, minKernel } = condition ?? {};
  return (
    (caps ?? []).every((name) => context.capabilities.includes(name)) &&
    ((arches ?? []).length === 0 || (arches ?? []).includes(context.goArch)) &&
    (minKernel === null ||
      minKernel === undefined ||
      isKernelAtLeast(context.kernelVersion, minKernel))
  );
}

function matchesExclude(condition: Condition, context: SeccompContext): boolean {
  const { caps, arches, minKernel } = condition ?? {};
  return (
    (caps ?? []).some((name) => context.capabilities.includes(name)) ||
    (arches ?? []).includes(context.goArch) ||
    (minKernel !== null &&
      minKernel !== undefined &&
      isKernelAtLeast(context.kernelVersion, minKernel))
  );
}

function ociRule(rule: Rule): OciSeccomp['syscalls'][number] {
  const names = rule.names ?? (rule.name ? [rule.name] : []);
  const args = (rule.args ?? []).map((argument) => ({
    index: argument.index,
    value: argument.value,
    valueTwo: argument.valueTwo ?? 0,
    op: argument.op,
  }));
  return {
    names,
    action: rule.action,
    ...(rule.errnoRet === null || rule.errnoRet === undefined ? {} : { errnoRet: rule.errnoRet }),
    ...(args.length === 0 ? {} : { args }),
  };
}

/** Resolves the conditions of a profile for one container on this machine. */
export function ociSeccomp(profile: SeccompProfile, context: SeccompContext): OciSeccomp {
  const native = SECCOMP_ARCH_OF_GO[context.goArch];
  const mapped = (profile.archMap ?? []).find((entry) => entry.architecture === native);
  // Calls of an ABI that the kernel does not have are dead either way; a filter for them costs the runtime 5 ms per start.
  const architectures =
    profile.architectures ??
    (mapped === undefined ? [] : [mapped.architecture, ...(mapped.subArchitectures ?? [])]).filter(
      (name) => !context.missingAbis.includes(name),
    );
  const rules = (profile.syscalls ?? []).filter(
    (rule) => matchesInclude(rule.includes, context) && !matchesExclude(rule.excludes, context),
  );
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet === null || profile.defaultErrnoRet === undefined
      ? {}
      : { defaultErrnoRet: profile.defaultErrnoRet }),
    architectures,
    ...(profile.flags ? { flags: profile.flags } : {}),
    syscalls: rules.map(ociRule),
  };
}
