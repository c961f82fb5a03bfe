import { describe, expect, test } from 'vitest';
import {
  contains,
  formatAddress,
  formatPrefix,
  isLoopback,
  isMulticast,
  lastOf,
  masked,
  overlaps,
  parseAddress,
  parseMac,
  parsePrefix,
  parseReverseName,
  randomMac,
  unmapped,
} from './addresses.ts';

describe('parseAddress', () => {
  test.each([
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['fd00:0:0:0:0:0:0:1', 'fd00::1'],
    ['2001:DB8::A:0:0:1', '2001:db8::a:0:0:1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.1'],
    ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
    ['fe80::', 'fe80::'],
  ])('%s is read and written back as %s', (text, canonical) => {
    const address = parseAddress(text);
    expect(address && formatAddress(address)).toBe(canonical);
  });

  test.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    'fe80::1%eth0',
    'g::',
    '1.2.3.4:80',
    ':1',
    '1:',
    '::1.2.3',
  ])('refuses %j', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test('random IPv6 values survive writing and reading', () => {
    for (let round = 0; round < 2000; round += 1) {
      let value = 0n;
      for (let group = 0; group < 8; group += 1) {
        // Many zero groups, since these are what abbreviation is about.
        value =
          (value << 16n) | (Math.random() < 0.5 ? 0n : BigInt(Math.floor(Math.random() * 65536)));
      }
      expect(parseAddress(formatAddress({ family: 6, value }))).toEqual({ family: 6, value });
    }
  });

  test('a mapped address becomes IPv4 when asked', () => {
    expect(formatAddress(unmapped(parseAddress('::ffff:10.1.2.3')!))).toBe('10.1.2.3');
    expect(formatAddress(unmapped(parseAddress('::1')!))).toBe('::1');
  });
});

describe('prefixes', () => {
  test('are masked, bounded and compared', () => {
    const prefix = parsePrefix('10.1.2.3/24')!;
    expect(formatPrefix(masked(prefix))).toBe('10.1.2.0/24');
    expect(formatAddress({ family: 4, value: lastOf(prefix) })).toBe('10.1.2.255');
    expect(contains(prefix, parseAddress('10.1.2.255')!)).toBe(true);
    expect(contains(prefix, parseAddress('10.1.3.0')!)).toBe(false);
    expect(contains(prefix, parseAddress('::1')!)).toBe(false);
    expect(overlaps(prefix, parsePrefix('10.0.0.0/8')!)).toBe(true);
    expect(overlaps(prefix, parsePrefix('10.1.3.0/24')!)).toBe(false);
    expect(overlaps(parsePrefix('0.0.0.0/0')!, parsePrefix('::/0')!)).toBe(false);
    expect(formatPrefix(masked(parsePrefix('fd00:1:2:3:4::9/64')!))).toBe('fd00:1:2:3::/64');
  });

  test.each(['10.0.0.0', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/08', '::/129', '/8', 'x/8'])(
    'refuses %j',
    (text) => {
      expect(parsePrefix(text)).toBeUndefined();
    },
  );

  test('kinds of addresses are told apart', () => {
    expect(isLoopback(parseAddress('127.9.9.9')!)).toBe(true);
    expect(isLoopback(parseAddress('::1')!)).toBe(true);
    expect(isLoopback(parseAddress('128.0.0.1')!)).toBe(false);
    expect(isMulticast(parseAddress('239.1.1.1')!)).toBe(true);
    expect(isMulticast(parseAddress('ff02::1')!)).toBe(true);
    expect(isMulticast(parseAddress('fe80::1')!)).toBe(false);
  });
});

describe('reverse names and hardware addresses', () => {
  test('reverse names give the address', () => {
    expect(parseReverseName('4.3.2.1.in-addr.arpa')).toEqual(parseAddress('1.2.3.4'));
    const v6 = `2.${'0.'.repeat(29)}d.f.ip6.arpa`;
    expect(parseReverseName(v6)).toEqual(parseAddress('fd00::2'));
    expect(parseReverseName('example.org')).toBeUndefined();
    expect(parseReverseName('1.2.3.in-addr.arpa')).toBeUndefined();
  });

  test('hardware addresses are normalised or refused', () => {
    expect(parseMac('02-42-AC-11-00-02')).toBe('02:42:ac:11:00:02');
    expect(parseMac('0242.ac11.0002')).toBe('02:42:ac:11:00:02');
    expect(parseMac('02:42:ac:11:00')).toBeUndefined();
    expect(parseMac('02:42:ac:11:00:zz')).toBeUndefined();
    const mac = randomMac();
    expect(parseMac(mac)).toBe(mac);
    expect(Number.parseInt(mac.slice(0, 2), 16) & 3).toBe(2);
  });
});
