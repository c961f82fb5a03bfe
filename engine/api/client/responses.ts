import { z } from 'zod';

/*
 * Decoders of the engine's answers, as lenient as engines differ: fields that are absent or null get a default, unknown
 * fields are dropped. Field names and units are Docker's.
 */

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');
const count = z
  .number()
  .nullish()
  .transform((value) => value ?? 0);
const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false);
const stringMap = z
  .record(z.string(), z.string().nullish())
  .nullish()
  .transform((map) =>
    Object.fromEntries(Object.entries(map ?? {}).map(([key, value]) => [key, value ?? ''])),
  );
const strings = z
  .array(z.string())
  .nullish()
  .transform((list) => list ?? []);
function listOf<T extends z.ZodType>(element: T) {
  return z
    .array(element)
    .nullish()
    .transform((list) => list ?? []);
}

/** GET /version. */
export const versionSchema = z.object({
  Version: text,
  ApiVersion: text,
  Os: text,
  Arch: text,
  KernelVersion: text,
  Platform: z.object({ Name: text }).nullish(),
});

/** GET /info. */
export const infoSchema = z.object({
  ID: text,
  Name: text,
  NCPU: count,
  MemTotal: count,
  Driver: text,
  CgroupVersion: text,
  DefaultRuntime: text,
  DockerRootDir: text,
  OperatingSystem: text,
});

/** Line of GET /events. */
export const eventSchema = z.object({
  Type: text,
  Action: text,
  Actor: z.object({ ID: text, Attributes: stringMap }).nullish(),
  time: count,
  timeNano: count,
});
/** An engine event. */
export type ApiEvent = z.output<typeof eventSchema>;

const mountPoint = z.object({
  Type: text,
  Name: text,
  Source: text,
  Destination: text,
  RW: z
    .boolean()
    .nullish()
    .transform((value) => value ?? true),
});

const endpointSettings = z.object({ NetworkID: text, IPAddress: text, GlobalIPv6Address: text });
const endpoints = z
  .record(z.string(), endpointSettings.nullish())
  .nullish()
  .transform((map) => map ?? {});

/** Element of GET /containers/json. */
export const containerListItemSchema = z.object({
  Id: z.string(),
  Names: strings,
  Image: text,
  ImageID: text,
  Command: text,
  Created: count,
  State: text,
  Status: text,
  Ports: listOf(z.object({ IP: text, PrivatePort: count, PublicPort: count, Type: text })),
  Labels: stringMap,
  NetworkSettings: z.object({ Networks: endpoints }).nullish(),
  Mounts: listOf(mountPoint),
  SizeRw: count,
  SizeRootFs: count,
});
/** Container as listed. */
export type ApiContainerListItem = z.output<typeof containerListItemSchema>;

/** GET /containers/{id}/json. */
export const containerInspectSchema = z.object({
  Id: z.string(),
  Name: text,
  Created: text,
  Path: text,
  Args: strings,
  Image: text,
  LogPath: text,
  RestartCount: count,
  State: z.object({
    Status: text,
    Running: flag,
    Paused: flag,
    Restarting: flag,
    OOMKilled: flag,
    ExitCode: count,
    Error: text,
    StartedAt: text,
    FinishedAt: text,
    Health: z.object({ Status: text }).nullish(),
  }),
  Config: z.object({ Image: text, Tty: flag, OpenStdin: flag, Labels: stringMap, User: text }),
  HostConfig: z.object({
    NetworkMode: text,
    LogConfig: z.object({ Type: text }).nullish(),
    AutoRemove: flag,
  }),
  Mounts: listOf(mountPoint),
  NetworkSettings: z
    .object({
      Ports: z
        .record(z.string(), z.array(z.object({ HostIp: text, HostPort: text })).nullish())
        .nullish()
        .transform((map) => map ?? {}),
      Networks: endpoints,
    })
    .nullish(),
});
/** Container as inspected. */
export type ApiContainerInspect = z.output<typeof containerInspectSchema>;

/** Element of GET /images/json. */
export const imageListItemSchema = z.object({
  Id: z.string(),
  ParentId: text,
  RepoTags: strings,
  RepoDigests: strings,
  Created: count,
  Size: count,
  SharedSize: z
    .number()
    .nullish()
    .transform((value) => value ?? -1),
  Labels: stringMap,
  Containers: z
    .number()
    .nullish()
    .transform((value) => value ?? -1),
});
/** Image as listed. */
export type ApiImageListItem = z.output<typeof imageListItemSchema>;

/** GET /images/{name}/json. */
export const imageInspectSchema = z.object({
  Id: z.string(),
  RepoTags: strings,
  RepoDigests: strings,
  Created: text,
  Size: count,
  Config: z
    .object({
      Labels: stringMap,
      Env: strings,
      Cmd: strings,
      Entrypoint: strings,
      WorkingDir: text,
      User: text,
      ExposedPorts: z.record(z.string(), z.unknown()).nullish(),
      Volumes: z.record(z.string(), z.unknown()).nullish(),
    })
    .nullish(),
});
/** Image as inspected. */
export type ApiImageInspect = z.output<typeof imageInspectSchema>;

/** Element of GET /images/{name}/history. */
export const historyItemSchema = z.object({
  Id: text,
  Created: count,
  CreatedBy: text,
  Size: count,
  Comment: text,
  Tags: strings,
});

/** A volume, listed or inspected. */
export const volumeSchema = z.object({
  Name: z.string(),
  Driver: text,
  Mountpoint: text,
  CreatedAt: text,
  Labels: stringMap,
  Options: stringMap,
  Scope: text,
  UsageData: z
    .object({
      Size: z.number(),
      RefCount: z.number(),
    })
    .nullish(),
});
/** A volume. */
export type ApiVolume = z.output<typeof volumeSchema>;

/** GET /volumes. */
export const volumeListSchema = z.object({ Volumes: listOf(volumeSchema) });

/** A network, listed or inspected. */
export const networkSchema = z.object({
  Id: z.string(),
  Name: text,
  Created: text,
  Scope: text,
  Driver: text,
  EnableIPv6: flag,
  Internal: flag,
  Attachable: flag,
  IPAM: z.object({ Config: listOf(z.object({ Subnet: text, Gateway: text })) }).nullish(),
  Options: stringMap,
  Labels: stringMap,
});
/** A network. */
export type ApiNetwork = z.output<typeof networkSchema>;

/** Record of GET /build/cache in system/df. */
const buildCacheSchema = z.object({
  ID: text,
  Type: text,
  Description: text,
  InUse: flag,
  Shared: flag,
  Size: count,
  CreatedAt: text,
  LastUsedAt: text,
});

/** GET /system/df. */
export const diskUsageSchema = z.object({
  LayersSize: count,
  Images: listOf(imageListItemSchema),
  Containers: listOf(containerListItemSchema),
  Volumes: listOf(volumeSchema),
  BuildCache: listOf(buildCacheSchema),
});
/** Disk usage as the engine counts it. */
export type ApiDiskUsage = z.output<typeof diskUsageSchema>;

const ioEntries = listOf(z.object({ op: text, value: count }));

const cpuStats = z
  .object({
    cpu_usage: z
      .object({ total_usage: count, percpu_usage: z.array(z.number()).nullish() })
      .nullish(),
    system_cpu_usage: count,
    online_cpus: count,
  })
  .nullish();

/** GET /containers/{id}/stats. */
export const statsSchema = z.object({
  read: text,
  cpu_stats: cpuStats,
  precpu_stats: cpuStats,
  memory_stats: z
    .object({
      usage: count,
      limit: count,
      stats: z
        .record(z.string(), z.number())
        .nullish()
        .transform((map) => map ?? {}),
    })
    .nullish(),
  blkio_stats: z.object({ io_service_bytes_recursive: ioEntries }).nullish(),
  pids_stats: z.object({ current: count }).nullish(),
  networks: z
    .record(z.string(), z.object({ rx_bytes: count, tx_bytes: count }))
    .nullish()
    .transform((map) => map ?? {}),
});
/** Usage of a container as the engine counts it. */
export type ApiStats = z.output<typeof statsSchema>;

/** Line of a pull, push or load. */
export const progressSchema = z.object({
  id: text,
  status: text,
  stream: text,
  progressDetail: z.object({ current: count, total: count }).nullish(),
  error: text,
  errorDetail: z.object({ message: text }).nullish(),
  aux: z.object({ Digest: text, Tag: text }).nullish(),
});
/** Line of a pull, push or load. */
export type ApiProgress = z.output<typeof progressSchema>;

/** POST /containers/create. */
export const createdSchema = z.object({ Id: z.string(), Warnings: strings });
/** GET /containers/{id}/top. */
export const topSchema = z.object({ Titles: strings, Processes: listOf(z.array(z.string())) });
/** GET /containers/{id}/changes. */
export const changesSchema = listOf(z.object({ Path: text, Kind: count }));
/** GET /exec/{id}/json. */
export const execInspectSchema = z.object({
  Running: flag,
  ExitCode: z.number().nullish(),
  Pid: count,
});
/** DELETE /images/{name}. */
export const imageDeleteSchema = listOf(z.object({ Untagged: text, Deleted: text }));
