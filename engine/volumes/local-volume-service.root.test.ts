import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { silentLogger } from '../base/logger.ts';
import { MemoryEventLog } from '../events/memory-event-log.ts';
import { LocalVolumeService } from './local-volume-service.ts';
import { mountsBelow, unmountVolume } from './volume-mount.ts';

let scratch = '';
let root = '';

const open = async (): Promise<LocalVolumeService> => {
  const service = new LocalVolumeService({
    root,
    events: new MemoryEventLog(),
    users: () => new Map(),
    log: silentLogger,
  });
  await service.start();
  return service;
};

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'gantry-volumes-root-'));
  root = join(scratch, 'volumes');
});
afterEach(async () => {
  await unmountVolume(scratch);
  await rm(scratch, { recursive: true, force: true });
});

it('mounts a tmpfs with the first user and unmounts it with the last', async () => {
  const service = await open();
  await service.create({
    Name: 'memory',
    DriverOpts: { type: 'tmpfs', device: 'tmpfs', o: 'size=1m,mode=0750' },
  });
  const path = await service.acquire('memory', 'c1');
  expect(await mountsBelow(path)).toEqual([path]);
  await writeFile(join(path, 'file'), 'x');
  expect(await service.acquire('memory', 'c2')).toBe(path);
  expect(await mountsBelow(path)).toEqual([path]);
  await service.release('memory', 'c1');
  expect(await readdir(path)).toEqual(['file']);
  await service.release('memory', 'c2');
  expect(await mountsBelow(path)).toEqual([]);
  expect(await readdir(path)).toEqual([]);
  await service.remove('memory', { isForced: false });
  expect(await readdir(root)).toEqual([]);
});

it('binds a host folder and never removes what is in it', async () => {
  const host = join(scratch, 'host');
  await mkdir(host);
  await writeFile(join(host, 'precious'), 'x');
  const service = await open();
  await service.create({ Name: 'bound', DriverOpts: { type: 'none', device: host, o: 'bind' } });
  const path = await service.acquire('bound', 'c1');
  expect(await readdir(path)).toEqual(['precious']);
  // An engine that died leaves the mount behind; the next one finds it and takes it down first.
  const next = await open();
  await next.remove('bound', { isForced: false });
  expect(await readdir(root)).toEqual([]);
  expect(await readFile(join(host, 'precious'), 'utf8')).toBe('x');
});

it('says what mount said, without passwords', async () => {
  const service = await open();
  await service.create({
    Name: 'bad',
    DriverOpts: { type: 'nosuchfs', device: 'x', o: 'password=secret' },
  });
  await expect(service.acquire('bad', 'c1')).rejects.toThrow('failed to mount local volume');
  await expect(service.acquire('bad', 'c1')).rejects.not.toThrow('secret');
  await service.remove('bad', { isForced: false });
});
