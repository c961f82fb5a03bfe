import { describe, expect, it } from 'vitest';
import type { ContainerConfig, HostConfig } from '../../api/types/container.ts';
import { fakeRuntime } from '../testing/fake-runtime.ts';
import { checkLimits } from './limits.ts';
import { commandOf, mergeConfig } from './merge-config.ts';
import { checkConfig, checkHostConfig } from './validate.ts';

const MIB = 2 ** 20;
const check = (host: HostConfig, config: ContainerConfig = {}) =>
  checkHostConfig(config, host, fakeRuntime());

describe('HostConfig', () => {
  it.each<[HostConfig, string]>([
    [{ Memory: 1 * MIB }, 'Minimum memory limit allowed is 6MB'],
    [
      { Memory: 64 * MIB, MemorySwap: 32 * MIB },
      'Minimum memoryswap limit should be larger than memory limit, see usage',
    ],
    [
      { MemorySwap: 32 * MIB },
      'You should always set the Memory limit when using Memoryswap limit, see usage',
    ],
    [{ MemoryReservation: 1 }, 'Minimum memory reservation allowed is 6MB'],
    [
      { Memory: 8 * MIB, MemoryReservation: 9 * MIB },
      'Minimum memory limit can not be less than memory reservation limit, see usage',
    ],
    [{ MemorySwappiness: 101 }, 'Invalid value: 101, valid memory swappiness range is 0-100'],
    [
      { NanoCpus: 1e9, CpuPeriod: 1000 },
      'Conflicting options: Nano CPUs and CPU Period cannot both be set',
    ],
    [{ NanoCpus: 3e9 }, 'range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available'],
    [{ CpuPeriod: 10 }, 'CPU cfs period can not be less than 1ms'],
    [{ CpuQuota: 10 }, 'CPU cfs quota can not be less than 1ms (i.e. 1000)'],
    [{ CpuShares: -1 }, 'invalid CPU shares (-1): value must be a positive integer'],
    [{ CpusetCpus: '7' }, 'Requested CPUs are not available - requested 7, available: 0-1'],
    [{ CpusetCpus: 'x' }, 'Invalid value x for cpuset cpus'],
    [{ BlkioWeight: 5 }, 'Range of blkio weight is from 10 to 1000'],
    [{ OomScoreAdj: 2000 }, 'Invalid value 2000, range for oom score adj is [-1000, 1000]'],
    [{ ShmSize: -1 }, 'SHM size can not be less than 0'],
    [{ IpcMode: 'odd' }, 'invalid IPC mode: odd'],
    [{ PidMode: 'odd' }, 'invalid PID mode: odd'],
    [{ UTSMode: 'odd' }, 'invalid UTS mode: odd'],
    [{ UsernsMode: 'odd' }, 'invalid USER mode: odd'],
    [{ CgroupnsMode: 'odd' }, 'invalid cgroup namespace mode: odd'],
    [{ Isolation: 'hyperv' }, "invalid isolation (hyperv): linux only supports 'default'"],
    [{ Runtime: 'odd' }, 'unknown or invalid runtime name: odd'],
    [
      { AutoRemove: true, RestartPolicy: { Name: 'always' } },
      "can't create 'AutoRemove' container with restart policy",
    ],
    [{ PortBindings: { 'x/tcp': [] } }, 'invalid port specification: "x"'],
    [
      { PortBindings: { '80/tcp': [{ HostPort: '99999' }] } },
      'invalid port specification: "99999"',
    ],
    [{ PortBindings: { '80/udp': [{ HostIp: 'nope' }] } }, 'invalid IP address: nope'],
    [{ PortBindings: { '80/icmp': [] } }, 'invalid proto: icmp'],
    [{ ExtraHosts: ['nocolon'] }, 'bad format for add-host: "nocolon"'],
    [{ ExtraHosts: ['a:300.1.1.1'] }, 'invalid IP address in add-host: "300.1.1.1"'],
    [{ Annotations: { '': 'x' } }, 'the empty string is not permitted as an annotation key'],
    [{ Tmpfs: { '/': '' } }, "invalid specification: destination can't be '/'"],
    [{ StorageOpt: { size: '1G' } }, '--storage-opt is not supported'],
    [
      { DeviceRequests: [{ Driver: '', Capabilities: [['gpu']] }] },
      'could not select device driver "" with capabilities: [[gpu]]',
    ],
    [
      { NetworkMode: 'container:' },
      'invalid network mode: invalid container format container:<name|id>',
    ],
    [
      { NetworkMode: 'container:x', PublishAllPorts: true },
      'conflicting options: port publishing and the container type network mode',
    ],
    [
      { NetworkMode: 'host', Sysctls: { 'net.ipv4.ip_forward': '1' } },
      "sysctl 'net.ipv4.ip_forward' not allowed in host network namespace",
    ],
  ])('refuses %j', (host, message) => {
    expect(() => check(host)).toThrow(message);
  });

  it('conflicts with Config', () => {
    expect(() => check({ NetworkMode: 'container:x' }, { Hostname: 'h' })).toThrow(
      'conflicting options: hostname and the network mode',
    );
    expect(() => check({ UTSMode: 'host' }, { Hostname: 'h' })).toThrow(
      'conflicting options: hostname and the UTS mode',
    );
  });

  it('warns where Docker warns', () => {
    const { warnings } = check({
      NetworkMode: 'host',
      PortBindings: { '80/tcp': [{}] },
      OomKillDisable: true,
    });
    expect(warnings).toContain('Published ports are discarded when using host network mode');
    expect(warnings.join('\n')).toContain('OOM killer is disabled for the container');
  });

  it('names the runtime', () => {
    expect(check({}).hostConfig.Runtime).toBe('runc');
  });
});

describe('limits', () => {
  it('are dropped with a warning where the machine has none', () => {
    const machine = { ...fakeRuntime().machine, hasSwapLimit: false };
    const checked = checkLimits({ Memory: 64 * MIB, MemorySwap: 128 * MIB }, machine, false);
    expect(checked.hostConfig.MemorySwap).toBe(-1);
    expect(checked.warnings[0]).toContain('does not support swap limit capabilities');
  });

  it('swap alone may be updated', () => {
    const { machine } = fakeRuntime();
    expect(checkLimits({ MemorySwap: 128 * MIB }, machine, true).warnings).toEqual([]);
  });
});

describe('Config', () => {
  it.each<[ContainerConfig, string]>([
    [
      { WorkingDir: 'rel' },
      "the working directory 'rel' is invalid, it needs to be an absolute path",
    ],
    [{ StopSignal: 'SIGNOPE' }, 'invalid signal: SIGNOPE'],
    [{ Env: ['=x'] }, 'invalid environment variable: =x'],
    [{ Env: [''] }, 'invalid environment variable: '],
    [{ Healthcheck: { Interval: 10 } }, 'Interval in Healthcheck cannot be less than 1ms'],
    [{ Healthcheck: { Retries: -1 } }, 'Retries in Healthcheck cannot be negative'],
    [{ ExposedPorts: { 'x/tcp': {} } }, 'invalid port specification: "x/tcp"'],
    [{ Volumes: { '/': {} } }, "invalid specification: destination can't be '/'"],
  ])('refuses %j', (config, message) => {
    expect(() => checkConfig(config)).toThrow(message);
  });

  it('cleans the working folder', () => {
    expect(checkConfig({ WorkingDir: '/a/../b/' }).WorkingDir).toBe('/b');
    expect(checkConfig({ WorkingDir: '/' }).WorkingDir).toBe('/');
  });
});

describe('merging an image', () => {
  const image = {
    Env: ['PATH=/bin', 'A=1'],
    Cmd: ['serve'],
    Entrypoint: ['/entry'],
    Labels: { a: 'image', b: 'image' },
    ExposedPorts: { '80/tcp': {} },
    Volumes: { '/data': {} },
    WorkingDir: '/srv',
    User: 'app',
    StopSignal: 'SIGQUIT',
    Healthcheck: { Test: ['CMD', 'true'], Retries: 5 },
  };

  it('fills what is open', () => {
    const merged = mergeConfig({}, image);
    expect(merged).toMatchObject({ User: 'app', WorkingDir: '/srv', StopSignal: 'SIGQUIT' });
    expect(commandOf(merged)).toMatchObject({ path: '/entry', args: ['serve'] });
  });

  it('own values win one by one', () => {
    const merged = mergeConfig(
      {
        Env: ['A=2'],
        Labels: { b: 'own' },
        ExposedPorts: { '90/tcp': {} },
        Healthcheck: { Retries: 1 },
      },
      image,
    );
    expect(merged.Env).toEqual(['A=2', 'PATH=/bin']);
    expect(merged.Labels).toEqual({ a: 'image', b: 'own' });
    expect(Object.keys(merged.ExposedPorts ?? {})).toEqual(['80/tcp', '90/tcp']);
    expect(merged.Healthcheck).toMatchObject({ Test: ['CMD', 'true'], Retries: 1 });
  });

  it('an own entrypoint drops the command of the image', () => {
    expect(commandOf(mergeConfig({ Entrypoint: ['sh'] }, image))).toMatchObject({
      path: 'sh',
      args: [],
    });
  });

  it('an entrypoint of one empty text means none', () => {
    expect(commandOf(mergeConfig({ Entrypoint: [''], Cmd: ['ls', '-l'] }, image))).toMatchObject({
      path: 'ls',
      args: ['-l'],
    });
    expect(() => commandOf(mergeConfig({}, {}))).toThrow('no command specified');
  });
});
