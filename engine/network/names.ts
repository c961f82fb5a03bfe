/** Names of everything this engine makes in the kernel. All carry the engine's hash, so two engines never meet. */
import { createHash, randomBytes } from 'node:crypto';

/** Six hexadecimal digits that tell engines on one machine apart, derived from the path of the data root. */
export function engineHash(dataRoot: string): string {
  return createHash('sha256').update(dataRoot).digest('hex').slice(0, 6);
}

/** The /48 from which IPv6 subnets of networks that name none are cut: unique local, stable for a data root. */
export function uniqueLocalBase(dataRoot: string): string {
  const digits = createHash('sha256').update(`ula:${dataRoot}`).digest('hex').slice(0, 10);
  return `fd${digits.slice(0, 2)}:${digits.slice(2, 6)}:${digits.slice(6, 10)}::/48`;
}

/** Where `ip netns` looks for names. */
export const NETNS_FOLDER = '/run/netns';

/** Longest interface name the kernel takes. */
export const MAX_INTERFACE_NAME = 15;

/** The names of one engine. */
export class EngineNames {
  readonly hash: string;
  /** nftables table, in the families `inet` and `bridge`. */
  readonly table: string;
  /** `ifalias` of bridges and parent links, comment of rules in other tables. */
  readonly mark: string;
  /** Beginning of the names of the host ends of veth pairs; six digits of the hash leave room for seven of chance. */
  readonly vethPrefix: string;
  readonly #netnsPrefix: string;
  /** Number of the routing table for networks in which the host has no address. */
  readonly routingTable: number;

  constructor(hash: string) {
    this.hash = hash;
    this.table = `gantry_${hash}`;
    this.mark = `gantry:${hash}`;
    this.vethPrefix = `gv${hash}`;
    this.#netnsPrefix = `gantry-${hash}-`;
    this.routingTable = 0x47_00_00_00 + Number.parseInt(hash, 16);
  }

  /** Name under /run/netns of a container's namespace. */
  netns(containerId: string): string {
    return `${this.#netnsPrefix}${containerId.slice(0, 12)}`;
  }

  /** True for namespaces of this engine. */
  isNetns(name: string): boolean {
    return name.startsWith(this.#netnsPrefix);
  }

  /** A fresh name for the host end of a veth pair. */
  newVeth(): string {
    return (
      this.vethPrefix +
      randomBytes(4)
        .toString('hex')
        .slice(0, MAX_INTERFACE_NAME - this.vethPrefix.length)
    );
  }
}

/** Default device of a user-defined bridge network. */
export function bridgeDeviceOf(networkId: string): string {
  return `br-${networkId.slice(0, 12)}`;
}

/** Device that stands in for a missing parent of a macvlan or ipvlan network. */
export function dummyParentOf(networkId: string, driver: 'macvlan' | 'ipvlan'): string {
  return `${driver === 'macvlan' ? 'dm' : 'di'}-${networkId.slice(0, 12)}`;
}
