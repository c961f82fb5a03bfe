/**
 * Address management: which subnets are taken, and which addresses in them.
 *
 * Kept in memory only: records of networks and sandboxes are replayed into it at start. Rules are Docker's: a subnet may
 * be shared only by requests with different IP ranges; addresses of containers are given out serially, so a released
 * one comes back only after the range has been gone through.
 */
import { ForbiddenError, InvalidParameterError, UnavailableError } from '../base/errors.ts';
import {
  contains,
  type Family,
  formatPrefix,
  type IpAddress,
  lastOf,
  masked,
  overlaps,
  type Prefix,
  sizeOf,
  widthOf,
} from './addresses.ts';

/** A block from which subnets of `size` bits are cut for networks that name none. */
export interface SubnetSource {
  readonly base: Prefix;
  readonly size: number;
}

/** Addresses of one subnet. */
export class AddressPool {
  readonly subnet: Prefix;
  readonly #used = new Set<bigint>();
  /** Where the serial search goes on, per range. */
  readonly #cursors = new Map<string, bigint>();

  constructor(subnet: Prefix) {
    this.subnet = masked(subnet);
    const hostBits = widthOf(subnet.family) - subnet.bits;
    // Network (IPv6: router anycast) and broadcast address, but not on /31 and /32 links.
    if (subnet.family === 6 ? hostBits > 0 : hostBits > 1) {
      this.#used.add(this.subnet.value);
    }
    if (subnet.family === 4 && hostBits > 1) {
      this.#used.add(lastOf(this.subnet));
    }
  }

  /** True when the address is given out or unusable. */
  has(address: IpAddress): boolean {
    return this.#used.has(address.value);
  }

  /** @throws InvalidParameterError  out of the subnet; ForbiddenError  in use */
  reserve(address: IpAddress): void {
    if (!contains(this.subnet, address)) {
      throw new InvalidParameterError('requested address is out of range');
    }
    if (this.#used.has(address.value)) {
      throw new ForbiddenError('Address already in use');
    }
    this.#used.add(address.value);
  }

  /**
   * Takes a free address of `range` (default: the whole subnet).
   *
   * @param options.isSerial  search after the last one given out rather than from the start
   * @throws UnavailableError  none is free
   */
  allocate(range: Prefix | undefined, options: { readonly isSerial: boolean }): IpAddress {
    const within = masked(range ?? this.subnet);
    const first = within.value;
    const last = lastOf(within);
    const key = formatPrefix(within);
    const start = options.isSerial ? (this.#cursors.get(key) ?? first) : first;
    const found = this.#search(start, last) ?? this.#search(first, start - 1n);
    if (found === undefined) {
      throw new UnavailableError('no available addresses on this pool');
    }
    this.#used.add(found);
    if (options.isSerial) {
      this.#cursors.set(key, found === last ? first : found + 1n);
    }
    return { family: this.subnet.family, value: found };
  }

  /** Gives an address back; a no-op when it was free. */
  release(address: IpAddress): void {
    this.#used.delete(address.value);
  }

  #search(from: bigint, to: bigint): bigint | undefined {
    for (let value = from; value <= to; value += 1n) {
      if (!this.#used.has(value)) {
        return value;
      }
    }
    return undefined;
  }
}

interface PoolEntry {
  readonly pool: AddressPool;
  readonly ranges: Set<string>;
  /** Requests for the subnet as a whole. */
  wholeUsers: number;
}

/** All subnets of one address family. */
export class AddressSpace {
  readonly #family: Family;
  readonly #sources: readonly SubnetSource[];
  readonly #pools = new Map<string, PoolEntry>();

  constructor(family: Family, sources: readonly SubnetSource[]) {
    this.#family = family;
    this.#sources = sources.filter((source) => source.base.family === family);
  }

  /**
   * Takes a named subnet.
   *
   * @param range  the part of it from which addresses will be taken
   * @throws ForbiddenError  it overlaps with one that is taken
   */
  requestNamed(subnet: Prefix, range: Prefix | undefined): AddressPool {
    const key = formatPrefix(masked(subnet));
    const entry = this.#pools.get(key);
    const rangeKey = range === undefined ? undefined : formatPrefix(masked(range));
    const isTaken =
      entry === undefined
        ? rangeKey === undefined && this.#overlapsAny(subnet)
        : rangeKey === undefined || entry.ranges.has(rangeKey);
    if (isTaken) {
      throw new ForbiddenError(
        'invalid pool request: Pool overlaps with other one on this address space',
      );
    }
    return this.#take(key, subnet, rangeKey);
  }

  /**
   * Takes the first subnet of the configured blocks that is neither taken nor in `reserved`.
   *
   * @throws InvalidParameterError  no block has room
   */
  requestAny(reserved: readonly Prefix[]): AddressPool {
    const taken = [...reserved, ...[...this.#pools.values()].map((entry) => entry.pool.subnet)];
    for (const source of this.#sources) {
      const step = 1n << BigInt(widthOf(this.#family) - source.size);
      const end = lastOf(source.base);
      let value = masked(source.base).value;
      while (value + step - 1n <= end) {
        const candidate: Prefix = { family: this.#family, value, bits: source.size };
        const conflict = taken.find((prefix) => overlaps(prefix, candidate));
        if (conflict === undefined) {
          return this.#take(formatPrefix(candidate), candidate, undefined);
        }
        // Past the whole obstacle at once: it may be far larger than a subnet.
        const after = lastOf(conflict) + 1n;
        value = after > value + step ? after + ((step - (after % step)) % step) : value + step;
      }
    }
    throw new InvalidParameterError('all predefined address pools have been fully subnetted');
  }

  /** The pool of a taken subnet. */
  find(subnet: Prefix): AddressPool | undefined {
    return this.#pools.get(formatPrefix(masked(subnet)))?.pool;
  }

  /** Gives back what `requestNamed` or `requestAny` took; a no-op when it was not taken. */
  release(subnet: Prefix, range: Prefix | undefined): void {
    const key = formatPrefix(masked(subnet));
    const entry = this.#pools.get(key);
    if (entry === undefined) {
      return;
    }
    if (range === undefined) {
      entry.wholeUsers -= 1;
    } else {
      entry.ranges.delete(formatPrefix(masked(range)));
    }
    if (entry.wholeUsers <= 0 && entry.ranges.size === 0) {
      this.#pools.delete(key);
    }
  }

  #overlapsAny(subnet: Prefix): boolean {
    return [...this.#pools.values()].some((entry) => overlaps(entry.pool.subnet, subnet));
  }

  #take(key: string, subnet: Prefix, rangeKey: string | undefined): AddressPool {
    const entry = this.#pools.get(key) ?? {
      pool: new AddressPool(subnet),
      ranges: new Set<string>(),
      wholeUsers: 0,
    };
    this.#pools.set(key, entry);
    if (rangeKey === undefined) {
      entry.wholeUsers += 1;
    } else {
      entry.ranges.add(rangeKey);
    }
    return entry.pool;
  }
}

/** Blocks that Docker cuts subnets from when none are configured. */
export const DEFAULT_SUBNET_SOURCES: readonly { readonly base: string; readonly size: number }[] = [
  { base: '172.17.0.0/16', size: 16 },
  { base: '172.18.0.0/16', size: 16 },
  { base: '172.19.0.0/16', size: 16 },
  { base: '172.20.0.0/14', size: 16 },
  { base: '172.24.0.0/14', size: 16 },
  { base: '172.28.0.0/14', size: 16 },
  { base: '192.168.0.0/16', size: 20 },
];

/** True when a source can be cut at all: its base is at least as large as its pieces. */
export function isUsableSource(source: SubnetSource): boolean {
  return (
    source.size >= source.base.bits &&
    source.size <= widthOf(source.base.family) &&
    sizeOf(source.base) > 0n
  );
}
