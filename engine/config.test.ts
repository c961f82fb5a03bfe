import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseConfig } from './config.ts';

let dir: string;
let file: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gantry-config-'));
  file = join(dir, 'engine.json');
  await writeFile(file, '{}');
});
afterEach(async () => await rm(dir, { recursive: true, force: true }));

const parse = (...args: string[]) => parseConfig(['--config-file', file, ...args]);

describe('parseConfig', () => {
  it('nothing said › gives the documented places', () => {
    expect(parse()).toMatchObject({
      hosts: ['unix:///run/gantry/docker.sock'],
      dataRoot: '/var/lib/gantry',
      bridgeName: 'gantry0',
    });
  });

  it('flag › wins over the file', async () => {
    await writeFile(file, JSON.stringify({ bridge: 'one', mtu: 1400 }));
    expect(parse('--bridge', 'two')).toMatchObject({ bridgeName: 'two', mtu: 1400 });
  });

  it('unknown key › is refused by name', async () => {
    await writeFile(file, JSON.stringify({ brigde: 'x' }));
    expect(() => parse()).toThrow('brigde');
  });

  it('unknown flag › is refused by name', () => {
    expect(() => parse('--brigde', 'x')).toThrow('--brigde');
  });

  it('file that is no JSON › is named', async () => {
    await writeFile(file, '{');
    expect(() => parse()).toThrow(file);
  });

  it('missing file that was asked for › is an error', () => {
    expect(() => parseConfig(['--config-file', join(dir, 'none.json')])).toThrow('none.json');
  });

  it('tcp › needs mutual TLS or the explicit flag', () => {
    expect(() => parse('-H', 'tcp://127.0.0.1:2375')).toThrow('--tlsverify');
    expect(parse('-H', 'tcp://127.0.0.1:2375', '--allow-insecure-tcp').hosts).toHaveLength(1);
    expect(parse('-H', 'tcp://127.0.0.1:2376', '--tlsverify').tls).toMatchObject({
      isMutual: true,
    });
  });

  it('address pool › is read from its flag', () => {
    expect(parse('--default-address-pool', 'base=10.1.0.0/16,size=24').addressPools).toEqual([
      { base: '10.1.0.0/16', size: 24 },
    ]);
    expect(() => parse('--default-address-pool', 'x')).toThrow('base=');
  });

  it('bad number › is refused by its name', () => {
    expect(() => parse('--mtu', 'many')).toThrow('mtu');
  });
});
