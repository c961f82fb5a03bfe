import { lstat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { posix } from 'node:path';
import type { ContainerConfig, HostConfig } from '../../api/types/container.ts';
import { InvalidParameterError, isMissing } from '../../base/errors.ts';
import type { RuntimeSide } from '../../runtime/contract.ts';
import { validateRestartPolicy } from '../restart-policy.ts';
import { parseSignal } from '../signals.ts';
import { checkLimits } from './limits.ts';
import { checkMount, checkTmpfsDestination } from './mount-spec.ts';

const MIN_DURATION_NS = 1_000_000;

function refuse(message: string): never {
  throw new InvalidParameterError(message);
}

function checkHealthcheck(config: ContainerConfig): void {
  const check = config.Healthcheck;
  if (check === undefined) {
    return;
  }
  const fields: readonly (readonly [string, number | undefined])[] = [
    ['Interval', check.Interval],
    ['Timeout', check.Timeout],
    ['StartPeriod', check.StartPeriod],
    ['StartInterval', check.StartInterval],
  ];
  for (const [name, value] of fields) {
    if (value !== undefined && value !== 0 && value < MIN_DURATION_NS) {
      refuse(`${name} in Healthcheck cannot be less than 1ms`);
    }
  }
  if (check.Retries !== undefined && check.Retries < 0) {
    refuse('Retries in Healthcheck cannot be negative');
  }
}

/** Checks Config and brings the working folder into its plain form. @throws InvalidParameterError */
export function checkConfig(config: ContainerConfig): ContainerConfig {
  const workingDir = config.WorkingDir ?? '';
  if (workingDir !== '' && !workingDir.startsWith('/')) {
    refuse(`the working directory '${workingDir}' is invalid, it needs to be an absolute path`);
  }
  if (config.StopSignal) {
    parseSignal(config.StopSignal);
  }
  for (const entry of config.Env ?? []) {
    if (entry === '' || entry.startsWith('=')) {
      refuse(`invalid environment variable: ${entry}`);
    }
    if (entry.includes('\0')) {
      refuse(`invalid environment variable: ${entry.replaceAll('\0', '\\0')}`);
    }
  }
  for (const target of Object.keys(config.Volumes ?? {})) {
    if (!target.startsWith('/')) {
      refuse(`invalid mount path: '${target}' mount path must be absolute`);
    }
    if (posix.normalize(target) === '/') {
      refuse("invalid specification: destination can't be '/'");
    }
  }
  const isPort = /^\d{1,5}(-\d{1,5})?(\/(tcp|udp|sctp))?$/i;
  for (const port of Object.keys(config.ExposedPorts ?? {})) {
    if (!isPort.test(port)) {
      refuse(`invalid port specification: "${port}"`);
    }
  }
  checkHealthcheck(config);
  if (config.Hostname !== undefined && config.Hostname.length > 64) {
    refuse(`invalid hostname: ${config.Hostname} is longer than 64 characters`);
  }
  return workingDir === ''
    ? config
    : { ...config, WorkingDir: posix.normalize(workingDir).replace(/(?<=.)\/+$/, '') };
}

/** `container:REF` -> REF; undefined for other modes. */
export function containerMode(mode: string | undefined): string | undefined {
  return mode?.startsWith('container:') === true ? mode.slice('container:'.length) : undefined;
}

function checkModes(host: HostConfig): void {
  const ipc = host.IpcMode ?? '';
  const isKnownIpc = ['', 'none', 'private', 'host', 'shareable'].includes(ipc);
  if (!isKnownIpc && containerMode(ipc) === undefined) {
    refuse(`invalid IPC mode: ${ipc}`);
  }
  const pid = host.PidMode ?? '';
  if (pid !== '' && pid !== 'host' && !containerMode(pid)) {
    refuse(`invalid PID mode: ${pid}`);
  }
  const uts = host.UTSMode ?? '';
  if (uts !== '' && uts !== 'host') {
    refuse(`invalid UTS mode: ${uts}`);
  }
  const cgroupns = host.CgroupnsMode ?? '';
  if (!['', 'private', 'host'].includes(cgroupns)) {
    refuse(`invalid cgroup namespace mode: ${cgroupns}`);
  }
  const userns = host.UsernsMode ?? '';
  if (userns !== '' && userns !== 'host') {
    refuse(`invalid USER mode: ${userns}`);
  }
  if (host.Cgroup) {
    refuse(`invalid Cgroup: "${host.Cgroup}": sharing the cgroup of a container is not supported`);
  }
  if (!['', 'default'].includes((host.Isolation ?? '').toLowerCase())) {
    refuse(`invalid isolation (${host.Isolation}): linux only supports 'default'`);
  }
}

/** What cannot go along with another container's network. */
function checkSharedNetwork(config: ContainerConfig, host: HostConfig): void {
  if (!containerMode(host.NetworkMode)) {
    refuse('invalid network mode: invalid container format container:<name|id>');
  }
  const conflicts: readonly (readonly [boolean, string])[] = [
    [(config.Hostname ?? '') !== '', 'conflicting options: hostname and the network mode'],
    [
      (host.Links?.length ?? 0) > 0,
      "conflicting options: container type network can't be used with links. This would result in undefined behavior",
    ],
    [(host.Dns?.length ?? 0) > 0, 'conflicting options: dns and the network mode'],
    [
      (host.ExtraHosts?.length ?? 0) > 0,
      'conflicting options: custom host-to-IP mapping and the network mode',
    ],
    [
      Object.keys(host.PortBindings ?? {}).length > 0 || host.PublishAllPorts === true,
      'conflicting options: port publishing and the container type network mode',
    ],
    [
      Object.keys(config.ExposedPorts ?? {}).length > 0,
      'conflicting options: port exposing and the container type network mode',
    ],
    [(config.MacAddress ?? '') !== '', 'conflicting options: mac-address and the network mode'],
  ];
  const conflict = conflicts.find(([isThere]) => isThere);
  if (conflict !== undefined) {
    refuse(conflict[1]);
  }
}

function checkNetworkMode(config: ContainerConfig, host: HostConfig): void {
  const mode = host.NetworkMode ?? '';
  const hasHostname = (config.Hostname ?? '') !== '';
  const hasLinks = (host.Links?.length ?? 0) > 0;
  if (mode === 'container' || mode.startsWith('container:')) {
    checkSharedNetwork(config, host);
  }
  if (host.UTSMode === 'host' && hasHostname) {
    refuse('conflicting options: hostname and the UTS mode');
  }
  if (mode === 'host' && hasLinks) {
    refuse(
      "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
    );
  }
}

const PORT_KEY = /^(\d+)(?:-(\d+))?(?:\/([a-z]+))?$/i;

function checkPortKey(key: string): void {
  const match = PORT_KEY.exec(key);
  if (match === null || match[2] !== undefined || Number(match[1]) > 65_535) {
    refuse(`invalid port specification: "${key.split('/')[0] ?? key}"`);
  }
  const protocol = match[3]?.toLowerCase() ?? 'tcp';
  if (!['tcp', 'udp', 'sctp'].includes(protocol)) {
    refuse(`invalid proto: ${protocol}`);
  }
}

function checkPorts(host: HostConfig): void {
  for (const [key, bindings] of Object.entries(host.PortBindings ?? {})) {
    checkPortKey(key);
    for (const { HostPort: hostPort = '', HostIp: hostIp = '' } of bindings) {
      const range = /^(\d+)(?:-(\d+))?$/.exec(hostPort);
      const end = Number(range?.[2] ?? range?.[1]);
      if (hostPort !== '' && (range === null || end > 65_535 || end < Number(range[1]))) {
        refuse(`invalid port specification: "${hostPort}"`);
      }
      if (hostIp !== '' && isIP(hostIp.replace(/^\[(.*)\]$/, '$1')) === 0) {
        refuse(`invalid IP address: ${hostIp}`);
      }
    }
  }
}

function checkNames(host: HostConfig): void {
  for (const entry of host.ExtraHosts ?? []) {
    const [name = '', ...rest] = entry.split(/[:=]/);
    const address = entry.slice(name.length + 1);
    if (name === '' || rest.length === 0) {
      refuse(`bad format for add-host: "${entry}"`);
    }
    if (address !== 'host-gateway' && isIP(address.replace(/^\[(.*)\]$/, '$1')) === 0) {
      refuse(`invalid IP address in add-host: "${address}"`);
    }
  }
  for (const server of host.Dns ?? []) {
    if (isIP(server) === 0) {
      refuse(`invalid DNS address: ${server}`);
    }
  }
  for (const key of Object.keys(host.Annotations ?? {})) {
    if (key === '') {
      refuse('invalid Annotations: the empty string is not permitted as an annotation key');
    }
  }
}

function checkDevices(host: HostConfig): void {
  const request = host.DeviceRequests?.[0];
  if (request !== undefined) {
    const capabilities = (request.Capabilities ?? []).map((set) => `[${set.join(' ')}]`).join(' ');
    refuse(
      `could not select device driver "${request.Driver ?? ''}" with capabilities: [${capabilities}]`,
    );
  }
  for (const device of host.Devices ?? []) {
    if (!/^[rwm]{0,3}$/.test(device.CgroupPermissions ?? '')) {
      refuse(`invalid device permissions: ${device.CgroupPermissions}`);
    }
  }
  const storage = Object.keys(host.StorageOpt ?? {});
  if (storage.length > 0) {
    refuse(
      `--storage-opt is not supported: option ${storage[0]} needs a file system with project quotas`,
    );
  }
}

function checkSysctls(host: HostConfig): void {
  for (const key of Object.keys(host.Sysctls ?? {})) {
    const isNet = key.startsWith('net.');
    if (isNet && host.NetworkMode === 'host') {
      refuse(`sysctl '${key}' not allowed in host network namespace`);
    }
    if (/\s|\.\.|\//.test(key)) {
      refuse(`invalid sysctl: '${key}'`);
    }
  }
}

function checkNumbers(host: HostConfig): void {
  if ((host.ShmSize ?? 0) < 0) {
    refuse('SHM size can not be less than 0');
  }
  const oom = host.OomScoreAdj ?? 0;
  if (oom < -1000 || oom > 1000) {
    refuse(`Invalid value ${oom}, range for oom score adj is [-1000, 1000]`);
  }
}

/** What {@link checkHostConfig} found. */
export interface CheckedHost {
  readonly hostConfig: HostConfig;
  readonly warnings: readonly string[];
}

/**
 * Checks HostConfig as Docker does: nothing is dropped silently, what the machine cannot do is dropped with a warning.
 *
 * @throws InvalidParameterError  naming the field
 */
export function checkHostConfig(
  config: ContainerConfig,
  host: HostConfig,
  runtime: RuntimeSide,
): CheckedHost {
  if (host.AutoRemove === true && !['', 'no'].includes(host.RestartPolicy?.Name ?? '')) {
    refuse("can't create 'AutoRemove' container with restart policy");
  }
  const warnings: string[] = [];
  for (const mount of host.Mounts ?? []) {
    if (mount.Type === 'image') {
      warnings.push('Image mount is an experimental feature');
    }
    checkMount(mount);
  }
  checkNames(host);
  checkPorts(host);
  validateRestartPolicy(host.RestartPolicy);
  runtime.validate(host);
  const limits = checkLimits(host, runtime.machine, false);
  warnings.push(...limits.warnings);
  checkModes(host);
  checkNetworkMode(config, host);
  checkNumbers(host);
  if (host.NetworkMode === 'host' && Object.keys(host.PortBindings ?? {}).length > 0) {
    warnings.push('Published ports are discarded when using host network mode');
  }
  for (const target of Object.keys(host.Tmpfs ?? {})) {
    checkTmpfsDestination(target);
  }
  checkDevices(host);
  checkSysctls(host);
  const name = host.Runtime || runtime.runtimes.defaultName;
  if (!runtime.runtimes.byName.has(name)) {
    refuse(`unknown or invalid runtime name: ${name}`);
  }
  if ((host.SecurityOpt ?? []).some((option) => /^label[=:]/.test(option))) {
    warnings.push('SELinux is not enabled on this engine: security option label is ignored.');
  }
  return { hostConfig: { ...limits.hostConfig, Runtime: name }, warnings };
}

/** Sources of `--mount type=bind` must be there. @throws InvalidParameterError */
export async function checkBindSources(host: HostConfig): Promise<void> {
  for (const mount of host.Mounts ?? []) {
    if (mount.Type !== 'bind' || mount.BindOptions?.CreateMountpoint === true) {
      continue;
    }
    try {
      await lstat(mount.Source ?? '');
    } catch (error) {
      if (isMissing(error)) {
        refuse(
          `invalid mount config for type "bind": bind source path does not exist: ${mount.Source}`,
        );
      }
      throw error;
    }
  }
}
