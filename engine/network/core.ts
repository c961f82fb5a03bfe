/** What the halves of the network service share: networks known now, and the hands they work with. */
import { ForbiddenError, InvalidParameterError, NotFoundError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { AddressBook } from './address-book.ts';
import { parsePrefix } from './addresses.ts';
import { bridgeView } from './bridge.ts';
import type { NetworkConfig } from './config.ts';
import { NameIndex } from './dns/name-index.ts';
import { Firewall } from './firewall.ts';
import { readHostResolvConf } from './host.ts';
import type { ResolvConf } from './hosts-files.ts';
import { DEFAULT_SUBNET_SOURCES, isUsableSource, type SubnetSource } from './ipam.ts';
import {
  type NetworkRecord,
  networkRecordSchema,
  type SandboxRecord,
  sandboxRecordSchema,
} from './model.ts';
import { EngineNames, uniqueLocalBase } from './names.ts';
import { NetworkDevices } from './network-devices.ts';
import { RecordFolder } from './network-store.ts';
import { IpTool, NftTool } from './tools.ts';

const HOST_RESOLV_CONF = '/etc/resolv.conf';
/** The host's name servers change when a laptop moves; containers follow within this time. */
const RESOLV_CONF_AGE_MS = 5000;

function subnetSources(config: NetworkConfig): SubnetSource[] {
  const given = config.addressPools.length > 0 ? config.addressPools : DEFAULT_SUBNET_SOURCES;
  const hasIPv6 = given.some((source) => source.base.includes(':'));
  const all = hasIPv6 ? given : [...given, { base: uniqueLocalBase(config.dataRoot), size: 64 }];
  return all.map(({ base, size }) => {
    const prefix = parsePrefix(base);
    const source = prefix === undefined ? undefined : { base: prefix, size };
    if (source === undefined || !isUsableSource(source)) {
      throw new InvalidParameterError(`invalid default address pool: base ${base}, size ${size}`);
    }
    return source;
  });
}

/** Shared state of the network service. */
export class NetworkCore implements AsyncDisposable {
  readonly config: NetworkConfig;
  readonly log: Logger;
  readonly names: EngineNames;
  readonly ip = new IpTool();
  readonly nft = new NftTool();
  readonly book: AddressBook;
  readonly devices: NetworkDevices;
  readonly firewall: Firewall;
  readonly index = new NameIndex();
  /** By id. */
  readonly networks = new Map<string, NetworkRecord>();
  readonly networkRecords: RecordFolder<NetworkRecord>;
  readonly sandboxRecords: RecordFolder<SandboxRecord>;
  #resolvConf: ResolvConf = { servers: [], search: [], options: [], other: [] };
  #resolvConfReadAtMs = Number.NEGATIVE_INFINITY;

  constructor(config: NetworkConfig) {
    this.config = config;
    this.log = config.log;
    this.names = new EngineNames(config.hash);
    this.book = new AddressBook(subnetSources(config));
    this.devices = new NetworkDevices({ ip: this.ip, names: this.names, log: config.log });
    this.firewall = new Firewall({
      nft: this.nft,
      names: this.names,
      isEnabled: config.isFirewallEnabled,
      log: config.log,
    });
    this.networkRecords = new RecordFolder(`${config.dataRoot}/networks`, {
      schema: networkRecordSchema,
      isDurable: true,
      log: config.log,
    });
    this.sandboxRecords = new RecordFolder(this.stateFolder, {
      schema: sandboxRecordSchema,
      isDurable: false,
      log: config.log,
    });
  }

  /** Folder of what lasts until the next boot. */
  get stateFolder(): string {
    return `${this.config.execRoot}/network`;
  }

  /** By full id, then name, then unambiguous beginning of an id. @throws NotFoundError */
  get(ref: string): NetworkRecord {
    const all = [...this.networks.values()];
    const exact = this.networks.get(ref) ?? all.find((network) => network.name === ref);
    if (exact !== undefined) {
      return exact;
    }
    const byPrefix = ref === '' ? [] : all.filter((network) => network.id.startsWith(ref));
    const [found] = byPrefix;
    if (byPrefix.length > 1) {
      throw new InvalidParameterError(
        `network ${ref} is ambiguous (${byPrefix.length} matches found based on ID prefix)`,
      );
    }
    if (found === undefined) {
      throw new NotFoundError(`network ${ref} not found`);
    }
    return found;
  }

  /** Like {@link get}, for plugging something in. @throws ForbiddenError  a network that is configuration only */
  getPluggable(ref: string): NetworkRecord {
    const network = this.get(ref);
    if (network.isConfigOnly) {
      throw new ForbiddenError('cannot create endpoint on configuration-only network');
    }
    return network;
  }

  /** What `host-gateway` stands for. */
  get hostGateways(): readonly string[] {
    if (this.config.hostGateways.length > 0) {
      return this.config.hostGateways;
    }
    const bridge = [...this.networks.values()].find((network) => network.name === 'bridge');
    if (bridge === undefined) {
      return [];
    }
    const { ipv4, ipv6 } = bridgeView(bridge);
    return [ipv4?.hostAddress ?? '', ipv6?.hostAddress ?? ''].filter((address) => address !== '');
  }

  /** The host's resolver settings as last read. */
  get resolvConf(): ResolvConf {
    if (performance.now() - this.#resolvConfReadAtMs > RESOLV_CONF_AGE_MS) {
      void this.refreshResolvConf();
    }
    return this.#resolvConf;
  }

  /** Reads the host's resolver settings unless they were read a moment ago. */
  async refreshResolvConf(): Promise<ResolvConf> {
    const now = performance.now();
    if (now - this.#resolvConfReadAtMs > RESOLV_CONF_AGE_MS) {
      this.#resolvConfReadAtMs = now;
      try {
        this.#resolvConf = await readHostResolvConf(HOST_RESOLV_CONF);
      } catch (error) {
        this.log.warn('resolver settings of the host could not be read', { error });
      }
    }
    return this.#resolvConf;
  }

  /** Tells the event log. */
  publish(
    action: string,
    network: NetworkRecord,
    attributes: Readonly<Record<string, string>> = {},
  ): void {
    this.config.events.publish({
      type: 'network',
      action,
      id: network.id,
      attributes: { ...attributes, name: network.name, type: network.driver },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ip[Symbol.asyncDispose]();
    await this.nft[Symbol.asyncDispose]();
  }
}
