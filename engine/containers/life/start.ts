import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostConfig } from '../../api/types/container.ts';
import { EngineError, InvalidParameterError, messageOf, SystemError } from '../../base/errors.ts';
import type { SpecInput } from '../../runtime/contract.ts';
import type { LaunchResult, ShimClient, ShimConfig } from '../../runtime/shim/contract.ts';
import type { Container } from '../container.ts';
import type { ContainerCore } from '../core.ts';
import { withDefaultUlimits } from '../create/defaults.ts';
import { logLimits } from '../create/log-config.ts';
import { checkHostConfig, containerMode } from '../create/validate.ts';
import { containerEnvironment } from '../environment.ts';
import { allDone, rewrap } from '../rewrap.ts';
import { classifyRuntimeMessage } from '../runtime-errors.ts';
import { exitRecordPath } from './exit-record.ts';
import { dropMount } from './host-mounts.ts';
import { logAttributes } from './log-attributes.ts';
import { resolveMounts, shmPath } from './mounts.ts';
import { networkFiles, type OpenedNetwork, openNetwork } from './network.ts';

/** Failure of a start with the exit code that the container gets. */
export class StartFailure extends Error {
  readonly failure: EngineError;
  readonly exitCode: number;

  constructor(failure: EngineError, exitCode: number) {
    super(failure.message, { cause: failure });
    this.failure = failure;
    this.exitCode = exitCode;
  }
}

/** A container's process, just started. */
export type Started = Extract<LaunchResult, { kind: 'started' }>;

function namespaceOf(core: ContainerCore, mode: string | undefined, kind: 'pid' | 'ipc'): string {
  if (mode === 'host') {
    return 'host';
  }
  const ref = containerMode(mode);
  if (ref === undefined) {
    return mode === 'none' ? 'none' : 'private';
  }
  const words = kind === 'pid' ? 'failed to join PID namespace' : 'failed to join IPC namespace';
  const other = core.registry.find(ref);
  if (other === undefined) {
    throw new SystemError(`${words}: No such container: ${ref}`);
  }
  if (!other.record.state.isRunning) {
    throw new SystemError(`${words}: container ${other.id} is not running`);
  }
  if (other.record.state.isRestarting) {
    throw new SystemError(
      `${words}: Container ${other.id} is restarting, wait until the container is running`,
    );
  }
  const donor = containerMode(other.record.hostConfig.IpcMode);
  if (kind === 'ipc' && donor === undefined && other.record.hostConfig.IpcMode === 'host') {
    return 'host';
  }
  return `/proc/${other.record.state.pid}/ns/${kind}`;
}

/** In a network of its own a container may listen on low ports and ping without more capabilities. */
function networkSysctls(hostConfig: HostConfig): Readonly<Record<string, string>> {
  const isShared =
    hostConfig.NetworkMode === 'host' || containerMode(hostConfig.NetworkMode) !== undefined;
  return isShared
    ? {}
    : {
        'net.ipv4.ip_unprivileged_port_start': '0',
        'net.ipv4.ping_group_range': '0 2147483647',
      };
}

async function specInput(
  core: ContainerCore,
  container: Container,
  parts: {
    readonly rootfs: string;
    readonly network: OpenedNetwork;
    readonly mounts: SpecInput['mounts'];
  },
): Promise<SpecInput> {
  const { record } = container;
  const { config } = record;
  const hostConfig = withDefaultUlimits(core, record.hostConfig);
  const hasInit = hostConfig.Init === true && hostConfig.PidMode !== 'host';
  if (hasInit && core.settings.initPath === undefined) {
    throw new StartFailure(
      new InvalidParameterError(
        'exec: "docker-init": executable file not found in $PATH: no init program (tini) is installed',
      ),
      127,
    );
  }
  const user = await core.ports.runtime.resolveUser(
    parts.rootfs,
    config.User ?? '',
    hostConfig.GroupAdd ?? [],
  );
  return {
    id: container.id,
    config,
    hostConfig,
    rootfs: parts.rootfs,
    args: [record.path, ...record.args],
    env: containerEnvironment(core, container, config.Tty === true),
    cwd: config.WorkingDir || '/',
    user,
    hostname: parts.network.hostname,
    mounts: parts.mounts,
    network: parts.network.network,
    pidNamespace: namespaceOf(core, hostConfig.PidMode, 'pid'),
    ipcNamespace: namespaceOf(core, hostConfig.IpcMode, 'ipc'),
    utsNamespace: hostConfig.UTSMode === 'host' ? 'host' : 'private',
    initPath: hasInit ? core.settings.initPath : undefined,
    networkSysctls: networkSysctls(hostConfig),
  };
}

function shimConfig(core: ContainerCore, container: Container): ShimConfig {
  const { config, hostConfig } = container.record;
  const { runtimes } = core.ports.runtime;
  const name = hostConfig.Runtime || runtimes.defaultName;
  const runtime = runtimes.byName.get(name);
  if (runtime === undefined) {
    throw new InvalidParameterError(`unknown or invalid runtime name: ${name}`);
  }
  const cgroup = core.ports.runtime.cgroup(container.id, hostConfig);
  const logPath = core.logPath(container);
  const limits = logLimits(hostConfig.LogConfig ?? {});
  const attributes = logAttributes(container);
  const [rows = 0, columns = 0] = hostConfig.ConsoleSize ?? [];
  const runDir = core.runDir(container.id);
  return {
    containerId: container.id,
    bundleDir: runDir,
    runDir,
    runtime: { path: runtime.path, args: [...runtime.args, '--root', core.settings.runtimeRoot] },
    hasTty: config.Tty === true,
    ...(config.Tty === true && rows > 0 && columns > 0 ? { consoleSize: { rows, columns } } : {}),
    hasStdin: config.OpenStdin === true,
    isStdinOnce: config.StdinOnce === true,
    ...(logPath === ''
      ? {}
      : {
          log: {
            path: logPath,
            ...(limits.maxSizeBytes === undefined ? {} : { maxSizeBytes: limits.maxSizeBytes }),
            maxFiles: limits.maxFiles,
            ...(Object.keys(attributes).length === 0 ? {} : { attributes }),
          },
        }),
    exitRecordPath: exitRecordPath(core, container.id),
    oomFile: cgroup.oomFile,
    cgroupDirs: cgroup.dirs,
    runtimeStateDir: join(core.settings.runtimeRoot, container.id),
  };
}

/** Attach sessions that wait, opened before any output is read. */
async function openPending(
  container: Container,
  client: ShimClient,
  ended: Promise<void>,
): Promise<void> {
  const waiting = [...container.pendingAttaches];
  container.pendingAttaches.clear();
  await Promise.all(waiting.map(async (pending) => await pending.open(client, ended)));
}

function classified(error: unknown): StartFailure {
  if (error instanceof StartFailure) {
    return error;
  }
  const failure =
    error instanceof EngineError ? error : new SystemError(messageOf(error), { cause: error });
  return new StartFailure(failure, 128);
}

/**
 * Frees what a start took besides the process: network, mounts, volumes, run folder. Never throws.
 *
 * @param options.gone  when the runtime has let go of mounts and run folder; default: it has
 */
export async function releaseResources(
  core: ContainerCore,
  container: Container,
  options: { readonly keepsRoot?: boolean; readonly gone?: Promise<void> } = {},
): Promise<void> {
  const { id } = container;
  const attempt = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      core.logger.warn('cleanup after a container failed', {
        id,
        what,
        problem: messageOf(error),
      });
    }
  };
  const { hostConfig, mounts } = container.record;
  const { keepsRoot = false, gone } = options;
  const hasSandbox =
    hostConfig.NetworkMode !== 'host' && containerMode(hostConfig.NetworkMode) === undefined;
  await Promise.all([
    hasSandbox
      ? attempt('network', async () => await core.ports.networks.closeSandbox(id))
      : undefined,
    attempt('root', async () => {
      await gone;
      if (!keepsRoot) {
        await core.ports.snapshots.unmount(id);
      }
    }),
    ...mounts
      .filter((mount) => mount.type === 'volume')
      .map((mount) =>
        attempt('volume', async () => {
          await gone;
          await core.ports.volumes.release(mount.name, id);
        }),
      ),
    attempt('run folder', async () => {
      await gone;
      await dropRunDir(core, container);
    }),
  ]);
}

async function dropRunDir(core: ContainerCore, container: Container): Promise<void> {
  if (container.record.hostConfig.IpcMode === 'shareable') {
    await dropMount(shmPath(core, container.id));
  }
  await removeRunDir(core, container.id);
}

/** An exec or a health check that was cut off may write its file while the folder goes: then it goes again. */
export async function removeRunDir(core: ContainerCore, id: string): Promise<void> {
  await rm(core.runDir(id), { recursive: true, force: true, maxRetries: 20, retryDelay: 10 });
}

/** The promise that a run's sessions and logs wait for; resolved by the exit handling. */
export interface RunEnd {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

/**
 * Starts the container's process. The caller holds the lock and has checked the state; it records the outcome.
 * After a failure nothing is left but the record.
 *
 * @throws StartFailure
 */
export async function launch(
  core: ContainerCore,
  container: Container,
  end: RunEnd,
): Promise<Started> {
  try {
    return await prepareAndLaunch(core, container, end);
  } catch (error) {
    for (const pending of container.pendingAttaches) {
      pending.giveUp();
    }
    container.pendingAttaches.clear();
    await releaseResources(core, container);
    throw classified(error);
  }
}

async function openNetworkFor(core: ContainerCore, container: Container): Promise<OpenedNetwork> {
  try {
    return await openNetwork(core, container);
  } catch (error) {
    throw rewrap(error, `failed to set up container networking: ${messageOf(error)}`);
  }
}

async function prepareAndLaunch(
  core: ContainerCore,
  container: Container,
  end: RunEnd,
): Promise<Started> {
  const { record } = container;
  checkHostConfig({}, record.hostConfig, core.ports.runtime);
  const runDir = core.runDir(container.id);
  await mkdir(runDir, { recursive: true, mode: 0o710 });
  const files = networkFiles(core, container);
  const resolving = resolveMounts(core, container, files);
  try {
    const [rootfs, network, resolved] = await allDone([
      core.ports.snapshots.mount(container.id),
      openNetworkFor(core, container),
      resolving,
    ] as const);
    const input = await specInput(core, container, { rootfs, network, mounts: resolved.mounts });
    const spec = await core.ports.runtime.specJson(input);
    await writeFile(join(runDir, 'config.json'), spec, { mode: 0o600 });
    const hasWaiting = container.pendingAttaches.size > 0;
    const beforeOutput = async (client: ShimClient): Promise<void> =>
      await openPending(container, client, end.promise);
    const result = await core.withRuntimeLimit(
      'start the container',
      async (signal) =>
        await core.ports.launchShim(shimConfig(core, container), {
          shimPath: core.settings.shimPath,
          ...(hasWaiting ? { beforeOutput } : {}),
          signal,
        }),
    );
    if (result.kind === 'start-failed') {
      const failure = classifyRuntimeMessage('create', result.runtimeMessage);
      throw new StartFailure(failure.error, failure.exitCode);
    }
    return result;
  } finally {
    const resolved = await resolving.catch(() => undefined);
    await resolved?.afterStart();
  }
}
