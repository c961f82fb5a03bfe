import type { Logger } from '../base/logger.ts';
import type { EventLog } from '../events/contract.ts';
import type { ImageService } from '../images/contract.ts';
import type { LogReader } from '../logs/contract.ts';
import type { NetworkService } from '../network/contract.ts';
import type { RuntimeSide } from '../runtime/contract.ts';
import type { ConnectShim, LaunchShim } from '../runtime/shim/contract.ts';
import type { LayerTool, Snapshotter } from '../snapshots/contract.ts';
import type { VolumeService } from '../volumes/contract.ts';

/** Everything the container concept works with; built by the composition root. */
export interface ContainerPorts {
  readonly logger: Logger;
  readonly events: EventLog;
  readonly images: ImageService;
  readonly snapshots: Snapshotter;
  readonly layerTool: LayerTool;
  readonly volumes: VolumeService;
  readonly networks: NetworkService;
  readonly logReader: LogReader;
  readonly runtime: RuntimeSide;
  readonly launchShim: LaunchShim;
  readonly connectShim: ConnectShim;
}

/** Settings of the container concept. Paths are absolute. */
export interface ContainerSettings {
  /** `DATA_ROOT/containers`. */
  readonly root: string;
  /** `EXEC_ROOT/containers`, on tmpfs: run folders of shims. */
  readonly runRoot: string;
  /** State folder of the OCI runtime, below the exec root. */
  readonly runtimeRoot: string;
  /** Program `gantry-shim`. */
  readonly shimPath: string;
  /** Init program for `--init`; undefined: there is none on this machine. */
  readonly initPath: string | undefined;
  /** What containers get when they name no log driver. */
  readonly defaultLogConfig: { readonly Type: string; readonly Config: Record<string, string> };
  /** Default of HostConfig.ShmSize, bytes. */
  readonly defaultShmBytes: number;
  /** `private` or `shareable`. */
  readonly defaultIpcMode: string;
  /** `host` or `private`; undefined: private on cgroup v2, else host. */
  readonly defaultCgroupnsMode: string | undefined;
  /** Limits that a container gets unless it sets its own of the same name. */
  readonly defaultUlimits: readonly { Name: string; Soft: number; Hard: number }[];
  /** `no-new-privileges` for every container. */
  readonly hasNoNewPrivileges: boolean;
  /** Seconds containers would get at a shutdown that stops them; here they keep running. */
  readonly shutdownTimeoutSec: number;
  /** A start or exec that the OCI runtime does not finish within this is given up; default two minutes. */
  readonly startTimeoutMs?: number;
}
