import { readFile } from 'node:fs/promises';
import { delay } from '../../base/async.ts';
import { isAbortError } from '../../base/errors.ts';
import type { CgroupStats } from '../../runtime/contract.ts';
import type { Container } from '../container.ts';
import type { CpuStats, StatsSample } from '../contract.ts';
import type { ContainerCore } from '../core.ts';
import { containerMode } from '../create/validate.ts';
import { nowText, ZERO_TIME } from '../times.ts';

const INTERVAL_MS = 1000;
/** /proc/stat counts in ticks of 1/100 s. */
const NS_PER_TICK = 10_000_000;

const EMPTY_CPU: CpuStats = {
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
};

/** Time of all processors together, busy or not, nanoseconds. */
async function systemCpuNs(): Promise<number> {
  const text = await readFile('/proc/stat', 'utf8');
  const fields = text.slice(0, text.indexOf('\n')).split(/\s+/).slice(1, 8);
  return fields.reduce((sum, field) => sum + Number(field), 0) * NS_PER_TICK;
}

function cpuStats(stats: CgroupStats, systemNs: number, cpuCount: number): CpuStats {
  const { cpu } = stats;
  return {
    cpu_usage: {
      total_usage: cpu.totalNs,
      ...(cpu.perCpuNs.length > 0 ? { percpu_usage: [...cpu.perCpuNs] } : {}),
      usage_in_kernelmode: cpu.systemNs,
      usage_in_usermode: cpu.userNs,
    },
    system_cpu_usage: systemNs,
    online_cpus: cpuCount,
    throttling_data: {
      periods: cpu.periods,
      throttled_periods: cpu.throttledPeriods,
      throttled_time: cpu.throttledNs,
    },
  };
}

/** Counters of every interface but lo, from a `net/dev` table. */
export function parseNetDev(text: string): Record<string, Record<string, number>> {
  const result: Record<string, Record<string, number>> = {};
  for (const line of text.split('\n').slice(2)) {
    const match = /^\s*([^:]+):\s*(.*)$/.exec(line);
    const name = match?.[1] ?? 'lo';
    const values = (match?.[2] ?? '').split(/\s+/).map(Number);
    if (name === 'lo') {
      continue;
    }
    const at = (index: number): number => values[index] ?? 0;
    result[name] = {
      rx_bytes: at(0),
      rx_packets: at(1),
      rx_errors: at(2),
      rx_dropped: at(3),
      tx_bytes: at(8),
      tx_packets: at(9),
      tx_errors: at(10),
      tx_dropped: at(11),
    };
  }
  return result;
}

async function networkStats(
  container: Container,
): Promise<Record<string, Record<string, number>> | undefined> {
  const { hostConfig, state } = container.record;
  const mode = hostConfig.NetworkMode;
  if (mode === 'host' || containerMode(mode) !== undefined || mode === 'none') {
    return undefined;
  }
  const text = await readFile(`/proc/${state.pid}/net/dev`, 'utf8').catch(() => '');
  return text === '' ? undefined : parseNetDev(text);
}

function memoryStats(core: ContainerCore, stats: CgroupStats): Record<string, unknown> {
  const { memory } = stats;
  return {
    usage: memory.usageBytes,
    ...(core.ports.runtime.machine.cgroupVersion === 1
      ? { max_usage: memory.maxUsageBytes ?? 0 }
      : {}),
    stats: memory.details,
    ...(memory.failCount ? { failcnt: memory.failCount } : {}),
    limit: memory.limitBytes ?? core.ports.runtime.machine.memoryBytes,
  };
}

function blkioStats(stats: CgroupStats): Record<string, unknown> {
  return {
    io_service_bytes_recursive: stats.blkio.length === 0 ? null : stats.blkio,
    io_serviced_recursive: null,
    io_queue_recursive: null,
    io_service_time_recursive: null,
    io_wait_time_recursive: null,
    io_merged_recursive: null,
    io_time_recursive: null,
    sectors_recursive: null,
  };
}

interface Previous {
  readonly read: string;
  readonly cpu: CpuStats;
}

const NOTHING_BEFORE: Previous = { read: ZERO_TIME, cpu: EMPTY_CPU };

async function sample(
  core: ContainerCore,
  container: Container,
  before: Previous,
): Promise<StatsSample> {
  const { record } = container;
  const head = {
    id: record.id,
    name: `/${record.name}`,
    os_type: 'linux' as const,
    num_procs: 0,
    storage_stats: {},
  };
  if (!container.isUp) {
    return {
      ...head,
      read: ZERO_TIME,
      preread: ZERO_TIME,
      cpu_stats: EMPTY_CPU,
      precpu_stats: EMPTY_CPU,
      memory_stats: {},
      pids_stats: {},
      blkio_stats: blkioStats({ blkio: [] } as unknown as CgroupStats),
    };
  }
  const [stats, systemNs, networks] = await Promise.all([
    core.ports.runtime.cgroup(record.id, record.hostConfig).stats(),
    systemCpuNs(),
    networkStats(container),
  ]);
  return {
    ...head,
    read: nowText(),
    preread: before.read,
    cpu_stats: cpuStats(stats, systemNs, core.ports.runtime.machine.cpuCount),
    precpu_stats: before.cpu,
    memory_stats: memoryStats(core, stats),
    pids_stats: {
      current: stats.pids.current,
      // Left out when there is none: the largest uint64, which stands for it, is no number of this language.
      ...(stats.pids.limit === undefined ? {} : { limit: stats.pids.limit }),
    },
    blkio_stats: blkioStats(stats),
    ...(networks === undefined ? {} : { networks }),
  };
}

/** Implements {@link ContainerService.stats}. */
export async function* statsOfContainer(
  core: ContainerCore,
  container: Container,
  options: {
    readonly isStreaming: boolean;
    readonly isOneShot: boolean;
    readonly signal?: AbortSignal;
  },
): AsyncGenerator<StatsSample, void, void> {
  let before = NOTHING_BEFORE;
  try {
    if (!options.isStreaming && !options.isOneShot && container.isUp) {
      // One complete sample: with the counters of a second ago to compare with.
      const first = await sample(core, container, before);
      before = { read: first.read, cpu: first.cpu_stats };
      await delay(INTERVAL_MS, options.signal);
    }
    for (;;) {
      const next = await sample(core, container, before);
      yield next;
      if (!options.isStreaming || container.isRemoved) {
        return;
      }
      before = container.isUp ? { read: next.read, cpu: next.cpu_stats } : NOTHING_BEFORE;
      await delay(INTERVAL_MS, options.signal);
      if (container.isRemoved) {
        return;
      }
    }
  } catch (error) {
    if (!isAbortError(error)) {
      throw error;
    }
  }
}
