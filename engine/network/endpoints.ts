/** Planning of endpoints: checks against the network, addresses, names. Synchronous, so that no two plans can collide. */
import { InvalidParameterError, UnavailableError } from '../base/errors.ts';
import { newId } from '../base/ids.ts';
import { parseMac, randomMac } from './addresses.ts';
import { bridgeView } from './bridge.ts';
import type { EndpointSettings } from './contract.ts';
import type { NetworkCore } from './core.ts';
import { type EndpointRecord, isUserDefined, type NetworkRecord } from './model.ts';
import { OPTION } from './options.ts';
import { hasFamily } from './plug.ts';
import { dnsNamesOf } from './sandbox.ts';
import { checkEndpoint, parseEndpointSysctl } from './validation.ts';

/** Who is plugged in. */
export interface PluggedContainer {
  readonly id: string;
  readonly name: string;
  readonly hostname: string;
  readonly isIPv6Disabled: boolean;
}

/** `CONTAINER:ALIAS` or `CONTAINER` of endpoint links, as alias -> container. */
function parseLinks(links: readonly string[]): Record<string, string> {
  const parsed: Record<string, string> = {};
  for (const link of links) {
    const [name = '', alias = name, ...rest] = link.split(':');
    if (name === '' || alias === '' || rest.length > 0) {
      throw new InvalidParameterError(`bad format for links: ${link}`);
    }
    const bare = name.replace(/^\//, '');
    // The long form of older clients: /NAME:/OTHER/ALIAS.
    parsed[alias.split('/').at(-1) ?? alias] = bare;
  }
  return parsed;
}

/** Default name prefix of interfaces on a network. */
export function interfacePrefixOf(network: NetworkRecord): string {
  return network.driver === 'bridge' ? bridgeView(network).settings.interfacePrefix : 'eth';
}

/** Interface name that was asked for, '' = any. */
export function requestedInterfaceName(settings: EndpointSettings): string {
  return settings.DriverOpts?.[OPTION.interfaceName] ?? '';
}

/** Kernel settings that were asked for, with the interface's name filled in. */
export function endpointSysctls(
  settings: EndpointSettings,
  interfaceName: string,
): Record<string, string> {
  const text = settings.DriverOpts?.[OPTION.sysctls] ?? '';
  const result: Record<string, string> = {};
  for (const item of text === '' ? [] : text.split(',')) {
    const parsed = parseEndpointSysctl(item);
    if (parsed !== undefined) {
      result[parsed.path.replace('IFNAME', interfaceName)] = parsed.value;
    }
  }
  return result;
}

function takeAddress(
  core: NetworkCore,
  network: NetworkRecord,
  family: 4 | 6,
  requested: string,
): string {
  try {
    return core.book.takeAddress(network.pools, family, requested).address;
  } catch (error) {
    if (error instanceof UnavailableError) {
      throw new UnavailableError(`${error.message}: ${network.name} (${network.id})`, {
        cause: error,
      });
    }
    throw error;
  }
}

/** A link-local sender for DNS queries of a container without IPv4, different from those in use. */
function newDnsSource(inUse: ReadonlySet<string>): string {
  for (;;) {
    const address = `169.254.${1 + Math.floor(Math.random() * 253)}.${1 + Math.floor(Math.random() * 253)}`;
    if (!inUse.has(address)) {
      return address;
    }
  }
}

/** What an endpoint is planned from. */
export interface EndpointPlan {
  readonly network: NetworkRecord;
  readonly settings: EndpointSettings;
  readonly container: PluggedContainer;
  /** Link-local addresses in use as senders of DNS queries. */
  readonly dnsSources: ReadonlySet<string>;
}

function blankEndpoint(
  core: NetworkCore,
  { network, settings, container }: EndpointPlan,
): EndpointRecord {
  const aliases = settings.Aliases ?? [];
  return {
    networkId: network.id,
    endpointId: newId(),
    interfaceName: '',
    hostInterface: network.driver === 'bridge' ? core.names.newVeth() : '',
    mac: '',
    ipv4: '',
    ipv6: '',
    dnsSource: '',
    linkLocal: (settings.IPAMConfig?.LinkLocalIPs ?? []).filter((address) => address !== ''),
    dnsNames: isUserDefined(network.name) ? dnsNamesOf(container, aliases) : [],
    aliases: [...aliases],
    links: parseLinks(settings.Links ?? []),
    gatewayPriority: settings.GwPriority ?? 0,
    sysctls: {},
    requested: structuredClone(settings),
  };
}

/**
 * Plans an endpoint and takes its addresses. The interface's name is given later, when all are known.
 *
 * @throws ForbiddenError, InvalidParameterError, UnavailableError  in Docker's words; nothing is taken then
 */
export function planEndpoint(core: NetworkCore, input: EndpointPlan): EndpointRecord {
  const { network, settings, container } = input;
  checkEndpoint(network.name, settings, isUserDefined(network.name) ? network.pools : undefined);
  const ipam = settings.IPAMConfig ?? {};
  const endpoint = blankEndpoint(core, input);
  if (network.driver === 'host' || network.driver === 'null') {
    return endpoint;
  }
  if (network.driver !== 'ipvlan') {
    endpoint.mac = parseMac(settings.MacAddress ?? '') ?? randomMac();
  }
  try {
    if (hasFamily(network, 4)) {
      endpoint.ipv4 = takeAddress(core, network, 4, ipam.IPv4Address ?? '');
    } else if (network.driver === 'bridge') {
      endpoint.dnsSource = newDnsSource(input.dnsSources);
    }
    if (hasFamily(network, 6) && !container.isIPv6Disabled) {
      endpoint.ipv6 = takeAddress(core, network, 6, ipam.IPv6Address ?? '');
    }
  } catch (error) {
    releaseEndpoint(core, endpoint);
    throw error;
  }
  return endpoint;
}

/** Gives the addresses of an endpoint back. */
export function releaseEndpoint(core: NetworkCore, endpoint: EndpointRecord): void {
  const network = core.networks.get(endpoint.networkId);
  for (const address of [endpoint.ipv4, endpoint.ipv6]) {
    if (network !== undefined && address !== '') {
      core.book.releaseAddress(network.pools, address);
    }
  }
}
