import type {
  ApiContainerInspect,
  ApiContainerListItem,
  ApiImageInspect,
  ApiImageListItem,
  ApiNetwork,
  ApiVolume,
} from '../../engine/api/client/responses.ts';
import {
  type ContainerPort,
  type ContainerSummary,
  containerStateSchema,
} from '../contract/container-channels.ts';
import type { ImageSummary } from '../contract/image-channels.ts';
import type { NetworkSummary, VolumeSummary } from '../contract/storage-channels.ts';

/*
 * The engine's answers as rows of our lists. List and inspect answers give the same row, so that a patch made from
 * an inspect replaces a row made from a list.
 */

const PREDEFINED_NETWORKS = new Set(['bridge', 'host', 'none']);

/** Epoch ms of a time as the engine writes it; undefined for the zero time and for nonsense. */
export function timeMs(text: string): number | undefined {
  // Date knows milliseconds only; engines write up to nine digits.
  const parsed = Date.parse(text.replace(/(\.\d{3})\d+/, '$1'));
  return Number.isNaN(parsed) || parsed <= 0 ? undefined : parsed;
}

function protocolOf(text: string): ContainerPort['protocol'] {
  return text === 'udp' || text === 'sctp' ? text : 'tcp';
}

function stateOf(text: string): ContainerSummary['state'] {
  const parsed = containerStateSchema.safeParse(text);
  return parsed.success ? parsed.data : 'dead';
}

/** One order for ports, so that the same set is the same JSON. */
function sortPorts(ports: ContainerPort[]): ContainerPort[] {
  const key = (port: ContainerPort): string =>
    `${String(port.containerPort).padStart(5, '0')}/${port.protocol}/${String(port.hostPort ?? 0).padStart(5, '0')}/${port.hostIp ?? ''}`;
  return ports.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function projectOf(labels: Readonly<Record<string, string>>): ContainerSummary['project'] {
  const name = labels['com.docker.compose.project'] ?? labels['io.podman.compose.project'];
  if (name === undefined || name === '') {
    return undefined;
  }
  const workingDir = labels['com.docker.compose.project.working_dir'];
  const configFiles = labels['com.docker.compose.project.config_files'];
  return {
    name,
    service: labels['com.docker.compose.service'] ?? '',
    ...(workingDir === undefined ? {} : { workingDir }),
    ...(configFiles === undefined ? {} : { configFiles }),
  };
}

function networksOf(
  networks: ApiContainerListItem['NetworkSettings'] | ApiContainerInspect['NetworkSettings'],
): ContainerSummary['networks'] {
  return Object.entries(networks?.Networks ?? {})
    .map(([name, endpoint]) => ({
      name,
      ...((endpoint?.IPAddress ?? '') === '' ? {} : { ip: endpoint?.IPAddress }),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function mountsOf(mounts: ApiContainerListItem['Mounts']): ContainerSummary['mounts'] {
  return mounts
    .map((mount) => ({
      type: mount.Type,
      ...(mount.Name === '' ? {} : { name: mount.Name }),
      source: mount.Source,
      destination: mount.Destination,
      isWritable: mount.RW,
    }))
    .sort((a, b) => (a.destination < b.destination ? -1 : 1));
}

/** The name people use: of several the one without a link's slash. */
function firstName(names: readonly string[]): string {
  const plain = names.map((name) => name.replace(/^\//, ''));
  return plain.find((name) => !name.includes('/')) ?? plain[0] ?? '';
}

function healthFromStatus(status: string): ContainerSummary['health'] {
  if (status.includes('(healthy)')) {
    return 'healthy';
  }
  if (status.includes('(unhealthy)')) {
    return 'unhealthy';
  }
  return status.includes('(health: starting)') ? 'starting' : 'none';
}

/** Row from GET /containers/json. Start and end times are not in it. */
export function containerFromList(item: ApiContainerListItem): ContainerSummary {
  const exit = /^Exited \((\d+)\)/.exec(item.Status);
  const project = projectOf(item.Labels);
  return {
    id: item.Id,
    name: firstName(item.Names),
    image: item.Image,
    imageId: item.ImageID,
    command: item.Command,
    createdAtMs: item.Created * 1000,
    state: stateOf(item.State),
    health: healthFromStatus(item.Status),
    ...(exit?.[1] === undefined ? {} : { exitCode: Number(exit[1]) }),
    ports: sortPorts(
      item.Ports.map((port) => ({
        ...(port.IP === '' ? {} : { hostIp: port.IP }),
        ...(port.PublicPort === 0 ? {} : { hostPort: port.PublicPort }),
        containerPort: port.PrivatePort,
        protocol: protocolOf(port.Type),
      })),
    ),
    labels: item.Labels,
    ...(project === undefined ? {} : { project }),
    networks: networksOf(item.NetworkSettings),
    mounts: mountsOf(item.Mounts),
  };
}

function portsFromInspect(container: ApiContainerInspect): ContainerPort[] {
  return Object.entries(container.NetworkSettings?.Ports ?? {}).flatMap(([key, bindings]) => {
    const [number, protocol] = key.split('/');
    const base = { containerPort: Number(number), protocol: protocolOf(protocol ?? 'tcp') };
    return bindings === null || bindings === undefined || bindings.length === 0
      ? [base]
      : bindings.map((binding) => ({
          ...(binding.HostIp === '' ? {} : { hostIp: binding.HostIp }),
          ...(binding.HostPort === '' ? {} : { hostPort: Number(binding.HostPort) }),
          ...base,
        }));
  });
}

function healthOf(container: ApiContainerInspect): ContainerSummary['health'] {
  const status = container.State.Health?.Status;
  return status === 'healthy' || status === 'unhealthy' || status === 'starting' ? status : 'none';
}

/** Row from GET /containers/{id}/json. */
export function containerFromInspect(container: ApiContainerInspect): ContainerSummary {
  const { State: state, Config: config } = container;
  const project = projectOf(config.Labels);
  const startedAtMs = timeMs(state.StartedAt);
  const finishedAtMs = timeMs(state.FinishedAt);
  return {
    id: container.Id,
    name: container.Name.replace(/^\//, ''),
    image: config.Image,
    imageId: container.Image,
    command: [container.Path, ...container.Args].join(' '),
    createdAtMs: timeMs(container.Created) ?? 0,
    state: stateOf(state.Status),
    health: healthOf(container),
    ...(finishedAtMs === undefined ? {} : { exitCode: state.ExitCode, finishedAtMs }),
    ...(startedAtMs === undefined ? {} : { startedAtMs }),
    restartCount: container.RestartCount,
    isOomKilled: state.OOMKilled,
    hasTty: config.Tty,
    ports: sortPorts(portsFromInspect(container)),
    labels: config.Labels,
    ...(project === undefined ? {} : { project }),
    networks: networksOf(container.NetworkSettings),
    mounts: mountsOf(container.Mounts),
  };
}

/** `usedBy` of an image. */
export type ImageUser = ImageSummary['usedBy'][number];

/** Row from GET /images/json; `usedBy` is joined from the containers. */
export function imageFromList(item: ApiImageListItem, usedBy: ImageUser[]): ImageSummary {
  return {
    id: item.Id,
    tags: realNames(item.RepoTags),
    digests: realNames(item.RepoDigests),
    sizeBytes: item.Size,
    createdAtMs: item.Created * 1000,
    labels: item.Labels,
    usedBy,
  };
}

/** Row from GET /images/{id}/json. */
export function imageFromInspect(image: ApiImageInspect, usedBy: ImageUser[]): ImageSummary {
  return {
    id: image.Id,
    tags: realNames(image.RepoTags),
    digests: realNames(image.RepoDigests),
    sizeBytes: image.Size,
    // Lists have whole seconds; the same row must come out of both.
    createdAtMs: Math.floor((timeMs(image.Created) ?? 0) / 1000) * 1000,
    labels: image.Config?.Labels ?? {},
    usedBy,
  };
}

/** Engines list a dangling image with `<none>` names. */
function realNames(names: readonly string[]): string[] {
  return names.filter((name) => !name.includes('<none>')).sort();
}

/** `usedBy` of a volume. */
export type VolumeUser = VolumeSummary['usedBy'][number];

/** Row of a volume. */
export function volumeRow(volume: ApiVolume, usedBy: VolumeUser[]): VolumeSummary {
  const createdAtMs = timeMs(volume.CreatedAt);
  return {
    id: volume.Name,
    driver: volume.Driver,
    mountpoint: volume.Mountpoint,
    scope: volume.Scope,
    ...(createdAtMs === undefined ? {} : { createdAtMs }),
    labels: volume.Labels,
    options: volume.Options,
    isAnonymous: isAnonymousVolume(volume),
    usedBy,
  };
}

/** True for volumes that were made for a container without a name of their own. */
export function isAnonymousVolume(volume: ApiVolume): boolean {
  return (
    volume.Labels['com.docker.volume.anonymous'] !== undefined || /^[0-9a-f]{64}$/.test(volume.Name)
  );
}

/** `usedBy` of a network. */
export type NetworkUser = NetworkSummary['usedBy'][number];

/** Row of a network. */
export function networkRow(network: ApiNetwork, usedBy: NetworkUser[]): NetworkSummary {
  const createdAtMs = timeMs(network.Created);
  return {
    id: network.Id,
    name: network.Name,
    driver: network.Driver,
    scope: network.Scope,
    ...(createdAtMs === undefined ? {} : { createdAtMs }),
    isInternal: network.Internal,
    isAttachable: network.Attachable,
    hasIpv6: network.EnableIPv6,
    isPredefined: PREDEFINED_NETWORKS.has(network.Name),
    subnets: (network.IPAM?.Config ?? []).map((config) => ({
      subnet: config.Subnet,
      ...(config.Gateway === '' ? {} : { gateway: config.Gateway }),
    })),
    labels: network.Labels,
    options: network.Options,
    usedBy,
  };
}
