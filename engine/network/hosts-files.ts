/** Texts of a container's /etc/hosts and /etc/resolv.conf. */
import { isLoopback, parseAddress } from './addresses.ts';

/** What a hosts file is made of. */
export interface HostsInput {
  readonly hostname: string;
  readonly domainName: string;
  /** `HOST:IP` pairs; IP may be `host-gateway`. */
  readonly extraHosts: readonly string[];
  /** What `host-gateway` stands for. */
  readonly hostGateways: readonly string[];
  /** Other containers under the names they were linked with. */
  readonly links: readonly {
    readonly alias: string;
    readonly names: readonly string[];
    readonly ipAddress: string;
  }[];
  /** Own addresses, in order of interfaces. */
  readonly addresses: readonly string[];
  readonly hasIPv6: boolean;
}

const IPV6_HOSTS: readonly (readonly [string, string])[] = [
  ['::1', 'localhost ip6-localhost ip6-loopback'],
  ['fe00::', 'ip6-localnet'],
  ['ff00::', 'ip6-mcastprefix'],
  ['ff02::1', 'ip6-allnodes'],
  ['ff02::2', 'ip6-allrouters'],
];

function extraRecords(input: HostsInput): [string, string][] {
  return input.extraHosts.flatMap((pair): [string, string][] => {
    const colon = pair.indexOf(':');
    const host = pair.slice(0, colon);
    const address = pair.slice(colon + 1).replace(/^\[(.*)\]$/, '$1');
    const addresses = address === 'host-gateway' ? input.hostGateways : [address];
    return addresses.map((text) => [text, host]);
  });
}

/** Text of the hosts file. */
export function hostsFile(input: HostsInput): string {
  const full = input.domainName === '' ? input.hostname : `${input.hostname}.${input.domainName}`;
  const bare = full.split('.')[0] ?? full;
  const own = bare === full ? full : `${full} ${bare}`;
  const records: (readonly [string, string])[] = [
    ['127.0.0.1', 'localhost'],
    ...(input.hasIPv6 ? IPV6_HOSTS : []),
    ...extraRecords(input),
    ...input.links
      .filter((link) => link.ipAddress !== '')
      .map(
        (link) => [link.ipAddress, [...new Set([link.alias, ...link.names])].join(' ')] as const,
      ),
    ...(own === '' ? [] : input.addresses.map((address) => [address, own] as const)),
  ];
  return records
    .filter(([address]) => input.hasIPv6 || !address.includes(':'))
    .map(([address, names]) => `${address}\t${names}\n`)
    .join('');
}

/** What a resolv.conf says. */
export interface ResolvConf {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
  /** Lines of other kinds, such as `sortlist`. */
  readonly other: readonly string[];
}

/** Reads a resolv.conf; what cannot be understood is left out. */
export function parseResolvConf(text: string): ResolvConf {
  const servers: string[] = [];
  let search: string[] = [];
  const options: string[] = [];
  const other: string[] = [];
  for (const line of text.split('\n')) {
    const [word = '', ...rest] = line.trim().split(/\s+/);
    const [first] = rest;
    if (word === '' || word.startsWith('#') || word.startsWith(';')) {
      continue;
    }
    if (word === 'nameserver') {
      // A scoped address (fe80::1%eth0) means nothing in another namespace.
      if (first !== undefined && parseAddress(first) !== undefined) {
        servers.push(first);
      }
    } else if (word === 'search' || word === 'domain') {
      search = rest.length > 0 ? rest : search;
    } else if (word === 'options') {
      options.push(...rest);
    } else {
      other.push(line.trim());
    }
  }
  return { servers, search, options, other };
}

/** The host's settings with those of the engine and the container laid over them. */
export interface DnsSettings {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** What {@link containerResolvConf} gives. */
export interface ContainerResolvConf {
  readonly text: string;
  /** Where the embedded responder asks; empty without it. */
  readonly upstream: readonly string[];
  /** True when `ndots` was set by the host or by hand. */
  readonly hasNdots: boolean;
}

/** Public servers for hosts whose own are all on loopback: a container cannot reach those. */
const FALLBACK_SERVERS: readonly string[] = ['8.8.8.8', '8.8.4.4'];
const FALLBACK_SERVERS_IPV6: readonly string[] = ['2001:4860:4860::8888', '2001:4860:4860::8844'];

/** Address of the responder as containers see it. */
export const EMBEDDED_DNS = '127.0.0.11';

function isValidNdots(option: string): boolean {
  return !option.startsWith('ndots') || /^ndots:\d+$/.test(option);
}

/**
 * Text of a container's resolv.conf.
 *
 * @param kind  `embedded`: user-defined networks; `direct`: the default bridge; `host`: the host's namespace
 */
export function containerResolvConf(
  host: ResolvConf,
  overrides: DnsSettings,
  options: { readonly kind: 'embedded' | 'direct' | 'host'; readonly hasIPv6: boolean },
): ContainerResolvConf {
  const isOverridden = overrides.servers.length > 0;
  const search =
    overrides.search.length > 0 ? overrides.search.filter((domain) => domain !== '.') : host.search;
  const base = overrides.options.length > 0 ? overrides.options : host.options;
  const chosen = isOverridden ? overrides.servers : host.servers;
  let servers = chosen;
  let upstream: readonly string[] = [];
  let resolverOptions = base;
  const notes: string[] = [];
  const hasNdots = base.some((option) => option.startsWith('ndots:'));
  if (options.kind === 'embedded') {
    upstream = chosen.filter((server) => server !== EMBEDDED_DNS || !isOverridden);
    servers = [EMBEDDED_DNS];
    resolverOptions = base.filter(isValidNdots);
    if (!resolverOptions.some((option) => option.startsWith('ndots:'))) {
      resolverOptions = [...resolverOptions, 'ndots:0'];
    }
    const shown = upstream.map((server) => (isOverridden ? server : `host(${server})`));
    notes.push(
      shown.length === 0
        ? '# NO EXTERNAL NAMESERVERS DEFINED'
        : `# ExtServers: [${shown.join(' ')}]`,
    );
  } else if (options.kind === 'direct' && !isOverridden) {
    servers = chosen.filter((server) => {
      const address = parseAddress(server);
      return (
        address !== undefined && !isLoopback(address) && (address.family === 4 || options.hasIPv6)
      );
    });
    if (servers.length === 0) {
      servers = [...FALLBACK_SERVERS, ...(options.hasIPv6 ? FALLBACK_SERVERS_IPV6 : [])];
      notes.push('# Used default nameservers.');
    }
  }
  const overridden = [
    ...(isOverridden ? ['nameservers'] : []),
    ...(overrides.search.length > 0 ? ['search'] : []),
    ...(overrides.options.length > 0 ? ['options'] : []),
  ];
  const text = [
    '# Generated by Gantry.',
    '',
    ...servers.map((server) => `nameserver ${server}`),
    ...(search.length > 0 ? [`search ${search.join(' ')}`] : []),
    ...(resolverOptions.length > 0 ? [`options ${resolverOptions.join(' ')}`] : []),
    ...host.other,
    '',
    `# Based on host file: '/etc/resolv.conf'${{ embedded: ' (internal resolver)', direct: ' (legacy)', host: '' }[options.kind]}`,
    ...notes,
    `# Overrides: [${overridden.join(' ')}]`,
    '',
  ].join('\n');
  return { text, upstream, hasNdots };
}
