/** The kernel's side of sandboxes: namespaces, plugs, routes. One request to `ip` per operation. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { messageOf, SystemError } from '../base/errors.ts';
import { dnsRouteLines } from './bridge.ts';
import type { NetworkCore } from './core.ts';
import { findDevice } from './host.ts';
import type { EndpointRecord } from './model.ts';
import { NETNS_FOLDER } from './names.ts';
import {
  chooseDnsPlug,
  dnsWork,
  type InsideWork,
  insideLine,
  interfaceWork,
  type Plug,
  plugLines,
  routeWork,
} from './plug.ts';
import type { SandboxState } from './sandbox.ts';
import { isVlan } from './vlan.ts';

const LOOPBACK_WORK: InsideWork = { softSysctls: [], sysctls: [], lines: ['link set lo up'] };
/** The kernel takes a namespace down on its own; plugs that are left after this time are held by someone else. */
const LINGER_MS = 2000;

async function exists(path: string): Promise<boolean> {
  try {
    await access(path, constants.F_OK);
    return true;
  } catch {
    return false;
  }
}

/** Makes and unmakes what sandboxes are in the kernel. */
export class SandboxKernel {
  readonly #core: NetworkCore;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(core: NetworkCore) {
    this.#core = core;
  }

  /** Makes the namespace with all its plugs. @throws SystemError  something of it may be there */
  async build(state: SandboxState): Promise<void> {
    const { netns } = state.record;
    if (netns === '') {
      return;
    }
    if (await exists(`${NETNS_FOLDER}/${netns}`)) {
      await this.#core.ip.attempt([`netns del ${netns}`]);
    }
    try {
      await this.#core.ip.apply([
        `netns add ${netns}`,
        ...(await this.#script(state, state.plugs)),
      ]);
    } catch (error) {
      throw new SystemError(`failed to set up the network namespace: ${messageOf(error)}`, {
        cause: error,
      });
    }
    await this.routeDns(state.record.endpoints);
  }

  /** Plugs a running container in. `fresh` are among the sandbox's plugs already. */
  async plug(state: SandboxState, fresh: readonly Plug[]): Promise<void> {
    await this.#core.ip.apply(await this.#script(state, fresh));
    await this.routeDns(fresh.map(({ endpoint }) => endpoint));
  }

  /** Unplugs a running container. `plug` is no longer among the sandbox's plugs. What fails is logged. */
  async unplug(state: SandboxState, { network, endpoint }: Plug): Promise<void> {
    const { netns, containerId } = state.record;
    const lines: string[] = [];
    if (endpoint.hostInterface !== '') {
      lines.push(`link del ${endpoint.hostInterface}`);
    } else if (isVlan(network.driver)) {
      lines.push(`netns exec ${netns} ip link del ${endpoint.interfaceName}`);
    }
    const rest = insideLine(netns, await this.#sharedWork(state.plugs));
    await this.#unrouteDns([endpoint]);
    const said = await this.#core.ip.attempt([...lines, ...(rest === '' ? [] : [rest])]);
    if (said.length > 0) {
      this.#core.log.warn('container could not be unplugged cleanly', {
        container: containerId,
        said,
      });
    }
  }

  /** Lets go of the namespace; the kernel removes it and its plugs when the last process has left. */
  async destroy(state: SandboxState): Promise<void> {
    const { netns, endpoints } = state.record;
    if (netns !== '') {
      await this.#core.ip.attempt([`netns del ${netns}`]);
    }
    await this.#unrouteDns(endpoints);
    this.#removeLater(
      endpoints.map((endpoint) => endpoint.hostInterface).filter((name) => name !== ''),
    );
  }

  /** Host routes back to senders of DNS queries that have no IPv4 address. */
  async routeDns(endpoints: readonly EndpointRecord[]): Promise<void> {
    await this.#unrouteDns(endpoints);
    await this.#core.ip.attempt(this.#dnsLines(endpoints, 'add'));
  }

  /** Stops timers. */
  dispose(): void {
    for (const timer of this.#timers) {
      clearTimeout(timer);
    }
    this.#timers.clear();
  }

  async #unrouteDns(endpoints: readonly EndpointRecord[]): Promise<void> {
    await this.#core.ip.attempt(this.#dnsLines(endpoints, 'remove'));
  }

  #dnsLines(endpoints: readonly EndpointRecord[], action: 'add' | 'remove'): string[] {
    return endpoints.flatMap((endpoint) => {
      const device = this.#core.networks.get(endpoint.networkId)?.device;
      return endpoint.dnsSource === '' || device === undefined
        ? []
        : dnsRouteLines(`${endpoint.dnsSource}/32`, device.name, this.#core.names)[action];
    });
  }

  /** Commands that plug in `fresh` plugs and set routes and DNS of all. */
  async #script(state: SandboxState, fresh: readonly Plug[]): Promise<string[]> {
    const { netns } = state.record;
    const devices = fresh.filter(({ network }) => network.driver !== 'null');
    const works = [
      LOOPBACK_WORK,
      ...devices.map(interfaceWork),
      ...(await this.#sharedWork(state.plugs)),
    ];
    return [...devices.flatMap((plug) => plugLines(plug, netns)), insideLine(netns, works)].filter(
      (line) => line !== '',
    );
  }

  async #sharedWork(plugs: readonly Plug[]): Promise<InsideWork[]> {
    const dnsPlug = this.#core.config.isFirewallEnabled ? chooseDnsPlug(plugs) : undefined;
    const device = dnsPlug?.network.device;
    if (dnsPlug === undefined || device === undefined) {
      return [routeWork(plugs)];
    }
    // The administrator's own bridge may change its address with its ports.
    const mac = device.isOurs ? device.mac : (await findDevice(device.name))?.mac;
    return [routeWork(plugs), dnsWork(dnsPlug, mac ?? device.mac)];
  }

  /** A namespace that someone else still uses would keep its plugs, and with them addresses that are free now. */
  #removeLater(hostInterfaces: readonly string[]): void {
    if (hostInterfaces.length === 0) {
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      void this.#removeLinks(hostInterfaces);
    }, LINGER_MS);
    timer.unref();
    this.#timers.add(timer);
  }

  async #removeLinks(names: readonly string[]): Promise<void> {
    try {
      for (const name of names) {
        if ((await findDevice(name)) !== undefined) {
          await this.#core.ip.attempt([`link del ${name}`]);
        }
      }
    } catch (error) {
      this.#core.log.warn('interfaces of a closed sandbox could not be removed', {
        reason: messageOf(error),
      });
    }
  }
}
