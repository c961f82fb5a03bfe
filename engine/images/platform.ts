import { arch } from 'node:os';
import { InvalidParameterError } from '../base/errors.ts';

/** What an image runs on, normalised: `amd64` not `x86_64`, variant only where it says something. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
  readonly osVersion?: string | undefined;
}

const ARCHITECTURES: Readonly<Record<string, readonly [string, string?]>> = {
  x86_64: ['amd64'],
  'x86-64': ['amd64'],
  i386: ['386'],
  aarch64: ['arm64'],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6'],
};

const KNOWN_OS = new Set([
  'aix',
  'android',
  'darwin',
  'dragonfly',
  'freebsd',
  'illumos',
  'ios',
  'js',
  'linux',
  'netbsd',
  'openbsd',
  'plan9',
  'solaris',
  'wasip1',
  'windows',
]);

const KNOWN_ARCHITECTURES = new Set(
  '386 amd64 arm arm64 loong64 mips mipsle mips64 mips64le ppc64 ppc64le riscv64 s390x wasm'.split(
    ' ',
  ),
);

/** `linux`, or `windows(10.0.17763)` with the system's version. */
const OS_PATTERN = /^[A-Za-z0-9_.-]+(\([A-Za-z0-9_.-]*\))?$/;
const PART_PATTERN = /^[A-Za-z0-9_.-]+$/;

/** Node's name of this machine's processor -> Go's. */
const NODE_ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  arm64: 'arm64',
  arm: 'arm',
  ppc64: 'ppc64le',
  s390x: 's390x',
  riscv64: 'riscv64',
  loong64: 'loong64',
};

/** Brings aliases to one spelling: lower case, Go's architecture names, no redundant variant. */
export function normalizePlatform(platform: Platform): Platform {
  const os = platform.os.toLowerCase() === 'macos' ? 'darwin' : platform.os.toLowerCase();
  const given = platform.architecture.toLowerCase();
  const alias = ARCHITECTURES[given];
  const architecture = alias?.[0] ?? given;
  let variant = platform.variant?.toLowerCase() ?? alias?.[1] ?? '';
  if (architecture === 'amd64' && variant === 'v1') {
    variant = '';
  } else if (architecture === 'arm64' && (variant === '8' || variant === 'v8')) {
    variant = '';
  } else if (architecture === 'arm') {
    variant = variant === '' || variant === '7' ? 'v7' : variant.replace(/^(?=\d)/, 'v');
  }
  return {
    os,
    architecture,
    ...(variant === '' ? {} : { variant }),
    ...(platform.osVersion === undefined ? {} : { osVersion: platform.osVersion }),
  };
}

/** The platform of this machine. */
export function hostPlatform(): Platform {
  return normalizePlatform({ os: 'linux', architecture: NODE_ARCHITECTURES[arch()] ?? arch() });
}

/**
 * Parses `os`, `architecture`, `os/architecture` or `os/architecture/variant`, or the JSON object of newer clients.
 *
 * @throws InvalidParameterError
 */
export function parsePlatform(text: string): Platform {
  if (text.startsWith('{')) {
    return parseJsonPlatform(text);
  }
  const parts = text.split('/');
  for (const [index, part] of parts.entries()) {
    const [pattern, word] =
      index === 0 ? [OS_PATTERN, 'OS component'] : [PART_PATTERN, 'component'];
    if (!pattern.test(part)) {
      throw new InvalidParameterError(
        `"${part}" is an invalid ${word} of "${text}": it must match "${pattern.source}": invalid argument`,
      );
    }
  }
  if (parts.length > 3) {
    throw new InvalidParameterError(`"${text}": cannot parse platform specifier: invalid argument`);
  }
  const [first = '', architecture, variant] = parts;
  const [, osName = first, osVersion] = /^([^(]+)\(([^)]*)\)$/.exec(first) ?? [];
  if (architecture === undefined) {
    const normal = normalizePlatform({ os: osName, architecture: osName });
    if (KNOWN_OS.has(normal.os)) {
      return { ...hostPlatform(), os: normal.os };
    }
    if (KNOWN_ARCHITECTURES.has(normal.architecture)) {
      return { ...normal, os: 'linux' };
    }
    throw new InvalidParameterError(`"${text}": unknown operating system or architecture`);
  }
  return normalizePlatform({
    os: osName,
    architecture,
    variant,
    ...(osVersion === undefined || osVersion === '' ? {} : { osVersion }),
  });
}

function parseJsonPlatform(text: string): Platform {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new InvalidParameterError('failed to parse platform: invalid JSON', { cause });
  }
  const field = (name: string): string => {
    const found = (value as Record<string, unknown> | null)?.[name];
    if (found === undefined || found === null) {
      return '';
    }
    if (typeof found !== 'string') {
      throw new InvalidParameterError(`failed to parse platform: ${name} must be a string`);
    }
    return found;
  };
  const os = field('os');
  const architecture = field('architecture');
  if (os === '' || architecture === '') {
    throw new InvalidParameterError('both OS and Architecture must be provided');
  }
  return normalizePlatform({ os, architecture, variant: field('variant') });
}

/** `linux/arm64/v8`-like text. */
export function formatPlatform(platform: Platform): string {
  const variant = platform.variant === undefined ? '' : `/${platform.variant}`;
  return `${platform.os}/${platform.architecture}${variant}`;
}

function armVersion(variant: string | undefined): number {
  return Number(/^v(\d)/.exec(variant ?? 'v7')?.[1] ?? '7');
}

/**
 * How well an image for `offered` runs where `wanted` is asked for: 0 = not at all, higher = better.
 * A 32-bit ARM image of a lower version runs on a higher one; amd64 levels likewise; 386 on amd64 is not assumed.
 */
export function platformScore(wanted: Platform, offered: Platform): number {
  const want = normalizePlatform(wanted);
  const have = normalizePlatform(offered);
  if (want.os !== have.os || want.architecture !== have.architecture) {
    return 0;
  }
  if (want.architecture === 'arm') {
    const gap = armVersion(want.variant) - armVersion(have.variant);
    return gap < 0 ? 0 : 100 - gap;
  }
  if (want.variant === have.variant) {
    return 100;
  }
  if (want.architecture === 'amd64') {
    const level = (variant: string | undefined): number => Number(variant?.slice(1) ?? '1') || 99;
    const gap = level(want.variant) - level(have.variant);
    return gap < 0 ? 0 : 100 - gap;
  }
  if (want.architecture === 'arm64') {
    // v8 code runs on every later v8.x and v9.
    return have.variant === undefined ? 90 : 0;
  }
  return have.variant === undefined ? 50 : 0;
}
