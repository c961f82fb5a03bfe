/** macvlan and ipvlan networks: containers as machines of their own on a network of the host. */
import { InvalidParameterError } from '../base/errors.ts';
import type { EndpointRecord, NetworkRecord } from './model.ts';
import { dummyParentOf, type EngineNames } from './names.ts';
import { parseVlanOptions, type VlanSettings } from './options.ts';

/** Driver of such a network. */
export type VlanDriver = 'macvlan' | 'ipvlan';

/** True for networks of this kind. */
export function isVlan(driver: string): driver is VlanDriver {
  return driver === 'macvlan' || driver === 'ipvlan';
}

/** Settings of a stored network. */
export function vlanSettings(record: NetworkRecord): VlanSettings {
  return parseVlanOptions(record.driver === 'ipvlan' ? 'ipvlan' : 'macvlan', record.options);
}

/** Device that the network hangs on: the named parent, or a stand-in. */
export function parentOf(record: NetworkRecord): string {
  const driver = record.driver === 'ipvlan' ? 'ipvlan' : 'macvlan';
  const { parent } = vlanSettings(record);
  return parent === '' ? dummyParentOf(record.id, driver) : parent;
}

/** @throws InvalidParameterError  another network uses the parent in a way that cannot be shared */
export function checkParent(record: NetworkRecord, others: readonly NetworkRecord[]): void {
  const parent = parentOf(record);
  const { mode } = vlanSettings(record);
  for (const other of others) {
    if (other.driver !== record.driver || other.id === record.id || parentOf(other) !== parent) {
      continue;
    }
    if (record.driver === 'ipvlan') {
      throw new InvalidParameterError(
        `network ${other.id} is already using parent interface ${parent}`,
      );
    }
    if (mode === 'passthru') {
      throw new InvalidParameterError(
        `cannot use mode passthru, macvlan network ${other.id} is already using parent interface ${parent}`,
      );
    }
    if (vlanSettings(other).mode === 'passthru') {
      throw new InvalidParameterError(
        `macvlan network ${other.id} is already using parent interface ${parent} in mode passthru`,
      );
    }
  }
}

/**
 * Commands that make a parent which is not there: `eth0.10` as VLAN 10 of eth0, a dummy device for none.
 *
 * @throws InvalidParameterError  it is neither
 */
export function parentCreateLines(record: NetworkRecord, names: EngineNames): string[] {
  const name = parentOf(record);
  const mark = `link set ${name} alias ${names.mark}`;
  if (vlanSettings(record).parent === '') {
    return [`link add ${name} type dummy`, mark, `link set ${name} up`];
  }
  const parts = name.split('.');
  const [base = '', id = ''] = parts;
  if (parts.length === 1) {
    throw new InvalidParameterError(
      `invalid subinterface vlan name ${name}, example formatting is eth0.10`,
    );
  }
  if (parts.length !== 2) {
    throw new InvalidParameterError(
      `required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received ${name}`,
    );
  }
  if (!/^\d{1,9}$/.test(id)) {
    throw new InvalidParameterError(
      `unable to parse a valid vlan id from: ${id} (ex. eth0.10 for vlan 10)`,
    );
  }
  if (Number(id) < 1 || Number(id) > 4094) {
    throw new InvalidParameterError(`vlan id must be between 1-4094, received: ${Number(id)}`);
  }
  return [
    `link add link ${base} name ${name} type vlan id ${Number(id)}`,
    mark,
    `link set ${name} up`,
  ];
}

/** Where containers send what is not for the subnet; '' = nowhere, `direct` = out of the interface (layer 3 modes). */
export function vlanGateway(
  record: NetworkRecord,
  address: string,
  gateway: string | undefined,
): string {
  const { parent, mode } = vlanSettings(record);
  if (record.isInternal || parent === '' || address === '') {
    return '';
  }
  return mode === 'l3' || mode === 'l3s' ? 'direct' : (gateway ?? '');
}

/** Commands on the host that plug a sandbox in. */
export function vlanPlugLines(
  record: NetworkRecord,
  endpoint: EndpointRecord,
  netns: string,
): string[] {
  const { mode, flag } = vlanSettings(record);
  const kind = record.driver === 'ipvlan' ? `ipvlan mode ${mode} ${flag}` : `macvlan mode ${mode}`;
  // All ipvlan interfaces share the address of their parent.
  const mac = record.driver === 'ipvlan' || endpoint.mac === '' ? '' : ` address ${endpoint.mac}`;
  return [
    `link add link ${parentOf(record)} name ${endpoint.interfaceName}${mac} netns ${netns} type ${kind}`,
  ];
}
