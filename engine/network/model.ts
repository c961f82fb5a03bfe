/** What the parts of this folder tell each other about networks, endpoints and sandboxes. */
import { z } from 'zod';
import type { EndpointSettings } from './contract.ts';

/** Drivers that a network can have; `null` is the driver of the network `none`. */
export type NetworkDriver = 'bridge' | 'host' | 'null' | 'macvlan' | 'ipvlan';

const ipamConfigSchema = z.object({
  Subnet: z.string().optional(),
  IPRange: z.string().optional(),
  Gateway: z.string().optional(),
  AuxiliaryAddresses: z.record(z.string(), z.string()).optional(),
});

const poolSchema = z.object({
  /** Canonical prefix. */
  subnet: z.string(),
  /** Part of the subnet from which addresses are given out. */
  range: z.string().optional(),
  /** Reserved for the host's side; absent when the network needs none. */
  gateway: z.string().optional(),
  auxiliary: z.record(z.string(), z.string()),
  /** True when the user named the subnet: only then may containers ask for addresses. */
  isStatic: z.boolean(),
});

/** One network as stored in `DATA_ROOT/networks/<id>.json`. */
export const networkRecordSchema = z.object({
  version: z.literal(1),
  id: z.string().regex(/^[0-9a-f]{64}$/),
  name: z.string().min(1),
  createdAt: z.string(),
  driver: z.enum(['bridge', 'host', 'null', 'macvlan', 'ipvlan']),
  enableIPv4: z.boolean(),
  enableIPv6: z.boolean(),
  isInternal: z.boolean(),
  isAttachable: z.boolean(),
  isConfigOnly: z.boolean(),
  configFrom: z.string(),
  ipamDriver: z.string(),
  ipamOptions: z.record(z.string(), z.string()).nullable(),
  /** As asked for; shown by inspect. */
  ipamConfig: z.array(ipamConfigSchema),
  pools: z.array(poolSchema),
  options: z.record(z.string(), z.string()),
  labels: z.record(z.string(), z.string()),
  /** Host device: bridge, or parent of macvlan and ipvlan. */
  device: z
    .object({
      name: z.string(),
      /** True when this engine made it and removes it with the network. */
      isOurs: z.boolean(),
      /** Hardware address of a bridge of ours. */
      mac: z.string(),
    })
    .optional(),
});

/** One network as stored. */
export type NetworkRecord = z.infer<typeof networkRecordSchema>;

/** One subnet of a network. */
export type PoolRecord = z.infer<typeof poolSchema>;

/** Wire form of one IPAM block. */
export type IpamConfig = z.infer<typeof ipamConfigSchema>;

const endpointRecordSchema = z.object({
  networkId: z.string(),
  endpointId: z.string(),
  /** Name in the container; empty for host and none. */
  interfaceName: z.string(),
  /** Host end of the veth pair; empty for other drivers. */
  hostInterface: z.string(),
  mac: z.string(),
  /** Plain addresses, empty when the family is off. */
  ipv4: z.string(),
  ipv6: z.string(),
  /** Source address of DNS queries when it is not `ipv4`. */
  dnsSource: z.string(),
  linkLocal: z.array(z.string()),
  dnsNames: z.array(z.string()),
  aliases: z.array(z.string()),
  /** alias -> container name, for this container's queries only. */
  links: z.record(z.string(), z.string()),
  gatewayPriority: z.number(),
  /** `/proc/sys/net` path -> value, with the interface's name filled in. */
  sysctls: z.record(z.string(), z.string()),
  /** As asked for, in wire form. */
  requested: z.custom<EndpointSettings>((value) => typeof value === 'object' && value !== null),
});

const portSchema = z.object({
  containerPort: z.number().int(),
  protocol: z.enum(['tcp', 'udp', 'sctp']),
  hostIp: z.string(),
  hostPort: z.number().int(),
  hostPortEnd: z.number().int().optional(),
});

/** One sandbox as stored in `EXEC_ROOT/network/<container id>.json`. */
export const sandboxRecordSchema = z.object({
  version: z.literal(1),
  containerId: z.string(),
  containerName: z.string(),
  hostname: z.string(),
  domainName: z.string(),
  /** Name under /run/netns; empty in the host's namespace. */
  netns: z.string(),
  endpoints: z.array(endpointRecordSchema),
  /** As asked for, with hostPort 0 and ranges. */
  requestedPorts: z.array(portSchema),
  /** As bound, one address family each. */
  ports: z.array(portSchema),
  dns: z.object({
    servers: z.array(z.string()),
    search: z.array(z.string()),
    options: z.array(z.string()),
  }),
  extraHosts: z.array(z.string()),
  links: z.array(
    z.object({ alias: z.string(), names: z.array(z.string()), ipAddress: z.string() }),
  ),
  isIPv6Disabled: z.boolean(),
});

/** One sandbox as stored. */
export type SandboxRecord = z.infer<typeof sandboxRecordSchema>;

/** One plug of a sandbox in a network. */
export type EndpointRecord = z.infer<typeof endpointRecordSchema>;

/** How packets between containers and the outside are treated, per address family. */
export type GatewayMode = 'nat' | 'nat-unprotected' | 'routed' | 'isolated';

/** What the options of a bridge network say. */
export interface BridgeSettings {
  /** Device asked for by name, else undefined. */
  readonly deviceName: string | undefined;
  /** 0 = the kernel's default. */
  readonly mtu: number;
  readonly isMasquerading: boolean;
  readonly hasInterContainerTraffic: boolean;
  readonly gatewayMode4: GatewayMode;
  readonly gatewayMode6: GatewayMode;
  readonly isIPv4Inhibited: boolean;
  /** Address that ports without one are published on; '' = the engine's default. */
  readonly bindingAddress: string;
  readonly interfacePrefix: string;
  /** Source addresses instead of masquerading; '' = masquerade. */
  readonly hostIPv4: string;
  readonly hostIPv6: string;
  readonly trustedInterfaces: readonly string[];
}

/** Options that name a network whose behaviour is fixed and that cannot be removed. */
export const PREDEFINED_NETWORKS: ReadonlySet<string> = new Set([
  'bridge',
  'host',
  'none',
  'default',
]);

/** True for networks with DNS by name: everything but the predefined ones. */
export function isUserDefined(networkName: string): boolean {
  return !PREDEFINED_NETWORKS.has(networkName) && !networkName.startsWith('container:');
}
