/** Records of sandboxes, from what containers ask for or remember. */
import { newId } from '../base/ids.ts';
import type { SandboxRequest } from './contract.ts';
import type { NetworkCore } from './core.ts';
import { interfacePrefixOf, requestedInterfaceName } from './endpoints.ts';
import type { EndpointRecord, SandboxRecord } from './model.ts';

/** A record without endpoints and ports. */
export function newRecord(request: SandboxRequest, netns: string): SandboxRecord {
  return {
    version: 1,
    containerId: request.containerId,
    containerName: request.containerName,
    hostname: request.hostname,
    domainName: request.domainName,
    netns,
    endpoints: [],
    requestedPorts: request.ports.map((port) => ({ ...port })),
    ports: [],
    dns: {
      servers: [...request.dns.servers],
      search: [...request.dns.search],
      options: [...request.dns.options],
    },
    extraHosts: [...request.extraHosts],
    links: request.links.map((link) => ({ ...link, names: [...link.names] })),
    isIPv6Disabled: request.sysctls['net.ipv6.conf.all.disable_ipv6'] === '1',
  };
}

/**
 * The record of a running container whose own was lost, as far as its endpoint settings tell. Interfaces of the host are
 * not among them: those are found gone or left alone.
 */
export function recordFromSettings(core: NetworkCore, request: SandboxRequest): SandboxRecord {
  const networks = [...core.networks.values()];
  const endpoints = [...request.endpoints].flatMap(([ref, settings], index): EndpointRecord[] => {
    const network = networks.find(
      (other) => other.id === settings.NetworkID || other.id === ref || other.name === ref,
    );
    if (network === undefined) {
      return [];
    }
    const interfaceName =
      requestedInterfaceName(settings) || `${interfacePrefixOf(network)}${index}`;
    return [
      {
        networkId: network.id,
        endpointId: settings.EndpointID || newId(),
        interfaceName,
        hostInterface: '',
        mac: settings.MacAddress ?? '',
        ipv4: settings.IPAddress ?? '',
        ipv6: settings.GlobalIPv6Address ?? '',
        dnsSource: '',
        linkLocal: [],
        dnsNames: [...(settings.DNSNames ?? [])],
        aliases: [...(settings.Aliases ?? [])],
        links: {},
        gatewayPriority: settings.GwPriority ?? 0,
        sysctls: {},
        requested: settings,
      },
    ];
  });
  const isHost = endpoints.some(({ networkId }) => core.networks.get(networkId)?.driver === 'host');
  const record = newRecord(request, isHost ? '' : core.names.netns(request.containerId));
  return {
    ...record,
    endpoints,
    ports: record.requestedPorts.filter((port) => port.hostPort !== 0),
  };
}
