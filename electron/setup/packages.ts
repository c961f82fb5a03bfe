import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Environment, runVisibly } from './processes.ts';

/** A Debian package and a file that proves that it (or an equal from elsewhere) is there. */
interface SystemPackage {
  readonly name: string;
  /** A program to be found on PATH, or an absolute path. */
  readonly proof: string;
  readonly purpose: string;
}

/** What the engine needs to run and to be built. */
const ENGINE_PACKAGES: readonly SystemPackage[] = [
  { name: 'runc', proof: 'runc', purpose: 'starts containers' },
  { name: 'crun', proof: 'crun', purpose: 'starts containers faster where the machine allows it' },
  { name: 'nftables', proof: 'nft', purpose: 'published ports and masquerading' },
  { name: 'iproute2', proof: 'ip', purpose: 'bridges and network namespaces' },
  { name: 'util-linux', proof: 'nsenter', purpose: 'namespaces' },
  { name: 'mount', proof: 'mount', purpose: 'volumes with mount options' },
  { name: 'procps', proof: 'ps', purpose: 'lists the processes of a container' },
  { name: 'kmod', proof: 'modprobe', purpose: 'kernel modules' },
  { name: 'xz-utils', proof: 'xz', purpose: 'images packed with xz' },
  {
    name: 'golang-github-containers-common',
    proof: '/usr/share/containers/seccomp.json',
    purpose: 'the default seccomp policy',
  },
  { name: 'tini', proof: 'tini', purpose: 'docker run --init' },
  { name: 'gcc', proof: 'gcc', purpose: 'builds the supervisor' },
  { name: 'make', proof: 'make', purpose: 'builds the supervisor' },
  { name: 'musl-tools', proof: 'musl-gcc', purpose: 'builds the supervisor as one small file' },
  {
    name: 'linux-libc-dev',
    proof: '/usr/include/linux/openat2.h',
    purpose: 'builds the supervisor',
  },
];

/** What the tests need besides. */
const TEST_PACKAGES: readonly SystemPackage[] = [
  { name: 'busybox-static', proof: '/bin/busybox', purpose: 'test image' },
  { name: 'chromium', proof: 'chromium', purpose: 'dashboard tests' },
  { name: 'clang', proof: 'clang', purpose: 'fuzzing' },
  { name: 'clang-format', proof: 'clang-format', purpose: 'format of C sources' },
  { name: 'git', proof: 'git', purpose: 'format check of tracked files' },
  {
    name: 'libclang-rt-14-dev',
    proof: '/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.fuzzer-x86_64.a',
    purpose: 'fuzzing',
  },
  { name: 'libc6-dev', proof: '/usr/include/stdio.h', purpose: 'C tests' },
  { name: 'util-linux', proof: 'script', purpose: 'terminals in tests' },
  { name: 'bsdutils', proof: 'script', purpose: 'terminals in tests' },
];

/** Which of the lists a command needs. */
export type PackageSet = 'engine' | 'test';

function isInstalled(item: SystemPackage): boolean {
  if (item.proof.startsWith('/')) {
    return existsSync(item.proof);
  }
  const folders = [
    ...(process.env['PATH'] ?? '').split(':'),
    '/usr/local/sbin',
    '/usr/sbin',
    '/sbin',
  ];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, item.proof), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function missingOf(set: PackageSet): SystemPackage[] {
  const wanted = set === 'engine' ? ENGINE_PACKAGES : [...ENGINE_PACKAGES, ...TEST_PACKAGES];
  return wanted.filter((item) => !isInstalled(item));
}

/** Environment in which apt asks nothing and starts no service of what it installs. */
export const APT_ENVIRONMENT: Environment = {
  ...process.env,
  DEBIAN_FRONTEND: 'noninteractive',
  RUNLEVEL: '1',
};

let isListFresh = false;

/** Refreshes apt's lists, once per run. */
export function refreshPackageLists(): void {
  if (!isListFresh) {
    runVisibly('apt-get', ['update', '-qq'], { env: APT_ENVIRONMENT });
    isListFresh = true;
  }
}

/**
 * Installs what is missing through apt as root; otherwise says what to install.
 *
 * @throws Error  naming each missing package with its purpose and the command to run
 */
export function ensurePackages(set: PackageSet): void {
  const missing = missingOf(set);
  if (missing.length === 0) {
    return;
  }
  const names = [...new Set(missing.map((item) => item.name))];
  const canInstall = process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');
  if (canInstall) {
    console.log(`Installing system packages: ${names.join(' ')}`);
    refreshPackageLists();
    runVisibly('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], {
      env: APT_ENVIRONMENT,
      isQuiet: true,
    });
  }
  const stillMissing = missingOf(set);
  if (stillMissing.length > 0) {
    const lines = stillMissing.map((item) => `  ${item.name}: ${item.purpose} (${item.proof})`);
    const advice = canInstall
      ? 'apt did not provide it; install it by hand and start again.'
      : `As root: apt-get install ${[...new Set(stillMissing.map((item) => item.name))].join(' ')}`;
    throw new Error(`Missing on this machine:\n${lines.join('\n')}\n${advice}`);
  }
}
