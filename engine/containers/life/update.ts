import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostConfig } from '../../api/types/container.ts';
import { ConflictError, messageOf, SystemError } from '../../base/errors.ts';
import { run } from '../../base/node/run.ts';
import type { Container } from '../container.ts';
import type { ContainerCore } from '../core.ts';
import { checkLimits } from '../create/limits.ts';
import { validateRestartPolicy } from '../restart-policy.ts';

/** What POST /containers/{id}/update may change, besides the restart policy. */
const UPDATABLE = [
  'BlkioWeight',
  'CpuShares',
  'NanoCpus',
  'CpuPeriod',
  'CpuQuota',
  'CpusetCpus',
  'CpusetMems',
  'Memory',
  'MemorySwap',
  'MemoryReservation',
  'KernelMemory',
  'CpuRealtimePeriod',
  'CpuRealtimeRuntime',
  'PidsLimit',
] as const satisfies readonly (keyof HostConfig)[];

function refuse(container: Container, problem: string): never {
  throw new ConflictError(`Cannot update container ${container.id}: ${problem}`);
}

const isGiven = (value: unknown): boolean => value !== undefined && value !== 0 && value !== '';

/** Limits that exclude each other, also when one of them was set before. */
const CONFLICTS: readonly (readonly [keyof HostConfig, keyof HostConfig, string])[] = [
  ['NanoCpus', 'CpuQuota', 'Nano CPUs cannot be updated as CPU Quota has already been set'],
  ['NanoCpus', 'CpuPeriod', 'Nano CPUs cannot be updated as CPU Period has already been set'],
  ['CpuQuota', 'NanoCpus', 'CPU Quota cannot be updated as NanoCPUs has already been set'],
  ['CpuPeriod', 'NanoCpus', 'CPU Period cannot be updated as NanoCPUs has already been set'],
];

function assertCompatible(container: Container, changes: Partial<HostConfig>): void {
  const before = container.record.hostConfig;
  for (const [changed, set, words] of CONFLICTS) {
    if (isGiven(changes[changed]) && isGiven(before[set])) {
      refuse(container, `Conflicting options: ${words}`);
    }
  }
  const { Memory: memory = 0, MemorySwap: swap = 0 } = changes;
  const swapBefore = before.MemorySwap ?? 0;
  if (memory > 0 && swap === 0 && swapBefore > 0 && memory > swapBefore) {
    refuse(
      container,
      'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
    );
  }
  if (swap > 0 && memory === 0 && swap < (before.Memory ?? 0)) {
    refuse(container, 'Minimum memoryswap limit should be larger than memory limit, see usage');
  }
}

/** The new HostConfig. @throws ConflictError  with Docker's words */
function merged(container: Container, changes: Partial<HostConfig>): HostConfig {
  assertCompatible(container, changes);
  const limits = Object.fromEntries(
    UPDATABLE.filter((key) => isGiven(changes[key])).map((key) => [key, changes[key]]),
  );
  // Zero means unlimited here, not unchanged.
  const pids = changes.PidsLimit === undefined ? {} : { PidsLimit: changes.PidsLimit };
  const after = { ...container.record.hostConfig, ...limits, ...pids };
  return changes.RestartPolicy?.Name ? { ...after, RestartPolicy: changes.RestartPolicy } : after;
}

/** Brings the limits of a running container into force. @throws SystemError */
async function applyLimits(core: ContainerCore, container: Container): Promise<void> {
  const { runtime } = core.ports;
  const { hostConfig } = container.record;
  const program = runtime.runtimes.byName.get(hostConfig.Runtime || runtime.runtimes.defaultName);
  if (program === undefined) {
    throw new SystemError(`unknown or invalid runtime name: ${hostConfig.Runtime}`);
  }
  const path = join(core.runDir(container.id), 'limits.json');
  await writeFile(path, await runtime.limitsJson(hostConfig), { mode: 0o600 });
  const args = [...program.args, '--root', core.settings.runtimeRoot];
  const result = await run(program.path, [...args, 'update', '--resources', path, container.id]);
  if (result.exitCode !== 0) {
    throw new SystemError(result.stderr.trim().split('\n').at(-1) || 'the OCI runtime failed');
  }
}

/** Implements {@link ContainerService.update}. */
export async function updateContainer(
  core: ContainerCore,
  ref: string,
  changes: Partial<HostConfig>,
): Promise<{ readonly warnings: readonly string[] }> {
  if (changes.RestartPolicy !== undefined) {
    validateRestartPolicy(changes.RestartPolicy);
  }
  const checked = checkLimits(changes, core.ports.runtime.machine, true);
  const container = core.registry.get(ref);
  return await core.lock.run(container.id, async () => {
    const { record } = container;
    const { state } = record;
    if (state.isRemoving || state.isDead) {
      throw new ConflictError(
        `Cannot update container ${container.id}: container is marked for removal and cannot be "update"`,
      );
    }
    if (record.hostConfig.AutoRemove === true && changes.RestartPolicy?.Name) {
      const name = changes.RestartPolicy.Name;
      if (name !== 'no') {
        refuse(
          container,
          'Restart policy cannot be updated because AutoRemove is enabled for the container',
        );
      }
    }
    const before = record.hostConfig;
    record.hostConfig = merged(container, checked.hostConfig);
    try {
      await core.store.save(record, true);
      if (container.isUp) {
        await applyLimits(core, container);
      }
    } catch (cause) {
      record.hostConfig = before;
      await core.saveState(container, true);
      throw new SystemError(`Cannot update container ${container.id}: ${messageOf(cause)}`, {
        cause,
      });
    }
    core.publish(container, 'update');
    return { warnings: checked.warnings };
  });
}
