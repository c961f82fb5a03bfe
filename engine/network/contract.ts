/**
 * Networks: what containers are plugged into.
 *
 * Vocabulary: a *network* is a bridge (or host, none, macvlan, ipvlan, container) with address pools; a *sandbox* is the
 * network namespace of one container (`EXEC_ROOT/netns/<container id>`, a bind mount that outlives the engine); an
 * *endpoint* is a sandbox's plug in one network: a veth pair, addresses, aliases. Endpoint settings are kept by the
 * container record; addresses in use are kept here.
 *
 * Worked flow of a start: `openSandbox` makes the namespace, interfaces, addresses, routes, port rules, DNS records in
 * one `ip` batch and one `nft` transaction; the OCI runtime joins `netnsPath`. When the container ends: `closeSandbox`.
 * A crash between leaves objects that carry the container's id; `reconcile` with the list of running containers
 * restores rules and DNS for those and removes the rest.
 *
 * Firewall: everything lives in one nftables table of this engine (`inet gantry_<hash of root>`); flushed rules are
 * repaired; no other table is changed, except that forwarding is accepted for own bridges where another program's
 * FORWARD policy drops.
 */

/** Docker's EndpointSettings in wire form: requested and, after start, actual values. */
export interface EndpointSettings {
  IPAMConfig?:
    | {
        IPv4Address?: string | undefined;
        IPv6Address?: string | undefined;
        LinkLocalIPs?: string[] | undefined;
      }
    | null
    | undefined;
  Links?: string[] | null | undefined;
  Aliases?: string[] | null | undefined;
  MacAddress?: string | undefined;
  DriverOpts?: Record<string, string> | null | undefined;
  GwPriority?: number | undefined;
  NetworkID?: string | undefined;
  EndpointID?: string | undefined;
  Gateway?: string | undefined;
  IPAddress?: string | undefined;
  IPPrefixLen?: number | undefined;
  IPv6Gateway?: string | undefined;
  GlobalIPv6Address?: string | undefined;
  GlobalIPv6PrefixLen?: number | undefined;
  DNSNames?: string[] | null | undefined;
}

/** A published port. `hostPort` 0 asks for a free one from the ephemeral range. */
export interface PortBinding {
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  /** '' = all addresses, IPv4 and IPv6. */
  readonly hostIp: string;
  readonly hostPort: number;
  /** Upper end when a free port of a range is asked for; absent or equal = exactly `hostPort`. */
  readonly hostPortEnd?: number | undefined;
}

/** What a container wants from the network. */
export interface SandboxRequest {
  readonly containerId: string;
  /** Without slash. */
  readonly containerName: string;
  readonly hostname: string;
  readonly domainName: string;
  /** network name or id -> requested settings; the first is the primary unless GwPriority says otherwise. */
  readonly endpoints: ReadonlyMap<string, EndpointSettings>;
  readonly ports: readonly PortBinding[];
  readonly dns: {
    readonly servers: readonly string[];
    readonly search: readonly string[];
    readonly options: readonly string[];
  };
  /** `HOST:IP` pairs; IP may be `host-gateway`. */
  readonly extraHosts: readonly string[];
  /** Legacy links: aliases of other containers for the hosts file, resolved by the caller. */
  readonly links: readonly {
    readonly alias: string;
    readonly names: readonly string[];
    readonly ipAddress: string;
  }[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** A container's network as it is now. */
export interface Sandbox {
  readonly containerId: string;
  /** Path for the OCI namespace entry. */
  readonly netnsPath: string;
  /** network *name* -> settings with actual values. */
  readonly endpoints: ReadonlyMap<string, EndpointSettings>;
  /** Actual bindings, IPv4 and IPv6 listed apart as Docker does. */
  readonly ports: readonly PortBinding[];
  /** Full texts for the container's files. */
  readonly hostsFile: string;
  readonly resolvConf: string;
}

/** Docker's Network resource in wire form (inspect and list). */
export interface NetworkResource {
  Name: string;
  Id: string;
  /** RFC 3339 with nanoseconds. */
  Created: string;
  Scope: 'local';
  Driver: string;
  EnableIPv4: boolean;
  EnableIPv6: boolean;
  IPAM: {
    Driver: string;
    Options: Record<string, string> | null;
    Config: {
      Subnet?: string;
      IPRange?: string;
      Gateway?: string;
      AuxiliaryAddresses?: Record<string, string>;
    }[];
  };
  Internal: boolean;
  Attachable: boolean;
  Ingress: boolean;
  ConfigFrom: { Network: string };
  ConfigOnly: boolean;
  /** Container id -> plug; only in inspect. */
  Containers: Record<
    string,
    {
      Name: string;
      EndpointID: string;
      MacAddress: string;
      IPv4Address: string;
      IPv6Address: string;
    }
  >;
  Options: Record<string, string>;
  Labels: Record<string, string>;
}

/** Body of POST /networks/create, already decoded. */
export interface NetworkCreateRequest {
  readonly Name: string;
  readonly Driver?: string | undefined;
  readonly EnableIPv4?: boolean | undefined;
  readonly EnableIPv6?: boolean | undefined;
  readonly Internal?: boolean | undefined;
  readonly Attachable?: boolean | undefined;
  readonly Ingress?: boolean | undefined;
  readonly ConfigOnly?: boolean | undefined;
  readonly ConfigFrom?: { readonly Network: string } | undefined;
  readonly Scope?: string | undefined;
  readonly IPAM?:
    | {
        readonly Driver?: string | undefined;
        readonly Options?: Readonly<Record<string, string>> | null | undefined;
        readonly Config?:
          | readonly {
              readonly Subnet?: string | undefined;
              readonly IPRange?: string | undefined;
              readonly Gateway?: string | undefined;
              readonly AuxiliaryAddresses?: Readonly<Record<string, string>> | undefined;
              readonly AuxAddress?: Readonly<Record<string, string>> | undefined;
            }[]
          | null
          | undefined;
      }
    | null
    | undefined;
  readonly Options?: Readonly<Record<string, string>> | null | undefined;
  readonly Labels?: Readonly<Record<string, string>> | null | undefined;
}

/** All networks of one engine. Publishes `network` events (create, connect, disconnect, destroy, prune). */
export interface NetworkService extends AsyncDisposable {
  /** Default networks made or re-adopted; to be called once before anything else, after the event log is there. */
  start(): Promise<void>;
  /** Rules, DNS and addresses restored for the running sandboxes, leftovers of others removed. */
  reconcile(running: readonly SandboxRequest[]): Promise<void>;

  create(request: NetworkCreateRequest): Promise<{ readonly id: string; readonly warning: string }>;
  list(): Promise<readonly NetworkResource[]>;
  /** By full id, then name, then unambiguous id prefix. @throws NotFoundError "network X not found" */
  inspect(ref: string): Promise<NetworkResource>;
  /** @throws ConflictError  endpoints in use; ForbiddenError  predefined network */
  remove(ref: string): Promise<void>;
  /** Unused, not predefined, chosen by `select`. */
  prune(select: (network: NetworkResource) => boolean): Promise<readonly string[]>;

  /** @throws ConflictError  `Bind for IP:PORT failed: port is already allocated`; nothing stays behind */
  openSandbox(request: SandboxRequest): Promise<Sandbox>;
  findSandbox(containerId: string): Sandbox | undefined;
  /** Idempotent. */
  closeSandbox(containerId: string): Promise<void>;
  /** Plugs a running container in. Returns the new state of its sandbox. */
  connect(containerId: string, network: string, settings: EndpointSettings): Promise<Sandbox>;
  /** @throws NotFoundError  the container is not in that network */
  disconnect(containerId: string, network: string): Promise<Sandbox>;
  /** A renamed container answers to its new name. */
  rename(containerId: string, name: string): Promise<void>;
  /** Checks requested settings against networks without changing anything, with Docker's messages (create time). */
  validate(endpoints: ReadonlyMap<string, EndpointSettings>): Promise<void>;
}
