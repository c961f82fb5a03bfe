import type { ContainerConfig, HostConfig } from '../../api/types/container.ts';
import { NotFoundError } from '../../base/errors.ts';
import type { EndpointSettings, NetworkResource } from '../../network/contract.ts';
import type { ContainerCore } from '../core.ts';
import { containerMode } from './validate.ts';

const BUILT_IN = new Set(['default', 'bridge', 'host', 'none']);

/** True for modes that name a network somebody made. */
export function isUserDefined(mode: string): boolean {
  return mode !== '' && !BUILT_IN.has(mode) && containerMode(mode) === undefined;
}

/** Undefined when there is no such network (yet): the start will tell. */
export async function findNetwork(
  core: ContainerCore,
  ref: string,
): Promise<NetworkResource | undefined> {
  try {
    return await core.ports.networks.inspect(ref);
  } catch (error) {
    if (error instanceof NotFoundError) {
      return undefined;
    }
    throw error;
  }
}

/** Names under which others in the same user-defined network find a container. */
export function dnsNames(options: {
  readonly name: string;
  readonly id: string;
  readonly hostname: string;
  readonly aliases: readonly string[];
}): string[] {
  const names = [options.name, ...options.aliases, options.id.slice(0, 12), options.hostname];
  return [...new Set(names.filter((name) => name !== ''))];
}

/** What a client may ask for; actual values it may have sent along are dropped. */
function requested(settings: EndpointSettings): EndpointSettings {
  return {
    ...(settings.IPAMConfig ? { IPAMConfig: settings.IPAMConfig } : {}),
    ...(settings.Links?.length ? { Links: settings.Links } : {}),
    ...(settings.Aliases?.length ? { Aliases: settings.Aliases } : {}),
    ...(settings.MacAddress ? { MacAddress: settings.MacAddress } : {}),
    ...(settings.DriverOpts ? { DriverOpts: settings.DriverOpts } : {}),
    ...(settings.GwPriority ? { GwPriority: settings.GwPriority } : {}),
  };
}

/** Networks of a new container by name: those asked for, else the one of its network mode. */
export async function initialNetworks(
  core: ContainerCore,
  input: {
    readonly id: string;
    readonly name: string;
    readonly config: ContainerConfig;
    readonly hostConfig: HostConfig;
    readonly endpoints: ReadonlyMap<string, EndpointSettings>;
  },
): Promise<Record<string, EndpointSettings>> {
  const mode = input.hostConfig.NetworkMode || 'default';
  if (input.config.NetworkDisabled === true || containerMode(mode) !== undefined) {
    return {};
  }
  const modeName = mode === 'default' ? 'bridge' : mode;
  const asked = new Map(input.endpoints.size > 0 ? input.endpoints : [[modeName, {}]]);
  const networks: Record<string, EndpointSettings> = {};
  for (const [ref, settings] of asked) {
    const key = ref === 'default' ? 'bridge' : ref;
    const found = isUserDefined(key) ? await findNetwork(core, key) : undefined;
    const network = found?.Name ?? key;
    const own = requested(settings);
    if (isUserDefined(network)) {
      own.DNSNames = dnsNames({
        name: input.name,
        id: input.id,
        hostname: input.config.Hostname ?? '',
        aliases: own.Aliases ?? [],
      });
    }
    networks[network] = own;
  }
  const primary = networks[modeName] ?? Object.values(networks)[0];
  if (input.config.MacAddress && primary !== undefined) {
    primary.MacAddress ??= input.config.MacAddress;
  }
  return networks;
}
