import { describe, expect, test } from 'vitest';
import { formatAddress, formatPrefix, parseAddress, parsePrefix } from './addresses.ts';
import { AddressPool, AddressSpace } from './ipam.ts';

const prefix = (text: string) => parsePrefix(text)!;
const address = (text: string) => parseAddress(text)!;
const serial = { isSerial: true };

describe('AddressPool', () => {
  test('gives addresses out one after the other and does not at once reuse a released one', () => {
    const pool = new AddressPool(prefix('10.0.0.0/29'));
    pool.reserve(address('10.0.0.1'));
    const take = () => formatAddress(pool.allocate(undefined, serial));
    expect([take(), take(), take()]).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.4']);
    pool.release(address('10.0.0.3'));
    expect([take(), take(), take()]).toEqual(['10.0.0.5', '10.0.0.6', '10.0.0.3']);
    expect(take).toThrow('no available addresses on this pool');
  });

  test('network and broadcast address are never given out, except on a /31', () => {
    expect(() => new AddressPool(prefix('10.0.0.0/30')).reserve(address('10.0.0.0'))).toThrow(
      'Address already in use',
    );
    expect(() => new AddressPool(prefix('10.0.0.0/30')).reserve(address('10.0.0.3'))).toThrow(
      'Address already in use',
    );
    const link = new AddressPool(prefix('10.0.0.0/31'));
    expect(formatAddress(link.allocate(undefined, serial))).toBe('10.0.0.0');
    expect(formatAddress(link.allocate(undefined, serial))).toBe('10.0.0.1');
    expect(() => new AddressPool(prefix('fd00::/64')).reserve(address('fd00::'))).toThrow(
      'Address already in use',
    );
  });

  test('stays in the range', () => {
    const pool = new AddressPool(prefix('fda9:8d04:86e::/64'));
    const range = prefix('fda9:8d04:86e::ffff:ffff:ffff:fffe/127');
    expect(formatAddress(pool.allocate(range, serial))).toBe('fda9:8d04:86e:0:ffff:ffff:ffff:fffe');
    expect(formatAddress(pool.allocate(range, serial))).toBe('fda9:8d04:86e:0:ffff:ffff:ffff:ffff');
    expect(() => pool.allocate(range, serial)).toThrow('no available');
  });

  test('refuses what is taken or outside', () => {
    const pool = new AddressPool(prefix('10.0.0.0/24'));
    pool.reserve(address('10.0.0.9'));
    expect(() => pool.reserve(address('10.0.0.9'))).toThrow('Address already in use');
    expect(() => pool.reserve(address('10.0.1.9'))).toThrow('requested address is out of range');
  });

  test('never hands out an address twice, whatever is taken and given back', () => {
    const pool = new AddressPool(prefix('10.0.0.0/26'));
    const held = new Set<string>();
    for (let round = 0; round < 3000; round += 1) {
      if (held.size < 50 && Math.random() < 0.6) {
        const got = formatAddress(pool.allocate(undefined, serial));
        expect(held.has(got)).toBe(false);
        held.add(got);
      } else {
        const [first] = held;
        if (first !== undefined) {
          held.delete(first);
          pool.release(address(first));
        }
      }
    }
  });
});

describe('AddressSpace', () => {
  const sources = [
    { base: prefix('10.1.0.0/24'), size: 26 },
    { base: prefix('10.2.0.0/24'), size: 25 },
    { base: prefix('fd00::/48'), size: 64 },
  ];

  test('cuts subnets in order around what is reserved', () => {
    const space = new AddressSpace(4, sources);
    const take = () =>
      formatPrefix(space.requestAny([prefix('10.1.0.64/27'), prefix('10.2.0.0/30')]).subnet);
    expect([take(), take(), take(), take()]).toEqual([
      '10.1.0.0/26',
      '10.1.0.128/26',
      '10.1.0.192/26',
      '10.2.0.128/25',
    ]);
    expect(take).toThrow('all predefined address pools have been fully subnetted');
    space.release(prefix('10.1.0.128/26'), undefined);
    expect(take()).toBe('10.1.0.128/26');
  });

  test('an obstacle larger than a block is skipped whole', () => {
    const space = new AddressSpace(4, sources);
    expect(formatPrefix(space.requestAny([prefix('10.1.0.0/16')]).subnet)).toBe('10.2.0.0/25');
    expect(() => space.requestAny([prefix('10.0.0.0/8')])).toThrow('fully subnetted');
  });

  test('IPv6 comes from IPv6 blocks only', () => {
    const space = new AddressSpace(6, sources);
    expect(formatPrefix(space.requestAny([]).subnet)).toBe('fd00::/64');
    expect(formatPrefix(space.requestAny([]).subnet)).toBe('fd00:0:0:1::/64');
  });

  test('named subnets must not overlap, unless the range differs', () => {
    const space = new AddressSpace(4, sources);
    space.requestNamed(prefix('10.9.0.0/16'), undefined);
    expect(() => space.requestNamed(prefix('10.9.0.0/16'), undefined)).toThrow(
      'invalid pool request: Pool overlaps with other one on this address space',
    );
    expect(() => space.requestNamed(prefix('10.9.4.0/24'), undefined)).toThrow('Pool overlaps');
    const shared = space.requestNamed(prefix('10.9.0.0/16'), prefix('10.9.1.0/24'));
    expect(shared).toBe(space.find(prefix('10.9.0.0/16')));
    expect(() => space.requestNamed(prefix('10.9.0.0/16'), prefix('10.9.1.0/24'))).toThrow(
      'Pool overlaps',
    );
    space.release(prefix('10.9.0.0/16'), undefined);
    expect(space.find(prefix('10.9.0.0/16'))).toBeDefined();
    space.release(prefix('10.9.0.0/16'), prefix('10.9.1.0/24'));
    expect(space.find(prefix('10.9.0.0/16'))).toBeUndefined();
  });
});
