import { z } from 'zod';
import { consoleSizeSchema, hostConfigSchema } from './host-config.ts';
import { flag, int64, nameSet, struct, text, textMap, textOrTexts, texts } from './wire.ts';

export type {
  ContainerUpdateBody,
  DeviceMapping,
  DeviceRequest,
  HostConfig,
  LogConfig,
  Mount,
  PortBinding,
  PortMap,
  Resources,
  RestartPolicy,
  ThrottleDevice,
  Ulimit,
  WeightDevice,
} from './host-config.ts';
export {
  containerUpdateBodySchema,
  hostConfigSchema,
  mountSchema,
  restartPolicySchema,
} from './host-config.ts';

/** Health probe; durations in nanoseconds. Test: `['NONE']`, `['CMD', ...]`, `['CMD-SHELL', line]`, [] = inherit. */
export const healthConfigSchema = struct({
  Test: texts,
  Interval: int64,
  Timeout: int64,
  StartPeriod: int64,
  StartInterval: int64,
  Retries: int64,
});
export type HealthConfig = z.output<typeof healthConfigSchema>;

const CONFIG_FIELDS = {
  Hostname: text,
  Domainname: text,
  User: text,
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  /** `80/tcp` -> {} */
  ExposedPorts: nameSet,
  Tty: flag,
  OpenStdin: flag,
  StdinOnce: flag,
  /** `NAME=value`, or `NAME` alone to remove what the image sets. */
  Env: texts,
  Cmd: textOrTexts,
  Healthcheck: healthConfigSchema.optional(),
  ArgsEscaped: flag,
  Image: text,
  /** Path in the container -> {} */
  Volumes: nameSet,
  WorkingDir: text,
  Entrypoint: textOrTexts,
  NetworkDisabled: flag,
  MacAddress: text,
  OnBuild: texts,
  Labels: textMap,
  StopSignal: text,
  /** Seconds. */
  StopTimeout: int64,
  Shell: textOrTexts,
};

/** Docker's container Config (also the config of images and the body of POST /commit). */
export const containerConfigSchema = struct(CONFIG_FIELDS);
export type ContainerConfig = z.output<typeof containerConfigSchema>;

/** Docker's EndpointSettings as requested; actual values sent by a client are kept but mean nothing. */
export const endpointSettingsSchema = struct({
  IPAMConfig: struct({ IPv4Address: text, IPv6Address: text, LinkLocalIPs: texts }).optional(),
  Links: texts,
  Aliases: texts,
  MacAddress: text,
  DriverOpts: textMap,
  GwPriority: int64,
  NetworkID: text,
  EndpointID: text,
  Gateway: text,
  IPAddress: text,
  IPPrefixLen: int64,
  IPv6Gateway: text,
  GlobalIPv6Address: text,
  GlobalIPv6PrefixLen: int64,
  DNSNames: texts,
});
export type EndpointSettingsRequest = z.output<typeof endpointSettingsSchema>;

/** Network name or id -> settings. */
export const networkingConfigSchema = struct({
  EndpointsConfig: z
    .record(
      z.string(),
      z.preprocess((value) => value ?? {}, endpointSettingsSchema),
    )
    .optional(),
});
export type NetworkingConfig = z.output<typeof networkingConfigSchema>;

/** Body of POST /containers/create. */
export const containerCreateBodySchema = struct({
  ...CONFIG_FIELDS,
  HostConfig: hostConfigSchema.optional(),
  NetworkingConfig: networkingConfigSchema.optional(),
});
export type ContainerCreateBody = z.output<typeof containerCreateBodySchema>;

/** Body of POST /containers/{id}/exec. */
export const execCreateBodySchema = struct({
  User: text,
  Privileged: flag,
  Tty: flag,
  ConsoleSize: consoleSizeSchema,
  AttachStdin: flag,
  AttachStderr: flag,
  AttachStdout: flag,
  Detach: flag,
  DetachKeys: text,
  Env: texts,
  WorkingDir: text,
  Cmd: texts,
});
export type ExecCreateBody = z.output<typeof execCreateBodySchema>;

/** Body of POST /exec/{id}/start. */
export const execStartBodySchema = struct({
  Detach: flag,
  Tty: flag,
  ConsoleSize: consoleSizeSchema,
});
export type ExecStartBody = z.output<typeof execStartBodySchema>;
