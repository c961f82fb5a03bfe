/** Endpoints of any driver: gateways, order, and the commands that set a sandbox up from inside. */

import { contains, parseAddress, parsePrefix } from './addresses.ts';
import { addressLine, bridgePlugLines, bridgeView, poolOf } from './bridge.ts';
import type { EndpointSettings } from './contract.ts';
import { EMBEDDED_DNS } from './hosts-files.ts';
import {
  type EndpointRecord,
  isUserDefined,
  type NetworkRecord,
  type PoolRecord,
} from './model.ts';
import { isVlan, vlanGateway, vlanPlugLines } from './vlan.ts';

/** An endpoint with its network. */
export interface Plug {
  readonly network: NetworkRecord;
  readonly endpoint: EndpointRecord;
}

/** Default gateways that an endpoint offers; '' = none, `direct` = out of the interface. */
export interface Gateways {
  readonly ipv4: string;
  readonly ipv6: string;
}

function poolFor(network: NetworkRecord, address: string): PoolRecord | undefined {
  const parsed = parseAddress(address);
  return network.pools.find((pool) => {
    const prefix = parsePrefix(pool.subnet);
    return prefix !== undefined && parsed !== undefined && contains(prefix, parsed);
  });
}

/** Prefix length of an endpoint's address; 0 when it has none. */
export function prefixLengthOf(network: NetworkRecord, address: string): number {
  const pool = poolFor(network, address);
  return pool === undefined ? 0 : (parsePrefix(pool.subnet)?.bits ?? 0);
}

/** What an endpoint offers. */
export function gatewaysOf({ network, endpoint }: Plug): Gateways {
  if (network.driver === 'bridge') {
    const view = bridgeView(network);
    return {
      ipv4: endpoint.ipv4 === '' ? '' : (view.ipv4?.containerGateway ?? ''),
      ipv6: endpoint.ipv6 === '' ? '' : (view.ipv6?.containerGateway ?? ''),
    };
  }
  if (isVlan(network.driver)) {
    return {
      ipv4: vlanGateway(network, endpoint.ipv4, poolFor(network, endpoint.ipv4)?.gateway),
      ipv6: vlanGateway(network, endpoint.ipv6, poolFor(network, endpoint.ipv6)?.gateway),
    };
  }
  return { ipv4: '', ipv6: '' };
}

function gatewayCount(plug: Plug): number {
  const gateways = gatewaysOf(plug);
  return Number(gateways.ipv4 !== '') + Number(gateways.ipv6 !== '');
}

/** Best default gateway first: priority, not internal, more families, name. */
export function comparePlugs(a: Plug, b: Plug): number {
  return (
    b.endpoint.gatewayPriority - a.endpoint.gatewayPriority ||
    Number(a.network.isInternal) - Number(b.network.isInternal) ||
    gatewayCount(b) - gatewayCount(a) ||
    (a.network.name < b.network.name ? -1 : Number(a.network.name > b.network.name))
  );
}

/** Which endpoints carry the default routes. */
export function chooseGateways(plugs: readonly Plug[]): {
  readonly ipv4: Plug | undefined;
  readonly ipv6: Plug | undefined;
} {
  let ipv4: Plug | undefined;
  let ipv6: Plug | undefined;
  for (const plug of [...plugs].sort(comparePlugs)) {
    const gateways = gatewaysOf(plug);
    if (gateways.ipv4 !== '' && gateways.ipv6 !== '') {
      // The best one with both families serves both.
      return { ipv4: plug, ipv6: plug };
    }
    ipv4 ??= gateways.ipv4 === '' ? undefined : plug;
    ipv6 ??= gateways.ipv6 === '' ? undefined : plug;
  }
  return { ipv4, ipv6 };
}

/** The endpoint that DNS queries leave by: any bridge, once there is a user-defined network. */
export function chooseDnsPlug(plugs: readonly Plug[]): Plug | undefined {
  if (!plugs.some((plug) => isUserDefined(plug.network.name))) {
    return undefined;
  }
  return plugs.find(
    (plug) => plug.network.driver === 'bridge' && dnsSourceOf(plug.endpoint) !== '',
  );
}

/** Sender of DNS queries that leave by this endpoint. */
export function dnsSourceOf(endpoint: EndpointRecord): string {
  return endpoint.ipv4 === '' ? endpoint.dnsSource : endpoint.ipv4;
}

/** Lowest free name with a prefix: `eth0`, `eth1`, … */
export function freeInterfaceName(prefix: string, taken: readonly string[]): string {
  for (let index = 0; ; index += 1) {
    const name = `${prefix}${index}`;
    if (!taken.includes(name)) {
      return name;
    }
  }
}

/** Commands on the host that plug a sandbox in. */
export function plugLines({ network, endpoint }: Plug, netns: string): string[] {
  if (network.driver === 'bridge') {
    return bridgePlugLines(network, endpoint, netns);
  }
  return isVlan(network.driver) ? vlanPlugLines(network, endpoint, netns) : [];
}

/** What is to be done inside a namespace. */
export interface InsideWork {
  /** `/proc/sys/net` path and value; refusals are ignored. */
  readonly softSysctls: readonly (readonly [string, string])[];
  /** Asked for by the user: refusals are errors. */
  readonly sysctls: readonly (readonly [string, string])[];
  /** Commands of `ip`. */
  readonly lines: readonly string[];
}

/** Settings and addresses of an interface that has just been plugged in. */
export function interfaceWork({ network, endpoint }: Plug): InsideWork {
  const device = endpoint.interfaceName;
  const hasIPv6 =
    endpoint.ipv6 !== '' || endpoint.linkLocal.some((address) => address.includes(':'));
  return {
    softSysctls: [
      // Neighbours learn of an address that has changed hands as soon as the interface is up.
      [`ipv4/conf/${device}/arp_notify`, '1'],
      [`ipv6/conf/${device}/ndisc_notify`, '1'],
      [`ipv6/conf/${device}/disable_ipv6`, hasIPv6 ? '0' : '1'],
    ],
    sysctls: Object.entries(endpoint.sysctls),
    lines: [
      ...[endpoint.ipv4, endpoint.ipv6]
        .filter((address) => address !== '')
        .map((address) => addressLine(address, prefixLengthOf(network, address), device)),
      ...endpoint.linkLocal.map((address) =>
        addressLine(address, address.includes(':') ? 64 : 16, device),
      ),
      `link set ${device} up`,
    ],
  };
}

/** Default routes through the chosen endpoints. */
export function routeWork(plugs: readonly Plug[]): InsideWork {
  const chosen = chooseGateways(plugs);
  const line = (plug: Plug | undefined, family: 'ipv4' | 'ipv6'): string[] => {
    if (plug === undefined) {
      return [];
    }
    const gateway = gatewaysOf(plug)[family];
    const device = plug.endpoint.interfaceName;
    const destination = family === 'ipv4' ? '0.0.0.0/0' : '::/0';
    return [
      gateway === 'direct'
        ? `route replace ${destination} dev ${device}`
        : `route replace ${destination} via ${gateway} dev ${device}`,
    ];
  };
  return {
    softSysctls: [],
    sysctls: [],
    lines: [...line(chosen.ipv4, 'ipv4'), ...line(chosen.ipv6, 'ipv6')],
  };
}

/**
 * The way of DNS queries: 127.0.0.11 is routed out of one interface, straight to the bridge's hardware address, where the
 * firewall hands it to the engine. No rules and no listener are needed in the container, the bridge needs no address, and
 * it works for internal networks and across restarts of the engine.
 *
 * @param bridgeMac  hardware address of the network's bridge
 */
export function dnsWork(plug: Plug | undefined, bridgeMac: string): InsideWork {
  if (plug === undefined) {
    return { softSysctls: [], sysctls: [], lines: [] };
  }
  const { endpoint } = plug;
  const device = endpoint.interfaceName;
  const source = dnsSourceOf(endpoint);
  return {
    softSysctls: [],
    sysctls: [[`ipv4/conf/${device}/route_localnet`, '1']],
    lines: [
      ...(endpoint.ipv4 === '' ? [`address replace ${source}/32 dev lo`] : []),
      `route replace ${EMBEDDED_DNS} dev ${device} scope link src ${source} table local`,
      // A fixed neighbour entry: nobody else on the bridge can claim to be the resolver.
      `neigh replace ${EMBEDDED_DNS} lladdr ${bridgeMac} dev ${device} nud permanent`,
    ],
  };
}

/** One line for the `ip` helper that does work inside a namespace; '' when there is none. */
export function insideLine(netns: string, works: readonly InsideWork[]): string {
  const write = ([path, value]: readonly [string, string]): string =>
    `echo '${value}' > /proc/sys/net/${path}`;
  const soft = works.flatMap((work) => work.softSysctls.map(write));
  const hard = works.flatMap((work) => work.sysctls.map((entry) => `${write(entry)} || exit 1`));
  const lines = works.flatMap((work) => work.lines);
  const steps = [
    ...soft.map((step) => `{ ${step}; } 2>/dev/null`),
    ...hard,
    ...(lines.length > 0
      ? [`printf '%s\\n' ${lines.map((line) => `'${line}'`).join(' ')} | ip -batch -`]
      : []),
  ];
  return steps.length === 0 ? '' : `netns exec ${netns} sh -c "${steps.join('; ')}"`;
}

/** Settings of an endpoint in wire form, with what it has now. */
export function endpointSettings(plug: Plug): EndpointSettings {
  const { network, endpoint } = plug;
  const gateways = gatewaysOf(plug);
  const shown = (gateway: string): string => (gateway === 'direct' ? '' : gateway);
  const { requested } = endpoint;
  return {
    IPAMConfig: requested.IPAMConfig ?? null,
    Links: requested.Links ?? null,
    Aliases: requested.Aliases ?? null,
    MacAddress: endpoint.mac,
    DriverOpts: requested.DriverOpts ?? null,
    GwPriority: endpoint.gatewayPriority,
    NetworkID: network.id,
    EndpointID: endpoint.endpointId,
    Gateway: shown(gateways.ipv4),
    IPAddress: endpoint.ipv4,
    IPPrefixLen: endpoint.ipv4 === '' ? 0 : prefixLengthOf(network, endpoint.ipv4),
    IPv6Gateway: shown(gateways.ipv6),
    GlobalIPv6Address: endpoint.ipv6,
    GlobalIPv6PrefixLen: endpoint.ipv6 === '' ? 0 : prefixLengthOf(network, endpoint.ipv6),
    DNSNames: endpoint.dnsNames.length === 0 ? null : [...endpoint.dnsNames],
  };
}

/** Whether a sandbox reaches anything outside its own networks. */
export function hasWayOut(plugs: readonly Plug[]): boolean {
  return plugs.some((plug) => !plug.network.isInternal && gatewayCount(plug) > 0);
}

/** True when the network gives IPv4 addresses at all. */
export function hasFamily(network: NetworkRecord, family: 4 | 6): boolean {
  return poolOf(network, family) !== undefined;
}
