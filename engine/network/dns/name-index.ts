/** Names and addresses of containers, network by network. */

/** What a container is known by in one network. */
export interface NamedEndpoint {
  readonly networkId: string;
  /** The first one is the answer to reverse lookups. */
  readonly names: readonly string[];
  readonly ipv4: string;
  readonly ipv6: string;
}

interface NetworkNames {
  readonly byName: Map<string, Set<NamedEndpoint>>;
  readonly byAddress: Map<string, NamedEndpoint>;
}

/** Index over all endpoints in networks with names. Names match regardless of case. */
export class NameIndex {
  readonly #networks = new Map<string, NetworkNames>();

  /** Adds an endpoint; to be removed with the same object. */
  add(endpoint: NamedEndpoint): void {
    const network = this.#networks.get(endpoint.networkId) ?? {
      byName: new Map<string, Set<NamedEndpoint>>(),
      byAddress: new Map<string, NamedEndpoint>(),
    };
    this.#networks.set(endpoint.networkId, network);
    for (const name of endpoint.names) {
      const key = name.toLowerCase();
      network.byName.set(key, (network.byName.get(key) ?? new Set<NamedEndpoint>()).add(endpoint));
    }
    for (const address of [endpoint.ipv4, endpoint.ipv6]) {
      if (address !== '') {
        network.byAddress.set(address, endpoint);
      }
    }
  }

  /** Removes an endpoint; a no-op when it is not there. */
  remove(endpoint: NamedEndpoint): void {
    const network = this.#networks.get(endpoint.networkId);
    if (network === undefined) {
      return;
    }
    for (const name of endpoint.names) {
      const key = name.toLowerCase();
      const set = network.byName.get(key);
      set?.delete(endpoint);
      if (set?.size === 0) {
        network.byName.delete(key);
      }
    }
    for (const address of [endpoint.ipv4, endpoint.ipv6]) {
      if (network.byAddress.get(address) === endpoint) {
        network.byAddress.delete(address);
      }
    }
    if (network.byName.size === 0 && network.byAddress.size === 0) {
      this.#networks.delete(endpoint.networkId);
    }
  }

  /** Addresses of a name in a network; undefined = nobody has it. */
  addresses(networkId: string, name: string, family: 4 | 6): readonly string[] | undefined {
    const endpoints = this.#networks.get(networkId)?.byName.get(name.toLowerCase());
    return endpoints === undefined
      ? undefined
      : [...endpoints]
          .map((endpoint) => (family === 4 ? endpoint.ipv4 : endpoint.ipv6))
          .filter((text) => text !== '');
  }

  /** Name of an address in a network. */
  nameOf(networkId: string, address: string): string | undefined {
    return this.#networks.get(networkId)?.byAddress.get(address)?.names[0];
  }
}

/** A network as one container sees it. */
export interface VisibleNetwork {
  readonly id: string;
  readonly name: string;
  /** Own names for other containers: alias -> name. */
  readonly links: Readonly<Record<string, string>>;
}

/**
 * Addresses of a name for a container: `NAME` in any of its networks, or `NAME.NETWORK`. Both parts may have dots.
 *
 * @returns undefined when no container has that name
 */
export function resolveFor(
  index: NameIndex,
  networks: readonly VisibleNetwork[],
  query: { readonly name: string; readonly family: 4 | 6 },
): readonly string[] | undefined {
  const labels = query.name.split('.');
  for (let count = labels.length; count > 0; count -= 1) {
    const name = labels.slice(0, count).join('.');
    const networkName = labels.slice(count).join('.');
    const candidates = networks.filter(
      (network) => networkName === '' || network.name === networkName,
    );
    for (const isAlias of [true, false]) {
      for (const network of candidates) {
        const linked = network.links[name];
        const target = isAlias ? linked : linked === undefined ? name : undefined;
        const found =
          target === undefined ? undefined : index.addresses(network.id, target, query.family);
        if (found !== undefined) {
          return found;
        }
      }
    }
  }
  return undefined;
}
