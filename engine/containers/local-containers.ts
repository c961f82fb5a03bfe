import { NotFoundError } from '../base/errors.ts';
import type { ImageUser } from '../images/contract.ts';
import type { EndpointSettings } from '../network/contract.ts';
import type { Change, Digest } from '../snapshots/contract.ts';
import type {
  AttachOptions,
  CommitRequest,
  ContainerInspect,
  ContainerLogs,
  ContainerPathStat,
  ContainerService,
  ContainerSummary,
  CreateContainerRequest,
  CreatedContainer,
  ExecCreateRequest,
  ExecInspect,
  ExecStartOptions,
  Filters,
  ListOptions,
  LogsOptions,
  RemoveOptions,
  StatsSample,
  StreamSession,
  TopResult,
  UpdateRequest,
  WaitCondition,
  WaitResult,
} from './contract.ts';
import { ContainerCore } from './core.ts';
import { createContainer } from './create/create.ts';
import { Execs } from './exec.ts';
import { exportContainer, getArchive, putArchive, statArchive } from './files/archive.ts';
import { commitContainer } from './files/commit.ts';
import { connectNetwork, disconnectNetwork } from './life/connect.ts';
import { Lifecycle, type StopOptions } from './life/lifecycle.ts';
import { Pruner } from './life/prune.ts';
import { renameContainer } from './life/rename.ts';
import { Restorer } from './life/restore.ts';
import { Runs } from './life/runs.ts';
import { updateContainer } from './life/update.ts';
import type { ContainerPorts, ContainerSettings } from './ports.ts';
import { inspectContainer } from './query/inspect.ts';
import { listContainers } from './query/list.ts';
import { statsOfContainer } from './query/stats.ts';
import { topOfContainer } from './query/top.ts';
import { attachContainer } from './stream/attach.ts';
import { logsOfContainer } from './stream/logs.ts';

interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** Containers of this machine, each under a shim of its own. */
export class LocalContainers implements ContainerService {
  readonly #core: ContainerCore;
  readonly #execs: Execs;
  readonly #lifecycle: Lifecycle;
  readonly #pruner: Pruner;
  readonly #restorer: Restorer;

  constructor(ports: ContainerPorts, settings: ContainerSettings) {
    this.#core = new ContainerCore(ports, settings);
    this.#execs = new Execs(this.#core);
    const runs = new Runs(this.#core, this.#execs);
    this.#lifecycle = new Lifecycle(this.#core, this.#execs, runs);
    this.#pruner = new Pruner(this.#core, this.#lifecycle);
    this.#restorer = new Restorer(this.#core, this.#lifecycle, runs);
  }

  async restore(): Promise<void> {
    await this.#restorer.restore();
  }

  async startRestartable(): Promise<void> {
    await this.#restorer.startRestartable();
  }

  async shutdown(): Promise<void> {
    this.#core.isShuttingDown = true;
    const containers = this.#core.registry.all();
    for (const container of containers) {
      container.restartTimer?.abort();
      container.health?.[Symbol.dispose]();
    }
    await Promise.all(
      containers.map(async (container) => {
        await this.#core.lock.run(container.id, async () => {
          await container.run?.client[Symbol.asyncDispose]();
        });
      }),
    );
  }

  async create(request: CreateContainerRequest): Promise<CreatedContainer> {
    return await createContainer(this.#core, request);
  }

  async start(ref: string): Promise<'started' | 'already-running'> {
    return await this.#lifecycle.start(ref);
  }

  async stop(ref: string, options: StopOptions = {}): Promise<'stopped' | 'already-stopped'> {
    return await this.#lifecycle.stop(ref, options);
  }

  async restart(ref: string, options: StopOptions = {}): Promise<void> {
    await this.#lifecycle.restart(ref, options);
  }

  async kill(ref: string, stopSignal?: string): Promise<void> {
    await this.#lifecycle.kill(ref, stopSignal);
  }

  async pause(ref: string): Promise<void> {
    await this.#lifecycle.pause(ref);
  }

  async unpause(ref: string): Promise<void> {
    await this.#lifecycle.unpause(ref);
  }

  async wait(
    ref: string,
    options: { readonly condition: WaitCondition; readonly signal?: AbortSignal },
  ): Promise<{ readonly result: Promise<WaitResult> }> {
    return await Promise.resolve(this.#lifecycle.wait(ref, options));
  }

  async remove(ref: string, options: RemoveOptions): Promise<void> {
    await this.#lifecycle.remove(ref, options);
  }

  async rename(ref: string, newName: string): Promise<void> {
    await renameContainer(this.#core, ref, newName);
  }

  async prune(
    filters: Filters,
  ): Promise<{ readonly deleted: readonly string[]; readonly reclaimedBytes: number }> {
    return await this.#pruner.prune(filters);
  }

  async list(options: ListOptions): Promise<readonly ContainerSummary[]> {
    return await listContainers(this.#core, options);
  }

  async inspect(
    ref: string,
    options: { readonly withSizes?: boolean } = {},
  ): Promise<ContainerInspect> {
    return await inspectContainer(this.#core, ref, options.withSizes === true);
  }

  counts() {
    const result = { total: 0, running: 0, paused: 0, stopped: 0 };
    for (const container of this.#core.registry.all()) {
      const { status } = container;
      result.total += 1;
      if (status === 'paused') {
        result.paused += 1;
      } else if (status === 'running' || status === 'restarting') {
        result.running += 1;
      } else {
        result.stopped += 1;
      }
    }
    return result;
  }

  resolve(ref: string): string {
    return this.#core.registry.get(ref).id;
  }

  async top(ref: string, psArgs: string | undefined): Promise<TopResult> {
    return await topOfContainer(this.#core, ref, psArgs);
  }

  async stats(
    ref: string,
    options: {
      readonly isStreaming: boolean;
      readonly isOneShot: boolean;
      readonly signal?: AbortSignal;
    },
  ): Promise<AsyncIterable<StatsSample>> {
    const container = this.#core.registry.get(ref);
    return await Promise.resolve(statsOfContainer(this.#core, container, options));
  }

  async logs(ref: string, options: LogsOptions): Promise<ContainerLogs> {
    return await Promise.resolve(logsOfContainer(this.#core, ref, options));
  }

  async attach(ref: string, options: AttachOptions): Promise<StreamSession> {
    return await attachContainer(this.#core, ref, options);
  }

  async resize(ref: string, size: WindowSize): Promise<void> {
    const container = this.#core.registry.get(ref);
    this.#core.assertRunning(container);
    await container.run?.client.resize(size);
    this.#core.publish(container, 'resize', {
      height: String(size.rows),
      width: String(size.columns),
    });
  }

  async update(
    ref: string,
    request: UpdateRequest,
  ): Promise<{ readonly warnings: readonly string[] }> {
    return await updateContainer(this.#core, ref, request.changes);
  }

  async changes(ref: string): Promise<readonly Change[]> {
    const container = this.#core.registry.get(ref);
    return await this.#core.ports.snapshots.changes(container.id);
  }

  async export(
    ref: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<AsyncIterable<Uint8Array>> {
    const container = this.#core.registry.get(ref);
    return await exportContainer(this.#core, container, options.signal);
  }

  async statArchive(ref: string, path: string): Promise<ContainerPathStat> {
    return await statArchive(this.#core, ref, path);
  }

  async getArchive(
    ref: string,
    path: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<{ readonly stat: ContainerPathStat; readonly tar: AsyncIterable<Uint8Array> }> {
    return await getArchive(this.#core, ref, path, options.signal);
  }

  async putArchive(
    ref: string,
    path: string,
    tar: AsyncIterable<Uint8Array>,
    options: {
      readonly noOverwriteDirNonDir: boolean;
      readonly copiesUidGid: boolean;
      readonly signal?: AbortSignal;
    },
  ): Promise<void> {
    await putArchive(this.#core, ref, path, tar, options);
  }

  async commit(ref: string, request: CommitRequest): Promise<{ readonly id: string }> {
    return await commitContainer(this.#core, this.#lifecycle, ref, request);
  }

  async createExec(ref: string, request: ExecCreateRequest): Promise<{ readonly id: string }> {
    return { id: await this.#execs.create(this.#core.registry.get(ref), request) };
  }

  assertExecReady(execId: string): void {
    this.#execs.assertReady(execId);
  }

  async startExec(execId: string, options: ExecStartOptions): Promise<StreamSession | undefined> {
    return await this.#execs.start(execId, options);
  }

  async inspectExec(execId: string): Promise<ExecInspect> {
    return await Promise.resolve(this.#execs.inspect(execId));
  }

  async resizeExec(execId: string, size: WindowSize): Promise<void> {
    await this.#execs.resize(execId, size);
  }

  async connectNetwork(ref: string, network: string, settings: EndpointSettings): Promise<void> {
    await connectNetwork(this.#core, ref, network, settings);
  }

  async disconnectNetwork(
    ref: string,
    network: string,
    options: { readonly isForced: boolean },
  ): Promise<void> {
    await disconnectNetwork(this.#core, ref, network, options.isForced);
  }

  *imageUsers(): Generator<ImageUser, void, void> {
    for (const { record } of this.#core.registry.all()) {
      const mounted = record.mounts
        .filter((mount) => mount.type === 'image')
        .map((mount) => mount.source as Digest);
      if (record.imageId !== '' || mounted.length > 0) {
        yield {
          containerId: record.id,
          imageId: record.imageId as Digest,
          isRunning: record.state.isRunning,
          ...(mounted.length === 0 ? {} : { mountedImageIds: mounted }),
        };
      }
    }
  }

  volumeUsers(): ReadonlyMap<string, ReadonlySet<string>> {
    const users = new Map<string, Set<string>>();
    for (const { id, record } of this.#core.registry.all()) {
      for (const mount of record.mounts) {
        if (mount.type === 'volume') {
          const ids = users.get(mount.name) ?? new Set();
          ids.add(id);
          users.set(mount.name, ids);
        }
      }
    }
    return users;
  }

  networkUsers(): ReadonlyMap<string, readonly string[]> {
    const users = new Map<string, string[]>();
    for (const { record } of this.#core.registry.all()) {
      for (const [name, settings] of Object.entries(record.networks)) {
        for (const key of new Set([name, settings.NetworkID || name])) {
          users.set(key, [...(users.get(key) ?? []), record.name]);
        }
      }
    }
    return users;
  }

  async logSize(ref: string): Promise<number> {
    const path = this.#core.logPath(this.#core.registry.get(ref));
    if (path === '') {
      return 0;
    }
    try {
      return await this.#core.ports.logReader.size(path);
    } catch (error) {
      if (error instanceof NotFoundError) {
        return 0;
      }
      throw error;
    }
  }
}
