import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readEngineId } from './engine-id.ts';
import { HostSystem, type SystemSettings } from './host-system.ts';

const SETTINGS: SystemSettings = {
  isDebug: true,
  defaultLogDriver: 'json-file',
  labels: ['a=b'],
  insecureRegistries: ['192.168.1.0/24', 'insecurehost.com:5000'],
  registryMirrors: ['https://mirror.example'],
  addressPools: [{ base: '10.9.0.0/16', size: 24 }],
  insecureListeners: ['0.0.0.0:2375'],
};

const system = new HostSystem({
  facts: {
    engineId: 'id',
    engineVersion: '1.2.3',
    dataRoot: '/data',
    storageDriver: 'overlay2',
    storageStatus: [['Backing Filesystem', 'extfs']],
    cgroupVersion: 1,
    controllers: new Set(['memory', 'cpu', 'cpuset']),
    hasSwapLimit: true,
    hasSeccomp: true,
    hasAppArmor: false,
    cpuCount: 2,
    memoryBytes: 1024,
    runtimes: new Map([['runc', { path: '/usr/bin/runc', version: 'runc version 1.1' }]]),
    defaultRuntime: 'runc',
    initPath: '/usr/lib/gantry/init',
    networkDrivers: ['bridge'],
    logDrivers: ['json-file'],
  },
  settings: () => SETTINGS,
  containerCounts: () => ({ total: 6, running: 1, paused: 2, stopped: 3 }),
  imageCount: () => 4,
  eventListenerCount: () => 5,
});

describe('info', () => {
  it('has what clients ask for', async () => {
    const info = await system.info();
    expect(info).toMatchObject({
      ID: 'id',
      Containers: 6,
      ContainersRunning: 1,
      Images: 4,
      NEventsListener: 5,
      OSType: 'linux',
      Debug: true,
      PidsLimit: false,
      MemoryLimit: true,
      SecurityOptions: ['name=seccomp,profile=builtin', 'name=cgroupns'],
      Swarm: { LocalNodeState: 'inactive' },
      DefaultAddressPools: [{ Base: '10.9.0.0/16', Size: 24 }],
    });
    for (const text of [info.OperatingSystem, info.KernelVersion, info.Architecture, info.Name]) {
      expect(text).not.toBe('');
    }
    expect(info.NFd).toBeGreaterThan(0);
    expect(info.NGoroutines).toBeGreaterThan(0);
  });

  it('shows registries as Docker does', async () => {
    const { RegistryConfig: registries } = await system.info();
    expect(registries.InsecureRegistryCIDRs).toEqual(['::1/128', '127.0.0.0/8', '192.168.1.0/24']);
    expect(registries.IndexConfigs['insecurehost.com:5000']).toEqual({
      Name: 'insecurehost.com:5000',
      Mirrors: [],
      Secure: false,
      Official: false,
    });
    expect(registries.IndexConfigs['docker.io']?.Mirrors).toEqual(['https://mirror.example/']);
  });

  it('warns of an open TCP port', async () => {
    const { Warnings: warnings } = await system.info();
    expect(warnings?.join('\n')).toContain('http://0.0.0.0:2375');
    expect(warnings?.join('\n')).toContain('Access to the remote API is equivalent to root access');
  });
});

describe('version', () => {
  it('names both ends of the API', async () => {
    expect(await system.version()).toMatchObject({
      Version: '1.2.3',
      ApiVersion: '1.51',
      MinAPIVersion: '1.24',
      Os: 'linux',
    });
  });
});

describe('engine id', () => {
  it('stays the same', async () => {
    const root = await mkdtemp(join(tmpdir(), 'gantry-id-'));
    try {
      const id = await readEngineId(root);
      expect(id).toMatch(/^[0-9a-f-]{36}$/);
      expect(await readEngineId(root)).toBe(id);
    } finally {
      await rm(root, { recursive: true });
    }
  });
});
