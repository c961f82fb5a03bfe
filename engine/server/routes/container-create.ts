import type { ContainerConfig } from '../../api/types/container.ts';
import {
  containerCreateBodySchema,
  type HostConfig,
  type Mount,
} from '../../api/types/container.ts';
import { isBefore } from '../../api/versions.ts';
import { InvalidParameterError } from '../../base/errors.ts';
import type { EndpointSettings } from '../../network/contract.ts';
import type { Exchange } from '../exchange.ts';
import type { Services } from '../services.ts';

/** POST /containers/create: fields that a client's API version does not have are cleared, moved or refused here. */

/** Driver option that carries sysctls of one interface. */
const ENDPOINT_SYSCTLS = 'com.docker.network.endpoint.sysctls';

interface Draft {
  readonly version: string;
  readonly config: ContainerConfig;
  readonly host: HostConfig;
  readonly endpoints: Map<string, EndpointSettings>;
  readonly warnings: string[];
}

const MOUNT_OPTIONS = [
  ['VolumeOptions', 'volume'],
  ['BindOptions', 'bind'],
  ['TmpfsOptions', 'tmpfs'],
] as const;

function adaptOldMount(mount: Mount, version: string): void {
  if (mount.BindOptions !== undefined) {
    if (isBefore(version, '1.40')) {
      delete mount.BindOptions.NonRecursive;
    }
    delete mount.BindOptions.CreateMountpoint;
  }
  if (mount.Type !== 'volume') {
    delete mount.VolumeOptions;
  }
  if (mount.Type !== 'tmpfs') {
    delete mount.TmpfsOptions;
  }
}

function adaptMount(mount: Mount, version: string): void {
  if (isBefore(version, '1.42')) {
    adaptOldMount(mount, version);
  } else {
    for (const [options, type] of MOUNT_OPTIONS) {
      if (mount[options] !== undefined && mount.Type !== type) {
        throw new InvalidParameterError(
          `${options} must not be specified on mount type "${mount.Type ?? ''}"`,
        );
      }
    }
  }
  if (isBefore(version, '1.44') && mount.Type === 'bind') {
    if (mount.BindOptions?.ReadOnlyForceRecursive === true) {
      throw new InvalidParameterError(
        'BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer',
      );
    }
  }
  if (isBefore(version, '1.45') && (mount.VolumeOptions?.Subpath ?? '') !== '') {
    throw new InvalidParameterError('VolumeOptions.Subpath needs API v1.45 or newer');
  }
  if (isBefore(version, '1.48') && mount.Type === 'image') {
    throw new InvalidParameterError('Mount type "Image" needs API v1.48 or newer');
  }
}

function adaptHost({ version, host, config }: Draft): void {
  if (isBefore(version, '1.25')) {
    host.AutoRemove = false;
  }
  if (isBefore(version, '1.40')) {
    delete host.KernelMemoryTCP;
    host.IpcMode ||= 'shareable';
  }
  if (isBefore(version, '1.41')) {
    host.CgroupnsMode ||= 'host';
  }
  if (isBefore(version, '1.42')) {
    delete host.ConsoleSize;
  } else {
    delete host.KernelMemory;
  }
  if (isBefore(version, '1.43')) {
    delete host.Annotations;
  }
  if (isBefore(version, '1.44') && config.Healthcheck !== undefined) {
    delete config.Healthcheck.StartInterval;
  }
  if (host.PidsLimit !== undefined && host.PidsLimit <= 0) {
    delete host.PidsLimit;
  }
  for (const mount of host.Mounts ?? []) {
    adaptMount(mount, version);
  }
}

function adaptEndpoints({ version, endpoints }: Draft): void {
  if (isBefore(version, '1.44') && endpoints.size > 1) {
    throw new InvalidParameterError(
      `Container cannot be created with multiple network endpoints: ${[...endpoints.keys()].join(', ')}`,
    );
  }
  if (isBefore(version, '1.48')) {
    for (const settings of endpoints.values()) {
      delete settings.GwPriority;
    }
  }
}

/** The endpoint that container-wide settings belong to. */
function mainEndpoint({ version, host, endpoints }: Draft): EndpointSettings {
  const mode = host.NetworkMode ?? 'bridge';
  if (endpoints.size === 0) {
    const settings: EndpointSettings = {};
    endpoints.set(mode, settings);
    return settings;
  }
  const found = isBefore(version, '1.44') ? [...endpoints.values()][0] : endpoints.get(mode);
  if (found === undefined) {
    throw new InvalidParameterError(
      'HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks',
    );
  }
  return found;
}

function hasOwnNetwork(host: HostConfig): boolean {
  const mode = host.NetworkMode ?? 'bridge';
  return mode !== 'host' && mode !== 'none' && !mode.startsWith('container:');
}

function adaptMacAddress(draft: Draft): void {
  const { version, config, host, endpoints, warnings } = draft;
  const mac = config.MacAddress ?? '';
  if (isBefore(version, '1.44')) {
    if (mac === '') {
      for (const settings of endpoints.values()) {
        delete settings.MacAddress;
      }
      return;
    }
    if (!hasOwnNetwork(host)) {
      throw new InvalidParameterError('conflicting options: mac-address and the network mode');
    }
    mainEndpoint(draft).MacAddress = mac;
    return;
  }
  if (mac === '') {
    return;
  }
  if (hasOwnNetwork(host)) {
    const settings = mainEndpoint(draft);
    if ((settings.MacAddress ?? '') !== '' && settings.MacAddress !== mac) {
      throw new InvalidParameterError(
        'the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty',
      );
    }
    settings.MacAddress = mac;
  }
  delete config.MacAddress;
  warnings.push(
    'The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.',
  );
}

/** Sysctls of `eth0` move to the endpoint whose interface it will be. */
function adaptSysctls(draft: Draft): void {
  const { version, host, warnings } = draft;
  const moved: [string, string][] = [];
  for (const [key, value] of Object.entries(host.Sysctls ?? {})) {
    const [root, family, kind, name, ...rest] = key.split('.');
    const isOfInterface = root === 'net' && name?.startsWith('eth') === true && rest.length > 0;
    if (!isOfInterface || !hasOwnNetwork(host)) {
      continue;
    }
    if (!isBefore(version, '1.48')) {
      throw new InvalidParameterError(
        `interface specific sysctl setting "${key}" must be supplied using driver option '${ENDPOINT_SYSCTLS}'`,
      );
    }
    if (name !== 'eth0') {
      throw new InvalidParameterError(
        `unable to determine network endpoint for sysctl ${key}, use driver option '${ENDPOINT_SYSCTLS}' to set per-interface sysctls`,
      );
    }
    moved.push([key, `net.${family}.${kind}.IFNAME.${rest.join('.')}=${value}`]);
  }
  if (moved.length === 0) {
    return;
  }
  const settings = mainEndpoint(draft);
  const added = moved.map(([, setting]) => setting).join(',');
  const before = settings.DriverOpts?.[ENDPOINT_SYSCTLS];
  settings.DriverOpts = {
    ...settings.DriverOpts,
    [ENDPOINT_SYSCTLS]: before === undefined ? added : `${added},${before}`,
  };
  for (const [key] of moved) {
    delete host.Sysctls?.[key];
  }
  warnings.push(
    `Migrated sysctl "${moved.map(([key]) => key).join(',')}" to DriverOpts{"${ENDPOINT_SYSCTLS}":"${added}"}.`,
  );
}

function warnOfVolumeDriver({ version, host, warnings }: Draft): void {
  const isIgnored = (host.Mounts ?? []).some(
    (mount) => mount.Type === 'volume' && !mount.VolumeOptions?.DriverConfig?.Name,
  );
  if (isIgnored && (host.VolumeDriver ?? '') !== '' && !isBefore(version, '1.48')) {
    warnings.push(
      "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. Use '--mount type=volume,volume-driver=...' instead",
    );
  }
}

/** @throws InvalidParameterError, and what the service throws */
export async function createContainer(exchange: Exchange, services: Services): Promise<void> {
  const { version, query } = exchange;
  const body = await exchange.readJson(containerCreateBodySchema, { isRequired: true });
  const { HostConfig: host = {}, NetworkingConfig: networking, ...config } = body;
  if (Object.keys(config).length === 0) {
    throw new InvalidParameterError('config cannot be empty in order to create a container');
  }
  const endpoints = new Map(Object.entries(networking?.EndpointsConfig ?? {}));
  if (host.NetworkMode === undefined || host.NetworkMode === '' || host.NetworkMode === 'default') {
    host.NetworkMode = 'bridge';
    const settings = endpoints.get('default');
    if (settings !== undefined) {
      endpoints.delete('default');
      endpoints.set('bridge', settings);
    }
  }
  const draft: Draft = { version, config, host, endpoints, warnings: [] };
  adaptHost(draft);
  adaptEndpoints(draft);
  warnOfVolumeDriver(draft);
  adaptMacAddress(draft);
  adaptSysctls(draft);
  const created = await services.containers.create({
    name: query.find('name'),
    platform: isBefore(version, '1.41') ? undefined : query.find('platform'),
    config,
    hostConfig: host,
    endpoints,
    isReadOnlyNonRecursive: isBefore(version, '1.44'),
    signal: exchange.signal,
  });
  exchange.json(201, { Id: created.id, Warnings: [...created.warnings, ...draft.warnings] });
}
