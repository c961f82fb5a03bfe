import { describe, expect, it } from 'vitest';
import { hostConfigSchema } from '../api/types/container.ts';
import { ALL_CAPABILITIES } from './capabilities.ts';
import type { MachineFacts, SpecInput } from './contract.ts';
import { missingAbis } from './machine-facts.ts';
import { parseDefaultSeccompProfile } from './seccomp.ts';
import { buildSpec, parseSecurityOptions, rlimits, type SpecSettings, specJson } from './spec.ts';

const machine: MachineFacts = {
  cgroupVersion: 1,
  capabilities: new Set(ALL_CAPABILITIES),
  hasAppArmor: false,
  hasSeccomp: true,
  controllers: new Set(['memory']),
  cpuCount: 2,
  memoryBytes: 2 ** 33,
  kernelVersion: '6.1.0',
  hasSwapLimit: true,
};

const ABIS = ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'];

const PROFILE = {
  defaultAction: 'SCMP_ACT_ERRNO',
  defaultErrnoRet: 38,
  archMap: [
    { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
  ],
  syscalls: [
    { names: ['read'], action: 'SCMP_ACT_ALLOW', args: [] },
    { names: ['mount'], action: 'SCMP_ACT_ALLOW', includes: { caps: ['CAP_SYS_ADMIN'] } },
    {
      names: ['clone3'],
      action: 'SCMP_ACT_ERRNO',
      errnoRet: 38,
      excludes: { caps: ['CAP_SYS_ADMIN'] },
    },
    { names: ['swapon'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 },
    { names: ['ptrace'], action: 'SCMP_ACT_ALLOW', includes: { minKernel: '4.8' } },
    { names: ['future'], action: 'SCMP_ACT_ALLOW', includes: { minKernel: '99.0' } },
  ],
};

const settings: SpecSettings = {
  cgroupParent: '/gantry',
  defaultSeccompProfile: parseDefaultSeccompProfile(JSON.stringify(PROFILE)),
  defaultAppArmorProfile: undefined,
  minOomScoreAdj: -1000,
};

function input(hostConfig: unknown = {}): SpecInput {
  return {
    id: 'a'.repeat(64),
    config: {},
    hostConfig: hostConfigSchema.parse(hostConfig),
    rootfs: '/root/fs',
    args: ['sh'],
    env: ['PATH=/bin'],
    cwd: '/',
    user: { uid: 0, gid: 0, additionalGids: [], home: '/root' },
    hostname: 'box',
    mounts: [],
    network: { kind: 'path', path: '/run/netns/x' },
    pidNamespace: 'private',
    ipcNamespace: 'private',
    utsNamespace: 'private',
    initPath: undefined,
    networkSysctls: {},
  };
}

/** The document as a runtime would read it. */
async function document(hostConfig: unknown = {}, more: Partial<SpecInput> = {}) {
  const spec = await buildSpec({ ...input(hostConfig), ...more }, machine, settings);
  // A test may look at any member.
  return JSON.parse(specJson(spec)) as {
    process: Record<string, unknown> & { capabilities: Record<string, string[]> };
    mounts: { destination: string; options: string[] }[];
    linux: {
      seccomp?: {
        defaultErrnoRet?: number;
        syscalls: { names: string[] }[];
        architectures: string[];
      };
      maskedPaths: string[];
      namespaces: { type: string; path?: string }[];
      resources: { memory?: Record<string, unknown>; pids?: unknown; devices: unknown[] };
      cgroupsPath: string;
      devices: unknown[];
    };
  };
}

describe('buildSpec', () => {
  it('seccomp › rules for missing capabilities are left out, kernel conditions are judged', async () => {
    const { linux } = await document();
    const names = linux.seccomp?.syscalls.flatMap((rule) => rule.names);
    expect(names).toEqual(['read', 'clone3', 'ptrace', 'clone', 'clone3']);
    expect(linux.seccomp?.architectures).toContain('SCMP_ARCH_X86_64');
  });

  it('seccomp › the default answers with EPERM and does not say so again for single calls', async () => {
    const { seccomp } = (await document()).linux;
    expect(seccomp?.defaultErrnoRet).toBe(1);
    expect(seccomp?.syscalls.flatMap((rule) => rule.names)).not.toContain('swapon');
  });

  it('seccomp › calls that enter namespaces need CAP_SYS_ADMIN, whatever the profile gives to all', async () => {
    const open = {
      ...PROFILE,
      syscalls: [{ names: ['read', 'unshare', 'mount', 'keyctl'], action: 'SCMP_ACT_ALLOW' }],
    };
    const own = {
      ...settings,
      defaultSeccompProfile: parseDefaultSeccompProfile(JSON.stringify(open)),
    };
    const plain = specJson(await buildSpec(input(), machine, own));
    expect(plain).toContain('"read"');
    expect(plain).not.toMatch(/"unshare"|"mount",|"keyctl"/);
    const admin = specJson(await buildSpec(input({ CapAdd: ['SYS_ADMIN'] }), machine, own));
    expect(admin).toContain('"unshare"');
    expect(admin).not.toContain('"keyctl"');
  });

  it('seccomp › an ABI that the kernel was built without is left out', async () => {
    expect(missingAbis('CONFIG_A=y\n# CONFIG_X86_X32_ABI is not set\n')).toEqual(['SCMP_ARCH_X32']);
    expect(missingAbis('CONFIG_X86_X32_ABI=y\n')).toEqual([]);
    expect((await document()).linux.seccomp?.architectures).toEqual(ABIS);
    const lacking = { ...machine, missingAbis: ['SCMP_ARCH_X32'] };
    const spec = await buildSpec(input(), lacking, settings);
    expect(specJson(spec)).toContain('SCMP_ARCH_X86"');
    expect(specJson(spec)).not.toContain('SCMP_ARCH_X32');
  });

  it('seccomp › follows an added capability', async () => {
    const { linux } = await document({ CapAdd: ['SYS_ADMIN'] });
    expect(linux.seccomp?.syscalls.flatMap((rule) => rule.names)).toContain('mount');
  });

  it('seccomp › unconfined and privileged have none', async () => {
    expect((await document({ SecurityOpt: ['seccomp=unconfined'] })).linux.seccomp).toBeUndefined();
    expect((await document({ Privileged: true })).linux.seccomp).toBeUndefined();
  });

  it('defaults › /proc/kcore is masked, /sys is read-only, all namespaces are private', async () => {
    const spec = await document();
    expect(spec.linux.maskedPaths).toContain('/proc/kcore');
    expect(spec.mounts.find((mount) => mount.destination === '/sys')?.options).toContain('ro');
    expect(spec.linux.namespaces.map((entry) => entry.type).sort()).toEqual(
      ['ipc', 'mount', 'network', 'pid', 'uts'].sort(),
    );
  });

  it('privileged › nothing is masked and all devices are allowed', async () => {
    const spec = await document({ Privileged: true });
    expect(spec.linux.maskedPaths).toEqual([]);
    expect(spec.linux.resources.devices).toEqual([{ allow: true, access: 'rwm' }]);
    expect(spec.linux.devices.length).toBeGreaterThan(0);
  });

  it('limits › memory doubles into swap, cpus become quota, pids are set', async () => {
    const { linux } = await document({ Memory: 1000, NanoCpus: 1.5e9, PidsLimit: 7 });
    expect(linux.resources).toMatchObject({
      memory: { limit: 1000, swap: 2000 },
      cpu: { quota: 150_000, period: 100_000 },
      pids: { limit: 7 },
    });
  });

  it('user › another than root starts without capabilities in force', async () => {
    const spec = await document({}, { user: { uid: 5, gid: 5, additionalGids: [], home: '/' } });
    expect(spec.process.capabilities['effective']).toEqual([]);
    expect(spec.process.capabilities['bounding']).toContain('CAP_CHOWN');
  });

  it('own mount › replaces the default one of the same target', async () => {
    const spec = await document(
      {},
      { mounts: [{ type: 'bind', source: '/host', target: '/sys/fs/cgroup', options: ['bind'] }] },
    );
    expect(spec.mounts.filter((mount) => mount.destination === '/sys/fs/cgroup')).toHaveLength(1);
  });

  it('host modes › no namespace of that kind', async () => {
    const spec = await document({}, { network: { kind: 'host' }, pidNamespace: 'host' });
    const types = spec.linux.namespaces.map((entry) => entry.type);
    expect(types).not.toContain('network');
    expect(types).not.toContain('pid');
  });

  it('cgroup parent › is honoured', async () => {
    const { linux } = await document({ CgroupParent: 'mine' });
    expect(linux.cgroupsPath).toBe(`/mine/${'a'.repeat(64)}`);
  });
});

describe('rlimits', () => {
  it('unlimited › is the kernel’s largest number, exactly', () => {
    const limits = rlimits({ Ulimits: [{ Name: 'nofile', Soft: -1, Hard: -1 }] });
    expect(specJson({ limits })).toContain('18446744073709551615');
  });

  it('soft above hard › is refused', () => {
    expect(() => rlimits({ Ulimits: [{ Name: 'nofile', Soft: 2, Hard: 1 }] })).toThrow('soft');
  });

  it('unknown name › is refused', () => {
    expect(() => rlimits({ Ulimits: [{ Name: 'x', Soft: 1, Hard: 1 }] })).toThrow('ulimit type: x');
  });
});

describe('parseSecurityOptions', () => {
  it('both spellings › are read', () => {
    expect(parseSecurityOptions(['no-new-privileges', 'seccomp:unconfined'])).toMatchObject({
      hasNoNewPrivileges: true,
      seccomp: 'unconfined',
    });
  });

  it('unknown › is refused by name', () => {
    expect(() => parseSecurityOptions(['magic=1'])).toThrow('magic=1');
  });
});
