/** Subnets and addresses of networks, both families, in terms of records. */
import {
  BugError,
  ForbiddenError,
  InvalidParameterError,
  messageOf,
  UnavailableError,
} from '../base/errors.ts';
import {
  contains,
  type Family,
  formatAddress,
  formatPrefix,
  type IpAddress,
  isMulticast,
  overlaps,
  type Prefix,
  parseAddress,
  parsePrefix,
  unmapped,
} from './addresses.ts';
import { type AddressPool, AddressSpace, type SubnetSource } from './ipam.ts';
import type { IpamConfig, PoolRecord } from './model.ts';

/** What a network wants of one address family. */
export interface PoolRequest {
  readonly family: Family;
  /** Blocks of that family; none = a subnet of the engine's choice. */
  readonly configs: readonly IpamConfig[];
  /** False: no address is set aside for the host. */
  readonly needsGateway: boolean;
  /** Not to be chosen. */
  readonly reserved: readonly Prefix[];
}

/** An address given to an endpoint. */
export interface AssignedAddress {
  readonly address: string;
  readonly bits: number;
}

function prefixOf(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix === undefined) {
    throw new BugError(`record holds a bad prefix: ${text}`);
  }
  return prefix;
}

function rangeOf(pool: PoolRecord): Prefix | undefined {
  return pool.range === undefined ? undefined : prefixOf(pool.range);
}

const LINK_LOCAL: Prefix = { family: 6, value: 0xfe80n << 112n, bits: 64 };

function checkIPv6Subnet(subnet: Prefix): void {
  if (isMulticast(subnet)) {
    throw new InvalidParameterError(`multicast subnet '${formatPrefix(subnet)}' is not allowed`);
  }
  const isLinkLocal = subnet.bits === 64 && subnet.value === LINK_LOCAL.value;
  if (!isLinkLocal && overlaps(subnet, LINK_LOCAL)) {
    throw new InvalidParameterError(
      `'${formatPrefix(subnet)}' clashes with the Link-Local prefix 'fe80::/64'`,
    );
  }
}

/** All addresses of one engine. */
export class AddressBook {
  readonly #spaces: Readonly<Record<Family, AddressSpace>>;

  constructor(sources: readonly SubnetSource[]) {
    this.#spaces = { 4: new AddressSpace(4, sources), 6: new AddressSpace(6, sources) };
  }

  /**
   * Takes the subnets of one family, or none.
   *
   * @throws ForbiddenError  overlap, address in use; InvalidParameterError  nonsense, or no room left
   */
  takePools(request: PoolRequest): PoolRecord[] {
    const configs: readonly IpamConfig[] = request.configs.length === 0 ? [{}] : request.configs;
    const taken: PoolRecord[] = [];
    try {
      for (const config of configs) {
        const pool = this.#takeSubnet(config, request, taken);
        this.#reserveFixed(config, request, { pool, taken });
      }
      return taken;
    } catch (error) {
      this.releasePools(taken);
      throw error;
    }
  }

  /** Takes what a record says, as it was before a restart. */
  replay(pools: readonly PoolRecord[]): void {
    for (const record of pools) {
      const subnet = prefixOf(record.subnet);
      const pool = this.#spaces[subnet.family].requestNamed(subnet, rangeOf(record));
      for (const text of [record.gateway, ...Object.values(record.auxiliary)]) {
        const address = text === undefined ? undefined : parseAddress(text);
        if (address !== undefined && contains(subnet, address) && !pool.has(address)) {
          pool.reserve(address);
        }
      }
    }
  }

  /** Gives subnets back. */
  releasePools(pools: readonly PoolRecord[]): void {
    for (const record of pools) {
      const subnet = prefixOf(record.subnet);
      const pool = this.#spaces[subnet.family].find(subnet);
      for (const text of [record.gateway, ...Object.values(record.auxiliary)]) {
        const address = text === undefined ? undefined : parseAddress(text);
        if (address !== undefined && contains(subnet, address)) {
          pool?.release(address);
        }
      }
      this.#spaces[subnet.family].release(subnet, rangeOf(record));
    }
  }

  /**
   * Gives an endpoint an address.
   *
   * @param requested  '' = any
   * @throws ForbiddenError  in use; InvalidParameterError  outside; UnavailableError  none left
   */
  takeAddress(pools: readonly PoolRecord[], family: Family, requested: string): AssignedAddress {
    const wanted = requested === '' ? undefined : parseAddress(requested);
    if (requested !== '' && wanted === undefined) {
      throw new InvalidParameterError(`invalid IPv${family} address: ${requested}`);
    }
    for (const record of pools) {
      const subnet = prefixOf(record.subnet);
      const pool = this.#spaces[subnet.family].find(subnet);
      if (subnet.family !== family || pool === undefined || (wanted && !contains(subnet, wanted))) {
        continue;
      }
      try {
        const address = this.#takeFrom(pool, record, wanted);
        return { address: formatAddress(address), bits: subnet.bits };
      } catch (error) {
        if (!(error instanceof UnavailableError)) {
          throw error;
        }
      }
    }
    if (wanted !== undefined) {
      throw new InvalidParameterError(
        `invalid address ${requested}: It does not belong to any of this network's subnets`,
      );
    }
    throw new UnavailableError(
      `no available IPv${family} addresses on this network's address pools`,
    );
  }

  /** Marks an address as used that a running container has; a no-op when it is marked already. */
  adoptAddress(pools: readonly PoolRecord[], text: string): void {
    const address = parseAddress(text);
    const pool = address === undefined ? undefined : this.#poolOf(pools, address);
    if (address !== undefined && pool !== undefined && !pool.has(address)) {
      pool.reserve(address);
    }
  }

  /** Gives an address back. */
  releaseAddress(pools: readonly PoolRecord[], text: string): void {
    const address = parseAddress(text);
    if (address !== undefined) {
      this.#poolOf(pools, address)?.release(address);
    }
  }

  #poolOf(pools: readonly PoolRecord[], address: IpAddress): AddressPool | undefined {
    const record = pools.find((pool) => contains(prefixOf(pool.subnet), address));
    return record === undefined
      ? undefined
      : this.#spaces[address.family].find(prefixOf(record.subnet));
  }

  #takeFrom(pool: AddressPool, record: PoolRecord, wanted: IpAddress | undefined): IpAddress {
    if (wanted === undefined) {
      return pool.allocate(rangeOf(record), { isSerial: true });
    }
    pool.reserve(wanted);
    return wanted;
  }

  /** The entry is put into `taken` as soon as the subnet is, so that a failure gives it back. */
  #takeSubnet(config: IpamConfig, request: PoolRequest, taken: PoolRecord[]): AddressPool {
    const space = this.#spaces[request.family];
    const named =
      config.Subnet === undefined || config.Subnet === '' ? undefined : parsePrefix(config.Subnet);
    if (request.family === 6 && named !== undefined) {
      checkIPv6Subnet(named);
    }
    const range =
      config.IPRange === undefined || config.IPRange === ''
        ? undefined
        : parsePrefix(config.IPRange);
    if (named === undefined && range !== undefined) {
      throw new InvalidParameterError('invalid address subpool');
    }
    const pool =
      named === undefined ? space.requestAny(request.reserved) : space.requestNamed(named, range);
    taken.push({
      subnet: formatPrefix(pool.subnet),
      ...(range && { range: formatPrefix(range) }),
      auxiliary: {},
      isStatic: named !== undefined,
    });
    return pool;
  }

  #reserveFixed(
    config: IpamConfig,
    request: PoolRequest,
    state: { readonly pool: AddressPool; readonly taken: PoolRecord[] },
  ): void {
    const { pool, taken } = state;
    const record = taken.at(-1);
    if (record === undefined) {
      return;
    }
    const gateway = config.Gateway ?? '';
    if (gateway !== '' || request.needsGateway) {
      try {
        const wanted = gateway === '' ? undefined : parseAddress(gateway);
        if (wanted === undefined) {
          record.gateway = formatAddress(pool.allocate(rangeOf(record), { isSerial: false }));
        } else {
          pool.reserve(unmapped(wanted));
          record.gateway = formatAddress(wanted);
        }
      } catch (error) {
        throw new ForbiddenError(`failed to allocate gateway (${gateway}): ${messageOf(error)}`, {
          cause: error,
        });
      }
    }
    for (const [name, text] of Object.entries(config.AuxiliaryAddresses ?? {})) {
      const address = parseAddress(text);
      if (address === undefined) {
        throw new InvalidParameterError(`non parsable secondary ip address (${name}:${text})`);
      }
      try {
        pool.reserve(address);
      } catch (error) {
        throw new ForbiddenError(
          `failed to allocate secondary ip address (${name}:${text}): ${messageOf(error)}`,
          { cause: error },
        );
      }
      record.auxiliary[name] = formatAddress(address);
    }
  }
}
