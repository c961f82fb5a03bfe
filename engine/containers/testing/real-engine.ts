import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { busyboxArchive, dataArchive } from '../../../e2e/fixtures/images.ts';
import { destroyEngineRoot, sweepDeadRuns, TEST_ROOT } from '../../../e2e/fixtures/sweep.ts';
import type { ContainerConfig, HostConfig } from '../../api/types/container.ts';
import { type Logger, silentLogger } from '../../base/logger.ts';
import { FileContentStore } from '../../content/file-content-store.ts';
import type { EventInput } from '../../events/contract.ts';
import { MemoryEventLog } from '../../events/memory-event-log.ts';
import { StoredImageService } from '../../images/image-service.ts';
import { JsonFileReader } from '../../logs/json-file-reader.ts';
import { networkConfig } from '../../network/config.ts';
import { engineHash } from '../../network/names.ts';
import { LinuxNetworkService } from '../../network/network-service.ts';
import { probeMachine } from '../../runtime/machine-facts.ts';
import { probeRuntimes } from '../../runtime/oci-runtime.ts';
import { createRuntimeSide } from '../../runtime/runtime-side.ts';
import { launchShim } from '../../runtime/shim/launch-shim.ts';
import { connectShim } from '../../runtime/shim/shim-client.ts';
import { SHIM_PATH } from '../../runtime/shim/testing/container-fixture.ts';
import { loadDefaultSeccomp } from '../../runtime/spec.ts';
import { LayerProgram } from '../../snapshots/layer-program.ts';
import { createLayerTool } from '../../snapshots/layer-tool.ts';
import { openSnapshotter } from '../../snapshots/open-snapshotter.ts';
import { layerProgramPath } from '../../snapshots/testing/program-path.ts';
import { LocalVolumeService } from '../../volumes/local-volume-service.ts';
import type { OutputChunk } from '../contract.ts';
import { LocalContainers } from '../local-containers.ts';
import { testSettings } from './fake-engine.ts';

/** Runtimes are probed once for all tests of a process. */
let probing: ReturnType<typeof probeRuntimes> | undefined;

/** Text of some output. */
export async function textOf(output: AsyncIterable<OutputChunk>): Promise<string> {
  const chunks = await Array.fromAsync(output);
  return Buffer.concat(chunks.map(({ data }) => data)).toString('utf8');
}

/** A tar or other stream, whole. */
export async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(stream));
}

interface Services {
  readonly containers: LocalContainers;
  readonly images: StoredImageService;
  readonly volumes: LocalVolumeService;
  readonly networks: LinuxNetworkService;
}

/** Containers with everything real: shims, runc, overlayfs, networks. Without HTTP. Disposing removes every trace. */
export class RealEngine implements AsyncDisposable {
  readonly dir: string;
  readonly events: EventInput[] = [];
  #services: Services | undefined;
  readonly #logger: Logger;
  readonly #bridgeName = `gc${randomBytes(4).toString('hex')}`;
  readonly #pool = `10.${200 + (randomBytes(1).readUInt8(0) % 50)}.0.0/16`;
  #owned: AsyncDisposableStack | undefined;

  private constructor(dir: string, logger: Logger) {
    this.dir = dir;
    this.#logger = logger;
  }

  get containers(): LocalContainers {
    return this.#all().containers;
  }

  get images(): StoredImageService {
    return this.#all().images;
  }

  get networks(): LinuxNetworkService {
    return this.#all().networks;
  }

  get volumes(): LocalVolumeService {
    return this.#all().volumes;
  }

  #all(): Services {
    if (this.#services === undefined) {
      throw new Error('the engine is not open');
    }
    return this.#services;
  }

  /** Has `busybox:latest` and `data:latest` (a volume at /data with seed.txt). */
  static async make(logger: Logger = silentLogger): Promise<RealEngine> {
    await sweepDeadRuns();
    const dir = join(TEST_ROOT, randomBytes(5).toString('hex'));
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, 'owner'), String(process.pid));
    await writeFile(join(dir, 'hash'), engineHash(dir));
    const engine = new RealEngine(dir, logger);
    await engine.#open();
    for (const archive of [await busyboxArchive(), await dataArchive()]) {
      await engine.images.load(createReadStream(archive), {});
    }
    return engine;
  }

  async #open(): Promise<void> {
    const owned = new AsyncDisposableStack();
    this.#owned = owned;
    const { dir } = this;
    const cgroupParent = `/gantry-test-${basename(dir)}`;
    const log = new MemoryEventLog();
    const events = {
      publish: (event: EventInput): void => {
        this.events.push(event);
        log.publish(event);
      },
      subscribe: log.subscribe.bind(log),
      listenerCount: 0,
    };
    probing ??= probeRuntimes({
      cgroupParent,
      configured: new Map(),
      preferred: undefined,
      logger: this.#logger,
    });
    const [machine, runtimes, seccomp, content] = await Promise.all([
      probeMachine(),
      probing,
      loadDefaultSeccomp(),
      FileContentStore.open(join(dir, 'content'), this.#logger),
    ]);
    const program = owned.use(new LayerProgram(layerProgramPath()));
    const snapshots = owned.use(
      await openSnapshotter({ root: join(dir, 'snapshots'), program, logger: this.#logger }),
    );
    const volumes = new LocalVolumeService({
      root: join(dir, 'volumes'),
      events,
      users: () => this.containers.volumeUsers(),
      log: this.#logger,
    });
    const networks = owned.use(
      new LinuxNetworkService(
        networkConfig({
          dataRoot: dir,
          execRoot: join(dir, 'exec'),
          hash: engineHash(dir),
          bridgeName: this.#bridgeName,
          addressPools: [{ base: this.#pool, size: 24 }],
          events,
          log: this.#logger,
        }),
      ),
    );
    const images = owned.use(
      new StoredImageService({
        root: join(dir, 'images'),
        content,
        snapshots,
        events,
        users: () => this.containers.imageUsers(),
        getRegistryConfig: () => ({ mirrors: [], insecureRegistries: [], certsDir: dir }),
        log: this.#logger,
        engineVersion: '0',
      }),
    );
    const containers = new LocalContainers(
      {
        logger: this.#logger,
        events,
        images,
        snapshots,
        layerTool: createLayerTool(program),
        volumes,
        networks,
        logReader: new JsonFileReader(),
        runtime: createRuntimeSide({
          machine,
          runtimes,
          settings: {
            cgroupParent,
            defaultSeccompProfile: seccomp,
            defaultAppArmorProfile: undefined,
            minOomScoreAdj: 0,
          },
        }),
        launchShim,
        connectShim,
      },
      { ...testSettings(dir), shimPath: SHIM_PATH },
    );
    this.#services = { containers, images, volumes, networks };
    owned.defer(async () => await containers.shutdown());
    await Promise.all([volumes.start(), networks.start()]);
    await containers.restore();
    await images.start();
  }

  /** Closes everything and opens it again on the same folders: an engine that was stopped and started. */
  async restart(): Promise<void> {
    await this.#owned?.disposeAsync();
    await this.#open();
  }

  /** Creates from `busybox` without a network unless `hostConfig` says otherwise. @returns the id */
  async create(
    config: ContainerConfig,
    hostConfig: HostConfig = {},
    name?: string,
  ): Promise<string> {
    const created = await this.containers.create({
      name,
      platform: undefined,
      config: { Image: 'busybox', ...config },
      hostConfig: { NetworkMode: 'none', ...hostConfig },
      endpoints: new Map(),
    });
    return created.id;
  }

  /** Runs `script` to its end. @returns its output and exit code */
  async run(
    script: string,
    hostConfig: HostConfig = {},
    config: ContainerConfig = {},
  ): Promise<{ readonly output: string; readonly exitCode: number; readonly id: string }> {
    const id = await this.create({ Cmd: ['sh', '-c', script], ...config }, hostConfig);
    const session = await this.containers.attach(id, {
      wantsLogs: false,
      wantsStream: true,
      wantsStdin: false,
      wantsStdout: true,
      wantsStderr: true,
      detachKeys: undefined,
    });
    const wait = await this.containers.wait(id, { condition: 'next-exit' });
    const text = textOf(session.output);
    await this.containers.start(id);
    const { statusCode } = await wait.result;
    return { output: await text, exitCode: statusCode, id };
  }

  /** Runs a command in a running container. */
  async exec(id: string, script: string): Promise<{ output: string; exitCode: number | null }> {
    const exec = await this.containers.createExec(id, {
      cmd: ['sh', '-c', script],
      env: [],
      user: '',
      workingDir: '',
      hasTty: false,
      isPrivileged: false,
      attachStdin: false,
      attachStdout: true,
      attachStderr: true,
      detachKeys: '',
      consoleSize: undefined,
    });
    const session = await this.containers.startExec(exec.id, {
      isDetached: false,
      consoleSize: undefined,
    });
    const output = session === undefined ? '' : await textOf(session.output);
    return { output, exitCode: (await this.containers.inspectExec(exec.id)).ExitCode };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned?.disposeAsync();
    await destroyEngineRoot(this.dir);
  }
}
