import { describe, expect, test } from 'vitest';
import { reconcileForeign } from './foreign-firewall.ts';

const demand = { mark: 'gantry:abcdef', devices: ['gantry0'], dnsPort: 5300 };

function listing(entries: readonly object[]): string {
  return JSON.stringify({
    nftables: [{ metainfo: { version: '1.0.6' } }, { table: { name: 'filter' } }, ...entries],
  });
}

const chain = (name: string, hook: string | undefined, policy: string | undefined) => ({
  chain: {
    family: 'ip',
    table: 'filter',
    name,
    handle: 1,
    ...(hook && { hook }),
    ...(policy && { policy }),
  },
});
const rule = (name: string, handle: number, comment?: string) => ({
  rule: {
    family: 'ip',
    table: 'filter',
    chain: name,
    handle,
    expr: [],
    ...(comment && { comment }),
  },
});

describe('reconcileForeign', () => {
  test('changes nothing where nothing is dropped', () => {
    expect(reconcileForeign(listing([chain('FORWARD', 'forward', 'accept')]), demand)).toEqual([]);
  });

  test('puts accepting rules in front where the policy is drop', () => {
    expect(reconcileForeign(listing([chain('FORWARD', 'forward', 'drop')]), demand)).toEqual([
      'insert rule ip filter FORWARD iifname "gantry0" counter accept comment "gantry:abcdef iifname gantry0"',
      'insert rule ip filter FORWARD oifname "gantry0" counter accept comment "gantry:abcdef oifname gantry0"',
    ]);
  });

  test('uses the chain that dockerd leaves to others', () => {
    const commands = reconcileForeign(
      listing([chain('FORWARD', 'forward', 'drop'), chain('DOCKER-USER', undefined, undefined)]),
      demand,
    );
    expect(commands).toHaveLength(2);
    expect(
      commands.every((command) => command.startsWith('insert rule ip filter DOCKER-USER ')),
    ).toBe(true);
  });

  test('lets DNS in where input is dropped', () => {
    expect(reconcileForeign(listing([chain('INPUT', 'input', 'drop')]), demand)).toEqual([
      'insert rule ip filter INPUT iifname "gantry0" ip daddr 127.0.0.1 udp dport 5300 counter accept comment "gantry:abcdef dns udp gantry0 5300"',
      'insert rule ip filter INPUT iifname "gantry0" ip daddr 127.0.0.1 tcp dport 5300 counter accept comment "gantry:abcdef dns tcp gantry0 5300"',
    ]);
  });

  test('does nothing a second time, removes what is no longer needed, leaves rules of others', () => {
    const present = [
      chain('FORWARD', 'forward', 'drop'),
      rule('FORWARD', 5, 'gantry:abcdef iifname gantry0'),
      rule('FORWARD', 6, 'gantry:abcdef oifname gantry0'),
      rule('FORWARD', 7, 'gantry:abcdef oifname br-gone'),
      rule('FORWARD', 8, 'gantry:123456 oifname br-gone'),
      rule('FORWARD', 9),
    ];
    expect(reconcileForeign(listing(present), demand)).toEqual([
      'delete rule ip filter FORWARD handle 7',
    ]);
    expect(reconcileForeign(listing(present), { ...demand, devices: [] })).toEqual([
      'delete rule ip filter FORWARD handle 5',
      'delete rule ip filter FORWARD handle 6',
      'delete rule ip filter FORWARD handle 7',
    ]);
  });
});
