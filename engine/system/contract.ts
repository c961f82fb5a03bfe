/** The machine and the engine as a whole: what GET /info and GET /version answer. */

/** Docker's SystemInfo (API 1.51) in wire form; the route drops what an older API version does not have. */
export interface SystemInfo {
  ID: string;
  Containers: number;
  ContainersRunning: number;
  ContainersPaused: number;
  ContainersStopped: number;
  Images: number;
  Driver: string;
  DriverStatus: [string, string][];
  SystemStatus?: null;
  Plugins: { Volume: string[]; Network: string[]; Authorization: string[] | null; Log: string[] };
  MemoryLimit: boolean;
  SwapLimit: boolean;
  CpuCfsPeriod: boolean;
  CpuCfsQuota: boolean;
  CPUShares: boolean;
  CPUSet: boolean;
  PidsLimit: boolean;
  IPv4Forwarding: boolean;
  Debug: boolean;
  NFd: number;
  OomKillDisable: boolean;
  NGoroutines: number;
  SystemTime: string;
  LoggingDriver: string;
  CgroupDriver: string;
  CgroupVersion: string;
  NEventsListener: number;
  KernelVersion: string;
  OperatingSystem: string;
  OSVersion: string;
  OSType: string;
  Architecture: string;
  IndexServerAddress: string;
  RegistryConfig: RegistryInfo;
  NCPU: number;
  MemTotal: number;
  GenericResources: null;
  DockerRootDir: string;
  HttpProxy: string;
  HttpsProxy: string;
  NoProxy: string;
  Name: string;
  Labels: string[];
  ExperimentalBuild: boolean;
  ServerVersion: string;
  Runtimes: Record<string, { path: string; status?: Record<string, string> | null }>;
  DefaultRuntime: string;
  Swarm: SwarmInfo;
  LiveRestoreEnabled: boolean;
  Isolation: string;
  InitBinary: string;
  ContainerdCommit: { ID: string };
  RuncCommit: { ID: string };
  InitCommit: { ID: string };
  SecurityOptions: string[];
  ProductLicense?: string;
  DefaultAddressPools?: { Base: string; Size: number }[];
  FirewallBackend?: { Driver: string; Info?: [string, string][] };
  DiscoveredDevices?: { Source: string; ID: string }[];
  CDISpecDirs: string[];
  Warnings: string[] | null;
}

/** Registries as configured. */
export interface RegistryInfo {
  InsecureRegistryCIDRs: string[];
  IndexConfigs: Record<
    string,
    { Name: string; Mirrors: string[]; Secure: boolean; Official: boolean }
  >;
  Mirrors: string[] | null;
}

/** Always inactive: there is no cluster. */
export interface SwarmInfo {
  NodeID: '';
  NodeAddr: '';
  LocalNodeState: 'inactive';
  ControlAvailable: false;
  Error: '';
  RemoteManagers: null;
}

/** Docker's SystemVersion in wire form. */
export interface SystemVersion {
  Platform: { Name: string };
  Components: { Name: string; Version: string; Details: Record<string, string> }[];
  Version: string;
  ApiVersion: string;
  MinAPIVersion: string;
  GitCommit: string;
  GoVersion: string;
  Os: string;
  Arch: string;
  KernelVersion: string;
  BuildTime: string;
}

/** Answers for GET /info and GET /version. */
export interface SystemService {
  info(): Promise<SystemInfo>;
  version(): Promise<SystemVersion>;
}
