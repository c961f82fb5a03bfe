/** Networks in wire form. */
import type { NetworkResource } from './contract.ts';
import type { EndpointRecord, IpamConfig, NetworkRecord, SandboxRecord } from './model.ts';
import { prefixLengthOf } from './plug.ts';

function blocks(record: NetworkRecord): NetworkResource['IPAM']['Config'] {
  const configured = record.ipamConfig.filter((config) => (config.Subnet ?? '') !== '');
  const isIPv6 = (subnet: string | undefined): boolean => subnet?.includes(':') === true;
  // A family for which no block was asked shows the one that was chosen.
  const chosen = record.pools
    .filter((pool) => !configured.some((config) => isIPv6(config.Subnet) === isIPv6(pool.subnet)))
    .map(
      (pool): IpamConfig => ({
        Subnet: pool.subnet,
        ...(pool.gateway === undefined ? {} : { Gateway: pool.gateway }),
      }),
    );
  return [...configured, ...chosen]
    .sort((a, b) => Number(isIPv6(a.Subnet)) - Number(isIPv6(b.Subnet)))
    .map((config) => ({
      ...(config.Subnet === undefined ? {} : { Subnet: config.Subnet }),
      ...(config.IPRange === undefined ? {} : { IPRange: config.IPRange }),
      ...(config.Gateway === undefined ? {} : { Gateway: config.Gateway }),
      ...(config.AuxiliaryAddresses === undefined
        ? {}
        : { AuxiliaryAddresses: { ...config.AuxiliaryAddresses } }),
    }));
}

/** Network resource; `endpoints` are those of running containers, for inspect. */
export function networkResource(
  record: NetworkRecord,
  endpoints: readonly {
    readonly state: { readonly record: SandboxRecord };
    readonly endpoint: EndpointRecord;
  }[],
): NetworkResource {
  const withBits = (address: string): string =>
    address === '' ? '' : `${address}/${prefixLengthOf(record, address)}`;
  return {
    Name: record.name,
    Id: record.id,
    Created: record.createdAt,
    Scope: 'local',
    Driver: record.driver,
    EnableIPv4: record.enableIPv4,
    EnableIPv6: record.enableIPv6,
    IPAM: { Driver: record.ipamDriver, Options: record.ipamOptions, Config: blocks(record) },
    Internal: record.isInternal,
    Attachable: record.isAttachable,
    Ingress: false,
    ConfigFrom: { Network: record.configFrom },
    ConfigOnly: record.isConfigOnly,
    Containers: Object.fromEntries(
      endpoints.map(({ state, endpoint }) => [
        state.record.containerId,
        {
          Name: state.record.containerName,
          EndpointID: endpoint.endpointId,
          MacAddress: endpoint.mac,
          IPv4Address: withBits(endpoint.ipv4),
          IPv6Address: withBits(endpoint.ipv6),
        },
      ]),
    ),
    Options: { ...record.options },
    Labels: { ...record.labels },
  };
}
