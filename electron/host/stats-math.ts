import type { ApiStats } from '../../engine/api/client/responses.ts';
import type { StatsSample } from '../contract/container-channels.ts';
import { timeMs } from './normalise.ts';

/** The counters that a percentage is made of. */
export interface CpuCounters {
  /** Nanoseconds of CPU time the container used. */
  readonly totalNs: number;
  /** Nanoseconds of CPU time of the whole machine, all cores together. */
  readonly systemNs: number;
}

/**
 * 100 = one core fully used, as `docker stats` counts. Undefined when there is no earlier sample or no time has passed;
 * 0 when counters went backwards (the container restarted).
 */
export function cpuPercent(
  before: CpuCounters | undefined,
  now: CpuCounters,
  cpuCount: number,
): number | undefined {
  if (before === undefined || before.systemNs === 0) {
    return undefined;
  }
  const system = now.systemNs - before.systemNs;
  if (system <= 0) {
    return undefined;
  }
  return Math.max(0, ((now.totalNs - before.totalNs) / system) * cpuCount * 100);
}

/** Memory without the page cache that can be given back: the cgroup v2 name, then the v1 name. */
function memoryInUse(memory: ApiStats['memory_stats']): number {
  if (memory === undefined || memory === null) {
    return 0;
  }
  const cache = memory.stats['inactive_file'] ?? memory.stats['total_inactive_file'] ?? 0;
  return cache < memory.usage ? memory.usage - cache : memory.usage;
}

function cpusOf(stats: ApiStats): number {
  const online = stats.cpu_stats?.online_cpus ?? 0;
  return online > 0 ? online : (stats.cpu_stats?.cpu_usage?.percpu_usage?.length ?? 1);
}

function countersOf(cpu: ApiStats['cpu_stats']): CpuCounters {
  return { totalNs: cpu?.cpu_usage?.total_usage ?? 0, systemNs: cpu?.system_cpu_usage ?? 0 };
}

function blockBytes(stats: ApiStats, op: string): number {
  return (stats.blkio_stats?.io_service_bytes_recursive ?? [])
    .filter((entry) => entry.op.toLowerCase() === op)
    .reduce((sum, entry) => sum + entry.value, 0);
}

/** The engine's counters of one container; its own previous counters serve when ours are not there yet. */
export function normaliseStats(
  id: string,
  stats: ApiStats,
  before: CpuCounters | undefined,
): { sample: StatsSample; counters: CpuCounters } | undefined {
  const at = timeMs(stats.read);
  // A container that does not run has a zero time.
  if (at === undefined) {
    return undefined;
  }
  const counters = countersOf(stats.cpu_stats);
  const engineBefore = countersOf(stats.precpu_stats);
  const cpuCount = cpusOf(stats);
  const percent = cpuPercent(before ?? engineBefore, counters, cpuCount);
  const networks = Object.values(stats.networks);
  return {
    counters,
    sample: {
      id,
      timeMs: at,
      ...(percent === undefined ? {} : { cpuPercent: percent }),
      cpuCount,
      memoryBytes: memoryInUse(stats.memory_stats),
      memoryLimitBytes: stats.memory_stats?.limit ?? 0,
      netRxBytes: networks.reduce((sum, network) => sum + network.rx_bytes, 0),
      netTxBytes: networks.reduce((sum, network) => sum + network.tx_bytes, 0),
      blockReadBytes: blockBytes(stats, 'read'),
      blockWriteBytes: blockBytes(stats, 'write'),
      pids: Math.trunc(stats.pids_stats?.current ?? 0),
    },
  };
}
