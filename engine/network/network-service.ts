/** The network service of an engine on Linux: bridges, macvlan and ipvlan by `ip`, firewall by `nft`, DNS by itself. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { KeyedLock } from '../base/async.ts';
import {
  ConflictError,
  ForbiddenError,
  InvalidParameterError,
  messageOf,
  SystemError,
} from '../base/errors.ts';
import { newId } from '../base/ids.ts';
import { readTextIfThere, writeFileAtomic } from '../base/node/atomic-file.ts';
import { formatAddress, formatPrefix, masked, parsePrefix } from './addresses.ts';
import { firewallNetworkOf } from './bridge.ts';
import type { NetworkConfig } from './config.ts';
import type {
  EndpointSettings,
  NetworkCreateRequest,
  NetworkResource,
  NetworkService,
  Sandbox,
  SandboxRequest,
} from './contract.ts';
import { NetworkCore } from './core.ts';
import { DnsServer } from './dns/server.ts';
import type { FirewallNetwork } from './firewall-rules.ts';
import { devicePrefixes, findDevice, hasIPv6, reservedPrefixes, setSysctl } from './host.ts';
import { type IpamConfig, type NetworkRecord, PREDEFINED_NETWORKS } from './model.ts';
import { type DraftContext, draftNetwork, timestamp } from './network-draft.ts';
import { networkResource } from './network-resource.ts';
import { OPTION } from './options.ts';
import { PortAllocator } from './port-allocator.ts';
import { ephemeralRange } from './ports.ts';
import { Sandboxes, started } from './sandboxes.ts';
import { checkEndpoint, joinMessages } from './validation.ts';
import { isVlan, parentOf } from './vlan.ts';

/** How often rules are looked after while containers run. */
const CHECK_INTERVAL_MS = 30_000;
const DEFAULT_MTU = 1500;

/** @see NetworkService */
export class LinuxNetworkService implements NetworkService {
  readonly #config: NetworkConfig;
  readonly #core: NetworkCore;
  readonly #lock = new KeyedLock();
  readonly #dns: DnsServer;
  #sandboxes: Sandboxes | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(config: NetworkConfig) {
    this.#config = config;
    this.#core = new NetworkCore(config);
    this.#dns = new DnsServer((address) => this.#sandboxes?.findByAddress(address), config.log);
  }

  async start(): Promise<void> {
    const core = this.#core;
    await mkdir(core.stateFolder, { recursive: true, mode: 0o700 });
    const [records, sandboxRecords, range, isHostIPv6Usable] = await Promise.all([
      core.networkRecords.load(),
      core.sandboxRecords.load(),
      ephemeralRange(),
      hasIPv6(),
      core.refreshResolvConf(),
    ]);
    const sandboxes = new Sandboxes(core, {
      allocator: new PortAllocator(range),
      isHostIPv6Usable,
    });
    this.#sandboxes = sandboxes;
    if (this.#config.isForwardingEnabled) {
      await setSysctl('ipv4/ip_forward', '1', this.#config.log);
    }
    await this.#listenDns();
    for (const record of records) {
      if (record.name !== 'bridge') {
        this.#replay(record);
      }
    }
    await this.#ensureSpecial('host', 'host');
    await this.#ensureSpecial('none', 'null');
    await this.#ensureDefaultBridge(records.find((record) => record.name === 'bridge'));
    await core.devices.flushRoutes();
    for (const record of core.networks.values()) {
      await this.#ensureDevice(record);
    }
    core.firewall.prime({ networks: this.#firewallNetworks(), dnsPort: this.#dns.port });
    for (const record of sandboxRecords) {
      await sandboxes.adopt(record);
    }
    await core.firewall.reload();
    // The helpers are running by the time the first container needs them.
    await Promise.all([core.firewall.ensure(), core.ip.attempt(['link show dev lo'])]);
    this.#timer = setInterval(() => void this.check(), CHECK_INTERVAL_MS);
    this.#timer.unref();
  }

  async reconcile(running: readonly SandboxRequest[]): Promise<void> {
    const core = this.#core;
    const sandboxes = started(this.#sandboxes);
    await sandboxes.reconcile(running);
    await core.devices.sweep({
      ...sandboxes.known(),
      devices: new Set([...core.networks.values()].map((network) => network.device?.name ?? '')),
    });
  }

  /** Puts firewall rules back that someone removed; called by itself while containers run. Never throws. */
  async check(): Promise<void> {
    if ((this.#sandboxes?.size ?? 0) === 0) {
      return;
    }
    try {
      await this.#core.firewall.ensure();
      await this.#core.firewall.accommodateOthers();
    } catch (error) {
      this.#config.log.warn('firewall rules could not be checked', { reason: messageOf(error) });
    }
  }

  async create(
    request: NetworkCreateRequest,
  ): Promise<{ readonly id: string; readonly warning: string }> {
    const core = this.#core;
    const record = await this.#lock.run('', async () => {
      const draft = await draftNetwork(request, this.#draftContext());
      try {
        // The record comes first: a device without one would be swept, a record without one makes it.
        await core.networkRecords.save(draft.id, draft);
        core.networks.set(draft.id, draft);
        const device = await core.devices.ensure(draft);
        if (device !== undefined) {
          draft.device = device;
          await core.networkRecords.save(draft.id, draft);
        }
        if (draft.driver === 'bridge') {
          await core.firewall.setNetwork(draft.id, firewallNetworkOf(draft));
        }
        return draft;
      } catch (error) {
        await this.#erase(draft);
        throw error;
      }
    });
    core.publish('create', record);
    return { id: record.id, warning: '' };
  }

  async list(): Promise<readonly NetworkResource[]> {
    return [...this.#core.networks.values()].map((record) => networkResource(record, []));
  }

  async inspect(ref: string): Promise<NetworkResource> {
    const record = this.#core.get(ref);
    return networkResource(record, started(this.#sandboxes).endpointsIn(record.id));
  }

  async remove(ref: string): Promise<void> {
    const core = this.#core;
    const record = await this.#lock.run('', async () => {
      const found = core.get(ref);
      if (PREDEFINED_NETWORKS.has(found.name)) {
        throw new ForbiddenError(`${found.name} is a pre-defined network and cannot be removed`);
      }
      const active = started(this.#sandboxes).endpointsIn(found.id);
      if (active.length > 0) {
        const names = active.map(
          ({ state, endpoint }) =>
            `name:${JSON.stringify(state.record.containerName)} id:${JSON.stringify(endpoint.endpointId.slice(0, 12))}`,
        );
        throw new ForbiddenError(
          `error while removing network: network ${found.name} has active endpoints (${names.join(', ')})`,
        );
      }
      if (
        found.isConfigOnly &&
        [...core.networks.values()].some((other) => other.configFrom === found.name)
      ) {
        throw new ForbiddenError(
          `error while removing network: configuration network "${found.name}" is in use`,
        );
      }
      // Gone for everybody from here on; nothing waits between the check and this.
      core.networks.delete(found.id);
      await this.#erase(found);
      return found;
    });
    if (!record.isConfigOnly) {
      core.publish('destroy', record);
    }
  }

  async prune(select: (network: NetworkResource) => boolean): Promise<readonly string[]> {
    const removed: string[] = [];
    for (const record of this.#core.networks.values()) {
      const isFree = started(this.#sandboxes).endpointsIn(record.id).length === 0;
      if (PREDEFINED_NETWORKS.has(record.name) || !isFree || !select(networkResource(record, []))) {
        continue;
      }
      try {
        await this.remove(record.id);
        removed.push(record.name);
      } catch (error) {
        this.#config.log.warn('network could not be pruned', {
          network: record.name,
          reason: messageOf(error),
        });
      }
    }
    this.#config.events.publish({
      type: 'network',
      action: 'prune',
      id: '',
      attributes: { reclaimed: '0' },
    });
    return removed;
  }

  async openSandbox(request: SandboxRequest): Promise<Sandbox> {
    return await started(this.#sandboxes).open(this.#withoutMissingBridge(request));
  }

  findSandbox(containerId: string): Sandbox | undefined {
    return this.#sandboxes?.find(containerId)?.view();
  }

  async closeSandbox(containerId: string): Promise<void> {
    await started(this.#sandboxes).close(containerId);
  }

  async connect(
    containerId: string,
    network: string,
    settings: EndpointSettings,
  ): Promise<Sandbox> {
    return await started(this.#sandboxes).connect(
      containerId,
      this.#core.getPluggable(network),
      settings,
    );
  }

  async disconnect(containerId: string, network: string): Promise<Sandbox> {
    return await started(this.#sandboxes).disconnect(containerId, this.#core.get(network));
  }

  async rename(containerId: string, name: string): Promise<void> {
    await started(this.#sandboxes).rename(containerId, name);
  }

  async validate(endpoints: ReadonlyMap<string, EndpointSettings>): Promise<void> {
    const messages: string[] = [];
    for (const [ref, settings] of endpoints) {
      const network = this.#find(ref);
      const name = network?.name ?? ref;
      try {
        checkEndpoint(name, settings, PREDEFINED_NETWORKS.has(name) ? undefined : network?.pools);
      } catch (error) {
        messages.push(`invalid config for network ${ref}: ${messageOf(error)}`);
      }
    }
    if (messages.length > 0) {
      throw new InvalidParameterError(joinMessages(messages));
    }
  }

  /** Removes everything this engine has in the kernel, sandboxes included: for uninstalling, and for tests. */
  async teardown(): Promise<void> {
    const core = this.#core;
    const sandboxes = started(this.#sandboxes);
    await sandboxes.reconcile([]);
    await core.firewall.remove();
    await core.devices.flushRoutes();
    await core.devices.sweep({
      devices: new Set(),
      hostInterfaces: new Set(),
      namespaces: new Set(),
    });
  }

  /** Ends helpers, listeners and timers. Containers keep their networks. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#sandboxes?.dispose();
    await this.#dns[Symbol.asyncDispose]();
    await this.#core[Symbol.asyncDispose]();
  }

  #find(ref: string): NetworkRecord | undefined {
    try {
      return this.#core.get(ref);
    } catch {
      // It may come into being before the container is started.
      return undefined;
    }
  }

  /** Without a default bridge, containers that would be on it have loopback only. */
  #withoutMissingBridge(request: SandboxRequest): SandboxRequest {
    if (this.#config.bridgeName !== 'none' || !request.endpoints.has('bridge')) {
      return request;
    }
    return {
      ...request,
      endpoints: new Map([...request.endpoints].filter(([ref]) => ref !== 'bridge')),
    };
  }

  #draftContext(): DraftContext {
    const core = this.#core;
    return {
      get existing() {
        return [...core.networks.values()];
      },
      book: core.book,
      reserved: async (family) => reservedPrefixes(family, await core.refreshResolvConf()),
      defaultOptions: this.#config.defaultNetworkOptions,
    };
  }

  /** Removes record, rules, device and subnets of a network. */
  async #erase(record: NetworkRecord): Promise<void> {
    const core = this.#core;
    core.networks.delete(record.id);
    await core.networkRecords.remove(record.id);
    if (record.driver === 'bridge') {
      await core.firewall.setNetwork(record.id, undefined);
    }
    const isShared =
      isVlan(record.driver) &&
      [...core.networks.values()].some(
        (other) => other.driver === record.driver && parentOf(other) === parentOf(record),
      );
    await core.devices.remove(record, isShared);
    core.book.releasePools(record.pools);
  }

  #firewallNetworks(): Map<string, FirewallNetwork> {
    return new Map(
      [...this.#core.networks.values()].flatMap((record) => {
        const network = firewallNetworkOf(record);
        return network === undefined ? [] : [[record.id, network] as const];
      }),
    );
  }

  #replay(record: NetworkRecord): void {
    try {
      this.#core.book.replay(record.pools);
      this.#core.networks.set(record.id, record);
    } catch (error) {
      this.#config.log.error('stored network cannot be used', {
        network: record.name,
        reason: messageOf(error),
      });
    }
  }

  async #ensureDevice(record: NetworkRecord): Promise<void> {
    try {
      const device = await this.#core.devices.ensure(record);
      if (device !== undefined && JSON.stringify(device) !== JSON.stringify(record.device)) {
        record.device = device;
        await this.#core.networkRecords.save(record.id, record);
      }
    } catch (error) {
      if (record.name === 'bridge') {
        throw new SystemError(`error creating default "bridge" network: ${messageOf(error)}`, {
          cause: error,
        });
      }
      this.#config.log.error('device of a network could not be restored', {
        network: record.name,
        reason: messageOf(error),
      });
    }
  }

  /** Rules in the kernel name the port, so the one of the run before is taken again. */
  async #listenDns(): Promise<void> {
    const file = join(this.#core.stateFolder, 'dns-port');
    const before = Number((await readTextIfThere(file))?.trim() ?? 0);
    await this.#dns.listen(Number.isInteger(before) && before > 0 && before < 65_536 ? before : 0);
    if (this.#dns.port !== before) {
      await writeFileAtomic(file, `${this.#dns.port}\n`, { isDurable: false });
    }
  }

  async #ensureSpecial(name: string, driver: 'host' | 'null'): Promise<void> {
    if ([...this.#core.networks.values()].some((network) => network.name === name)) {
      return;
    }
    const record: NetworkRecord = {
      version: 1,
      id: newId(),
      name,
      createdAt: timestamp(),
      driver,
      enableIPv4: true,
      enableIPv6: false,
      isInternal: false,
      isAttachable: false,
      isConfigOnly: false,
      configFrom: '',
      ipamDriver: 'default',
      ipamOptions: null,
      ipamConfig: [],
      pools: [],
      options: {},
      labels: {},
    };
    await this.#core.networkRecords.save(record.id, record);
    this.#core.networks.set(record.id, record);
  }

  async #ensureDefaultBridge(stored: NetworkRecord | undefined): Promise<void> {
    const config = this.#config;
    const core = this.#core;
    if (config.bridgeName === 'none') {
      if (stored !== undefined) {
        await core.networkRecords.remove(stored.id);
      }
      return;
    }
    if (config.isBridgeUserManaged && (await findDevice(config.bridgeName)) === undefined) {
      throw new ConflictError(
        `error creating default "bridge" network: bridge interface ${config.bridgeName} does not exist`,
      );
    }
    const ipamConfig = defaultBridgeBlocks(config);
    const options = defaultBridgeOptions(config);
    const isSame =
      stored !== undefined &&
      JSON.stringify([stored.ipamConfig, stored.options]) === JSON.stringify([ipamConfig, options]);
    if (isSame) {
      this.#replay(stored);
      return;
    }
    const { Name: _, ...request } = {
      Name: '',
      Driver: 'bridge',
      EnableIPv6: config.isBridgeIPv6,
      Options: options,
      IPAM: { Config: ipamConfig },
    };
    const draft = await draftNetwork(
      { Name: `bridge ${newId()}`, ...request },
      this.#draftContext(),
    );
    // The name is reserved for everybody but this; an id once given stays, since containers refer to it.
    const record: NetworkRecord = { ...draft, name: 'bridge', ipamConfig, options };
    if (stored !== undefined) {
      await core.networkRecords.remove(stored.id);
      record.id = stored.id;
    }
    core.networks.set(record.id, record);
    await core.networkRecords.save(record.id, record);
  }
}

function defaultBridgeOptions(config: NetworkConfig): Record<string, string> {
  return {
    [OPTION.defaultBridge]: 'true',
    [OPTION.icc]: String(config.hasInterContainerTraffic),
    [OPTION.masquerade]: String(config.isMasquerading),
    [OPTION.hostBinding]: config.defaultHostIp === '' ? '0.0.0.0' : config.defaultHostIp,
    [OPTION.bridgeName]: config.bridgeName,
    [OPTION.mtu]: String(config.mtu > 0 ? config.mtu : DEFAULT_MTU),
  };
}

/** Address blocks of the default bridge as configured or, on a bridge of the administrator's, as found. */
function defaultBridgeBlocks(config: NetworkConfig): IpamConfig[] {
  const found = config.isBridgeUserManaged ? devicePrefixes(config.bridgeName) : [];
  const blocks: IpamConfig[] = [];
  const address = config.bridgeAddress || (found.find((text) => !text.includes(':')) ?? '');
  const prefix = address === '' ? undefined : parsePrefix(address);
  if (address !== '' && prefix === undefined) {
    throw new InvalidParameterError(`invalid bridge address ${address}: it must be ADDRESS/BITS`);
  }
  if (prefix !== undefined) {
    blocks.push({
      Subnet: formatPrefix(masked(prefix)),
      ...(config.fixedCidr === '' ? {} : { IPRange: config.fixedCidr }),
      Gateway: formatAddress(prefix),
    });
  } else if (config.fixedCidr !== '') {
    blocks.push({ Subnet: config.fixedCidr });
  }
  const subnet6 = config.fixedCidrV6 || (found.find((text) => text.includes(':')) ?? '');
  const prefix6 = subnet6 === '' ? undefined : parsePrefix(subnet6);
  if (config.isBridgeIPv6 && prefix6 !== undefined) {
    blocks.push({ Subnet: formatPrefix(masked(prefix6)) });
  }
  return blocks;
}
