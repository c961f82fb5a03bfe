import type { HostConfig } from '../../api/types/container.ts';
import { InvalidParameterError } from '../../base/errors.ts';
import type { MachineFacts } from '../../runtime/contract.ts';

const MIN_MEMORY_BYTES = 6 * 1024 * 1024;

/** Limits after checking: what the machine cannot do is dropped with a warning. */
export interface CheckedLimits {
  readonly hostConfig: HostConfig;
  readonly warnings: readonly string[];
}

function refuse(message: string): never {
  throw new InvalidParameterError(message);
}

const isSet = (value: number | undefined): value is number => value !== undefined && value !== 0;

/** What the machine cannot limit is dropped. */
function dropUnsupportedMemory(
  host: HostConfig,
  machine: MachineFacts,
  warnings: string[],
): HostConfig {
  let { Memory: memory, MemorySwap: swap, MemorySwappiness: swappiness } = host;
  if (isSet(memory) && !machine.controllers.has('memory')) {
    warnings.push(
      'Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.',
    );
    memory = 0;
    swap = -1;
  }
  if (isSet(memory) && swap !== -1 && !machine.hasSwapLimit) {
    warnings.push(
      'Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.',
    );
    swap = -1;
  }
  swappiness = swappiness === -1 ? undefined : swappiness;
  if (swappiness !== undefined && machine.cgroupVersion === 2) {
    warnings.push(
      'Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.',
    );
    swappiness = undefined;
  }
  return { ...host, Memory: memory, MemorySwap: swap, MemorySwappiness: swappiness };
}

function checkMemory(
  given: HostConfig,
  machine: MachineFacts,
  isUpdate: boolean,
  warnings: string[],
): HostConfig {
  if (isSet(given.Memory) && given.Memory < MIN_MEMORY_BYTES) {
    refuse('Minimum memory limit allowed is 6MB');
  }
  const host = dropUnsupportedMemory(given, machine, warnings);
  const { Memory: memory = 0, MemorySwap: swap = 0, MemoryReservation: reservation = 0 } = host;
  if (memory > 0 && swap > 0 && swap < memory) {
    refuse('Minimum memoryswap limit should be larger than memory limit, see usage');
  }
  if (memory === 0 && swap > 0 && !isUpdate) {
    refuse('You should always set the Memory limit when using Memoryswap limit, see usage');
  }
  const swappiness = host.MemorySwappiness ?? 0;
  if (swappiness < 0 || swappiness > 100) {
    refuse(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  }
  if (reservation > 0 && reservation < MIN_MEMORY_BYTES) {
    refuse('Minimum memory reservation allowed is 6MB');
  }
  if (memory > 0 && reservation > 0 && memory < reservation) {
    refuse('Minimum memory limit can not be less than memory reservation limit, see usage');
  }
  return host;
}

function checkKernelMemoryAndOom(
  host: HostConfig,
  machine: MachineFacts,
  warnings: string[],
): HostConfig {
  let { KernelMemory: kernel, OomKillDisable: oom, PidsLimit: pids } = host;
  if (isSet(kernel) && kernel > 0) {
    warnings.push(
      'Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded.',
    );
    kernel = 0;
  }
  if (isSet(host.KernelMemoryTCP)) {
    warnings.push('Specifying a kernel memory TCP limit is deprecated; limitation discarded.');
  }
  if (oom === true && machine.cgroupVersion === 2) {
    warnings.push('Your kernel does not support OomKillDisable. OomKillDisable discarded.');
    oom = undefined;
  }
  if (oom === true && !isSet(host.Memory)) {
    warnings.push(
      'OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.',
    );
  }
  if (isSet(pids) && !machine.controllers.has('pids')) {
    if (pids > 0) {
      warnings.push(
        'Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.',
      );
    }
    pids = undefined;
  }
  return {
    ...host,
    KernelMemory: kernel,
    KernelMemoryTCP: undefined,
    OomKillDisable: oom,
    PidsLimit: pids,
  };
}

function checkCpu(host: HostConfig, machine: MachineFacts, warnings: string[]): HostConfig {
  const { NanoCpus: nano, CpuPeriod: period, CpuQuota: quota } = host;
  if (isSet(nano) && isSet(period)) {
    refuse('Conflicting options: Nano CPUs and CPU Period cannot both be set');
  }
  if (isSet(nano) && isSet(quota)) {
    refuse('Conflicting options: Nano CPUs and CPU Quota cannot both be set');
  }
  if (isSet(nano) && (nano < 0 || nano > machine.cpuCount * 1e9)) {
    const n = machine.cpuCount;
    refuse(`range of CPUs is from 0.01 to ${n}.00, as there are only ${n} CPUs available`);
  }
  if (isSet(period) && (period < 1000 || period > 1_000_000)) {
    refuse('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  }
  if (isSet(quota) && quota > 0 && quota < 1000) {
    refuse('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  }
  if (host.CpuShares !== undefined && host.CpuShares < 0) {
    refuse(`invalid CPU shares (${host.CpuShares}): value must be a positive integer`);
  }
  if (isSet(host.CpuPercent)) {
    warnings.push('linux does not support CPU percent. Percent discarded.');
  }
  checkRealtime(host, machine);
  return { ...host, CpuPercent: undefined };
}

function checkRealtime(host: HostConfig, machine: MachineFacts): void {
  const { CpuRealtimePeriod: rtPeriod, CpuRealtimeRuntime: rtRuntime } = host;
  if (isSet(rtPeriod) && isSet(rtRuntime) && rtRuntime > rtPeriod) {
    refuse('cpu real-time runtime cannot be higher than cpu real-time period');
  }
  if ((isSet(rtPeriod) || isSet(rtRuntime)) && machine.cgroupVersion === 2) {
    refuse('kernel does not support CPU real-time scheduler');
  }
}

/** Numbers of a list such as `0-2,5`; undefined when it is no list. */
export function parseCpuList(text: string): readonly number[] | undefined {
  const numbers: number[] = [];
  for (const part of text.split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    const from = Number(match?.[1]);
    const to = Number(match?.[2] ?? match?.[1]);
    // The kernel knows at most 8192 processors; a longer list is nonsense that would only cost memory.
    if (match === null || to < from || to > 8192) {
      return undefined;
    }
    for (let number = from; number <= to; number += 1) {
      numbers.push(number);
    }
  }
  return numbers;
}

function checkCpuset(host: HostConfig, machine: MachineFacts): void {
  const check = (what: string, list: string, count: number, words: string): void => {
    const numbers = parseCpuList(list);
    if (numbers === undefined) {
      refuse(`Invalid value ${list} for cpuset ${what}: invalid format: ${list}`);
    }
    if (numbers.some((number) => number >= count)) {
      const available = count === 1 ? '0' : `0-${count - 1}`;
      refuse(`Requested ${words} are not available - requested ${list}, available: ${available}`);
    }
  };
  if (host.CpusetCpus) {
    check('cpus', host.CpusetCpus, machine.cpuCount, 'CPUs');
  }
  if (host.CpusetMems) {
    // Nodes are checked by the kernel at the start; only the form is checked here.
    check('mems', host.CpusetMems, 8193, 'memory nodes');
  }
}

function checkBlkio(host: HostConfig, machine: MachineFacts, warnings: string[]): HostConfig {
  const weight = host.BlkioWeight ?? 0;
  const controller = machine.cgroupVersion === 2 ? 'io' : 'blkio';
  if (weight > 0 && !machine.controllers.has(controller)) {
    warnings.push(
      'Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.',
    );
    return { ...host, BlkioWeight: 0 };
  }
  if (weight > 0 && (weight < 10 || weight > 1000)) {
    refuse('Range of blkio weight is from 10 to 1000');
  }
  if (isSet(host.IOMaximumBandwidth)) {
    refuse('invalid option: QoS maximum bandwidth configuration is not supported on linux');
  }
  if (isSet(host.IOMaximumIOps)) {
    refuse('invalid option: QoS maximum IOPs configuration is not supported on linux');
  }
  return host;
}

/**
 * Checks limits as Docker does, for create, start and update.
 *
 * @throws InvalidParameterError
 */
export function checkLimits(
  hostConfig: HostConfig,
  machine: MachineFacts,
  isUpdate: boolean,
): CheckedLimits {
  const warnings: string[] = [];
  let host = checkMemory(hostConfig, machine, isUpdate, warnings);
  host = checkKernelMemoryAndOom(host, machine, warnings);
  host = checkCpu(host, machine, warnings);
  checkCpuset(host, machine);
  host = checkBlkio(host, machine, warnings);
  return { hostConfig: host, warnings };
}
