import { readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { delay } from '../base/async.ts';
import { errnoOf, isMissing, SystemError } from '../base/errors.ts';
import { listIfThere } from '../base/node/atomic-file.ts';
import type { CgroupStats, MachineFacts } from './contract.ts';

const MOUNT_POINT = '/sys/fs/cgroup';
/** Kernel's clock ticks per second as seen by user space. */
const USER_HZ = 100;
const NS_PER_TICK = 1e9 / USER_HZ;
/** memory.limit_in_bytes of an unlimited group is near the top of int64. */
const UNLIMITED_FROM_BYTES = 2 ** 62;
const FREEZE_POLL_MS = 5;
const FREEZE_ATTEMPTS_BEFORE_THAW = 20;
const FREEZE_DEADLINE_MS = 10_000;

/** Folder of a container's cgroup. `path` is absolute below the hierarchy, such as `/gantry/<id>`. */
export function cgroupDir(path: string, controller: string, machine: MachineFacts): string {
  return machine.cgroupVersion === 2
    ? join(MOUNT_POINT, path)
    : join(MOUNT_POINT, controller, path);
}

/** All folders of a container's cgroup: one on v2; on v1 one for each controller and, on hybrid machines, the unified one. */
export function cgroupDirs(path: string, machine: MachineFacts): string[] {
  if (machine.cgroupVersion === 2) {
    return [join(MOUNT_POINT, path)];
  }
  const folders = [...machine.controllers].map((controller) =>
    controller.startsWith('name=') ? controller.slice('name='.length) : controller,
  );
  const known = folders.filter(
    (name) => /^[a-z_]+$/.test(name) && !['rw', 'ro', 'xattr', 'clone_children'].includes(name),
  );
  return [...known, 'unified'].map((name) => join(MOUNT_POINT, name, path));
}

/** File with the count of OOM kills, for the shim. */
export function oomFileOf(path: string, machine: MachineFacts): string {
  return machine.cgroupVersion === 2
    ? join(MOUNT_POINT, path, 'memory.events')
    : join(cgroupDir(path, 'memory', machine), 'memory.oom_control');
}

async function text(dir: string, name: string): Promise<string> {
  try {
    return await readFile(join(dir, name), 'utf8');
  } catch (error) {
    const code = errnoOf(error);
    // Controllers come and go with kernels, groups with their containers.
    if (code === 'ENOENT' || code === 'ENODEV' || code === 'EOPNOTSUPP') {
      return '';
    }
    throw error;
  }
}

function rows(content: string): Record<string, number> {
  const result: Record<string, number> = {};
  for (const line of content.split('\n')) {
    const [key, value] = line.split(' ');
    if (key && value !== undefined) {
      result[key] = Number(value);
    }
  }
  return result;
}

function numberOrMax(content: string): number | undefined {
  const value = content.trim();
  return value === '' || value === 'max' ? undefined : Number(value);
}

function blkioRows(content: string): CgroupStats['blkio'] {
  return content.split('\n').flatMap((line) => {
    const match = /^(\d+):(\d+) (\w+) (\d+)$/.exec(line);
    return match === null
      ? []
      : [
          {
            major: Number(match[1]),
            minor: Number(match[2]),
            op: (match[3] ?? '').toLowerCase(),
            value: Number(match[4]),
          },
        ];
  });
}

function ioStatRows(content: string): CgroupStats['blkio'] {
  return content.split('\n').flatMap((line) => {
    const match = /^(\d+):(\d+) (.*)$/.exec(line);
    const fields = new Map(
      (match?.[3] ?? '').split(' ').map((field): [string, number] => {
        const [key = '', value = '0'] = field.split('=');
        return [key, Number(value)];
      }),
    );
    const entry = (op: string, key: string): CgroupStats['blkio'][number] => ({
      major: Number(match?.[1]),
      minor: Number(match?.[2]),
      op,
      value: fields.get(key) ?? 0,
    });
    return match === null ? [] : [entry('read', 'rbytes'), entry('write', 'wbytes')];
  });
}

async function readV1(path: string, machine: MachineFacts): Promise<CgroupStats> {
  const dir = (controller: string): string => cgroupDir(path, controller, machine);
  const [
    usage,
    acctStat,
    perCpu,
    cpuStat,
    memUsage,
    memMax,
    memLimit,
    memFail,
    memStat,
    pids,
    pidsMax,
    blkio,
  ] = await Promise.all([
    text(dir('cpuacct'), 'cpuacct.usage'),
    text(dir('cpuacct'), 'cpuacct.stat'),
    text(dir('cpuacct'), 'cpuacct.usage_percpu'),
    text(dir('cpu'), 'cpu.stat'),
    text(dir('memory'), 'memory.usage_in_bytes'),
    text(dir('memory'), 'memory.max_usage_in_bytes'),
    text(dir('memory'), 'memory.limit_in_bytes'),
    text(dir('memory'), 'memory.failcnt'),
    text(dir('memory'), 'memory.stat'),
    text(dir('pids'), 'pids.current'),
    text(dir('pids'), 'pids.max'),
    text(dir('blkio'), 'blkio.throttle.io_service_bytes'),
  ]);
  const acct = rows(acctStat);
  const cpu = rows(cpuStat);
  const limit = numberOrMax(memLimit);
  return {
    cpu: {
      totalNs: Number(usage),
      userNs: (acct['user'] ?? 0) * NS_PER_TICK,
      systemNs: (acct['system'] ?? 0) * NS_PER_TICK,
      perCpuNs: perCpu.trim().split(' ').filter(Boolean).map(Number),
      periods: cpu['nr_periods'] ?? 0,
      throttledPeriods: cpu['nr_throttled'] ?? 0,
      throttledNs: cpu['throttled_time'] ?? 0,
    },
    memory: {
      usageBytes: Number(memUsage),
      maxUsageBytes: Number(memMax),
      limitBytes: limit === undefined || limit >= UNLIMITED_FROM_BYTES ? undefined : limit,
      failCount: Number(memFail),
      details: rows(memStat),
    },
    pids: { current: Number(pids), limit: numberOrMax(pidsMax) },
    blkio: blkioRows(blkio),
  };
}

async function readV2(path: string): Promise<CgroupStats> {
  const dir = join(MOUNT_POINT, path);
  const [cpuStat, memCurrent, memMax, memPeak, memStat, memEvents, pids, pidsMax, io] =
    await Promise.all([
      text(dir, 'cpu.stat'),
      text(dir, 'memory.current'),
      text(dir, 'memory.max'),
      text(dir, 'memory.peak'),
      text(dir, 'memory.stat'),
      text(dir, 'memory.events'),
      text(dir, 'pids.current'),
      text(dir, 'pids.max'),
      text(dir, 'io.stat'),
    ]);
  const cpu = rows(cpuStat);
  const ns = (key: string): number => (cpu[key] ?? 0) * 1000;
  return {
    cpu: {
      totalNs: ns('usage_usec'),
      userNs: ns('user_usec'),
      systemNs: ns('system_usec'),
      perCpuNs: [],
      periods: cpu['nr_periods'] ?? 0,
      throttledPeriods: cpu['nr_throttled'] ?? 0,
      throttledNs: ns('throttled_usec'),
    },
    memory: {
      usageBytes: Number(memCurrent),
      maxUsageBytes: numberOrMax(memPeak),
      limitBytes: numberOrMax(memMax),
      failCount: rows(memEvents)['max'],
      details: rows(memStat),
    },
    pids: { current: Number(pids), limit: numberOrMax(pidsMax) },
    blkio: ioStatRows(io),
  };
}

/** Counters of a cgroup; zeros where the kernel has no such counter or the group is gone. */
export async function readCgroupStats(path: string, machine: MachineFacts): Promise<CgroupStats> {
  return machine.cgroupVersion === 2 ? await readV2(path) : await readV1(path, machine);
}

/** Pids of all processes of a container, as the host sees them; empty when the group is gone. */
export async function cgroupPids(path: string, machine: MachineFacts): Promise<number[]> {
  const collect = async (dir: string): Promise<number[]> => {
    const own = (await text(dir, 'cgroup.procs')).split('\n').filter(Boolean).map(Number);
    const below: number[] = [];
    for (const name of await listIfThere(dir).catch(() => [])) {
      if (!name.includes('.') && name !== 'tasks' && name !== 'notify_on_release') {
        below.push(...(await collect(join(dir, name)).catch(() => [])));
      }
    }
    return [...own, ...below];
  };
  return await collect(cgroupDir(path, 'pids', machine));
}

/**
 * Freezes or thaws a container; returns when the kernel has done it.
 *
 * @throws SystemError  the group to freeze is gone, or does not reach the state within 10 s
 */
export async function setFrozen(
  path: string,
  isFrozen: boolean,
  machine: MachineFacts,
): Promise<void> {
  const isV2 = machine.cgroupVersion === 2;
  const dir = cgroupDir(path, 'freezer', machine);
  const file = join(dir, isV2 ? 'cgroup.freeze' : 'freezer.state');
  const wanted = isV2 ? (isFrozen ? '1' : '0') : isFrozen ? 'FROZEN' : 'THAWED';
  const opposite = isV2 ? '0' : 'THAWED';
  const isDone = async (): Promise<boolean> =>
    isV2
      ? rows(await text(dir, 'cgroup.events'))['frozen'] === (isFrozen ? 1 : 0)
      : (await text(dir, 'freezer.state')).trim() === wanted;
  try {
    const deadline = performance.now() + FREEZE_DEADLINE_MS;
    for (let attempt = 1; performance.now() < deadline; attempt += 1) {
      // v1 may stay in FREEZING when a process forks or waits for another meanwhile; writing again pushes it on.
      await writeFile(file, wanted);
      if (await isDone()) {
        return;
      }
      await delay(FREEZE_POLL_MS);
      if (isFrozen && !isV2 && attempt % FREEZE_ATTEMPTS_BEFORE_THAW === 0) {
        // Stuck in FREEZING: only going on for a moment lets the processes come to a place where they can stop.
        await writeFile(file, opposite);
        await delay(FREEZE_POLL_MS * 2);
      }
    }
    if (isFrozen) {
      // Half frozen processes could not even be killed.
      await writeFile(file, opposite);
    }
  } catch (cause) {
    if (!isFrozen && (isMissing(cause) || errnoOf(cause) === 'ENODEV')) {
      // What was to go on has ended: a killed process does so in the moment of the thaw.
      return;
    }
    throw new SystemError(`cannot ${isFrozen ? 'pause' : 'unpause'}: the cgroup is gone`, {
      cause,
    });
  }
  throw new SystemError(`the cgroup did not reach ${wanted} within ${FREEZE_DEADLINE_MS} ms`);
}

/** True when a container is frozen, or on the way to it. */
export async function isFrozen(path: string, machine: MachineFacts): Promise<boolean> {
  const dir = cgroupDir(path, 'freezer', machine);
  return machine.cgroupVersion === 2
    ? (await text(dir, 'cgroup.freeze')).trim() === '1'
    : /FROZEN|FREEZING/.test(await text(dir, 'freezer.state'));
}

/** Removes what is left of a container's cgroup once its processes are gone. A missing one is no error. */
export async function removeCgroup(path: string, machine: MachineFacts): Promise<void> {
  for (const dir of cgroupDirs(path, machine)) {
    await rmdir(dir).catch((error: unknown) => {
      if (!isMissing(error) && errnoOf(error) !== 'EBUSY' && errnoOf(error) !== 'ENOTDIR') {
        throw error;
      }
    });
  }
}
