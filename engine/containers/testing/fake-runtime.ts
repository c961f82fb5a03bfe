import type { CgroupStats, MachineFacts, RuntimeSide } from '../../runtime/contract.ts';
import { partial } from './fake-parts.ts';

/** A machine with everything, two processors and 8 GiB. */
export const FAKE_MACHINE: MachineFacts = {
  cgroupVersion: 1,
  capabilities: new Set(['CAP_CHOWN']),
  hasAppArmor: false,
  hasSeccomp: true,
  controllers: new Set(['cpu', 'cpuacct', 'cpuset', 'memory', 'pids', 'blkio', 'freezer']),
  cpuCount: 2,
  memoryBytes: 8 * 2 ** 30,
  kernelVersion: '6.1.0',
  hasSwapLimit: true,
};

const EMPTY_STATS: CgroupStats = {
  cpu: {
    totalNs: 0,
    userNs: 0,
    systemNs: 0,
    perCpuNs: [],
    periods: 0,
    throttledPeriods: 0,
    throttledNs: 0,
  },
  memory: {
    usageBytes: 0,
    maxUsageBytes: 0,
    limitBytes: undefined,
    failCount: 0,
    details: {},
  },
  pids: { current: 1, limit: undefined },
  blkio: [],
};

/** A runtime side that writes empty documents and remembers what was frozen. */
export function fakeRuntime(frozen = new Set<string>()): RuntimeSide {
  return partial<RuntimeSide>('runtime', {
    machine: FAKE_MACHINE,
    runtimes: {
      byName: new Map([['runc', { name: 'runc', path: '/bin/true', version: '1', args: [] }]]),
      defaultName: 'runc',
    },
    appArmorProfile: '',
    defaultMaskedPaths: ['/proc/kcore'],
    defaultReadonlyPaths: ['/proc/sys'],
    validate: () => {},
    specJson: async () => await Promise.resolve('{}'),
    processJson: () => '{}',
    limitsJson: async () => await Promise.resolve('{}'),
    resolveUser: async () =>
      await Promise.resolve({ uid: 0, gid: 0, additionalGids: [], home: '/' }),
    resolveInRoot: async (root, path) => await Promise.resolve(`${root}${path}`),
    cgroup: (id) => ({
      dirs: [],
      oomFile: '',
      stats: async () => await Promise.resolve(EMPTY_STATS),
      pids: async () => await Promise.resolve([]),
      freeze: async () => {
        frozen.add(id);
        await Promise.resolve();
      },
      isFrozen: async () => {
        await Promise.resolve();
        return frozen.has(id);
      },
      thaw: async () => {
        frozen.delete(id);
        await Promise.resolve();
      },
      remove: async () => {
        await Promise.resolve();
      },
    }),
  });
}
