import { readdir, readFile } from 'node:fs/promises';
import { arch, hostname, release } from 'node:os';
import { MAX_API_VERSION, MIN_API_VERSION } from '../api/versions.ts';
import { readTextIfThere } from '../base/node/atomic-file.ts';
import type { RegistryInfo, SystemInfo, SystemService, SystemVersion } from './contract.ts';

/** An OCI runtime as `info` shows it. */
export interface RuntimeFact {
  readonly path: string;
  /** Text of its `--version`, first line. */
  readonly version: string;
}

/** What does not change while the engine runs. */
export interface SystemFacts {
  /** Stable over restarts. */
  readonly engineId: string;
  readonly engineVersion: string;
  readonly dataRoot: string;
  readonly storageDriver: string;
  readonly storageStatus: readonly (readonly [string, string])[];
  readonly cgroupVersion: 1 | 2;
  /** Mounted cgroup controllers. */
  readonly controllers: ReadonlySet<string>;
  readonly hasSwapLimit: boolean;
  readonly hasSeccomp: boolean;
  readonly hasAppArmor: boolean;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly runtimes: ReadonlyMap<string, RuntimeFact>;
  readonly defaultRuntime: string;
  readonly initPath: string;
  readonly networkDrivers: readonly string[];
  readonly logDrivers: readonly string[];
}

/** What a reload may change; asked every time. */
export interface SystemSettings {
  readonly isDebug: boolean;
  readonly defaultLogDriver: string;
  readonly labels: readonly string[];
  readonly insecureRegistries: readonly string[];
  readonly registryMirrors: readonly string[];
  readonly addressPools: readonly { readonly base: string; readonly size: number }[];
  /** Plain `host:port` addresses that answer without TLS. */
  readonly insecureListeners: readonly string[];
}

/** Composition of a {@link HostSystem}. */
export interface HostSystemOptions {
  readonly facts: SystemFacts;
  readonly settings: () => SystemSettings;
  readonly containerCounts: () => {
    readonly total: number;
    readonly running: number;
    readonly paused: number;
    readonly stopped: number;
  };
  readonly imageCount: () => number;
  readonly eventListenerCount: () => number;
}

/** Node's names of processors -> what `uname -m` says, and Go's names. */
const MACHINES: Readonly<Record<string, readonly [string, string]>> = {
  x64: ['x86_64', 'amd64'],
  arm64: ['aarch64', 'arm64'],
  arm: ['armv7l', 'arm'],
  ia32: ['i686', '386'],
  riscv64: ['riscv64', 'riscv64'],
  ppc64: ['ppc64le', 'ppc64le'],
  s390x: ['s390x', 's390x'],
};
const INDEX_SERVER = 'https://index.docker.io/v1/';
const REMOTE_ACCESS_WARNING =
  'without encryption.\n         Access to the remote API is equivalent to root access on the host.';

/** Value of a line of os-release, without quotes. */
function osReleaseValue(text: string, name: string): string {
  const value = new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';
  return value.replace(/^(["'])(.*)\1$/, '$2');
}

function registryInfo(settings: SystemSettings): RegistryInfo {
  const isCidr = (entry: string): boolean => /^[0-9a-fA-F:.]+\/\d{1,3}$/.test(entry);
  const mirrors = settings.registryMirrors.map((mirror) => mirror.replace(/\/*$/, '/'));
  const indexes = settings.insecureRegistries
    .filter((entry) => !isCidr(entry))
    .map((name) => [name, { Name: name, Mirrors: [], Secure: false, Official: false }] as const);
  return {
    InsecureRegistryCIDRs: [
      ...new Set(['::1/128', '127.0.0.0/8', ...settings.insecureRegistries.filter(isCidr)]),
    ],
    IndexConfigs: {
      ...Object.fromEntries(indexes),
      'docker.io': { Name: 'docker.io', Mirrors: mirrors, Secure: true, Official: true },
    },
    Mirrors: mirrors.length === 0 ? null : mirrors,
  };
}

/** What the engine says about itself and its machine. */
export class HostSystem implements SystemService {
  readonly #options: HostSystemOptions;

  constructor(options: HostSystemOptions) {
    this.#options = options;
  }

  async info(): Promise<SystemInfo> {
    const { facts, eventListenerCount, imageCount } = this.#options;
    const settings = this.#options.settings();
    const counts = this.#options.containerCounts();
    const [osRelease, forwarding, descriptors] = await Promise.all([
      this.#osRelease(),
      readTextIfThere('/proc/sys/net/ipv4/ip_forward'),
      readdir('/proc/self/fd').catch(() => []),
    ]);
    const hasForwarding = forwarding?.trim() === '1';
    const runtime = facts.runtimes.get(facts.defaultRuntime);
    return {
      ID: facts.engineId,
      Containers: counts.total,
      ContainersRunning: counts.running,
      ContainersPaused: counts.paused,
      ContainersStopped: counts.stopped,
      Images: imageCount(),
      Driver: facts.storageDriver,
      DriverStatus: facts.storageStatus.map(([name, value]) => [name, value]),
      Plugins: {
        Volume: ['local'],
        Network: [...facts.networkDrivers],
        Authorization: null,
        Log: [...facts.logDrivers],
      },
      ...this.#limits(),
      IPv4Forwarding: hasForwarding,
      Debug: settings.isDebug,
      NFd: descriptors.length,
      NGoroutines: process.getActiveResourcesInfo().length + 1,
      SystemTime: new Date().toISOString(),
      LoggingDriver: settings.defaultLogDriver,
      CgroupDriver: 'cgroupfs',
      CgroupVersion: String(facts.cgroupVersion),
      NEventsListener: eventListenerCount(),
      KernelVersion: release(),
      OperatingSystem: osReleaseValue(osRelease, 'PRETTY_NAME') || 'Linux',
      OSVersion: osReleaseValue(osRelease, 'VERSION_ID'),
      OSType: 'linux',
      Architecture: MACHINES[arch()]?.[0] ?? arch(),
      IndexServerAddress: INDEX_SERVER,
      RegistryConfig: registryInfo(settings),
      NCPU: facts.cpuCount,
      MemTotal: facts.memoryBytes,
      GenericResources: null,
      DockerRootDir: facts.dataRoot,
      HttpProxy: '',
      HttpsProxy: '',
      NoProxy: '',
      Name: hostname(),
      Labels: [...settings.labels],
      ExperimentalBuild: false,
      ServerVersion: facts.engineVersion,
      Runtimes: Object.fromEntries(
        [...facts.runtimes].map(([name, { path }]) => [name, { path, status: null }]),
      ),
      DefaultRuntime: facts.defaultRuntime,
      Swarm: {
        NodeID: '',
        NodeAddr: '',
        LocalNodeState: 'inactive',
        ControlAvailable: false,
        Error: '',
        RemoteManagers: null,
      },
      LiveRestoreEnabled: true,
      Isolation: '',
      InitBinary: facts.initPath.split('/').at(-1) ?? '',
      // The supervisor is part of the engine; clients want a version here that is not N/A.
      ContainerdCommit: { ID: facts.engineVersion },
      RuncCommit: { ID: runtime?.version ?? 'N/A' },
      InitCommit: { ID: facts.engineVersion },
      SecurityOptions: this.#securityOptions(),
      ...(settings.addressPools.length === 0
        ? {}
        : {
            DefaultAddressPools: settings.addressPools.map(({ base, size }) => ({
              Base: base,
              Size: size,
            })),
          }),
      FirewallBackend: { Driver: 'nftables' },
      CDISpecDirs: [],
      Warnings: this.#warnings(hasForwarding, settings),
    };
  }

  async version(): Promise<SystemVersion> {
    const { facts } = this.#options;
    const goArch = MACHINES[arch()]?.[1] ?? arch();
    const runtime = facts.runtimes.get(facts.defaultRuntime);
    const osRelease = await this.#osRelease();
    return {
      Platform: { Name: `Gantry Engine on ${osReleaseValue(osRelease, 'PRETTY_NAME') || 'Linux'}` },
      Components: [
        {
          Name: 'Engine',
          Version: facts.engineVersion,
          Details: {
            ApiVersion: MAX_API_VERSION,
            MinAPIVersion: MIN_API_VERSION,
            Arch: goArch,
            BuildTime: '',
            Experimental: 'false',
            GitCommit: '',
            GoVersion: `node ${process.version}`,
            KernelVersion: release(),
            Os: 'linux',
          },
        },
        {
          Name: facts.defaultRuntime,
          Version: runtime?.version ?? '',
          Details: { GitCommit: '' },
        },
      ],
      Version: facts.engineVersion,
      ApiVersion: MAX_API_VERSION,
      MinAPIVersion: MIN_API_VERSION,
      GitCommit: '',
      GoVersion: `node ${process.version}`,
      Os: 'linux',
      Arch: goArch,
      KernelVersion: release(),
      BuildTime: '',
    };
  }

  #limits() {
    const { facts } = this.#options;
    const has = (controller: string): boolean => facts.controllers.has(controller);
    const isV1 = facts.cgroupVersion === 1;
    return {
      MemoryLimit: has('memory'),
      SwapLimit: facts.hasSwapLimit,
      CpuCfsPeriod: has('cpu'),
      CpuCfsQuota: has('cpu'),
      CPUShares: has('cpu'),
      CPUSet: has('cpuset'),
      PidsLimit: has('pids'),
      OomKillDisable: isV1 && has('memory'),
    };
  }

  #securityOptions(): string[] {
    const { facts } = this.#options;
    return [
      ...(facts.hasAppArmor ? ['name=apparmor'] : []),
      ...(facts.hasSeccomp ? ['name=seccomp,profile=builtin'] : []),
      'name=cgroupns',
    ];
  }

  #warnings(hasForwarding: boolean, settings: SystemSettings): string[] | null {
    const limits = this.#limits();
    const warnings = [
      ...settings.insecureListeners.map(
        (address) =>
          `[DEPRECATION NOTICE]: API is accessible on http://${address} ${REMOTE_ACCESS_WARNING}`,
      ),
      ...(limits.MemoryLimit ? [] : ['WARNING: No memory limit support']),
      ...(limits.SwapLimit ? [] : ['WARNING: No swap limit support']),
      ...(limits.CpuCfsQuota
        ? []
        : [
            'WARNING: No cpu cfs quota support',
            'WARNING: No cpu cfs period support',
            'WARNING: No cpu shares support',
          ]),
      ...(limits.CPUSet ? [] : ['WARNING: No cpuset support']),
      ...(hasForwarding ? [] : ['WARNING: IPv4 forwarding is disabled']),
    ];
    return warnings.length === 0 ? null : warnings;
  }

  async #osRelease(): Promise<string> {
    return (
      (await readTextIfThere('/etc/os-release')) ??
      (await readFile('/usr/lib/os-release', 'utf8').catch(() => ''))
    );
  }
}
