import { z } from 'zod';
import {
  flag,
  int64,
  listOf,
  struct,
  text,
  textMap,
  textOrTexts,
  texts,
  uint16,
  uint32,
  uint64,
  whole,
} from './wire.ts';

/** Where a container's port is published. Both fields are text on the wire; HostPort may be a range `8000-8010`. */
export const portBindingSchema = struct({ HostIp: text, HostPort: text });
export type PortBinding = z.output<typeof portBindingSchema>;

/** `80/tcp` -> bindings. */
export const portMapSchema = z.record(
  z.string(),
  z.preprocess((value) => value ?? [], z.array(portBindingSchema)),
);
export type PortMap = z.output<typeof portMapSchema>;

/** When a container that ended is started again. */
export const restartPolicySchema = struct({ Name: text, MaximumRetryCount: int64 });
export type RestartPolicy = z.output<typeof restartPolicySchema>;

/** Log driver and its options. */
export const logConfigSchema = struct({ Type: text, Config: textMap });
export type LogConfig = z.output<typeof logConfigSchema>;

/** One entry of `--mount`. TmpfsOptions.Mode is a number (permission bits), SizeBytes bytes. */
export const mountSchema = struct({
  Type: text,
  Source: text,
  Target: text,
  ReadOnly: flag,
  Consistency: text,
  BindOptions: struct({
    Propagation: text,
    NonRecursive: flag,
    CreateMountpoint: flag,
    ReadOnlyNonRecursive: flag,
    ReadOnlyForceRecursive: flag,
  }).optional(),
  VolumeOptions: struct({
    NoCopy: flag,
    Labels: textMap,
    Subpath: text,
    DriverConfig: struct({ Name: text, Options: textMap }).optional(),
  }).optional(),
  ImageOptions: struct({ Subpath: text }).optional(),
  TmpfsOptions: struct({
    SizeBytes: int64,
    Mode: uint32,
    Options: z.array(z.array(z.string())).optional(),
  }).optional(),
  ClusterOptions: struct({}).optional(),
});
export type Mount = z.output<typeof mountSchema>;

const deviceMappingSchema = struct({
  PathOnHost: text,
  PathInContainer: text,
  CgroupPermissions: text,
});
export type DeviceMapping = z.output<typeof deviceMappingSchema>;

const deviceRequestSchema = struct({
  Driver: text,
  Count: int64,
  DeviceIDs: texts,
  Capabilities: z.array(z.array(z.string())).optional(),
  Options: textMap,
});
export type DeviceRequest = z.output<typeof deviceRequestSchema>;

const weightDeviceSchema = struct({ Path: text, Weight: uint16 });
const throttleDeviceSchema = struct({ Path: text, Rate: uint64 });
export type WeightDevice = z.output<typeof weightDeviceSchema>;
export type ThrottleDevice = z.output<typeof throttleDeviceSchema>;

/** Soft and hard limit of one resource; -1 = unlimited. */
export const ulimitSchema = struct({ Name: text, Soft: int64, Hard: int64 });
export type Ulimit = z.output<typeof ulimitSchema>;

/** Limits: bytes, cpu microseconds, NanoCpus in 1e-9 cpu. Part of HostConfig and of the update body. */
const RESOURCE_FIELDS = {
  CpuShares: int64,
  Memory: int64,
  NanoCpus: int64,
  CgroupParent: text,
  BlkioWeight: uint16,
  BlkioWeightDevice: listOf(weightDeviceSchema),
  BlkioDeviceReadBps: listOf(throttleDeviceSchema),
  BlkioDeviceWriteBps: listOf(throttleDeviceSchema),
  BlkioDeviceReadIOps: listOf(throttleDeviceSchema),
  BlkioDeviceWriteIOps: listOf(throttleDeviceSchema),
  CpuPeriod: int64,
  CpuQuota: int64,
  CpuRealtimePeriod: int64,
  CpuRealtimeRuntime: int64,
  CpusetCpus: text,
  CpusetMems: text,
  Devices: listOf(deviceMappingSchema),
  DeviceCgroupRules: texts,
  DeviceRequests: listOf(deviceRequestSchema),
  KernelMemory: int64,
  KernelMemoryTCP: int64,
  MemoryReservation: int64,
  MemorySwap: int64,
  MemorySwappiness: int64,
  OomKillDisable: flag,
  PidsLimit: int64,
  Ulimits: listOf(ulimitSchema),
  CpuCount: int64,
  CpuPercent: int64,
  IOMaximumIOps: uint64,
  IOMaximumBandwidth: uint64,
};
const resourcesSchema = struct(RESOURCE_FIELDS);
export type Resources = z.output<typeof resourcesSchema>;

/** Rows and columns of a new terminal; missing numbers are 0. */
export const consoleSizeSchema = z
  .array(whole(0, 0xff_ff_ff_ff))
  .transform((size): [number, number] => [size[0] ?? 0, size[1] ?? 0])
  .optional();

/** Docker's HostConfig: what of the host a container gets. MaskedPaths/ReadonlyPaths absent = defaults, [] = none. */
export const hostConfigSchema = struct({
  ...RESOURCE_FIELDS,
  Binds: texts,
  ContainerIDFile: text,
  LogConfig: logConfigSchema.optional(),
  NetworkMode: text,
  PortBindings: portMapSchema.optional(),
  RestartPolicy: restartPolicySchema.optional(),
  AutoRemove: flag,
  VolumeDriver: text,
  VolumesFrom: texts,
  ConsoleSize: consoleSizeSchema,
  Annotations: textMap,
  CapAdd: textOrTexts,
  CapDrop: textOrTexts,
  CgroupnsMode: text,
  Dns: texts,
  DnsOptions: texts,
  DnsSearch: texts,
  ExtraHosts: texts,
  GroupAdd: texts,
  IpcMode: text,
  Cgroup: text,
  Links: texts,
  OomScoreAdj: int64,
  PidMode: text,
  Privileged: flag,
  PublishAllPorts: flag,
  ReadonlyRootfs: flag,
  SecurityOpt: texts,
  StorageOpt: textMap,
  Tmpfs: textMap,
  UTSMode: text,
  UsernsMode: text,
  ShmSize: int64,
  Sysctls: textMap,
  Runtime: text,
  Isolation: text,
  Mounts: listOf(mountSchema),
  MaskedPaths: texts,
  ReadonlyPaths: texts,
  Init: flag,
});
export type HostConfig = z.output<typeof hostConfigSchema>;

/** Body of POST /containers/{id}/update: limits to change and the restart policy. */
export const containerUpdateBodySchema = struct({
  ...RESOURCE_FIELDS,
  RestartPolicy: restartPolicySchema.optional(),
});
export type ContainerUpdateBody = z.output<typeof containerUpdateBodySchema>;
