/** Which host ports are given to containers of this engine. Pure accounting: sockets are `port-proxy.ts`. */
import { ConflictError, InvalidParameterError } from '../base/errors.ts';
import { formatAddress, isUnspecified, parseAddress } from './addresses.ts';
import type { PortBinding } from './contract.ts';
import type { GatewayMode } from './model.ts';

/** Transport protocols that can be published. */
export type Protocol = PortBinding['protocol'];

interface Range {
  readonly first: number;
  readonly last: number;
}

/** Ports in use, per host address and protocol. */
export class PortAllocator {
  readonly #ephemeral: Range;
  /** `protocol address` -> ports. */
  readonly #used = new Map<string, Set<number>>();
  /** Where the search of a range goes on: a released port is not at once given out again. */
  readonly #cursors = new Map<string, number>();

  /** @param ephemeral  from which ports are taken when none is named */
  constructor(ephemeral: Range) {
    this.#ephemeral = ephemeral;
  }

  /** How many ports a request with these bounds can be given. */
  countOf(first: number, last: number): number {
    const range = first === 0 ? this.#ephemeral : { first, last };
    return range.last - range.first + 1;
  }

  /**
   * Takes one port on all `addresses`.
   *
   * @param first  0 = from the ephemeral range
   * @throws ConflictError  taken; InvalidParameterError  bounds make no range
   */
  request(addresses: readonly string[], protocol: Protocol, first: number, last: number): number {
    if (first === 0 ? last !== 0 : last < first || last > 65_535) {
      throw new InvalidParameterError(`invalid port range: ${first}-${last}`);
    }
    const range = first === 0 ? this.#ephemeral : { first, last };
    const isExact = first !== 0 && first === last;
    const cursorKey = `${protocol} ${addresses[0] ?? ''} ${range.first}-${range.last}`;
    const start = this.#cursors.get(cursorKey) ?? range.first;
    const count = range.last - range.first + 1;
    for (let step = 0; step < count; step += 1) {
      const port = range.first + ((start - range.first + step) % count);
      const conflict = addresses.find((address) => this.#isTaken(address, protocol, port));
      if (conflict === undefined) {
        for (const address of addresses) {
          this.#setOf(address, protocol).add(port);
        }
        this.#cursors.set(cursorKey, port === range.last ? range.first : port + 1);
        return port;
      }
      if (isExact) {
        throw new ConflictError(`Bind for ${conflict}:${port} failed: port is already allocated`);
      }
    }
    throw new ConflictError('all ports are allocated');
  }

  /** Gives a port back; a no-op when it was free. */
  release(address: string, protocol: Protocol, port: number): void {
    this.#setOf(address, protocol).delete(port);
  }

  #setOf(address: string, protocol: Protocol): Set<number> {
    const key = `${protocol} ${address}`;
    const set = this.#used.get(key) ?? new Set<number>();
    this.#used.set(key, set);
    return set;
  }

  /** An unspecified address collides with every address of its family. */
  #isTaken(address: string, protocol: Protocol, port: number): boolean {
    const isIPv6 = address.includes(':');
    const isAny = address === '0.0.0.0' || address === '::';
    for (const [key, ports] of this.#used) {
      const [usedProtocol, usedAddress = ''] = key.split(' ');
      const isSameFamily = usedAddress.includes(':') === isIPv6;
      const isUsedAny = usedAddress === '0.0.0.0' || usedAddress === '::';
      if (
        usedProtocol === protocol &&
        isSameFamily &&
        (isAny || isUsedAny || usedAddress === address) &&
        ports.has(port)
      ) {
        return true;
      }
    }
    return false;
  }
}

/** Where the ports of a sandbox lead, by address family. */
export interface PortTarget {
  /** '' = the container has no address that ports can lead to. */
  readonly ipv4: string;
  readonly ipv6: string;
  readonly mode4: GatewayMode;
  readonly mode6: GatewayMode;
  /** Address for ports that name none. */
  readonly defaultHostIp: string;
  readonly isHostIPv6Usable: boolean;
}

/** A port to be bound on one host address. */
export interface PortPlan {
  readonly binding: PortBinding;
  /** Canonical host address. */
  readonly hostIp: string;
  readonly containerIp: string;
  /** False in routed mode: the container's own address is opened, no host port is taken. */
  readonly isTranslated: boolean;
}

function isRange(binding: PortBinding): boolean {
  return binding.hostPort === 0 || (binding.hostPortEnd ?? binding.hostPort) !== binding.hostPort;
}

const PROTOCOL_ORDER: readonly Protocol[] = ['tcp', 'udp', 'sctp'];

/** None, then IPv4, then IPv6, by number. */
function compareAddresses(a: string, b: string): number {
  const [first, second] = [parseAddress(a), parseAddress(b)];
  if (first === undefined || second === undefined) {
    return Number(first !== undefined) - Number(second !== undefined);
  }
  return (
    first.family - second.family ||
    (first.value < second.value ? -1 : Number(first.value > second.value))
  );
}

/** Exact ports first, so that a range does not take one of them; equal requests for other addresses side by side. */
function compareBindings(a: PortBinding, b: PortBinding): number {
  return (
    Number(isRange(a)) - Number(isRange(b)) ||
    a.containerPort - b.containerPort ||
    PROTOCOL_ORDER.indexOf(a.protocol) - PROTOCOL_ORDER.indexOf(b.protocol) ||
    a.hostPort - b.hostPort ||
    (a.hostPortEnd ?? a.hostPort) - (b.hostPortEnd ?? b.hostPort) ||
    compareAddresses(a.hostIp, b.hostIp)
  );
}

function needsSamePort(a: PortBinding, b: PortBinding): boolean {
  return (
    a.containerPort === b.containerPort &&
    a.protocol === b.protocol &&
    a.hostPort === b.hostPort &&
    (a.hostPortEnd ?? a.hostPort) === (b.hostPortEnd ?? b.hostPort)
  );
}

function planIPv4(binding: PortBinding, target: PortTarget): PortPlan | undefined {
  if (target.ipv4 === '' || target.mode4 === 'isolated') {
    return undefined;
  }
  const requested = binding.hostIp === '' ? target.defaultHostIp : binding.hostIp;
  const address = parseAddress(requested);
  if (address?.family !== 4) {
    return undefined;
  }
  const isTranslated = target.mode4 !== 'routed';
  return {
    binding,
    hostIp: isTranslated ? formatAddress(address) : '0.0.0.0',
    containerIp: target.ipv4,
    isTranslated,
  };
}

function planIPv6(binding: PortBinding, target: PortTarget): PortPlan | undefined {
  const hasOwn = target.ipv6 !== '' && target.mode6 !== 'isolated';
  const containerIp = hasOwn ? target.ipv6 : target.ipv4;
  if (containerIp === '' || (!hasOwn && target.mode4 === 'isolated')) {
    return undefined;
  }
  let requested = binding.hostIp;
  if (requested === '') {
    const fallback = parseAddress(target.defaultHostIp);
    if (fallback?.family === 4) {
      // Without an address in the request, all of IPv4 means all of IPv6 too.
      if (!isUnspecified(fallback) || !target.isHostIPv6Usable) {
        return undefined;
      }
      requested = '::';
    } else {
      requested = target.defaultHostIp;
    }
  }
  const address = parseAddress(requested);
  if (address?.family !== 6) {
    return undefined;
  }
  const isTranslated = !(hasOwn && target.mode6 === 'routed');
  return {
    binding,
    hostIp: isTranslated ? formatAddress(address) : '::',
    containerIp,
    isTranslated,
  };
}

/** Groups of ports that must get the same host port, in the order in which they are bound. */
export function planPorts(bindings: readonly PortBinding[], target: PortTarget): PortPlan[][] {
  const sorted = [...bindings].sort(compareBindings);
  const groups: PortPlan[][] = [];
  let group: PortPlan[] = [];
  for (const [index, binding] of sorted.entries()) {
    const plans = [planIPv4(binding, target), planIPv6(binding, target)];
    group.push(...plans.filter((plan) => plan !== undefined));
    const next = sorted[index + 1];
    if (next === undefined || !needsSamePort(binding, next)) {
      if (group.length > 0) {
        groups.push(group);
      }
      group = [];
    }
  }
  return groups;
}
