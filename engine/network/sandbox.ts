/** One container's plugs, names, ports and files, as they are now. */
import { shortId } from '../base/ids.ts';
import { bridgeView } from './bridge.ts';
import type { EndpointSettings, Sandbox } from './contract.ts';
import type { NetworkCore } from './core.ts';
import { type NamedEndpoint, resolveFor, type VisibleNetwork } from './dns/name-index.ts';
import type { DnsView } from './dns/server.ts';
import {
  type ContainerResolvConf,
  containerResolvConf,
  type DnsSettings,
  hostsFile,
} from './hosts-files.ts';
import { type EndpointRecord, isUserDefined, type SandboxRecord } from './model.ts';
import { NETNS_FOLDER } from './names.ts';
import {
  chooseDnsPlug,
  chooseGateways,
  comparePlugs,
  endpointSettings,
  gatewaysOf,
  hasWayOut,
  type Plug,
} from './plug.ts';
import type { PortTarget } from './port-allocator.ts';
import type { SandboxPorts } from './ports.ts';

/** Names under which a container is known in a user-defined network; the first is its full name there. */
export function dnsNamesOf(
  container: { readonly id: string; readonly name: string; readonly hostname: string },
  aliases: readonly string[],
): string[] {
  const all = [container.name, ...aliases, shortId(container.id), container.hostname];
  return [...new Set(all.filter((name) => name !== ''))];
}

/** Sandbox in memory; `record` is what is on disk. */
export class SandboxState implements DnsView {
  readonly #core: NetworkCore;
  readonly ports: SandboxPorts;
  record: SandboxRecord;
  #named: NamedEndpoint[] = [];

  constructor(core: NetworkCore, record: SandboxRecord, ports: SandboxPorts) {
    this.#core = core;
    this.record = record;
    this.ports = ports;
  }

  /** Endpoints whose networks exist, best default gateway first. */
  get plugs(): Plug[] {
    return this.record.endpoints
      .flatMap((endpoint): Plug[] => {
        const network = this.#core.networks.get(endpoint.networkId);
        return network === undefined ? [] : [{ network, endpoint }];
      })
      .sort(comparePlugs);
  }

  /** True in the namespace of the host. */
  get isHost(): boolean {
    return this.record.netns === '';
  }

  /** All addresses from which this container may send. */
  get addresses(): string[] {
    return this.record.endpoints
      .flatMap((endpoint) => [endpoint.ipv4, endpoint.ipv6, endpoint.dnsSource])
      .filter((address) => address !== '');
  }

  /** Makes the names of all endpoints known. */
  announce(): void {
    this.conceal();
    this.#named = this.plugs
      .filter(({ endpoint }) => endpoint.dnsNames.length > 0)
      .map(({ network, endpoint }) => ({
        networkId: network.id,
        names: endpoint.dnsNames,
        ipv4: endpoint.ipv4,
        ipv6: endpoint.ipv6,
      }));
    for (const named of this.#named) {
      this.#core.index.add(named);
    }
  }

  /** Takes all names back. */
  conceal(): void {
    for (const named of this.#named) {
      this.#core.index.remove(named);
    }
    this.#named = [];
  }

  /** Where published ports lead. */
  portTarget(isHostIPv6Usable: boolean): PortTarget {
    const { ipv4, ipv6 } = chooseGateways(this.plugs);
    const bridge4 = ipv4?.network.driver === 'bridge' ? ipv4 : undefined;
    const bridge6 = ipv6?.network.driver === 'bridge' ? ipv6 : undefined;
    const settings4 = bridge4 && bridgeView(bridge4.network).settings;
    const settings6 = bridge6 && bridgeView(bridge6.network).settings;
    const bindingAddress = (settings4 ?? settings6)?.bindingAddress ?? '';
    return {
      ipv4: bridge4?.endpoint.ipv4 ?? '',
      ipv6: bridge6?.endpoint.ipv6 ?? '',
      mode4: settings4?.gatewayMode4 ?? 'nat',
      mode6: settings6?.gatewayMode6 ?? 'nat',
      defaultHostIp: bindingAddress || this.#core.config.defaultHostIp || '0.0.0.0',
      isHostIPv6Usable,
    };
  }

  /** Endpoint that carries the published ports, for messages. */
  get portEndpoint(): EndpointRecord | undefined {
    const { ipv4, ipv6 } = chooseGateways(this.plugs);
    return (ipv4 ?? ipv6)?.endpoint;
  }

  /** What callers see. */
  view(): Sandbox {
    const plugs = this.plugs;
    const endpoints = new Map<string, EndpointSettings>(
      plugs.map((plug) => [plug.network.name, endpointSettings(plug)]),
    );
    return {
      containerId: this.record.containerId,
      netnsPath: this.isHost ? '' : `${NETNS_FOLDER}/${this.record.netns}`,
      endpoints,
      ports: this.ports.bindings,
      hostsFile: this.#hostsFile(plugs),
      resolvConf: this.#resolvConf(plugs).text,
    };
  }

  // DnsView

  resolveName(name: string, family: 4 | 6): readonly string[] | undefined {
    return resolveFor(this.#core.index, this.#visible(), { name, family });
  }

  resolveAddress(address: string): string | undefined {
    for (const network of this.#visible()) {
      const name = this.#core.index.nameOf(network.id, address);
      if (name !== undefined) {
        return `${name}.${network.name}`;
      }
    }
    return undefined;
  }

  get upstream(): readonly string[] {
    const plugs = this.plugs;
    // What is on internal networks only must not get out by way of the host's name servers.
    return hasWayOut(plugs) ? this.#resolvConf(plugs).upstream : [];
  }

  get keepsBareNames(): boolean {
    return this.#resolvConf(this.plugs).hasNdots;
  }

  #visible(): VisibleNetwork[] {
    return this.plugs.map(({ network, endpoint }) => ({
      id: network.id,
      name: network.name,
      links: endpoint.links,
    }));
  }

  #dnsSettings(): DnsSettings {
    const own = this.record.dns;
    const defaults = this.#core.config.dns;
    const pick = (mine: readonly string[], fallback: readonly string[]): readonly string[] =>
      mine.length > 0 ? mine : fallback;
    return {
      servers: pick(own.servers, defaults.servers),
      search: pick(own.search, defaults.search),
      options: pick(own.options, defaults.options),
    };
  }

  #resolvConf(plugs: readonly Plug[]): ContainerResolvConf {
    let kind: 'embedded' | 'direct' | 'host' = 'direct';
    if (this.isHost) {
      kind = 'host';
    } else if (chooseDnsPlug(plugs) !== undefined && this.#core.config.isFirewallEnabled) {
      kind = 'embedded';
    }
    const hasIPv6 = plugs.some((plug) => gatewaysOf(plug).ipv6 !== '');
    return containerResolvConf(this.#core.resolvConf, this.#dnsSettings(), { kind, hasIPv6 });
  }

  #hostsFile(plugs: readonly Plug[]): string {
    // Addresses stand in order of interfaces, as they were plugged in.
    const ordered = [...plugs].sort((a, b) =>
      a.endpoint.interfaceName.localeCompare(b.endpoint.interfaceName, 'en', { numeric: true }),
    );
    return hostsFile({
      hostname: this.record.hostname,
      domainName: this.record.domainName,
      extraHosts: this.record.extraHosts,
      hostGateways: this.#core.hostGateways,
      links: this.record.links,
      addresses: ordered
        .flatMap(({ endpoint }) => [endpoint.ipv4, endpoint.ipv6])
        .filter((address) => address !== ''),
      hasIPv6: !this.record.isIPv6Disabled,
    });
  }
}

/** True when DNS by name is offered in at least one of the networks. */
export function hasNames(plugs: readonly Plug[]): boolean {
  return plugs.some((plug) => isUserDefined(plug.network.name));
}
