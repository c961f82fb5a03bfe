/** Host devices of networks: made, adopted after a restart, removed, and swept when nobody knows them any more. */
import { ConflictError, messageOf, SystemError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { listIfThere } from '../base/node/atomic-file.ts';
import {
  bridgeAddressLines,
  bridgeCreateLines,
  bridgeView,
  dnsRouteLines,
  unroutedSubnet,
} from './bridge.ts';
import { enableIPv6Forwarding, findDevice, listDevices, setSysctl } from './host.ts';
import type { NetworkRecord } from './model.ts';
import { type EngineNames, NETNS_FOLDER } from './names.ts';
import type { IpTool } from './tools.ts';
import { isVlan, parentCreateLines, parentOf } from './vlan.ts';

/** What {@link NetworkDevices} works with. */
export interface DevicesOptions {
  readonly ip: IpTool;
  readonly names: EngineNames;
  readonly log: Logger;
}

/** Makes and removes devices. */
export class NetworkDevices {
  readonly #ip: IpTool;
  readonly #names: EngineNames;
  readonly #log: Logger;

  constructor(options: DevicesOptions) {
    this.#ip = options.ip;
    this.#names = options.names;
    this.#log = options.log;
  }

  /**
   * Makes sure that the device of a network is there, with its addresses.
   *
   * @returns the device as it is, for the record
   * @throws ConflictError  another engine has it; SystemError  the kernel refused
   */
  async ensure(record: NetworkRecord): Promise<NetworkRecord['device']> {
    if (record.driver === 'bridge' && record.device !== undefined) {
      return await this.#ensureBridge(record, record.device);
    }
    if (isVlan(record.driver) && record.device !== undefined) {
      return await this.#ensureParent(record, record.device);
    }
    return record.device;
  }

  /**
   * Removes the device of a network if it is this engine's.
   *
   * @param isShared  another network hangs on it
   */
  async remove(record: NetworkRecord, isShared: boolean): Promise<void> {
    const { device } = record;
    if (device === undefined) {
      return;
    }
    if (record.driver === 'bridge') {
      const subnet = unroutedSubnet(record);
      if (subnet !== '') {
        await this.#ip.attempt(dnsRouteLines(subnet, device.name, this.#names).remove);
      }
    }
    const found = await findDevice(device.name);
    if (!isShared && found?.alias === this.#names.mark) {
      await this.#ip.attempt([`link del ${device.name}`]);
      // A device of the same name may come back with another number.
      this.#ip.forget();
    }
  }

  /** Removes devices, namespaces and routes of this engine that belong to nothing it knows. */
  async sweep(known: {
    readonly devices: ReadonlySet<string>;
    readonly hostInterfaces: ReadonlySet<string>;
    readonly namespaces: ReadonlySet<string>;
  }): Promise<void> {
    const lines: string[] = [];
    for (const name of await listIfThere(NETNS_FOLDER)) {
      if (this.#names.isNetns(name) && !known.namespaces.has(name)) {
        lines.push(`netns del ${name}`);
      }
    }
    for (const name of await listDevices()) {
      const isVeth = name.startsWith(this.#names.vethPrefix);
      if (isVeth ? !known.hostInterfaces.has(name) : !known.devices.has(name)) {
        const isOurs = isVeth || (await findDevice(name))?.alias === this.#names.mark;
        if (isOurs) {
          lines.push(`link del ${name}`);
        }
      }
    }
    if (lines.length > 0) {
      this.#log.info('leftovers of an earlier run are removed', { count: lines.length });
      await this.#ip.attempt(lines);
      this.#ip.forget();
    }
  }

  /** Removes all rules and routes of this engine's own table; networks that need some put them back. */
  async flushRoutes(): Promise<void> {
    const table = this.#names.routingTable;
    for (let round = 0; round < 1000; round += 1) {
      const said = await this.#ip.attempt([`rule del lookup ${table}`]);
      if (said.length > 0) {
        break;
      }
    }
    await this.#ip.attempt([`route flush table ${table}`]);
  }

  async #ensureBridge(
    record: NetworkRecord,
    device: NonNullable<NetworkRecord['device']>,
  ): Promise<NonNullable<NetworkRecord['device']>> {
    const { name } = device;
    const found = await findDevice(name);
    if (found !== undefined && !found.isBridge) {
      throw new ConflictError(`existing interface ${name} is not a bridge`);
    }
    if (found?.alias.startsWith('gantry:') === true && found.alias !== this.#names.mark) {
      throw new ConflictError(
        `bridge ${name} belongs to another engine on this machine: choose another name for one of them`,
      );
    }
    const isOurs = found === undefined || found.alias === this.#names.mark;
    const { ipv6 } = bridgeView(record);
    try {
      if (found === undefined) {
        await this.#ip.apply(bridgeCreateLines(record, device, this.#names));
      }
      await Promise.all([
        // Published ports on 127.0.0.1 and DNS need it; the firewall drops everything else to loopback.
        setSysctl(`ipv4/conf/${name}/route_localnet`, '1', this.#log),
        setSysctl(`ipv6/conf/${name}/accept_ra`, '0', this.#log),
        ...(ipv6 === undefined
          ? []
          : [setSysctl(`ipv6/conf/${name}/disable_ipv6`, '0', this.#log)]),
      ]);
      if (ipv6 !== undefined && !record.isInternal) {
        await enableIPv6Forwarding(this.#log);
      }
      await this.#ip.apply(bridgeAddressLines(record, name));
      const subnet = unroutedSubnet(record);
      if (subnet !== '') {
        const { add, remove } = dnsRouteLines(subnet, name, this.#names);
        await this.#ip.attempt(remove);
        await this.#ip.apply(add);
      }
    } catch (error) {
      if (found === undefined) {
        await this.#ip.attempt([`link del ${name}`]);
        this.#ip.forget();
      }
      throw new SystemError(`failed to set up bridge ${name}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    return { name, isOurs, mac: found?.mac ?? device.mac };
  }

  async #ensureParent(
    record: NetworkRecord,
    device: NonNullable<NetworkRecord['device']>,
  ): Promise<NonNullable<NetworkRecord['device']>> {
    const name = parentOf(record);
    const found = await findDevice(name);
    if (found !== undefined) {
      return { ...device, isOurs: found.alias === this.#names.mark };
    }
    const lines = parentCreateLines(record, this.#names);
    try {
      await this.#ip.apply(lines);
    } catch (error) {
      await this.#ip.attempt([`link del ${name}`]);
      this.#ip.forget();
      throw new SystemError(`failed to create parent interface ${name}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    return { ...device, isOurs: true };
  }
}
