/** From a create request to a network record: defaults, checks in Docker's order, subnets. Nothing in the kernel yet. */
import { randomBytes } from 'node:crypto';
import {
  ConflictError,
  ForbiddenError,
  InvalidParameterError,
  NotFoundError,
} from '../base/errors.ts';
import { newId } from '../base/ids.ts';
import type { AddressBook } from './address-book.ts';
import { overlaps, type Prefix, parsePrefix, randomMac } from './addresses.ts';
import type { NetworkCreateRequest } from './contract.ts';
import {
  type IpamConfig,
  type NetworkDriver,
  type NetworkRecord,
  type PoolRecord,
  PREDEFINED_NETWORKS,
} from './model.ts';
import { bridgeDeviceOf } from './names.ts';
import { OPTION, parseBoolean, parseBridgeOptions } from './options.ts';
import { checkIpam } from './validation.ts';
import { checkParent, isVlan, parentOf, vlanSettings } from './vlan.ts';

/** What a draft depends on. */
export interface DraftContext {
  readonly existing: readonly NetworkRecord[];
  readonly book: AddressBook;
  /** Subnets in use on the host. */
  reserved(family: 4 | 6): Promise<readonly Prefix[]>;
  /** Default options by driver. */
  readonly defaultOptions: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Time in RFC 3339 with nanoseconds, of which the clock knows milliseconds. */
export function timestamp(now: Date = new Date()): string {
  const fraction = randomBytes(4).readUInt32BE() % 1_000_000;
  return now.toISOString().replace('Z', `${String(fraction).padStart(6, '0')}Z`);
}

function optionFlag(
  options: Record<string, string>,
  label: string,
  asked: boolean | undefined,
  fallback: boolean,
): boolean {
  const text = options[label];
  if (asked !== undefined) {
    // An explicit field wins over an option that says otherwise.
    Reflect.deleteProperty(options, label);
    return asked;
  }
  if (text === undefined) {
    return fallback;
  }
  const value = parseBoolean(text);
  if (value === undefined) {
    throw new InvalidParameterError(`driver-opt ${JSON.stringify(label)} is not a valid bool`);
  }
  return value;
}

function checkDriver(driver: string): NetworkDriver {
  switch (driver) {
    case 'bridge':
    case 'macvlan':
    case 'ipvlan':
      return driver;
    case 'host':
    case 'null':
      throw new ForbiddenError(`only one instance of "${driver}" network is allowed`);
    case 'overlay':
      throw new ForbiddenError(
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
      );
    default:
      throw new NotFoundError(`plugin "${driver}" not found`);
  }
}

/** Address blocks as asked for; empty fields and the old name of the last one are evened out. */
export function ipamConfigsOf(request: NetworkCreateRequest): IpamConfig[] {
  return (request.IPAM?.Config ?? []).map((config) => {
    const auxiliary = config.AuxiliaryAddresses ?? config.AuxAddress ?? {};
    return {
      ...(config.Subnet ? { Subnet: config.Subnet } : {}),
      ...(config.IPRange ? { IPRange: config.IPRange } : {}),
      ...(config.Gateway ? { Gateway: config.Gateway } : {}),
      ...(Object.keys(auxiliary).length > 0 ? { AuxiliaryAddresses: { ...auxiliary } } : {}),
    };
  });
}

function familyOfConfig(config: IpamConfig): 4 | 6 {
  return config.Subnet?.includes(':') === true ? 6 : 4;
}

/** @throws ConflictError  the name is taken; ForbiddenError, InvalidParameterError  it can never be used */
function checkName(name: string, existing: readonly NetworkRecord[]): void {
  if (PREDEFINED_NETWORKS.has(name)) {
    throw new ForbiddenError(`operation is not permitted on predefined ${name} network `);
  }
  if (name.trim() === '') {
    throw new InvalidParameterError('invalid name: name is empty');
  }
  if (existing.some((network) => network.name === name)) {
    throw new ConflictError(`network with name ${name} already exists`);
  }
}

function checkScope(request: NetworkCreateRequest): void {
  if (
    request.ConfigOnly === true &&
    (request.Ingress === true ||
      request.Internal === true ||
      request.Attachable === true ||
      (request.Scope ?? '') !== '')
  ) {
    throw new ForbiddenError(
      'configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.',
    );
  }
  if (
    request.ConfigOnly === true &&
    request.ConfigFrom !== undefined &&
    request.ConfigFrom.Network !== ''
  ) {
    throw new ForbiddenError(
      'a configuration network cannot depend on another configuration network',
    );
  }
  if (request.Ingress === true) {
    throw new ForbiddenError('Ingress network can only be global scope network');
  }
  if (request.Scope === 'swarm') {
    throw new ForbiddenError('cannot create a swarm scoped network when swarm is not active');
  }
}

/** Takes the fields that a configuration network prescribes. */
function applyConfiguration(draft: NetworkRecord, existing: readonly NetworkRecord[]): void {
  if (draft.configFrom === '') {
    return;
  }
  const source = existing.find(
    (network) => network.isConfigOnly && network.name === draft.configFrom,
  );
  if (source === undefined) {
    throw new NotFoundError(`configuration network "${draft.configFrom}" does not exist`);
  }
  if (draft.ipamConfig.length > 0) {
    throw new ForbiddenError(
      'user specified configurations are not supported if the network depends on a configuration network',
    );
  }
  if (Object.keys(draft.options).length > 0) {
    throw new ForbiddenError(
      'network driver options are not supported if the network depends on a configuration network',
    );
  }
  draft.enableIPv4 = source.enableIPv4;
  draft.enableIPv6 = source.enableIPv6;
  draft.ipamDriver = source.ipamDriver;
  draft.ipamOptions = source.ipamOptions;
  draft.ipamConfig = structuredClone(source.ipamConfig);
  draft.options = { ...source.options };
  draft.labels = { ...source.labels, ...draft.labels };
}

/** Which families need an address for the host's side. */
function gatewayNeeds(draft: NetworkRecord): Readonly<Record<4 | 6, boolean>> {
  if (draft.driver === 'bridge') {
    const settings = parseBridgeOptions(draft.options, draft.isInternal);
    return {
      4: settings.gatewayMode4 !== 'isolated' && !(settings.isIPv4Inhibited && draft.isInternal),
      6: settings.gatewayMode6 !== 'isolated',
    };
  }
  const { parent, mode } = vlanSettings(draft);
  const isInternal = draft.isInternal || parent === '';
  const isLayer3 = draft.driver === 'ipvlan' && mode !== 'l2';
  return { 4: !isInternal && !isLayer3, 6: !isInternal && !isLayer3 };
}

async function takePools(draft: NetworkRecord, context: DraftContext): Promise<PoolRecord[]> {
  const needs = gatewayNeeds(draft);
  const taken: PoolRecord[] = [];
  // Asked before anything is taken: nothing may happen between the first subnet and the record.
  const reserved = { 4: await context.reserved(4), 6: await context.reserved(6) };
  try {
    for (const family of [4, 6] as const) {
      if (family === 4 ? draft.enableIPv4 : draft.enableIPv6) {
        const configs = draft.ipamConfig.filter((config) => familyOfConfig(config) === family);
        taken.push(
          ...context.book.takePools({
            family,
            configs,
            needsGateway: needs[family],
            reserved: reserved[family],
          }),
        );
      }
    }
    return taken;
  } catch (error) {
    context.book.releasePools(taken);
    throw error;
  }
}

/** @throws ForbiddenError  two bridges cannot be told apart by device or subnet */
function checkBridgeConflicts(draft: NetworkRecord, existing: readonly NetworkRecord[]): void {
  const subnetsOf = (record: NetworkRecord, isIPv6: boolean): Prefix[] =>
    record.pools
      .filter((pool) => pool.subnet.includes(':') === isIPv6)
      .map((pool) => parsePrefix(pool.subnet))
      .filter((prefix) => prefix !== undefined);
  for (const other of existing) {
    if (other.driver !== 'bridge' || other.isConfigOnly || other.device === undefined) {
      continue;
    }
    const hasOverlap = (isIPv6: boolean): boolean =>
      subnetsOf(draft, isIPv6).some((a) => subnetsOf(other, isIPv6).some((b) => overlaps(a, b)));
    let reason: string | undefined;
    if (draft.device?.name === other.device.name) {
      reason = 'networks have same bridge name';
    } else if (hasOverlap(false)) {
      reason = 'networks have overlapping IPv4';
    } else if (hasOverlap(true)) {
      reason = 'networks have overlapping IPv6';
    }
    if (reason !== undefined) {
      throw new ForbiddenError(
        `cannot create network ${draft.id} (${draft.device?.name ?? ''}): conflicts with network ${other.id} (${other.device.name}): ${reason}`,
      );
    }
  }
}

/** @throws ForbiddenError, InvalidParameterError  a bridge cannot be made of this */
function finishBridge(draft: NetworkRecord, existing: readonly NetworkRecord[]): void {
  if (!draft.enableIPv4 && !draft.enableIPv6) {
    throw new InvalidParameterError('IPv4 or IPv6 must be enabled');
  }
  for (const family of [4, 6] as const) {
    if (draft.pools.filter((pool) => pool.subnet.includes(':') === (family === 6)).length > 1) {
      throw new ForbiddenError("bridge driver doesn't support multiple subnets");
    }
  }
  const settings = parseBridgeOptions(draft.options, draft.isInternal);
  draft.device = {
    name: settings.deviceName ?? bridgeDeviceOf(draft.id),
    isOurs: true,
    mac: randomMac(),
  };
  checkBridgeConflicts(draft, existing);
}

/**
 * Checks a request and takes subnets for it.
 *
 * @returns a record whose pools are taken in the context's book: the caller stores it or gives them back
 */
export async function draftNetwork(
  request: NetworkCreateRequest,
  context: DraftContext,
): Promise<NetworkRecord> {
  const { existing } = context;
  checkName(request.Name, existing);
  const driverName =
    request.Driver === undefined || request.Driver === '' ? 'bridge' : request.Driver;
  const options: Record<string, string> = { ...request.Options };
  if (request.ConfigFrom === undefined || request.ConfigFrom.Network === '') {
    for (const [key, value] of Object.entries(context.defaultOptions[driverName] ?? {})) {
      options[key] ??= value;
    }
  }
  const enableIPv4 = optionFlag(options, OPTION.enableIPv4, request.EnableIPv4, true);
  const enableIPv6 = optionFlag(options, OPTION.enableIPv6, request.EnableIPv6, false);
  const ipamConfig = ipamConfigsOf(request);
  checkIpam(ipamConfig, enableIPv6);
  checkScope(request);
  const isConfigOnly = request.ConfigOnly === true;
  const draft: NetworkRecord = {
    version: 1,
    id: newId(),
    name: request.Name,
    createdAt: timestamp(),
    driver: isConfigOnly ? 'null' : checkDriver(driverName),
    enableIPv4,
    enableIPv6,
    isInternal: request.Internal === true,
    isAttachable: request.Attachable === true,
    isConfigOnly,
    configFrom: request.ConfigFrom?.Network ?? '',
    ipamDriver: request.IPAM?.Driver || 'default',
    ipamOptions: request.IPAM?.Options ? { ...request.IPAM.Options } : null,
    ipamConfig,
    pools: [],
    options,
    labels: { ...request.Labels },
  };
  if (isConfigOnly) {
    return draft;
  }
  if (draft.ipamDriver !== 'default') {
    throw new NotFoundError(`plugin "${draft.ipamDriver}" not found`);
  }
  applyConfiguration(draft, existing);
  gatewayNeeds(draft);
  draft.pools = await takePools(draft, context);
  try {
    // The list may have changed while the host was asked.
    checkName(draft.name, context.existing);
    if (draft.driver === 'bridge') {
      finishBridge(draft, context.existing);
    } else if (isVlan(draft.driver)) {
      draft.device = { name: parentOf(draft), isOurs: false, mac: '' };
      checkParent(draft, context.existing);
    }
    return draft;
  } catch (error) {
    context.book.releasePools(draft.pools);
    throw error;
  }
}
