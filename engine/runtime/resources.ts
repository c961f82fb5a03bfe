import type { Resources, ThrottleDevice, WeightDevice } from '../api/types/container.ts';
import type { MachineFacts } from './contract.ts';
import {
  blockDeviceNumbers,
  DEFAULT_DEVICE_RULES,
  mapDevice,
  type OciDevice,
  type OciDeviceRule,
  parseDeviceRule,
} from './devices.ts';

/** `linux.resources` of the OCI runtime specification, the parts that Docker sets. */
export interface OciResources {
  devices?: readonly OciDeviceRule[];
  memory?: Record<string, number | boolean>;
  cpu?: Record<string, number | string>;
  pids?: { limit: number };
  blockIO?: Record<string, unknown>;
}

/** Period in microseconds that NanoCpus is translated with, as Docker does. */
const CPU_PERIOD_US = 100_000;

function present<T>(entries: Record<string, T | undefined>): Record<string, T> {
  const result: Record<string, T> = {};
  for (const [key, value] of Object.entries(entries)) {
    if (value !== undefined) {
      result[key] = value;
    }
  }
  return result;
}

const nonZero = (value: number | undefined): number | undefined => value || undefined;

function memorySection(
  resources: Resources,
  machine: MachineFacts,
): Record<string, number | boolean> {
  const limit = nonZero(resources.Memory);
  const swap = nonZero(resources.MemorySwap);
  const swappiness = resources.MemorySwappiness;
  return present<number | boolean>({
    limit,
    reservation: nonZero(resources.MemoryReservation),
    // Docker: with a limit and nothing said about swap, as much swap again.
    swap: machine.hasSwapLimit
      ? (swap ?? (limit === undefined ? undefined : limit * 2))
      : undefined,
    swappiness:
      machine.cgroupVersion === 1 && swappiness !== undefined && swappiness >= 0
        ? swappiness
        : undefined,
    disableOOMKiller:
      machine.cgroupVersion === 1 && resources.OomKillDisable === true ? true : undefined,
  });
}

function cpuSection(resources: Resources): Record<string, number | string> {
  const nanoCpus = nonZero(resources.NanoCpus);
  return present<number | string>({
    shares: nonZero(resources.CpuShares),
    quota:
      nanoCpus === undefined
        ? nonZero(resources.CpuQuota)
        : Math.round((nanoCpus * CPU_PERIOD_US) / 1e9),
    period: nanoCpus === undefined ? nonZero(resources.CpuPeriod) : CPU_PERIOD_US,
    realtimeRuntime: nonZero(resources.CpuRealtimeRuntime),
    realtimePeriod: nonZero(resources.CpuRealtimePeriod),
    cpus: resources.CpusetCpus || undefined,
    mems: resources.CpusetMems || undefined,
  });
}

async function throttles(list: readonly ThrottleDevice[] | undefined): Promise<unknown[]> {
  return await Promise.all(
    (list ?? []).map(async (entry) => ({
      ...(await blockDeviceNumbers(entry.Path ?? '')),
      rate: entry.Rate ?? 0,
    })),
  );
}

async function weights(list: readonly WeightDevice[] | undefined): Promise<unknown[]> {
  return await Promise.all(
    (list ?? []).map(async (entry) => ({
      ...(await blockDeviceNumbers(entry.Path ?? '')),
      weight: entry.Weight ?? 0,
    })),
  );
}

async function blockIoSection(resources: Resources): Promise<Record<string, unknown>> {
  const some = (list: unknown[]): unknown[] | undefined => (list.length === 0 ? undefined : list);
  return present<unknown>({
    weight: nonZero(resources.BlkioWeight),
    weightDevice: some(await weights(resources.BlkioWeightDevice)),
    throttleReadBpsDevice: some(await throttles(resources.BlkioDeviceReadBps)),
    throttleWriteBpsDevice: some(await throttles(resources.BlkioDeviceWriteBps)),
    throttleReadIOPSDevice: some(await throttles(resources.BlkioDeviceReadIOps)),
    throttleWriteIOPSDevice: some(await throttles(resources.BlkioDeviceWriteIOps)),
  });
}

/** Limits only, as `runc update` takes them. Absent means unchanged there. */
export async function limitResources(
  resources: Resources,
  machine: MachineFacts,
): Promise<OciResources> {
  const memory = memorySection(resources, machine);
  const cpu = cpuSection(resources);
  const blockIO = await blockIoSection(resources);
  const pids = resources.PidsLimit;
  return {
    ...(Object.keys(memory).length === 0 ? {} : { memory }),
    ...(Object.keys(cpu).length === 0 ? {} : { cpu }),
    ...(Object.keys(blockIO).length === 0 ? {} : { blockIO }),
    // 0 and -1 mean unlimited to Docker; the runtime writes "max" for -1.
    ...(pids === undefined ? {} : { pids: { limit: pids > 0 ? pids : -1 } }),
  };
}

/** Limits with device rules, and the devices to make. */
export async function containerResources(
  resources: Resources,
  machine: MachineFacts,
  isPrivileged: boolean,
): Promise<{ readonly resources: OciResources; readonly devices: readonly OciDevice[] }> {
  const limits = await limitResources(resources, machine);
  const mapped = await Promise.all((resources.Devices ?? []).map(mapDevice));
  const ownRules = (resources.DeviceCgroupRules ?? []).map(parseDeviceRule);
  const rules: readonly OciDeviceRule[] = isPrivileged
    ? [{ allow: true, access: 'rwm' }]
    : [...DEFAULT_DEVICE_RULES, ...mapped.flatMap((entry) => entry.rules), ...ownRules];
  return {
    resources: { ...limits, devices: rules },
    devices: mapped.flatMap((entry) => entry.devices),
  };
}
