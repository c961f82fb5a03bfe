import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ContainerConfig, HostConfig } from '../../api/types/container.ts';
import { delay } from '../../base/async.ts';
import { silentLogger } from '../../base/logger.ts';
import type { EventInput } from '../../events/contract.ts';
import { MemoryEventLog } from '../../events/memory-event-log.ts';
import type { RunConfig } from '../../images/contract.ts';
import { JsonFileReader } from '../../logs/json-file-reader.ts';
import { LocalContainers } from '../local-containers.ts';
import type { ContainerPorts, ContainerSettings } from '../ports.ts';
import {
  emptyLayerTool,
  fakeImages,
  fakeNetworks,
  fakeVolumes,
  plainSnapshots,
} from './fake-parts.ts';
import { fakeRuntime } from './fake-runtime.ts';
import { FakeShims } from './fake-shims.ts';

/** Settings of a container concept below one folder. */
export function testSettings(root: string): ContainerSettings {
  return {
    root: join(root, 'containers'),
    runRoot: join(root, 'run'),
    runtimeRoot: join(root, 'runtime'),
    shimPath: '/bin/true',
    initPath: undefined,
    defaultLogConfig: { Type: 'json-file', Config: {} },
    defaultShmBytes: 64 * 2 ** 20,
    defaultIpcMode: 'private',
    defaultCgroupnsMode: undefined,
    defaultUlimits: [],
    hasNoNewPrivileges: false,
    shutdownTimeoutSec: 10,
  };
}

/** Waits for a condition; the deadline only guards against hanging. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await condition())) {
    if (performance.now() > deadline) {
      throw new Error('the condition did not come true within 30 s');
    }
    await delay(5);
  }
}

/** What a {@link FakeEngine} has. */
export interface FakeEngineOptions {
  /** By reference; default: `busybox:latest` with the command `sh`. */
  readonly images?: ReadonlyMap<string, RunConfig>;
  /** Besides bridge, host and none. */
  readonly networks?: readonly string[];
  readonly settings?: Partial<ContainerSettings>;
}

/** Containers on fakes: real records in a temp folder, no process, no mount. */
export class FakeEngine implements AsyncDisposable {
  readonly dir: string;
  readonly shims = new FakeShims();
  readonly frozen = new Set<string>();
  /** Everything published, in order. */
  readonly events: EventInput[] = [];
  containers: LocalContainers;
  readonly #images: ReadonlyMap<string, RunConfig>;
  readonly #networks: readonly string[];
  readonly #settings: Partial<ContainerSettings>;

  private constructor(dir: string, options: FakeEngineOptions) {
    this.dir = dir;
    this.#images = options.images ?? new Map([['busybox:latest', { Cmd: ['sh'] }]]);
    this.#networks = options.networks ?? [];
    this.#settings = options.settings ?? {};
    this.containers = this.#build();
  }

  static async make(options: FakeEngineOptions = {}): Promise<FakeEngine> {
    const dir = await mkdtemp(join(tmpdir(), 'gantry-containers-'));
    const engine = new FakeEngine(dir, options);
    await engine.containers.restore();
    return engine;
  }

  #build(): LocalContainers {
    const log = new MemoryEventLog();
    const ports: ContainerPorts = {
      logger: silentLogger,
      events: {
        publish: (event) => {
          this.events.push(event);
          log.publish(event);
        },
        subscribe: (query) => log.subscribe(query),
        listenerCount: 0,
      },
      images: fakeImages(this.#images),
      snapshots: plainSnapshots(join(this.dir, 'trees')),
      layerTool: emptyLayerTool(),
      volumes: fakeVolumes(join(this.dir, 'volumes'), () => this.containers.volumeUsers()),
      networks: fakeNetworks(this.#networks),
      logReader: new JsonFileReader(),
      runtime: fakeRuntime(this.frozen),
      launchShim: this.shims.launch,
      connectShim: this.shims.connect,
    };
    return new LocalContainers(ports, { ...testSettings(this.dir), ...this.#settings });
  }

  /** A new engine on the same folders, as after a crash: the old one is dropped without a word. */
  async restart(): Promise<void> {
    this.containers = this.#build();
    await this.containers.restore();
  }

  /** Creates from `busybox`. @returns the id */
  async create(
    name?: string,
    config: ContainerConfig = {},
    hostConfig: HostConfig = {},
  ): Promise<string> {
    const created = await this.containers.create({
      name,
      platform: undefined,
      config: { Image: 'busybox', ...config },
      hostConfig,
      endpoints: new Map(),
    });
    return created.id;
  }

  /** Actions published for a container. */
  actionsOf(id: string): string[] {
    return this.events.filter((event) => event.id === id).map((event) => event.action);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.containers.shutdown();
    await rm(this.dir, { recursive: true, force: true });
  }
}
