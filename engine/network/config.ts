/** Settings of the network service. */

import type { Logger } from '../base/logger.ts';
import type { EventLog } from '../events/contract.ts';

/** Everything that the network service is told when it is made. */
export interface NetworkConfig {
  /** Durable state: `networks/` below it. Absolute. */
  readonly dataRoot: string;
  /** State until the next boot of the machine: `network/` below it. Absolute. */
  readonly execRoot: string;
  /** Six hexadecimal digits, see `engineHash`: part of the name of every object in the kernel. */
  readonly hash: string;
  /** Device of the network `bridge`; `none` = there is no such network. */
  readonly bridgeName: string;
  /** True when that device is the administrator's: it must exist, its address is used, it is never removed. */
  readonly isBridgeUserManaged: boolean;
  /** Host address and subnet of the default bridge, `ADDRESS/BITS`; '' = from the pools. */
  readonly bridgeAddress: string;
  /** Part of the default bridge's subnet for containers; '' = all of it. */
  readonly fixedCidr: string;
  /** Whether the default bridge has IPv6. */
  readonly isBridgeIPv6: boolean;
  /** IPv6 subnet of the default bridge; '' = from the pools. */
  readonly fixedCidrV6: string;
  /** Whether containers on the default bridge reach each other. */
  readonly hasInterContainerTraffic: boolean;
  /** Whether the default bridge hides the addresses of containers. */
  readonly isMasquerading: boolean;
  /** MTU of the default bridge in bytes; 0 = 1500. */
  readonly mtu: number;
  /** Blocks for networks that name no subnet; none = Docker's and a unique local IPv6 block of this engine. */
  readonly addressPools: readonly { readonly base: string; readonly size: number }[];
  /** Default options of new networks by driver, `{ bridge: { KEY: VALUE } }`. */
  readonly defaultNetworkOptions: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Address for published ports that name none, on networks that name none; '' = 0.0.0.0 and [::]. */
  readonly defaultHostIp: string;
  /** False: no firewall rules are made or changed; ports are relayed by this process. */
  readonly isFirewallEnabled: boolean;
  /** False: forwarding of the host is left as it is. */
  readonly isForwardingEnabled: boolean;
  /** DNS settings for containers that have none of their own; empty = the host's. */
  readonly dns: {
    readonly servers: readonly string[];
    readonly search: readonly string[];
    readonly options: readonly string[];
  };
  /** What `host-gateway` stands for; none = the host's addresses on the default bridge. */
  readonly hostGateways: readonly string[];
  readonly events: EventLog;
  readonly log: Logger;
}

/** Settings that differ from none, for everything that may be left out. */
export function networkConfig(
  given: Pick<NetworkConfig, 'dataRoot' | 'execRoot' | 'hash' | 'events' | 'log'> &
    Partial<NetworkConfig>,
): NetworkConfig {
  return {
    bridgeName: 'gantry0',
    isBridgeUserManaged: false,
    bridgeAddress: '',
    fixedCidr: '',
    isBridgeIPv6: false,
    fixedCidrV6: '',
    hasInterContainerTraffic: true,
    isMasquerading: true,
    mtu: 0,
    addressPools: [],
    defaultNetworkOptions: {},
    defaultHostIp: '',
    isFirewallEnabled: true,
    isForwardingEnabled: true,
    dns: { servers: [], search: [], options: [] },
    hostGateways: [],
    ...given,
  };
}
