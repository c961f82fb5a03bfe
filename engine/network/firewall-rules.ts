/**
 * Text of this engine's nftables tables, from plain data. No state, no side effects.
 *
 * `inet gantry_<hash>` holds everything: who may be reached (forward), what leaves under which address (postrouting),
 * published ports (maps, so that a container start changes elements, not rules), and the way of DNS queries from
 * containers to the engine. `bridge gantry_<hash>` keeps loopback addresses from passing between containers.
 * A packet that should pass must be accepted by the base chains of all tables of the machine; a drop anywhere is final.
 */
import { parseAddress } from './addresses.ts';
import type { GatewayMode } from './model.ts';

/** One address family of a bridge network. */
export interface FirewallFamily {
  readonly subnet: string;
  readonly mode: GatewayMode;
  /** Source address for what leaves; '' = that of the outgoing interface. */
  readonly hostAddress: string;
}

/** What the rules need to know of a bridge network. */
export interface FirewallNetwork {
  /** For chain names: 12 hexadecimal digits. */
  readonly key: string;
  readonly device: string;
  readonly isInternal: boolean;
  readonly isMasquerading: boolean;
  readonly ipv4: FirewallFamily | undefined;
  readonly ipv6: FirewallFamily | undefined;
  readonly trustedInterfaces: readonly string[];
}

/** One published port of one address family. `hostPort` 0: opened for direct access (routed mode), not translated. */
export interface FirewallPort {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly hostIp: string;
  readonly hostPort: number;
  readonly containerIp: string;
  readonly containerPort: number;
}

/** Everything the tables are made of. */
export interface FirewallState {
  readonly table: string;
  /** Interfaces of containers begin with this. */
  readonly vethPrefix: string;
  /** Port on 127.0.0.1 where the engine answers DNS; 0 = nowhere. */
  readonly dnsPort: number;
  readonly networks: readonly FirewallNetwork[];
  readonly ports: readonly FirewallPort[];
}

/** A chain whose only purpose is to be looked for. */
export const PROBE_CHAIN = 'probe';

const DNS_ADDRESS = '127.0.0.11';

function isIpv6(address: string): boolean {
  return address.includes(':');
}

function isAny(address: string): boolean {
  const parsed = parseAddress(address);
  return parsed === undefined || parsed.value === 0n;
}

/** Name of the map and text of the element for a port; both families alike. */
export function portElement(port: FirewallPort): {
  readonly map: string;
  readonly element: string;
  readonly key: string;
} {
  const family = isIpv6(port.containerIp) ? '6' : '4';
  if (port.hostPort === 0) {
    const key = `${port.containerIp} . ${port.protocol} . ${port.containerPort}`;
    return { map: `open${family}`, element: key, key };
  }
  const target = `${port.containerIp} . ${port.containerPort}`;
  const key = isAny(port.hostIp)
    ? `${port.protocol} . ${port.hostPort}`
    : `${port.hostIp} . ${port.protocol} . ${port.hostPort}`;
  return {
    map: `${isAny(port.hostIp) ? 'any' : 'one'}${family}`,
    element: `${key} : ${target}`,
    key,
  };
}

/** One-line commands that add or remove ports. */
export function portCommands(
  table: string,
  verb: 'add' | 'delete',
  ports: readonly FirewallPort[],
): string {
  const byMap = new Map<string, Set<string>>();
  for (const port of ports) {
    const { map, element, key } = portElement(port);
    byMap.set(map, (byMap.get(map) ?? new Set<string>()).add(verb === 'add' ? element : key));
  }
  return [...byMap]
    .map(
      ([map, elements]) => `${verb} element inet ${table} ${map} { ${[...elements].join(', ')} }`,
    )
    .join('; ');
}

function portMaps(ports: readonly FirewallPort[]): string[] {
  const elements = new Map<string, Set<string>>();
  for (const port of ports) {
    const { map, element } = portElement(port);
    elements.set(map, (elements.get(map) ?? new Set<string>()).add(element));
  }
  const lines: string[] = [];
  const declare = (kind: 'map' | 'set', name: string, type: string): void => {
    const held = elements.get(name);
    lines.push(`\t${kind} ${name} {`, `\t\ttype ${type}`);
    if (held !== undefined) {
      lines.push(`\t\telements = { ${[...held].join(', ')} }`);
    }
    lines.push('\t}');
  };
  for (const family of ['4', '6']) {
    const address = `ipv${family}_addr`;
    const target = `${address} . inet_service`;
    declare('map', `any${family}`, `inet_proto . inet_service : ${target}`);
    declare('map', `one${family}`, `${address} . inet_proto . inet_service : ${target}`);
    declare('set', `open${family}`, `${address} . inet_proto . inet_service`);
  }
  return lines;
}

function quoted(names: readonly string[]): string {
  return `{ ${names.map((name) => `"${name}"`).join(', ')} }`;
}

function baseChains(state: FirewallState): string[] {
  const devices = quoted(state.networks.map((network) => network.device));
  const hasNetworks = state.networks.length > 0;
  const dns = hasNetworks && state.dnsPort > 0;
  const fromContainers = `iifname ${devices}`;
  return [
    `\tchain ${PROBE_CHAIN} {`,
    '\t}',
    // Bridges route loopback addresses, for 127.0.0.1:PORT and DNS; nothing else may come of that.
    '\tchain raw_prerouting {',
    '\t\ttype filter hook prerouting priority raw; policy accept;',
    ...(dns
      ? [
          `\t\t${fromContainers} ip daddr ${DNS_ADDRESS} meta l4proto { tcp, udp } th dport 53 accept`,
        ]
      : []),
    ...(hasNetworks ? [`\t\t${fromContainers} ip daddr 127.0.0.0/8 drop`] : []),
    '\t}',
    '\tchain prerouting {',
    '\t\ttype nat hook prerouting priority dstnat; policy accept;',
    ...(dns
      ? [
          `\t\t${fromContainers} ip daddr ${DNS_ADDRESS} meta l4proto { tcp, udp } th dport 53 dnat ip to 127.0.0.1:${state.dnsPort}`,
        ]
      : []),
    '\t\tfib daddr type local jump published',
    '\t}',
    '\tchain output {',
    '\t\ttype nat hook output priority -100; policy accept;',
    '\t\tip6 daddr ::1 accept',
    '\t\tfib daddr type local jump published',
    '\t}',
    '\tchain published {',
    '\t\tdnat ip to ip daddr . meta l4proto . th dport map @one4',
    '\t\tmeta nfproto ipv4 dnat ip to meta l4proto . th dport map @any4',
    '\t\tdnat ip6 to ip6 daddr . meta l4proto . th dport map @one6',
    '\t\tmeta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @any6',
    '\t}',
  ];
}

function postrouting(network: FirewallNetwork): string[] {
  if (network.isInternal) {
    return [];
  }
  const device = `"${network.device}"`;
  const lines: string[] = [];
  const families = [
    { word: 'ip', family: network.ipv4 },
    { word: 'ip6', family: network.ipv6 },
  ];
  for (const { word, family } of families) {
    if (family === undefined || family.mode === 'routed' || family.mode === 'isolated') {
      continue;
    }
    if (network.isMasquerading) {
      const verdict =
        family.hostAddress === '' ? 'masquerade' : `snat ${word} to ${family.hostAddress}`;
      lines.push(`\t\t${word} saddr ${family.subnet} oifname != ${device} ${verdict}`);
    }
    // A container that uses a published port of its own network: the answer must come back through the host.
    lines.push(`\t\t${word} saddr ${family.subnet} oifname ${device} ct status dnat masquerade`);
  }
  if (network.ipv4 !== undefined) {
    lines.push(`\t\tip saddr 127.0.0.0/8 oifname ${device} ct status dnat masquerade`);
  }
  return lines;
}

function inwardChain(network: FirewallNetwork): string[] {
  const lines = [`\tchain in_${network.key} {`];
  if (network.isInternal) {
    lines.push(`\t\tiifname != "${network.device}" drop`, '\t}');
    return lines;
  }
  lines.push(
    '\t\tct state established,related accept',
    `\t\tiifname "${network.device}" accept`,
    '\t\tct status dnat accept',
  );
  if (network.trustedInterfaces.length > 0) {
    lines.push(`\t\tiifname ${quoted(network.trustedInterfaces)} accept`);
  }
  const families = [
    { digit: '4', word: 'ip', icmp: 'icmp', family: network.ipv4 },
    { digit: '6', word: 'ip6', icmp: 'ipv6-icmp', family: network.ipv6 },
  ];
  for (const { digit, word, icmp, family } of families) {
    if (family?.mode === 'nat-unprotected') {
      lines.push(`\t\tmeta nfproto ipv${digit} accept`);
    } else if (family?.mode === 'routed') {
      lines.push(
        `\t\tmeta nfproto ipv${digit} meta l4proto ${icmp} accept`,
        `\t\t${word} daddr . meta l4proto . th dport @open${digit} accept`,
      );
    }
  }
  lines.push('\t\tdrop', '\t}');
  return lines;
}

function outwardChain(network: FirewallNetwork): string[] {
  const lines = [`\tchain out_${network.key} {`];
  if (network.isInternal) {
    lines.push(`\t\toifname != "${network.device}" drop`);
  }
  lines.push('\t}');
  return lines;
}

function forward(state: FirewallState): string[] {
  const verdicts = (direction: 'in' | 'out'): string =>
    `{ ${state.networks.map((network) => `"${network.device}" : jump ${direction}_${network.key}`).join(', ')} }`;
  return [
    '\tchain forward {',
    '\t\ttype filter hook forward priority filter; policy accept;',
    ...(state.networks.length > 0
      ? [`\t\tiifname vmap ${verdicts('out')}`, `\t\toifname vmap ${verdicts('in')}`]
      : []),
    '\t}',
  ];
}

/** Commands for `nft -f` that replace the engine's main table in one transaction. */
export function renderTable(state: FirewallState): string {
  return [
    `table inet ${state.table}`,
    `delete table inet ${state.table}`,
    `table inet ${state.table} {`,
    ...portMaps(state.ports),
    ...baseChains(state),
    '\tchain postrouting {',
    '\t\ttype nat hook postrouting priority srcnat; policy accept;',
    ...state.networks.flatMap(postrouting),
    '\t}',
    ...state.networks.flatMap((network) => [...inwardChain(network), ...outwardChain(network)]),
    ...forward(state),
    '}',
    '',
  ].join('\n');
}

/**
 * Commands that replace the table for traffic between containers of one bridge. Interfaces of containers route
 * 127.0.0.11; without this a neighbour could reach what they serve on loopback.
 */
export function renderBridgeTable(state: FirewallState): string {
  const port = `iifname "${state.vethPrefix}*"`;
  return [
    `table bridge ${state.table}`,
    `delete table bridge ${state.table}`,
    `table bridge ${state.table} {`,
    '\tchain forward {',
    '\t\ttype filter hook forward priority 0; policy accept;',
    `\t\t${port} ip daddr 127.0.0.0/8 drop`,
    `\t\t${port} ip saddr 127.0.0.0/8 drop`,
    `\t\t${port} arp daddr ip 127.0.0.0/8 drop`,
    '\t}',
    '}',
    '',
  ].join('\n');
}

/** Commands that remove one of the tables, whether or not it is there. */
export function renderRemoval(family: 'inet' | 'bridge', table: string): string {
  return `table ${family} ${table}\ndelete table ${family} ${table}\n`;
}
