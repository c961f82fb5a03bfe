import { access, link, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../base/logger.ts';
import { MemoryEventLog } from '../events/memory-event-log.ts';
import { ANONYMOUS_LABEL, LocalVolumeService } from './local-volume-service.ts';

let root = '';
let users = new Map<string, Set<string>>();

const open = async (): Promise<LocalVolumeService> => {
  const service = new LocalVolumeService({
    root,
    events: new MemoryEventLog(),
    users: () => users,
    log: silentLogger,
  });
  await service.start();
  return service;
};

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'gantry-volumes-'));
  users = new Map();
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

describe('create', () => {
  it('makes a durable volume with labels', async () => {
    const volume = await (await open()).create({ Name: 'data', Labels: { a: '1' } });
    expect(volume).toMatchObject({
      Name: 'data',
      Driver: 'local',
      Scope: 'local',
      Labels: { a: '1' },
      Options: null,
      Mountpoint: join(root, 'data', '_data'),
    });
    expect(volume.CreatedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect((await open()).inspect('data')).toEqual(volume);
  });

  it('names and labels anonymous volumes', async () => {
    const service = await open();
    const volume = await service.create({});
    expect(volume.Name).toMatch(/^[0-9a-f]{64}$/);
    expect(volume.Labels).toEqual({ [ANONYMOUS_LABEL]: '' });
    expect(service.isAnonymous(volume.Name)).toBe(true);
    expect(service.isAnonymous('other')).toBe(false);
  });

  it('returns the existing volume of that name', async () => {
    const service = await open();
    const first = await service.create({ Name: 'data', Labels: { a: '1' } });
    const [second, third] = await Promise.all([
      service.create({ Name: 'data' }),
      service.create({ Name: 'data', Labels: { b: '2' } }),
    ]);
    expect(second).toEqual(first);
    expect(third).toEqual(first);
  });

  it.each([
    [
      { Name: 'a' },
      'volume name is too short, names should be at least two alphanumeric characters',
    ],
    [
      { Name: '../x' },
      'create ../x: "../x" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
    ],
    [{ Name: '.hidden' }, 'includes invalid characters'],
    [{ Name: 'x'.repeat(300) }, 'longer than 255 bytes'],
    [
      { Name: 'data', Driver: 'nosuch' },
      'create data: error looking up volume plugin nosuch: plugin "nosuch" not found',
    ],
    [{ Name: 'data', DriverOpts: { foo: 'bar' } }, 'create data: invalid option: "foo"'],
    [{ Name: 'data', DriverOpts: { o: 'x' } }, 'create data: missing required option: "device"'],
    [{ Name: 'data', DriverOpts: { device: 'x' } }, 'create data: missing required option: "type"'],
    [{ Name: 'data', DriverOpts: { size: '1g' } }, 'quota size requested but no quota support'],
  ])('refuses %j', async (request, message) => {
    const service = await open();
    await expect(service.create(request)).rejects.toThrow(message);
    expect(service.list()).toEqual([]);
  });
});

describe('remove', () => {
  it('removes record and data', async () => {
    const service = await open();
    const { Mountpoint } = await service.create({ Name: 'data' });
    await writeFile(join(Mountpoint, 'file'), 'x');
    await service.remove('data', { isForced: false });
    expect(service.find('data')).toBeUndefined();
    expect(await readdir(root)).toEqual([]);
  });

  it('says who uses the volume', async () => {
    const service = await open();
    await service.create({ Name: 'data' });
    users.set('data', new Set(['c1', 'c2']));
    await expect(service.remove('data', { isForced: true })).rejects.toThrow(
      'remove data: volume is in use - [c1, c2]',
    );
  });

  it('refuses while a container has it acquired', async () => {
    const service = await open();
    await service.create({ Name: 'data' });
    await service.acquire('data', 'c9');
    await expect(service.remove('data', { isForced: false })).rejects.toThrow('in use - [c9]');
    await service.release('data', 'c9');
    await service.remove('data', { isForced: false });
  });

  it('is silent about a missing volume only when forced', async () => {
    const service = await open();
    await service.remove('nosuch', { isForced: true });
    await expect(service.remove('nosuch', { isForced: false })).rejects.toThrow(
      'get nosuch: no such volume',
    );
  });
});

describe('prune', () => {
  it('takes what is unused and chosen, and counts its bytes', async () => {
    const service = await open();
    const { Mountpoint } = await service.create({ Name: 'gone' });
    await writeFile(join(Mountpoint, 'file'), 'x'.repeat(1000));
    await link(join(Mountpoint, 'file'), join(Mountpoint, 'again'));
    await mkdir(join(Mountpoint, 'folder'));
    await service.create({ Name: 'used' });
    await service.create({ Name: 'kept' });
    users.set('used', new Set(['c']));
    expect(await service.prune((volume) => volume.Name !== 'kept')).toEqual({
      deleted: ['gone'],
      reclaimedBytes: 1000,
    });
    expect(service.list().map((volume) => volume.Name)).toEqual(['kept', 'used']);
  });

  it('lets a volume live that gets a user between preview and removal', async () => {
    const service = await open();
    await service.create({ Name: 'aa' });
    await service.create({ Name: 'bb' });
    const result = await service.prune((volume) => {
      if (volume.Name === 'aa') {
        users.set('bb', new Set(['c']));
      }
      return true;
    });
    expect(result.deleted).toEqual(['aa']);
    expect(service.find('bb')).toBeDefined();
  });

  it('refuses to run twice at once', async () => {
    const service = await open();
    await service.create({ Name: 'aa' });
    const first = service.prune(() => true);
    await expect(service.prune(() => true)).rejects.toThrow('a prune operation is already running');
    await first;
  });
});

describe('start', () => {
  it('sweeps half-made and half-removed folders and leaves foreign ones', async () => {
    await mkdir(join(root, '.creating-x', '_data'), { recursive: true });
    await mkdir(join(root, '.removing-y', '_data'), { recursive: true });
    await mkdir(join(root, 'foreign'));
    await mkdir(join(root, 'broken'));
    await writeFile(join(root, 'broken', 'volume.json'), '{"Name":"other"}');
    const service = await open();
    expect(service.list()).toEqual([]);
    await expect(access(join(root, '.creating-x'))).rejects.toThrow('ENOENT');
    expect((await readdir(root)).sort()).toEqual(['broken', 'foreign']);
  });
});

describe('use', () => {
  it('hands out the data folder and knows whether it is empty', async () => {
    const service = await open();
    await service.create({ Name: 'data' });
    const path = await service.acquire('data', 'c1');
    expect(await service.isEmpty('data')).toBe(true);
    await writeFile(join(path, 'file'), 'abc');
    expect(await service.isEmpty('data')).toBe(false);
    expect(await service.sizeOf('data')).toBe(3);
    await expect(service.acquire('nosuch', 'c1')).rejects.toThrow('get nosuch: no such volume');
  });
});
