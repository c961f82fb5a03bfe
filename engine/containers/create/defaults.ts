import type { ContainerConfig, HostConfig } from '../../api/types/container.ts';
import { InvalidParameterError } from '../../base/errors.ts';
import type { ContainerCore } from '../core.ts';
import { resolveLogConfig } from './log-config.ts';
import { containerMode } from './validate.ts';

/** A network may come later: a missing container is told at the start. */
function withContainerId(core: ContainerCore, mode: string | undefined): string | undefined {
  const ref = containerMode(mode);
  const found = ref === undefined || ref === '' ? undefined : core.registry.find(ref);
  return found === undefined ? mode : `container:${found.id}`;
}

/** @throws InvalidParameterError  there is no such container */
function withKnownContainer(core: ContainerCore, mode: string | undefined): string | undefined {
  const ref = containerMode(mode);
  if (ref !== undefined && core.registry.find(ref) === undefined) {
    throw new InvalidParameterError(`No such container: ${ref}`);
  }
  return withContainerId(core, mode);
}

function securityOptions(host: HostConfig, hasNoNewPrivileges: boolean): string[] | undefined {
  const given = host.SecurityOpt ?? [];
  const has = (key: string): boolean =>
    given.some(
      (option) => option === key || option.startsWith(`${key}=`) || option.startsWith(`${key}:`),
    );
  const isOpen = host.IpcMode === 'host' || host.PidMode === 'host' || host.Privileged === true;
  const all = [
    ...given,
    ...(isOpen && !has('label') ? ['label=disable'] : []),
    ...(hasNoNewPrivileges && !has('no-new-privileges') ? ['no-new-privileges'] : []),
  ];
  return all.length === 0 ? host.SecurityOpt : all;
}

/** Fills HostConfig with what Docker fills in at creation, so that inspect tells what is in force. */
export function withDefaults(core: ContainerCore, host: HostConfig): HostConfig {
  const { settings } = core;
  const { machine } = core.ports.runtime;
  const memory = host.Memory ?? 0;
  const isV2 = machine.cgroupVersion === 2;
  const cgroupns =
    host.Privileged === true && !isV2
      ? 'host'
      : (settings.defaultCgroupnsMode ?? (isV2 ? 'private' : 'host'));
  const isPrivileged = host.Privileged === true;
  const areSystemPathsOpen = (host.SecurityOpt ?? []).some((option) =>
    /^systempaths[=:]unconfined$/.test(option),
  );
  const { runtime } = core.ports;
  const paths = (given: string[] | undefined, defaults: readonly string[]): string[] | undefined =>
    given ?? (isPrivileged ? undefined : areSystemPathsOpen ? [] : [...defaults]);
  return {
    ...host,
    NetworkMode: withContainerId(core, host.NetworkMode || 'default'),
    RestartPolicy: {
      Name: host.RestartPolicy?.Name || 'no',
      MaximumRetryCount: host.RestartPolicy?.MaximumRetryCount ?? 0,
    },
    MemorySwap: memory > 0 && !host.MemorySwap ? memory * 2 : host.MemorySwap,
    ShmSize: host.ShmSize || settings.defaultShmBytes,
    IpcMode: withKnownContainer(core, host.IpcMode || settings.defaultIpcMode),
    PidMode: withKnownContainer(core, host.PidMode),
    CgroupnsMode: host.CgroupnsMode || cgroupns,
    SecurityOpt: securityOptions(host, settings.hasNoNewPrivileges),
    OomKillDisable: isV2 ? host.OomKillDisable : (host.OomKillDisable ?? false),
    LogConfig: resolveLogConfig(host.LogConfig, settings.defaultLogConfig),
    MaskedPaths: paths(host.MaskedPaths, runtime.defaultMaskedPaths),
    ReadonlyPaths: paths(host.ReadonlyPaths, runtime.defaultReadonlyPaths),
  };
}

/** HostConfig with the engine's default ulimits under the container's own, as in force at a start. */
export function withDefaultUlimits(core: ContainerCore, host: HostConfig): HostConfig {
  const own = host.Ulimits ?? [];
  const names = new Set(own.map((limit) => limit.Name));
  const added = core.settings.defaultUlimits.filter((limit) => !names.has(limit.Name));
  return added.length === 0 ? host : { ...host, Ulimits: [...own, ...added] };
}

/** Name of the host the container thinks it is. */
export function hostnameOf(
  config: ContainerConfig,
  host: HostConfig,
  id: string,
  machineName: string,
): string {
  return config.Hostname || (host.NetworkMode === 'host' ? machineName : id.slice(0, 12));
}
