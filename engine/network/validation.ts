/** Checks of what clients ask for, with Docker's messages. Nothing here changes anything. */
import { InvalidParameterError } from '../base/errors.ts';
import {
  contains,
  type Family,
  formatPrefix,
  isUnspecified,
  masked,
  overlaps,
  type Prefix,
  parseAddress,
  parseMac,
  parsePrefix,
  unmapped,
} from './addresses.ts';
import type { EndpointSettings } from './contract.ts';
import { type IpamConfig, isUserDefined, type PoolRecord } from './model.ts';
import { checkInterfaceName, OPTION } from './options.ts';

/** Several messages as one: alone it stands as it is, else as a list. */
export function joinMessages(messages: readonly string[]): string {
  const [only] = messages;
  return messages.length === 1 && only !== undefined
    ? only.trim()
    : `* ${messages.map((message) => message.replaceAll('\n', '\n\t')).join('\n* ')}`;
}

function rangeMessages(range: string, subnet: Prefix): string[] {
  if (range === '') {
    return [];
  }
  const prefix = parsePrefix(range);
  if (prefix === undefined) {
    return [`invalid ip-range ${range}: invalid CIDR block notation`];
  }
  if (prefix.family !== subnet.family) {
    return [`invalid ip-range ${range}: parent subnet is an IPv${subnet.family} block`];
  }
  const parent = formatPrefix(subnet);
  return [
    ...(prefix.bits < subnet.bits
      ? [`invalid ip-range ${range}: CIDR block is bigger than its parent subnet ${parent}`]
      : []),
    ...(masked(prefix).value === prefix.value
      ? []
      : [`invalid ip-range ${formatPrefix(prefix)}: it should be ${formatPrefix(masked(prefix))}`]),
    ...(overlaps(prefix, subnet)
      ? []
      : [`invalid ip-range ${range}: parent subnet ${parent} doesn't contain ip-range`]),
  ];
}

function addressMessage(text: string, subnet: Prefix): string | undefined {
  if (text === '') {
    return undefined;
  }
  const address = parseAddress(text);
  if (address === undefined) {
    return 'invalid address';
  }
  if (address.family !== subnet.family) {
    return `parent subnet is an IPv${subnet.family} block`;
  }
  return contains(subnet, address)
    ? undefined
    : `parent subnet ${formatPrefix(subnet)} doesn't contain this address`;
}

function blockMessages(config: IpamConfig, isIPv6Enabled: boolean): string[] {
  const text = config.Subnet ?? '';
  const subnet = parsePrefix(text);
  if (subnet === undefined) {
    return [`invalid subnet ${text}: invalid CIDR block notation`];
  }
  if (!isIPv6Enabled && subnet.family === 6) {
    return [];
  }
  const gateway = config.Gateway ?? '';
  const gatewayMessage = addressMessage(gateway, subnet);
  return [
    ...(masked(subnet).value === subnet.value
      ? []
      : [`invalid subnet ${formatPrefix(subnet)}: it should be ${formatPrefix(masked(subnet))}`]),
    ...rangeMessages(config.IPRange ?? '', subnet),
    ...(gatewayMessage === undefined ? [] : [`invalid gateway ${gateway}: ${gatewayMessage}`]),
    ...Object.entries(config.AuxiliaryAddresses ?? {}).flatMap(([name, value]) => {
      const message = addressMessage(value, subnet);
      return message === undefined ? [] : [`invalid auxiliary address ${name}: ${message}`];
    }),
  ];
}

/** @throws InvalidParameterError  naming everything that is wrong with the address blocks */
export function checkIpam(configs: readonly IpamConfig[], isIPv6Enabled: boolean): void {
  const messages = configs.flatMap((config) => blockMessages(config, isIPv6Enabled));
  if (messages.length > 0) {
    throw new InvalidParameterError(`invalid network config:\n${joinMessages(messages)}`);
  }
}

function fixedAddressMessages(
  text: string,
  family: Family,
  pools: readonly PoolRecord[] | undefined,
): string[] {
  if (text === '' || pools === undefined) {
    return [];
  }
  const address = parseAddress(text);
  const subnets = pools
    .filter((pool) => pool.isStatic)
    .map((pool) => parsePrefix(pool.subnet))
    .filter((subnet) => subnet?.family === family);
  if (subnets.length === 0) {
    return [
      'user specified IP address is supported only when connecting to networks with user configured subnets',
    ];
  }
  const isInside =
    address !== undefined &&
    subnets.some((subnet) => subnet !== undefined && contains(subnet, address));
  return isInside ? [] : [`no configured subnet or ip-range contain the IP address ${text}`];
}

function isUsable(text: string, family: Family | undefined): boolean {
  const parsed = parseAddress(text);
  const address = parsed === undefined ? undefined : unmapped(parsed);
  return (
    address !== undefined &&
    !isUnspecified(address) &&
    (family === undefined || address.family === family)
  );
}

/** `net.X.Y.IFNAME.Z=V` of an endpoint's option, as path below /proc/sys/net and value; undefined = malformed. */
export function parseEndpointSysctl(
  text: string,
): { readonly path: string; readonly value: string } | undefined {
  const match = /^net\.(ipv4|ipv6|mpls)\.(\w+)\.(?:IFNAME|ifname)\.(\w+)=([\w .:-]*)$/.exec(
    text.trim(),
  );
  if (match === null) {
    return undefined;
  }
  const [, family = '', group = '', key = '', value = ''] = match;
  return { path: `${family}/${group}/IFNAME/${key}`, value };
}

function sysctlMessages(settings: EndpointSettings): string[] {
  const sysctls = settings.DriverOpts?.[OPTION.sysctls];
  return (sysctls === undefined ? [] : sysctls.split(','))
    .filter((sysctl) => parseEndpointSysctl(sysctl) === undefined)
    .map(
      (sysctl) =>
        `unrecognised network interface sysctl '${sysctl}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'`,
    );
}

/** Messages about endpoint settings; `pools` is undefined when the network is not known yet. */
export function endpointMessages(
  networkName: string,
  settings: EndpointSettings,
  pools: readonly PoolRecord[] | undefined,
): string[] {
  const ipam = settings.IPAMConfig ?? {};
  const ipv4 = ipam.IPv4Address ?? '';
  const ipv6 = ipam.IPv6Address ?? '';
  const messages: string[] = [];
  if (!isUserDefined(networkName)) {
    if (ipv4 !== '' || ipv6 !== '') {
      messages.push('user specified IP address is supported on user defined networks only');
    }
    if ((settings.Aliases?.length ?? 0) > 0) {
      messages.push(
        'network-scoped alias is supported only for containers in user defined networks',
      );
    }
  }
  if (ipv4 !== '' && !isUsable(ipv4, 4)) {
    messages.push(`invalid IPv4 address: ${ipv4}`);
  }
  if (ipv6 !== '' && !isUsable(ipv6, 6)) {
    messages.push(`invalid IPv6 address: ${ipv6}`);
  }
  for (const address of ipam.LinkLocalIPs ?? []) {
    if (!isUsable(address, undefined)) {
      messages.push(`invalid link-local IP address: ${address}`);
    }
  }
  messages.push(...fixedAddressMessages(ipv4, 4, pools), ...fixedAddressMessages(ipv6, 6, pools));
  messages.push(...sysctlMessages(settings));
  return messages;
}

/** @throws InvalidParameterError  naming everything that is wrong with the settings */
export function checkEndpoint(
  networkName: string,
  settings: EndpointSettings,
  pools: readonly PoolRecord[] | undefined,
): void {
  const mac = settings.MacAddress ?? '';
  if (mac !== '' && parseMac(mac) === undefined) {
    throw new InvalidParameterError(`invalid MAC address ${mac}`);
  }
  const interfaceName = settings.DriverOpts?.[OPTION.interfaceName] ?? '';
  if (interfaceName !== '') {
    checkInterfaceName('interface name', interfaceName);
  }
  const messages = endpointMessages(networkName, settings, pools);
  if (messages.length > 0) {
    throw new InvalidParameterError(`invalid endpoint settings:\n${joinMessages(messages)}`);
  }
}
