/**
 * The OCI runtime side: what a container is made of for runc or crun, and what its cgroup tells.
 *
 * The container concept decides (names, mounts, networks, images); this concept translates into an OCI runtime
 * specification 1.0.2 document and reads cgroups. It keeps no state.
 */
import type { ContainerConfig, HostConfig } from '../api/types/container.ts';

/** A user as numbers, resolved against the container's own passwd and group files. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  /** Home folder for HOME; '/' when unknown. */
  readonly home: string;
}

/** A mount in the container beyond the default ones. */
export interface SpecMount {
  readonly type: 'bind' | 'tmpfs';
  /** Host path for bind; ignored for tmpfs. */
  readonly source: string;
  readonly target: string;
  /** OCI mount options (`rbind`, `ro`, `rprivate`, `size=...`). */
  readonly options: readonly string[];
}

/** Everything one container's OCI document depends on. */
export interface SpecInput {
  readonly id: string;
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  /** Absolute path of the mounted root. */
  readonly rootfs: string;
  /** Entrypoint and command together. */
  readonly args: readonly string[];
  /** Complete, in order, later wins. */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: ResolvedUser;
  readonly hostname: string;
  readonly mounts: readonly SpecMount[];
  /** Path of a network namespace, or 'host'. */
  readonly network: { readonly kind: 'path'; readonly path: string } | { readonly kind: 'host' };
  /** Namespace paths of other containers for `container:` modes; 'host' or 'private' otherwise. */
  readonly pidNamespace: string;
  readonly ipcNamespace: string;
  readonly utsNamespace: string;
  /** Path of an init program to put in front of `args` (`--init`), bound at /sbin/docker-init. */
  readonly initPath: string | undefined;
  /** Sysctls that the network part wants besides HostConfig.Sysctls. */
  readonly networkSysctls: Readonly<Record<string, string>>;
}

/** What the machine can do; probed once at start. */
export interface MachineFacts {
  readonly cgroupVersion: 1 | 2;
  /** Lower-case names (`cap_chown`) that the engine itself may hand on (its bounding set). */
  readonly capabilities: ReadonlySet<string>;
  readonly hasAppArmor: boolean;
  readonly hasSeccomp: boolean;
  /** v1: controllers mounted; v2: controllers available at the root. */
  readonly controllers: ReadonlySet<string>;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly kernelVersion: string;
  /** False: settings like memory swap limit are dropped with Docker's warning. */
  readonly hasSwapLimit: boolean;
  /** Call conventions of this processor that the kernel is known to be built without, by their seccomp names. */
  readonly missingAbis?: readonly string[];
}

/** An OCI runtime that was tried and works on this machine. */
export interface OciRuntime {
  /** `runc`, `crun` or a configured name. */
  readonly name: string;
  readonly path: string;
  readonly version: string;
  /** Arguments before the command, such as a log format. */
  readonly args: readonly string[];
}

/** Raw counters of one container's cgroup; bytes, nanoseconds, counts. */
export interface CgroupStats {
  readonly cpu: {
    readonly totalNs: number;
    readonly userNs: number;
    readonly systemNs: number;
    readonly perCpuNs: readonly number[];
    readonly periods: number;
    readonly throttledPeriods: number;
    readonly throttledNs: number;
  };
  readonly memory: {
    readonly usageBytes: number;
    readonly maxUsageBytes: number | undefined;
    /** Undefined when unlimited. */
    readonly limitBytes: number | undefined;
    readonly failCount: number | undefined;
    /** Rows of memory.stat as the kernel names them. */
    readonly details: Readonly<Record<string, number>>;
  };
  readonly pids: { readonly current: number; readonly limit: number | undefined };
  readonly blkio: readonly {
    readonly major: number;
    readonly minor: number;
    readonly op: string;
    readonly value: number;
  }[];
}

/** A process in a container: its first one, or an exec session. */
export interface ProcessInput {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: ResolvedUser;
  readonly hasTty: boolean;
  /** Rows and columns; [0, 0] unknown. */
  readonly consoleSize?: readonly [number, number] | undefined;
  readonly hostConfig: HostConfig;
  /** True for `exec --privileged`, on top of HostConfig.Privileged. */
  readonly isPrivileged?: boolean;
}

/** One container's cgroup; it need not exist. */
export interface ContainerCgroup {
  /** One folder on v2, one for each controller on v1. */
  readonly dirs: readonly string[];
  /** File with the count of OOM kills. */
  readonly oomFile: string;
  /** Zeros when the group is gone. */
  stats(): Promise<CgroupStats>;
  /** Host pids of all its processes. */
  pids(): Promise<readonly number[]>;
  /** Returns when the kernel has done it. @throws SystemError */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** True also while it is being frozen; false when the group is gone. */
  isFrozen(): Promise<boolean>;
  /** What the processes left; missing folders are no error. */
  remove(): Promise<void>;
}

/** All that the container concept uses of this one. */
export interface RuntimeSide {
  readonly machine: MachineFacts;
  readonly runtimes: {
    readonly byName: ReadonlyMap<string, OciRuntime>;
    readonly defaultName: string;
  };
  /** Name of the profile that containers get by default; '' where the kernel has no AppArmor. */
  readonly appArmorProfile: string;
  readonly defaultMaskedPaths: readonly string[];
  readonly defaultReadonlyPaths: readonly string[];
  /** Text of `config.json`. @throws InvalidParameterError  an option that cannot be honoured, named */
  specJson(input: SpecInput): Promise<string>;
  /** Text of an OCI process object for exec. */
  processJson(input: ProcessInput): string;
  /** `linux.resources` as `update --resources` takes it. */
  limitsJson(hostConfig: HostConfig): Promise<string>;
  /** Security options, capabilities, ulimits, device rules. @throws InvalidParameterError */
  validate(hostConfig: HostConfig): void;
  /** @throws InvalidParameterError  an unknown name */
  resolveUser(root: string, user: string, groupAdd?: readonly string[]): Promise<ResolvedUser>;
  /** Host path of a path inside a tree, links followed below `root`. For trees nobody changes meanwhile. */
  resolveInRoot(root: string, path: string): Promise<string>;
  cgroup(id: string, hostConfig: HostConfig): ContainerCgroup;
}
