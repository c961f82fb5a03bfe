import type { EndpointSettings } from '../../network/contract.ts';
import { type Container, statusOf, statusText } from '../container.ts';
import type { ContainerSummary, MountPoint, PortSummary } from '../contract.ts';
import type { MountRecord, PortTable } from '../record.ts';
import { unixSeconds } from '../times.ts';

/** A mount in wire form. */
export function mountPoint(mount: MountRecord): MountPoint {
  const named = mount.type === 'volume' || mount.type === 'image' ? { Name: mount.name } : {};
  return {
    Type: mount.type,
    ...named,
    Source: mount.source,
    Destination: mount.destination,
    ...(mount.driver === '' ? {} : { Driver: mount.driver }),
    Mode: mount.mode,
    RW: mount.isWritable,
    Propagation: mount.propagation,
  };
}

/** Published and exposed ports as rows, in a stable order. */
export function portSummaries(ports: PortTable): PortSummary[] {
  return Object.entries(ports)
    .flatMap(([key, bindings]): PortSummary[] => {
      const [port = '0', protocol = 'tcp'] = key.split('/');
      const base = { PrivatePort: Number(port), Type: protocol };
      return bindings === null || bindings.length === 0
        ? [base]
        : bindings.map(({ HostIp, HostPort }) => ({
            IP: HostIp,
            ...base,
            PublicPort: Number(HostPort),
          }));
    })
    .sort(
      (a, b) =>
        a.PrivatePort - b.PrivatePort ||
        a.Type.localeCompare(b.Type) ||
        (a.IP ?? '').localeCompare(b.IP ?? ''),
    );
}

/** Command line as `docker ps` shows it. */
export function commandText(path: string, args: readonly string[]): string {
  return [path, ...args.map((arg) => (arg.includes(' ') ? `'${arg}'` : arg))].join(' ');
}

function summaryEndpoint(settings: EndpointSettings): EndpointSettings {
  const ipam = settings.IPAMConfig;
  return {
    IPAMConfig: ipam
      ? {
          ...(ipam.IPv4Address ? { IPv4Address: ipam.IPv4Address } : {}),
          ...(ipam.IPv6Address ? { IPv6Address: ipam.IPv6Address } : {}),
        }
      : null,
    Links: null,
    Aliases: null,
    MacAddress: settings.MacAddress ?? '',
    DriverOpts: null,
    GwPriority: settings.GwPriority ?? 0,
    NetworkID: settings.NetworkID ?? '',
    EndpointID: settings.EndpointID ?? '',
    Gateway: settings.Gateway ?? '',
    IPAddress: settings.IPAddress ?? '',
    IPPrefixLen: settings.IPPrefixLen ?? 0,
    IPv6Gateway: settings.IPv6Gateway ?? '',
    GlobalIPv6Address: settings.GlobalIPv6Address ?? '',
    GlobalIPv6PrefixLen: settings.GlobalIPv6PrefixLen ?? 0,
    DNSNames: null,
  };
}

function manifestDescriptor(container: Container): {
  ImageManifestDescriptor?: Record<string, unknown>;
} {
  const { imageDescriptor, platform } = container.record;
  return imageDescriptor === undefined
    ? {}
    : {
        ImageManifestDescriptor: {
          ...imageDescriptor,
          platform: imageDescriptor.platform ?? platform,
        },
      };
}

/**
 * One row of the list. Cheap: nothing is read from disk.
 *
 * @param imageRef  what the row shows: the reference it was made with while that still names its image, else the id
 */
export function summaryOf(
  container: Container,
  names: string[],
  imageRef: string,
): ContainerSummary {
  const { record } = container;
  const networks = Object.fromEntries(
    Object.entries(record.networks).map(([name, settings]) => [name, summaryEndpoint(settings)]),
  );
  const annotations = record.hostConfig.Annotations;
  return {
    Id: record.id,
    Names: names,
    Image: imageRef,
    ImageID: record.imageId,
    ...manifestDescriptor(container),
    Command: commandText(record.path, record.args),
    Created: unixSeconds(record.createdAt),
    Ports: portSummaries(record.ports),
    Labels: record.config.Labels ?? {},
    State: statusOf(record),
    Status: statusText(record),
    HostConfig: {
      NetworkMode: record.hostConfig.NetworkMode ?? 'default',
      ...(annotations === undefined ? {} : { Annotations: annotations }),
    },
    NetworkSettings: { Networks: networks },
    Mounts: record.mounts.map(mountPoint),
  };
}
