import { access, mkdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SystemError } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import { ClassicBuilder } from './build/classic-builder.ts';
import type { EngineConfig } from './config.ts';
import type { ContainerService } from './containers/contract.ts';
import { LocalContainers } from './containers/local-containers.ts';
import { FileContentStore } from './content/file-content-store.ts';
import { MemoryEventLog } from './events/memory-event-log.ts';
import { StoredImageService } from './images/image-service.ts';
import { JsonFileReader } from './logs/json-file-reader.ts';
import { networkConfig } from './network/config.ts';
import { engineHash } from './network/names.ts';
import { LinuxNetworkService } from './network/network-service.ts';
import { probeMachine } from './runtime/machine-facts.ts';
import { probeRuntimes } from './runtime/oci-runtime.ts';
import { createRuntimeSide } from './runtime/runtime-side.ts';
import { launchShim } from './runtime/shim/launch-shim.ts';
import { connectShim } from './runtime/shim/shim-client.ts';
import { DEFAULT_SHM_BYTES, loadDefaultSeccomp } from './runtime/spec.ts';
import { ApiServer } from './server/api-server.ts';
import { allRoutes } from './server/routes/index.ts';
import { LayerProgram } from './snapshots/layer-program.ts';
import { createLayerTool } from './snapshots/layer-tool.ts';
import { openSnapshotter } from './snapshots/open-snapshotter.ts';
import { readEngineId } from './system/engine-id.ts';
import { HostSystem } from './system/host-system.ts';
import { LocalVolumeService } from './volumes/local-volume-service.ts';

/** Version of the engine as clients see it. */
export const ENGINE_VERSION = '28.5.2+gantry0.1.0';

const NATIVE_DIR = join(dirname(dirname(fileURLToPath(import.meta.url))), 'build/native');
/** Where Debian and Docker put the init program of `--init`. */
const INIT_PATHS = [
  '/usr/libexec/docker/docker-init',
  '/usr/bin/docker-init',
  '/usr/bin/tini-static',
  '/usr/bin/tini',
];
/** The kernel lets a process lower its children to its own value at least. */
const LOWEST_OOM_SCORE = -1000;

/** A running engine. Disposing stops serving and lets go; containers keep running. */
export interface Daemon extends AsyncDisposable {
  /** Takes over what a running engine can change: mirrors, insecure registries, labels. */
  reload(config: EngineConfig): void;
}

async function findFile(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (isThere) {
      return path;
    }
  }
  return undefined;
}

async function nativeProgram(name: string): Promise<string> {
  const path = await findFile([join(NATIVE_DIR, name)]);
  if (path === undefined) {
    throw new SystemError(`${name} is not built: run npm start once, or make -C native`);
  }
  return path;
}

/**
 * Takes the data root for this process. The kernel lets go of the name when the process ends, however it ends.
 *
 * @throws SystemError  another engine runs on the same data root
 */
async function lockDataRoot(dataRoot: string): Promise<AsyncDisposable> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new SystemError(`another engine uses the data root ${dataRoot}`, { cause }));
    });
    server.listen(`\0gantry:${engineHash(dataRoot)}:${dataRoot}`, resolve);
  });
  server.unref();
  return {
    [Symbol.asyncDispose]: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

async function listen(server: ApiServer, config: EngineConfig): Promise<void> {
  const { tls } = config;
  const tlsOptions =
    tls === undefined
      ? undefined
      : {
          cert: await readFile(tls.certPath),
          key: await readFile(tls.keyPath),
          clientCa:
            tls.isMutual && tls.caPath !== undefined ? await readFile(tls.caPath) : undefined,
        };
  for (const host of config.hosts) {
    if (host.startsWith('unix://')) {
      await server.listenUnix(host.slice('unix://'.length), { group: config.socketGroup });
    } else {
      const url = new URL(host.replace('tcp://', 'http://'));
      const port = Number(url.port || (tls === undefined ? 2375 : 2376));
      await server.listenTcp(url.hostname.replace(/^\[|\]$/g, ''), port, { tls: tlsOptions });
    }
  }
}

/** Kernel's own oom_score_adj of this process: children cannot go below without a capability. */
async function ownOomScore(hasResourceCapability: boolean): Promise<number> {
  return hasResourceCapability
    ? LOWEST_OOM_SCORE
    : Number(await readFile('/proc/self/oom_score_adj', 'utf8'));
}

/**
 * Puts the concepts together, brings them up to date with what really runs, and serves.
 *
 * @throws SystemError  a root is in use or cannot be used; UnavailableError  no OCI runtime works
 */
export async function startDaemon(first: EngineConfig, logger: Logger): Promise<Daemon> {
  let config = first;
  const { dataRoot, execRoot } = config;
  await using owned = new AsyncDisposableStack();
  await mkdir(dataRoot, { recursive: true, mode: 0o711 });
  await mkdir(execRoot, { recursive: true, mode: 0o711 });
  owned.use(await lockDataRoot(dataRoot));

  const [machine, runtimes, seccomp, initPath, shimPath, layerPath, content, engineId] =
    await Promise.all([
      probeMachine(),
      probeRuntimes({
        cgroupParent: config.cgroupParent,
        configured: config.runtimes,
        preferred: config.defaultRuntime,
        logger,
      }),
      loadDefaultSeccomp(),
      findFile(INIT_PATHS),
      nativeProgram('gantry-shim'),
      nativeProgram('gantry-layer'),
      FileContentStore.open(join(dataRoot, 'content'), logger),
      readEngineId(dataRoot),
    ]);
  const events = new MemoryEventLog();
  const layerProgram = owned.use(new LayerProgram(layerPath));
  const layerTool = createLayerTool(layerProgram);
  const snapshotter = owned.use(
    await openSnapshotter({
      root: join(dataRoot, 'snapshots'),
      program: layerProgram,
      logger,
      driver: config.storageDriver,
    }),
  );
  const runtime = createRuntimeSide({
    machine,
    runtimes,
    settings: {
      cgroupParent: config.cgroupParent,
      defaultSeccompProfile: seccomp,
      defaultAppArmorProfile: undefined,
      minOomScoreAdj: await ownOomScore(machine.capabilities.has('CAP_SYS_RESOURCE')),
    },
  });

  // Containers come last but the others ask who uses what: they look it up when they need it.
  let containers: ContainerService | undefined;
  const users = (): ContainerService => {
    if (containers === undefined) {
      throw new SystemError('containers are not loaded yet');
    }
    return containers;
  };
  const volumes = new LocalVolumeService({
    root: join(dataRoot, 'volumes'),
    events,
    users: () => users().volumeUsers(),
    log: logger,
  });
  const networks = owned.use(
    new LinuxNetworkService(
      networkConfig({
        dataRoot,
        execRoot,
        hash: engineHash(dataRoot),
        bridgeName: config.bridgeName,
        bridgeAddress: config.bridgeAddress ?? '',
        addressPools: config.addressPools,
        defaultHostIp: config.defaultBindAddress,
        mtu: config.mtu ?? 0,
        dns: { servers: config.dns, search: config.dnsSearch, options: config.dnsOptions },
        events,
        log: logger,
      }),
    ),
  );
  const images = owned.use(
    new StoredImageService({
      root: join(dataRoot, 'images'),
      content,
      snapshots: snapshotter,
      events,
      users: () => users().imageUsers(),
      getRegistryConfig: () => ({
        mirrors: config.registryMirrors,
        insecureRegistries: config.insecureRegistries,
        certsDir: config.registryCertsDir,
      }),
      log: logger,
      engineVersion: ENGINE_VERSION,
      maxDownloads: config.maxConcurrentDownloads,
    }),
  );
  const local = new LocalContainers(
    {
      logger,
      events,
      images,
      snapshots: snapshotter,
      layerTool,
      volumes,
      networks,
      logReader: new JsonFileReader(),
      runtime,
      launchShim,
      connectShim,
    },
    {
      root: join(dataRoot, 'containers'),
      runRoot: join(execRoot, 'containers'),
      runtimeRoot: join(execRoot, 'runtime'),
      shimPath,
      initPath,
      defaultLogConfig: { Type: config.logDriver, Config: { ...config.logOptions } },
      defaultShmBytes: DEFAULT_SHM_BYTES,
      defaultIpcMode: 'private',
      defaultCgroupnsMode: undefined,
      defaultUlimits: [],
      hasNoNewPrivileges: false,
      shutdownTimeoutSec: config.shutdownTimeoutSec,
    },
  );
  containers = local;
  owned.defer(async () => await local.shutdown());

  await Promise.all([volumes.start(), networks.start()]);
  await local.restore();
  await images.start();

  const build = new ClassicBuilder({
    root: join(dataRoot, 'build'),
    images,
    containers: local,
    snapshotter,
    layerTool,
    runtime,
    events,
    logger,
  });
  await build.start();
  const system = new HostSystem({
    facts: {
      engineId,
      engineVersion: ENGINE_VERSION,
      dataRoot,
      storageDriver: snapshotter.driver,
      storageStatus: await snapshotter.status(),
      cgroupVersion: machine.cgroupVersion,
      controllers: machine.controllers,
      hasSwapLimit: machine.hasSwapLimit,
      hasSeccomp: machine.hasSeccomp && seccomp !== undefined,
      hasAppArmor: machine.hasAppArmor,
      cpuCount: machine.cpuCount,
      memoryBytes: machine.memoryBytes,
      runtimes: new Map(
        [...runtimes.byName].map(([name, { path, version }]) => [name, { path, version }]),
      ),
      defaultRuntime: runtimes.defaultName,
      initPath: initPath ?? '',
      networkDrivers: ['bridge', 'host', 'ipvlan', 'macvlan', 'null'],
      logDrivers: ['json-file', 'local', 'none'],
    },
    settings: () => ({
      isDebug: config.logLevel === 'debug',
      defaultLogDriver: config.logDriver,
      labels: config.labels,
      insecureRegistries: config.insecureRegistries,
      registryMirrors: config.registryMirrors,
      addressPools: config.addressPools,
      insecureListeners:
        config.tls === undefined
          ? config.hosts
              .filter((host) => host.startsWith('tcp://'))
              .map((host) => host.slice('tcp://'.length))
          : [],
    }),
    containerCounts: () => local.counts(),
    imageCount: () => images.all().length,
    eventListenerCount: () => events.listenerCount,
  });
  const server = owned.use(
    new ApiServer({
      routes: allRoutes({ containers: local, images, networks, volumes, events, build, system }),
      engineVersion: ENGINE_VERSION,
      log: logger,
    }),
  );
  await listen(server, config);
  const restarting = local.startRestartable();
  restarting.catch((error: unknown) => {
    logger.error('restart policies were not followed', { error });
  });

  const everything = owned.move();
  return {
    reload: (next) => {
      config = { ...config, ...pickReloadable(next) };
      events.publish({ type: 'daemon', action: 'reload', id: engineId, attributes: {} });
    },
    [Symbol.asyncDispose]: async () => await everything.disposeAsync(),
  };
}

/** What may change without a restart, as in Docker. */
function pickReloadable(next: EngineConfig): Partial<EngineConfig> {
  const { registryMirrors, insecureRegistries, labels, logLevel, shutdownTimeoutSec } = next;
  return { registryMirrors, insecureRegistries, labels, logLevel, shutdownTimeoutSec };
}
