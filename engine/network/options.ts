/** Reading of driver options, with Docker's messages. */
import { InvalidParameterError } from '../base/errors.ts';
import { parseAddress } from './addresses.ts';
import type { BridgeSettings, GatewayMode } from './model.ts';
import { MAX_INTERFACE_NAME } from './names.ts';

/** Option names, as the command line and compose files use them. */
export const OPTION = {
  bridgeName: 'com.docker.network.bridge.name',
  defaultBridge: 'com.docker.network.bridge.default_bridge',
  masquerade: 'com.docker.network.bridge.enable_ip_masquerade',
  icc: 'com.docker.network.bridge.enable_icc',
  gatewayMode4: 'com.docker.network.bridge.gateway_mode_ipv4',
  gatewayMode6: 'com.docker.network.bridge.gateway_mode_ipv6',
  hostBinding: 'com.docker.network.bridge.host_binding_ipv4',
  inhibitIPv4: 'com.docker.network.bridge.inhibit_ipv4',
  trustedInterfaces: 'com.docker.network.bridge.trusted_host_interfaces',
  mtu: 'com.docker.network.driver.mtu',
  enableIPv4: 'com.docker.network.enable_ipv4',
  enableIPv6: 'com.docker.network.enable_ipv6',
  interfacePrefix: 'com.docker.network.container_iface_prefix',
  hostIPv4: 'com.docker.network.host_ipv4',
  hostIPv6: 'com.docker.network.host_ipv6',
  interfaceName: 'com.docker.network.endpoint.ifname',
  sysctls: 'com.docker.network.endpoint.sysctls',
} as const;

function parseFailure(label: string, value: string, reason: string): InvalidParameterError {
  return new InvalidParameterError(`failed to parse ${label} value: ${value} (${reason})`);
}

const TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

/** Go's reading of a boolean, or undefined. */
export function parseBoolean(text: string): boolean | undefined {
  if (TRUE.has(text)) {
    return true;
  }
  return FALSE.has(text) ? false : undefined;
}

type Options = Readonly<Record<string, string>>;

function booleanOption(options: Options, label: string, fallback: boolean): boolean {
  const text = options[label];
  if (text === undefined) {
    return fallback;
  }
  const value = parseBoolean(text);
  if (value === undefined) {
    throw parseFailure(
      label,
      text,
      `strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  }
  return value;
}

function addressOption(options: Options, label: string): string {
  const text = options[label];
  if (text === undefined) {
    return '';
  }
  if (parseAddress(text) === undefined) {
    throw parseFailure(label, text, 'nil ip');
  }
  return text;
}

function modeOption(options: Options, label: string): GatewayMode {
  const text = options[label];
  switch (text) {
    case undefined:
      return 'nat';
    case 'nat':
    case 'nat-unprotected':
    case 'routed':
    case 'isolated':
      return text;
    default:
      throw parseFailure(label, text, `unknown gateway mode ${text}`);
  }
}

function mtuOption(options: Options): number {
  const text = options[OPTION.mtu];
  if (text === undefined) {
    return 0;
  }
  if (!/^[+-]?\d{1,15}$/.test(text)) {
    throw parseFailure(
      OPTION.mtu,
      text,
      `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  }
  const mtu = Number(text);
  if (mtu < 0) {
    throw new InvalidParameterError(`invalid MTU number: ${mtu}`);
  }
  if (mtu > 65_535 || (mtu > 0 && mtu < 68)) {
    throw new InvalidParameterError(`invalid MTU number: ${mtu}: it must be between 68 and 65535`);
  }
  return mtu;
}

/** @throws InvalidParameterError  not a name the kernel takes for an interface */
export function checkInterfaceName(label: string, name: string): void {
  if (
    name.length > MAX_INTERFACE_NAME ||
    !/^[\w.@-]+$/.test(name) ||
    name === '.' ||
    name === '..'
  ) {
    throw new InvalidParameterError(
      `invalid ${label} ${JSON.stringify(name)}: an interface name has 1 to ${MAX_INTERFACE_NAME} letters, digits, '_', '-', '.'`,
    );
  }
}

/** @throws InvalidParameterError  with Docker's words for the option that cannot be read */
export function parseBridgeOptions(options: Options, isInternal: boolean): BridgeSettings {
  const deviceName = options[OPTION.bridgeName];
  if (deviceName !== undefined && deviceName !== '') {
    checkInterfaceName('bridge name', deviceName);
  }
  const interfacePrefix = options[OPTION.interfacePrefix] ?? '';
  if (interfacePrefix !== '') {
    checkInterfaceName('container interface prefix', interfacePrefix);
  }
  const trustedInterfaces = (options[OPTION.trustedInterfaces] ?? '')
    .split(':')
    .filter((name) => name !== '');
  for (const name of trustedInterfaces) {
    checkInterfaceName('trusted host interface', name);
  }
  const settings: BridgeSettings = {
    deviceName: deviceName === '' ? undefined : deviceName,
    mtu: mtuOption(options),
    isMasquerading: booleanOption(options, OPTION.masquerade, true),
    hasInterContainerTraffic: booleanOption(options, OPTION.icc, true),
    gatewayMode4: modeOption(options, OPTION.gatewayMode4),
    gatewayMode6: modeOption(options, OPTION.gatewayMode6),
    isIPv4Inhibited: booleanOption(options, OPTION.inhibitIPv4, false),
    bindingAddress: addressOption(options, OPTION.hostBinding),
    interfacePrefix: interfacePrefix === '' ? 'eth' : interfacePrefix,
    hostIPv4: addressOption(options, OPTION.hostIPv4),
    hostIPv6: addressOption(options, OPTION.hostIPv6),
    trustedInterfaces,
  };
  booleanOption(options, OPTION.defaultBridge, false);
  if (
    (settings.gatewayMode4 === 'isolated' || settings.gatewayMode6 === 'isolated') &&
    !isInternal
  ) {
    throw new InvalidParameterError(
      "gateway mode 'isolated' can only be used for an internal network",
    );
  }
  return settings;
}

/** Mode of a macvlan or ipvlan network, and the device it hangs on. */
export interface VlanSettings {
  /** '' = none: the network gets a device of its own and reaches nothing else. */
  readonly parent: string;
  readonly mode: string;
  /** ipvlan only: bridge, private or vepa. */
  readonly flag: string;
}

const MACVLAN_MODES = new Set(['bridge', 'private', 'passthru', 'vepa']);
const IPVLAN_MODES = new Set(['l2', 'l3', 'l3s']);
const IPVLAN_FLAGS = new Set(['bridge', 'private', 'vepa']);

/** @throws InvalidParameterError  an unknown mode, or loopback as parent */
export function parseVlanOptions(driver: 'macvlan' | 'ipvlan', options: Options): VlanSettings {
  const parent = options['parent'] ?? '';
  const isMacvlan = driver === 'macvlan';
  const mode = options[isMacvlan ? 'macvlan_mode' : 'ipvlan_mode'] ?? '';
  const flag = isMacvlan ? '' : (options['ipvlan_flag'] ?? '');
  const fallback = isMacvlan ? 'bridge' : 'l2';
  if (mode !== '' && !(isMacvlan ? MACVLAN_MODES : IPVLAN_MODES).has(mode)) {
    throw new InvalidParameterError(
      `requested ${driver} mode '${mode}' is not valid, '${fallback}' mode is the ${driver} driver default`,
    );
  }
  if (flag !== '' && !IPVLAN_FLAGS.has(flag)) {
    throw new InvalidParameterError(
      `requested ipvlan flag '${flag}' is not valid, 'bridge' is the ipvlan driver default`,
    );
  }
  if (parent === 'lo') {
    throw new InvalidParameterError(`loopback interface is not a valid ${driver} parent link`);
  }
  if (parent !== '') {
    checkInterfaceName('parent', parent);
  }
  return { parent, mode: mode === '' ? fallback : mode, flag: flag === '' ? 'bridge' : flag };
}
