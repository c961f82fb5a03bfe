/**
 * Sandboxes of running containers: opened, changed, closed, and found again after a restart of the engine.
 *
 * A plan (addresses, names) is made without waiting and entered at once, so that networks in use cannot be removed and
 * addresses cannot be given twice. Then the kernel is told: one request to `ip`, one to `nft` when there are ports, side
 * by side. If any of it fails, all of it is undone.
 */
import { KeyedLock } from '../base/async.ts';
import {
  BugError,
  ConflictError,
  ForbiddenError,
  InvalidParameterError,
  messageOf,
  NotFoundError,
} from '../base/errors.ts';
import type { EndpointSettings, Sandbox, SandboxRequest } from './contract.ts';
import type { NetworkCore } from './core.ts';
import {
  endpointSysctls,
  interfacePrefixOf,
  planEndpoint,
  releaseEndpoint,
  requestedInterfaceName,
} from './endpoints.ts';
import type { EndpointRecord, NetworkRecord, SandboxRecord } from './model.ts';
import { comparePlugs, freeInterfaceName, type Plug } from './plug.ts';
import type { PortAllocator } from './port-allocator.ts';
import { SandboxPorts } from './ports.ts';
import { dnsNamesOf, SandboxState } from './sandbox.ts';
import { SandboxKernel } from './sandbox-kernel.ts';
import { movePorts, openPorts } from './sandbox-ports.ts';
import { newRecord, recordFromSettings } from './sandbox-record.ts';

/** All sandboxes of one engine. */
export class Sandboxes {
  readonly #core: NetworkCore;
  readonly #kernel: SandboxKernel;
  readonly #allocator: PortAllocator;
  readonly #isHostIPv6Usable: boolean;
  readonly #lock = new KeyedLock();
  readonly #states = new Map<string, SandboxState>();
  readonly #byAddress = new Map<string, SandboxState>();

  constructor(
    core: NetworkCore,
    options: { readonly allocator: PortAllocator; readonly isHostIPv6Usable: boolean },
  ) {
    this.#core = core;
    this.#kernel = new SandboxKernel(core);
    this.#allocator = options.allocator;
    this.#isHostIPv6Usable = options.isHostIPv6Usable;
  }

  /** Number of open sandboxes. */
  get size(): number {
    return this.#states.size;
  }

  /** By container id. */
  find(containerId: string): SandboxState | undefined {
    return this.#states.get(containerId);
  }

  /** The sandbox that sends from an address. */
  findByAddress(address: string): SandboxState | undefined {
    return this.#byAddress.get(address);
  }

  /** Endpoints in a network, with the names of their containers. */
  endpointsIn(
    networkId: string,
  ): { readonly state: SandboxState; readonly endpoint: EndpointRecord }[] {
    return [...this.#states.values()].flatMap((state) =>
      state.record.endpoints
        .filter((endpoint) => endpoint.networkId === networkId)
        .map((endpoint) => ({ state, endpoint })),
    );
  }

  /** What must not be swept. */
  known(): { readonly hostInterfaces: Set<string>; readonly namespaces: Set<string> } {
    const records = [...this.#states.values()].map((state) => state.record);
    return {
      hostInterfaces: new Set(
        records.flatMap((record) => record.endpoints.map((endpoint) => endpoint.hostInterface)),
      ),
      namespaces: new Set(records.map((record) => record.netns)),
    };
  }

  /** @see NetworkService.openSandbox */
  async open(request: SandboxRequest): Promise<Sandbox> {
    return await this.#lock.run(request.containerId, async () => {
      request.signal?.throwIfAborted();
      if (this.#states.has(request.containerId)) {
        await this.#close(request.containerId);
      }
      const state = this.#plan(request);
      try {
        await this.#build(state);
        request.signal?.throwIfAborted();
      } catch (error) {
        await this.#discard(state);
        throw error;
      }
      for (const { network } of state.plugs) {
        this.#core.publish('connect', network, { container: state.record.containerId });
      }
      return state.view();
    });
  }

  /** @see NetworkService.closeSandbox */
  async close(containerId: string): Promise<void> {
    await this.#lock.run(containerId, async () => this.#close(containerId));
  }

  /** @see NetworkService.connect */
  async connect(
    containerId: string,
    network: NetworkRecord,
    settings: EndpointSettings,
  ): Promise<Sandbox> {
    return await this.#lock.run(containerId, async () => {
      const state = this.#get(containerId);
      this.#checkConnect(state, network);
      const endpoint = this.#planOne(state, network, settings);
      state.record.endpoints.push(endpoint);
      this.#enter(state);
      const plug: Plug = { network, endpoint };
      try {
        await this.#kernel.plug(state, [plug]);
        await movePorts(this.#core, state, this.#isHostIPv6Usable);
        await this.#save(state);
      } catch (error) {
        await this.#unplug(state, plug);
        throw error;
      }
      this.#core.publish('connect', network, { container: containerId });
      return state.view();
    });
  }

  /** @see NetworkService.disconnect */
  async disconnect(containerId: string, network: NetworkRecord): Promise<Sandbox> {
    return await this.#lock.run(containerId, async () => {
      const state = this.#get(containerId);
      const endpoint = state.record.endpoints.find((other) => other.networkId === network.id);
      if (endpoint === undefined) {
        throw new NotFoundError(
          `container ${containerId} is not connected to network ${network.name}`,
        );
      }
      if (state.isHost) {
        throw new InvalidParameterError(
          'cannot disconnect container from host network - container was created in host network mode',
        );
      }
      await this.#unplug(state, { network, endpoint });
      await this.#save(state);
      this.#core.publish('disconnect', network, { container: containerId });
      return state.view();
    });
  }

  /** @see NetworkService.rename */
  async rename(containerId: string, name: string): Promise<void> {
    await this.#lock.run(containerId, async () => {
      const state = this.#states.get(containerId);
      if (state === undefined) {
        return;
      }
      const { record } = state;
      record.containerName = name;
      for (const endpoint of record.endpoints) {
        if (endpoint.dnsNames.length > 0) {
          endpoint.dnsNames = dnsNamesOf(
            { id: containerId, name, hostname: record.hostname },
            endpoint.aliases,
          );
        }
      }
      state.announce();
      await this.#save(state);
    });
  }

  /** Takes over a sandbox of an earlier run: nothing in the kernel changes except that its host ports are held again. */
  async adopt(record: SandboxRecord): Promise<void> {
    const state = new SandboxState(
      this.#core,
      {
        ...record,
        endpoints: record.endpoints.filter(({ networkId }) => this.#core.networks.has(networkId)),
      },
      new SandboxPorts(this.#allocator, this.#core.log),
    );
    for (const { network, endpoint } of state.plugs) {
      for (const address of [endpoint.ipv4, endpoint.ipv6].filter((text) => text !== '')) {
        this.#core.book.adoptAddress(network.pools, address);
      }
    }
    this.#enter(state);
    await state.ports.adopt(record.ports, state.portTarget(this.#isHostIPv6Usable));
    this.#core.firewall.primePorts(record.containerId, state.ports.firewallPorts);
    await this.#kernel.routeDns(state.record.endpoints);
  }

  /** Closes what is not running, and takes over what runs but has no record, from what its container remembers. */
  async reconcile(running: readonly SandboxRequest[]): Promise<void> {
    const byId = new Map(running.map((request) => [request.containerId, request]));
    for (const containerId of this.#states.keys()) {
      if (!byId.has(containerId)) {
        await this.close(containerId);
      }
    }
    for (const request of running) {
      const state = this.#states.get(request.containerId);
      if (state === undefined) {
        this.#core.log.warn('sandbox of a running container had no record', {
          container: request.containerId,
        });
        const record = recordFromSettings(this.#core, request);
        await this.adopt(record);
        await this.#core.sandboxRecords.save(record.containerId, record);
      } else if (state.record.containerName !== request.containerName) {
        await this.rename(request.containerId, request.containerName);
      }
    }
  }

  /** Ends what runs in this process; sandboxes stay as they are. */
  async dispose(): Promise<void> {
    this.#kernel.dispose();
    const states = [...this.#states.values()];
    this.#states.clear();
    this.#byAddress.clear();
    for (const state of states) {
      state.conceal();
      await state.ports.close();
    }
  }

  #get(containerId: string): SandboxState {
    const state = this.#states.get(containerId);
    if (state === undefined) {
      throw new ConflictError(`container ${containerId} is not running`);
    }
    return state;
  }

  #checkConnect(state: SandboxState, network: NetworkRecord): void {
    const { record } = state;
    if (network.driver === 'host' && !state.isHost) {
      throw new InvalidParameterError(
        'cannot connect container to host network - container must be created in host network mode',
      );
    }
    if (state.isHost) {
      throw new InvalidParameterError(
        'container sharing network namespace with another container or host cannot be connected to any other network',
      );
    }
    if (record.endpoints.some((endpoint) => endpoint.networkId === network.id)) {
      throw new ForbiddenError(
        `endpoint with name ${record.containerName} already exists in network ${network.name}`,
      );
    }
    const hasNone = [network, ...state.plugs.map((plug) => plug.network)].some(
      ({ driver }) => driver === 'null',
    );
    if (hasNone && record.endpoints.length > 0) {
      throw new InvalidParameterError(
        'container cannot be connected to multiple networks with one of the networks in private (none) mode',
      );
    }
  }

  #plan(request: SandboxRequest): SandboxState {
    const wanted = [...request.endpoints].map(([ref, settings]) => ({
      network: this.#core.getPluggable(ref),
      settings,
    }));
    const isHost = wanted.some(({ network }) => network.driver === 'host');
    const record = newRecord(request, isHost ? '' : this.#core.names.netns(request.containerId));
    const plugs: Plug[] = [];
    try {
      for (const { network, settings } of wanted) {
        plugs.push({ network, endpoint: this.#planAddresses(record, network, settings) });
      }
      // Interfaces are numbered from the best default gateway on; names that were asked for are kept free.
      const taken = wanted
        .map(({ settings }) => requestedInterfaceName(settings))
        .filter((name) => name !== '');
      if (new Set(taken).size < taken.length) {
        throw new InvalidParameterError(
          `interface name ${taken.at(-1) ?? ''} is used more than once`,
        );
      }
      for (const plug of plugs.sort(comparePlugs)) {
        this.#nameInterface(plug, taken);
        record.endpoints.push(plug.endpoint);
      }
    } catch (error) {
      for (const { endpoint } of plugs) {
        releaseEndpoint(this.#core, endpoint);
      }
      throw error;
    }
    const state = new SandboxState(
      this.#core,
      record,
      new SandboxPorts(this.#allocator, this.#core.log),
    );
    this.#enter(state);
    return state;
  }

  #planAddresses(
    record: SandboxRecord,
    network: NetworkRecord,
    settings: EndpointSettings,
  ): EndpointRecord {
    return planEndpoint(this.#core, {
      network,
      settings,
      container: {
        id: record.containerId,
        name: record.containerName,
        hostname: record.hostname,
        isIPv6Disabled: record.isIPv6Disabled,
      },
      dnsSources: new Set(this.#byAddress.keys()),
    });
  }

  #planOne(
    state: SandboxState,
    network: NetworkRecord,
    settings: EndpointSettings,
  ): EndpointRecord {
    const endpoint = this.#planAddresses(state.record, network, settings);
    const taken = state.record.endpoints.map((other) => other.interfaceName);
    const wanted = requestedInterfaceName(settings);
    if (wanted !== '' && taken.includes(wanted)) {
      releaseEndpoint(this.#core, endpoint);
      throw new InvalidParameterError(`interface name ${wanted} is used more than once`);
    }
    this.#nameInterface({ network, endpoint }, taken);
    return endpoint;
  }

  #nameInterface({ network, endpoint }: Plug, taken: string[]): void {
    if (network.driver === 'host' || network.driver === 'null') {
      return;
    }
    const wanted = requestedInterfaceName(endpoint.requested);
    endpoint.interfaceName =
      wanted === '' ? freeInterfaceName(interfacePrefixOf(network), taken) : wanted;
    endpoint.sysctls = endpointSysctls(endpoint.requested, endpoint.interfaceName);
    taken.push(endpoint.interfaceName);
  }

  /** Makes a sandbox known under its id, addresses and names; repeated when they change. */
  #enter(state: SandboxState): void {
    this.#states.set(state.record.containerId, state);
    this.#forgetAddresses(state);
    for (const address of state.addresses) {
      this.#byAddress.set(address, state);
    }
    state.announce();
  }

  #forgetAddresses(state: SandboxState): void {
    for (const [address, owner] of this.#byAddress) {
      if (owner === state) {
        this.#byAddress.delete(address);
      }
    }
  }

  async #build(state: SandboxState): Promise<void> {
    const results = await Promise.allSettled([
      this.#kernel.build(state),
      this.#core.firewall
        .ensure()
        .then(async () => openPorts(this.#core, state, this.#isHostIPv6Usable)),
      this.#core.refreshResolvConf(),
    ]);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) {
      throw failed.reason;
    }
    await this.#save(state);
  }

  async #save(state: SandboxState): Promise<void> {
    state.record.ports = state.ports.bindings.map((binding) => ({ ...binding }));
    await this.#core.sandboxRecords.save(state.record.containerId, state.record);
  }

  async #close(containerId: string): Promise<void> {
    const state = this.#states.get(containerId);
    if (state === undefined) {
      await this.#core.sandboxRecords.remove(containerId);
      return;
    }
    const { plugs } = state;
    await this.#discard(state);
    for (const { network } of plugs) {
      this.#core.publish('disconnect', network, { container: containerId });
    }
  }

  /** Takes a plug out of record, kernel and ports. */
  async #unplug(state: SandboxState, plug: Plug): Promise<void> {
    state.record.endpoints = state.record.endpoints.filter((other) => other !== plug.endpoint);
    this.#enter(state);
    await this.#kernel.unplug(state, plug);
    releaseEndpoint(this.#core, plug.endpoint);
    try {
      await movePorts(this.#core, state, this.#isHostIPv6Usable);
    } catch (error) {
      this.#core.log.warn('published ports could not be led elsewhere', {
        container: state.record.containerId,
        reason: messageOf(error),
      });
    }
  }

  /** Undoes everything, as far as it got. Never throws: what the kernel keeps is swept later. */
  async #discard(state: SandboxState): Promise<void> {
    const { record } = state;
    state.conceal();
    try {
      await Promise.all([
        this.#kernel.destroy(state),
        this.#core.firewall.setPorts(record.containerId, []),
        state.ports.close(),
      ]);
      await this.#core.sandboxRecords.remove(record.containerId);
    } catch (error) {
      this.#core.log.error('sandbox could not be removed completely', {
        container: record.containerId,
        error,
      });
    }
    this.#forgetAddresses(state);
    if (this.#states.get(record.containerId) === state) {
      this.#states.delete(record.containerId);
    }
    for (const endpoint of record.endpoints) {
      releaseEndpoint(this.#core, endpoint);
    }
  }
}

/** Guards a state that only exists after `start`. @throws BugError */
export function started<T>(value: T | undefined): T {
  if (value === undefined) {
    throw new BugError('the network service was used before it was started');
  }
  return value;
}
