import { mkdir } from 'node:fs/promises';
import { Semaphore } from '../../base/async.ts';
import { messageOf } from '../../base/errors.ts';
import { listIfThere } from '../../base/node/atomic-file.ts';
import type { ShimClient } from '../../runtime/shim/contract.ts';
import { Container } from '../container.ts';
import type { ContainerCore } from '../core.ts';
import { containerMode } from '../create/validate.ts';
import { dropView, VIEW_PREFIX } from '../files/tree.ts';
import { startsWithEngine } from '../restart-policy.ts';
import { formatTimeNs, ZERO_TIME } from '../times.ts';
import { dropMount } from './host-mounts.ts';
import type { Lifecycle } from './lifecycle.ts';
import { shmPath } from './mounts.ts';
import { applySandbox, sandboxRequest } from './network.ts';
import type { Runs } from './runs.ts';
import { removeRunDir } from './start.ts';

/** Shims connected side by side. */
const CONNECT_CONCURRENCY = 32;
/** Containers started side by side as the engine starts. */
const START_CONCURRENCY = 4;

const ID = /^[0-9a-f]{64}$/;

/** Brings memory, records and what really runs together at the start of the engine. */
export class Restorer {
  readonly #core: ContainerCore;
  readonly #lifecycle: Lifecycle;
  readonly #runs: Runs;

  constructor(core: ContainerCore, lifecycle: Lifecycle, runs: Runs) {
    this.#core = core;
    this.#lifecycle = lifecycle;
    this.#runs = runs;
  }

  /** Implements {@link ContainerService.restore}. */
  async restore(): Promise<void> {
    const { settings, store, registry } = this.#core;
    await mkdir(settings.runRoot, { recursive: true, mode: 0o711 });
    const [loaded, runFolders, writables] = await Promise.all([
      store.loadAll(),
      listIfThere(settings.runRoot),
      this.#core.ports.snapshots.listWritables(),
    ]);
    for (const record of loaded.records) {
      registry.add(new Container(record));
      // Of two records with one name (a rename that was cut off) the first keeps it; both stay reachable by id.
      if (!registry.isNameTaken(record.name)) {
        registry.reserveName(record.name, record.id);
      }
    }
    for (const { record } of registry.all()) {
      for (const link of record.links) {
        registry.addLink(record.name, link.alias, link.containerId);
      }
    }
    const hasRunFolder = new Set(runFolders);
    const hasTree = new Set(writables);
    const places = new Semaphore(CONNECT_CONCURRENCY);
    await Promise.all(
      registry
        .all()

        .map((container) =>
          places.run(async () => {
            await this.#settle(
              container,
              hasRunFolder.has(container.id),
              hasTree.has(container.id),
            );
          }),
        ),
    );
    await this.#sweep(loaded.unfinished, runFolders, writables);
    await this.#restoreNetworks();
  }

  async #settle(container: Container, hasRunFolder: boolean, hasTree: boolean): Promise<void> {
    const { record } = container;
    try {
      if (!hasTree) {
        this.#core.logger.info('finishing a removal that was cut off', { id: container.id });
        await this.#stopStray(container.id, hasRunFolder);
        await this.#runs.finishRemoval(container);
        return;
      }
      record.state.isRemoving = false;
      const wasRunning = record.state.isRunning || record.state.isRestarting;
      const client = hasRunFolder ? await this.#connect(container.id) : undefined;
      if (client !== undefined && (await this.#adopt(container, client))) {
        return;
      }
      if (wasRunning || hasRunFolder) {
        await this.#runs.settleMissedExit(container);
      }
      if (record.hostConfig.AutoRemove === true) {
        await this.#runs.finishRemoval(container);
      }
    } catch (error) {
      this.#core.logger.error('container was not restored', {
        id: container.id,
        problem: messageOf(error),
        error,
      });
    }
  }

  /** @throws SystemError  a shim is there but speaks another protocol: its container is left alone */
  async #connect(id: string): Promise<ShimClient | undefined> {
    return await this.#core.ports.connectShim(this.#core.runDir(id));
  }

  /** True when the container runs on under its shim. */
  async #adopt(container: Container, client: ShimClient): Promise<boolean> {
    const { state } = container.record;
    const facts = await client.state();
    if (facts.status === 'starting' || facts.status === 'created') {
      // Nobody was told that it starts: the start is taken back.
      await client.shutdown().catch(() => {});
      await client[Symbol.asyncDispose]();
      return false;
    }
    if (facts.status === 'exited') {
      await client.waitGone({ signal: AbortSignal.timeout(10_000) }).catch(() => {});
      await client[Symbol.asyncDispose]();
      return false;
    }
    container.record.hasBeenStarted = true;
    state.isRunning = true;
    state.isRestarting = false;
    state.pid = facts.process.pid;
    state.startedAt = formatTimeNs(facts.startedAtNs);
    state.isOomKilled ||= facts.oomKills > 0;
    if (state.health !== undefined) {
      state.health = { ...state.health, Status: 'starting', FailingStreak: 0 };
    }
    await this.#agreeOnPause(container);
    await this.#holdVolumes(container);
    this.#runs.adopt(container, client);
    this.#runs.startHealth(container);
    return true;
  }

  /** A pause that nobody was told of, of a client or for the moment of a commit, is taken back. */
  async #agreeOnPause(container: Container): Promise<void> {
    const { id, record } = container;
    const cgroup = this.#core.ports.runtime.cgroup(id, record.hostConfig);
    const isFrozen = await cgroup.isFrozen();
    if (isFrozen && !record.state.isPaused) {
      this.#core.logger.info('taking back a pause that was cut off', { id });
      await cgroup.thaw();
    }
    record.state.isPaused &&= isFrozen;
  }

  /** Tells the volumes who uses them: that is not recorded. */
  async #holdVolumes(container: Container): Promise<void> {
    for (const { type, name } of container.record.mounts) {
      if (type === 'volume') {
        await this.#core.ports.volumes.acquire(name, container.id).catch((error: unknown) => {
          this.#core.logger.warn('volume of a running container is not there', {
            id: container.id,
            name,
            problem: messageOf(error),
          });
        });
      }
    }
  }

  async #stopStray(id: string, hasRunFolder: boolean): Promise<void> {
    const client = hasRunFolder ? await this.#connect(id) : undefined;
    if (client !== undefined) {
      await client.shutdown().catch(() => {});
      await client[Symbol.asyncDispose]();
    }
    await dropMount(shmPath(this.#core, id));
    await removeRunDir(this.#core, id);
  }

  /** Leftovers of creations, starts and removals that were cut off. */
  async #sweep(
    unfinished: readonly string[],
    runFolders: readonly string[],
    writables: readonly string[],
  ): Promise<void> {
    const isStray = (id: string): boolean =>
      ID.test(id) && this.#core.registry.byId(id) === undefined;
    const attempt = async (id: string, work: () => Promise<void>): Promise<void> => {
      await work().catch((error: unknown) => {
        this.#core.logger.warn('leftover was not removed', { id, problem: messageOf(error) });
      });
    };
    for (const id of runFolders.filter(isStray)) {
      await attempt(id, async () => await this.#stopStray(id, true));
    }
    for (const name of runFolders.filter((folder) => folder.startsWith(VIEW_PREFIX))) {
      await attempt(name, async () => await dropView(this.#core.runDir(name)));
    }
    const unreadable = new Set(
      (await listIfThere(this.#core.settings.root)).filter((id) => !unfinished.includes(id)),
    );
    for (const id of writables.filter(isStray)) {
      if (!unreadable.has(id)) {
        await attempt(id, async () => await this.#core.ports.snapshots.removeWritable(id));
      }
    }
    for (const id of unfinished) {
      await attempt(id, async () => await this.#core.store.remove(id));
    }
  }

  async #restoreNetworks(): Promise<void> {
    const running = this.#core.registry.all().filter(({ isUp, record: { hostConfig } }) => {
      const mode = hostConfig.NetworkMode;
      return isUp && mode !== 'host' && containerMode(mode) === undefined;
    });
    const requests = running.flatMap((container) => {
      try {
        return [sandboxRequest(this.#core, container)];
      } catch (error) {
        this.#core.logger.warn('network of a container was not restored', {
          id: container.id,
          problem: messageOf(error),
        });
        return [];
      }
    });
    await this.#core.ports.networks.reconcile(requests);
    for (const container of running) {
      const sandbox = this.#core.ports.networks.findSandbox(container.id);
      if (sandbox !== undefined) {
        applySandbox(container, sandbox);
      }
    }
  }

  /** Implements {@link ContainerService.startRestartable}. */
  async startRestartable(): Promise<void> {
    const { registry, logger } = this.#core;
    const candidates = registry
      .all()
      .filter(({ record }) => {
        const { state, hostConfig } = record;
        const isEligible = record.hasBeenStarted && !state.isRunning && !state.isDead;
        return (
          isEligible &&
          state.startedAt !== ZERO_TIME &&
          startsWithEngine(hostConfig.RestartPolicy, {
            isManuallyStopped: record.isManuallyStopped,
            exitCode: state.exitCode,
          })
        );
      })

      // Children of links are there before those that link to them.
      .sort((a, b) => a.record.links.length - b.record.links.length);
    const places = new Semaphore(START_CONCURRENCY);
    await Promise.all(
      candidates.map((container) =>
        places.run(async () => {
          try {
            await this.#lifecycle.start(container.id);
          } catch (error) {
            logger.warn('container was not started with the engine', {
              id: container.id,
              problem: messageOf(error),
            });
          }
        }),
      ),
    );
  }
}
