import type { EndpointSettings } from '../../network/contract.ts';
import { type Container, statusOf } from '../container.ts';
import type { ContainerInspect, ContainerNetworkSettings, ContainerState } from '../contract.ts';
import type { ContainerCore } from '../core.ts';
import { withDefaultUlimits } from '../create/defaults.ts';
import { networkFiles } from '../life/network.ts';
import { sizesOf } from './list.ts';
import { mountPoint } from './summary.ts';
import { wireConfig, wireHostConfig } from './wire-config.ts';

function stateOf(container: Container): ContainerState {
  const { state } = container.record;
  return {
    Status: statusOf(container.record),
    Running: state.isRunning,
    Paused: state.isPaused,
    Restarting: state.isRestarting,
    OOMKilled: state.isOomKilled,
    Dead: state.isDead,
    Pid: state.pid,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: state.startedAt,
    FinishedAt: state.finishedAt,
    ...(state.health === undefined ? {} : { Health: state.health }),
  };
}

/** All members of EndpointSettings, as Docker prints them. */
export function wireEndpoint(settings: EndpointSettings): EndpointSettings {
  return {
    IPAMConfig: settings.IPAMConfig ?? null,
    Links: settings.Links ?? null,
    Aliases: settings.Aliases ?? null,
    MacAddress: settings.MacAddress ?? '',
    DriverOpts: settings.DriverOpts ?? null,
    GwPriority: settings.GwPriority ?? 0,
    NetworkID: settings.NetworkID ?? '',
    EndpointID: settings.EndpointID ?? '',
    Gateway: settings.Gateway ?? '',
    IPAddress: settings.IPAddress ?? '',
    IPPrefixLen: settings.IPPrefixLen ?? 0,
    IPv6Gateway: settings.IPv6Gateway ?? '',
    GlobalIPv6Address: settings.GlobalIPv6Address ?? '',
    GlobalIPv6PrefixLen: settings.GlobalIPv6PrefixLen ?? 0,
    DNSNames: settings.DNSNames ?? null,
  };
}

function networkSettings(container: Container): ContainerNetworkSettings {
  const { record } = container;
  const bridge = record.networks['bridge'] ?? {};
  return {
    Bridge: '',
    SandboxID: record.sandboxId,
    SandboxKey: record.sandboxKey,
    Ports: record.ports,
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridge.EndpointID ?? '',
    Gateway: bridge.Gateway ?? '',
    GlobalIPv6Address: bridge.GlobalIPv6Address ?? '',
    GlobalIPv6PrefixLen: bridge.GlobalIPv6PrefixLen ?? 0,
    IPAddress: bridge.IPAddress ?? '',
    IPPrefixLen: bridge.IPPrefixLen ?? 0,
    IPv6Gateway: bridge.IPv6Gateway ?? '',
    MacAddress: bridge.MacAddress ?? '',
    Networks: Object.fromEntries(
      Object.entries(record.networks).map(([name, settings]) => [name, wireEndpoint(settings)]),
    ),
  };
}

function linkTexts(core: ContainerCore, container: Container): string[] | undefined {
  const { links, name } = container.record;
  const texts = links.flatMap(({ containerId, alias }) => {
    const child = core.registry.byId(containerId);
    return child === undefined ? [] : [`/${child.record.name}:/${name}/${alias}`];
  });
  return texts.length === 0 ? undefined : texts;
}

/** Implements {@link ContainerService.inspect}. */
export async function inspectContainer(
  core: ContainerCore,
  ref: string,
  withSizes: boolean,
): Promise<ContainerInspect> {
  const container = core.registry.get(ref);
  const { record } = container;
  const { snapshots, runtime } = core.ports;
  const [graph, sizes] = await Promise.all([
    snapshots.graphData(record.id).catch(() => ({})),
    withSizes ? sizesOf(core, container) : undefined,
  ]);
  const hasBeenStarted = record.hasBeenStarted;
  const files = networkFiles(core, container);
  const descriptor = record.imageDescriptor;
  const hostConfig = withDefaultUlimits(core, record.hostConfig);
  return {
    Id: record.id,
    Created: record.createdAt,
    Path: record.path,
    Args: [...record.args],
    State: stateOf(container),
    Image: record.imageId,
    ...(descriptor === undefined
      ? {}
      : {
          ImageManifestDescriptor: {
            ...descriptor,
            platform: descriptor.platform ?? record.platform,
          },
        }),
    ResolvConfPath: hasBeenStarted ? files.resolvConf : '',
    HostnamePath: hasBeenStarted ? files.hostname : '',
    HostsPath: hasBeenStarted ? files.hosts : '',
    LogPath:
      hasBeenStarted && record.hostConfig.LogConfig?.Type === 'json-file'
        ? core.logPath(container)
        : '',
    Name: `/${record.name}`,
    RestartCount: record.restartCount,
    Driver: snapshots.driver,
    Platform: record.platform.os,
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: record.hostConfig.Privileged === true ? 'unconfined' : runtime.appArmorProfile,
    ExecIDs: container.execs.size === 0 ? null : [...container.execs.keys()],
    HostConfig: wireHostConfig({ ...hostConfig, Links: linkTexts(core, container) }),
    GraphDriver: { Name: snapshots.driver, Data: graph },
    ...sizes,
    Mounts: record.mounts.map(mountPoint),
    Config: wireConfig(record.config),
    NetworkSettings: networkSettings(container),
  };
}
