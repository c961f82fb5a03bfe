/** Bridge networks: what their records mean, and the commands that make device, addresses and plugs. */
import { parsePrefix } from './addresses.ts';
import type { FirewallFamily, FirewallNetwork } from './firewall-rules.ts';
import type {
  BridgeSettings,
  EndpointRecord,
  GatewayMode,
  NetworkRecord,
  PoolRecord,
} from './model.ts';
import type { EngineNames } from './names.ts';
import { parseBridgeOptions } from './options.ts';

/** One address family of a bridge network. */
export interface BridgeFamily {
  /** `ADDRESS/BITS`. */
  readonly subnet: string;
  readonly bits: number;
  /** The host's address, '' when it has none in this network. */
  readonly hostAddress: string;
  /** Where containers send what is not for the subnet; '' = nowhere. */
  readonly containerGateway: string;
  readonly mode: GatewayMode;
}

/** A bridge network, options and addresses taken together. */
export interface BridgeView {
  readonly settings: BridgeSettings;
  readonly ipv4: BridgeFamily | undefined;
  readonly ipv6: BridgeFamily | undefined;
}

/** Names under which a default gateway other than the host may stand among the auxiliary addresses. */
const GATEWAY_KEYS = { 4: 'DefaultGatewayIPv4', 6: 'DefaultGatewayIPv6' } as const;

/** Subnet of one family; bridges have at most one of each. */
export function poolOf(record: NetworkRecord, family: 4 | 6): PoolRecord | undefined {
  return record.pools.find((pool) => pool.subnet.includes(':') === (family === 6));
}

function familyView(
  record: NetworkRecord,
  settings: BridgeSettings,
  family: 4 | 6,
): BridgeFamily | undefined {
  const pool = poolOf(record, family);
  const subnet = pool === undefined ? undefined : parsePrefix(pool.subnet);
  if (pool === undefined || subnet === undefined) {
    return undefined;
  }
  const mode = family === 4 ? settings.gatewayMode4 : settings.gatewayMode6;
  const gateway = pool.gateway ?? '';
  const isInhibited = family === 4 && settings.isIPv4Inhibited;
  const isClosed = record.isInternal || mode === 'isolated';
  return {
    subnet: pool.subnet,
    bits: subnet.bits,
    hostAddress: mode === 'isolated' || isInhibited ? '' : gateway,
    containerGateway: isClosed ? '' : (pool.auxiliary[GATEWAY_KEYS[family]] ?? gateway),
    mode,
  };
}

/** Meaning of a stored bridge network. */
export function bridgeView(record: NetworkRecord): BridgeView {
  const settings = parseBridgeOptions(record.options, record.isInternal);
  return { settings, ipv4: familyView(record, settings, 4), ipv6: familyView(record, settings, 6) };
}

/** What the firewall has to know. */
export function firewallNetworkOf(record: NetworkRecord): FirewallNetwork | undefined {
  if (record.driver !== 'bridge' || record.device === undefined) {
    return undefined;
  }
  const { settings, ipv4, ipv6 } = bridgeView(record);
  const family = (
    view: BridgeFamily | undefined,
    hostAddress: string,
  ): FirewallFamily | undefined =>
    view === undefined ? undefined : { subnet: view.subnet, mode: view.mode, hostAddress };
  return {
    key: record.id.slice(0, 12),
    device: record.device.name,
    isInternal: record.isInternal,
    isMasquerading: settings.isMasquerading,
    ipv4: family(ipv4, settings.hostIPv4),
    ipv6: family(ipv6, settings.hostIPv6),
    trustedInterfaces: settings.trustedInterfaces,
  };
}

/** `address replace` with the broadcast address where there is one. */
export function addressLine(address: string, bits: number, device: string): string {
  const isIPv6 = address.includes(':');
  return `address replace ${address}/${bits} ${isIPv6 ? 'nodad ' : bits < 31 ? 'brd + ' : ''}dev ${device}`;
}

/** Commands that give a bridge its addresses and bring it up; may be repeated. */
export function bridgeAddressLines(record: NetworkRecord, device: string): string[] {
  const { ipv4, ipv6 } = bridgeView(record);
  return [
    ...[ipv4, ipv6].flatMap((family) =>
      family === undefined || family.hostAddress === ''
        ? []
        : [addressLine(family.hostAddress, family.bits, device)],
    ),
    `link set ${device} up`,
  ];
}

/** Commands that make a bridge. */
export function bridgeCreateLines(
  record: NetworkRecord,
  device: { readonly name: string; readonly mac: string },
  names: EngineNames,
): string[] {
  const { settings, ipv6 } = bridgeView(record);
  const mtu = settings.mtu > 0 ? `mtu ${settings.mtu} ` : '';
  return [
    `link add ${device.name} ${mtu}address ${device.mac} type bridge`,
    `link set ${device.name} alias ${names.mark}`,
    // Without an address of the host's own there must be no link-local one either.
    ...(ipv6 === undefined || ipv6.hostAddress === ''
      ? [`link set ${device.name} addrgenmode none`]
      : []),
  ];
}

/** Host route of DNS answers, for subnets in which the host has no address. */
export function dnsRouteLines(
  subnet: string,
  device: string,
  names: EngineNames,
): { readonly add: string[]; readonly remove: string[] } {
  const prefix = parsePrefix(subnet);
  if (prefix?.family !== 4) {
    return { add: [], remove: [] };
  }
  const table = names.routingTable;
  const rule = `from 127.0.0.0/8 to ${subnet} lookup ${table} priority 1000`;
  return {
    add: [`route replace ${subnet} dev ${device} table ${table}`, `rule add ${rule}`],
    remove: [`rule del ${rule}`],
  };
}

/** IPv4 subnet of a network in which the host has no address, '' for others. */
export function unroutedSubnet(record: NetworkRecord): string {
  const { ipv4 } = bridgeView(record);
  return ipv4 !== undefined && ipv4.hostAddress === '' ? ipv4.subnet : '';
}

/** Commands on the host that plug a sandbox into a bridge. */
export function bridgePlugLines(
  record: NetworkRecord,
  endpoint: EndpointRecord,
  netns: string,
): string[] {
  const { settings } = bridgeView(record);
  const mtu = settings.mtu > 0 ? ` mtu ${settings.mtu}` : '';
  const device = record.device?.name ?? '';
  return [
    `link add ${endpoint.hostInterface}${mtu} master ${device} type veth peer name ${endpoint.interfaceName}${mtu} address ${endpoint.mac} netns ${netns}`,
    // Hairpin: where br_netfilter is loaded, a container's way to its own published port stays inside the bridge.
    // Isolated ports reach the bridge itself, and no other isolated port.
    `link set ${endpoint.hostInterface} type bridge_slave hairpin on${settings.hasInterContainerTraffic ? '' : ' isolated on'}`,
    `link set ${endpoint.hostInterface} up`,
  ];
}
