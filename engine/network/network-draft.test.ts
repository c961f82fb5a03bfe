import { describe, expect, test } from 'vitest';
import { AddressBook } from './address-book.ts';
import { parsePrefix } from './addresses.ts';
import type { NetworkCreateRequest } from './contract.ts';
import { parseOnLinkRoutes } from './host.ts';
import type { NetworkRecord } from './model.ts';
import { type DraftContext, draftNetwork, timestamp } from './network-draft.ts';

function context(more: Partial<DraftContext> = {}): DraftContext & { existing: NetworkRecord[] } {
  const sources = ['10.1.0.0/16', 'fd12:3456:789a::/48'].map((base) => ({
    base: parsePrefix(base)!,
    size: base.includes(':') ? 64 : 24,
  }));
  return {
    existing: [],
    book: new AddressBook(sources),
    reserved: async () => [],
    defaultOptions: {},
    ...more,
  } as DraftContext & { existing: NetworkRecord[] };
}

const draft = async (
  request: Partial<NetworkCreateRequest>,
  given = context(),
): Promise<NetworkRecord> => {
  const record = await draftNetwork({ Name: 'net', ...request }, given);
  given.existing.push(record);
  return record;
};

describe('draftNetwork', () => {
  test('a name is enough', async () => {
    const record = await draft({});
    expect(record).toMatchObject({
      driver: 'bridge',
      enableIPv4: true,
      enableIPv6: false,
      pools: [{ subnet: '10.1.0.0/24', gateway: '10.1.0.1', isStatic: false }],
    });
    expect(record.device?.name).toBe(`br-${record.id.slice(0, 12)}`);
  });

  test('what the host uses is left alone', async () => {
    const given = context({
      reserved: async (family) => (family === 4 ? [parsePrefix('10.1.0.0/23')!] : []),
    });
    expect((await draft({}, given)).pools[0]?.subnet).toBe('10.1.2.0/24');
  });

  test('IPv6 without a subnet gets a unique local one', async () => {
    expect((await draft({ EnableIPv6: true })).pools[1]).toMatchObject({
      subnet: 'fd12:3456:789a::/64',
      gateway: 'fd12:3456:789a::1',
    });
  });

  test.each([
    [
      'fda9:8d04:86e::/64',
      'fda9:8d04:86e:0:ffff:ffff:ffff:ff0e/127',
      'fda9:8d04:86e:0:ffff:ffff:ffff:ff0e',
    ],
    [
      'fda9:8d04:86e::/56',
      'fda9:8d04:86e:aa:ffff:ffff:ffff:fffe/127',
      'fda9:8d04:86e:aa:ffff:ffff:ffff:fffe',
    ],
    ['fd2e:b68c:ce26::/64', 'fd2e:b68c:ce26::/64', 'fd2e:b68c:ce26::1'],
    ['fd2e:b68c:ce26::/56', '', 'fd2e:b68c:ce26::1'],
  ])('%s with range %j has the gateway %s', async (Subnet, IPRange, gateway) => {
    const record = await draft({ EnableIPv6: true, IPAM: { Config: [{ Subnet, IPRange }] } });
    expect(record.pools.find((pool) => pool.subnet.includes(':'))?.gateway).toBe(gateway);
  });

  test('ranges, gateways and auxiliary addresses are kept, and a failure gives everything back', async () => {
    const given = context();
    const IPAM = {
      Config: [
        {
          Subnet: '10.9.0.0/24',
          IPRange: '10.9.0.128/25',
          Gateway: '10.9.0.254',
          AuxAddress: { printer: '10.9.0.7' },
        },
      ],
    };
    const record = await draft({ IPAM }, given);
    expect(record.pools[0]).toEqual({
      subnet: '10.9.0.0/24',
      range: '10.9.0.128/25',
      gateway: '10.9.0.254',
      auxiliary: { printer: '10.9.0.7' },
      isStatic: true,
    });
    expect(given.book.takeAddress(record.pools, 4, '').address).toBe('10.9.0.128');
    expect(() => given.book.takeAddress(record.pools, 4, '10.9.0.7')).toThrow(
      'Address already in use',
    );
    const clash = {
      Config: [
        { Subnet: '10.8.0.0/24', Gateway: '10.8.0.1', AuxiliaryAddresses: { a: '10.8.0.1' } },
      ],
    };
    await expect(draft({ Name: 'b', IPAM: clash }, given)).rejects.toThrow(
      'failed to allocate secondary ip address (a:10.8.0.1): Address already in use',
    );
    expect(
      (await draft({ Name: 'c', IPAM: { Config: [{ Subnet: '10.8.0.0/24' }] } }, given)).pools[0]
        ?.gateway,
    ).toBe('10.8.0.1');
  });

  test('isolated networks set no address aside', async () => {
    const record = await draft({
      Internal: true,
      Options: { 'com.docker.network.bridge.gateway_mode_ipv4': 'isolated' },
      IPAM: { Config: [{ Subnet: '10.7.0.0/31' }] },
    });
    expect(record.pools[0]?.gateway).toBeUndefined();
  });

  test.each([
    [{ Name: 'bridge' }, 'operation is not permitted on predefined bridge network'],
    [{ Name: ' ' }, 'invalid name: name is empty'],
    [{ Driver: 'overlay' }, 'This node is not a swarm manager'],
    [{ Scope: 'swarm' }, 'cannot create a swarm scoped network when swarm is not active'],
    [{ Ingress: true }, 'Ingress network can only be global scope network'],
    [{ EnableIPv4: false }, 'IPv4 or IPv6 must be enabled'],
    [
      { Options: { 'com.docker.network.enable_ipv6': 'perhaps' } },
      'driver-opt "com.docker.network.enable_ipv6" is not a valid bool',
    ],
    [{ ConfigFrom: { Network: 'nosuch' } }, 'configuration network "nosuch" does not exist'],
    [
      { ConfigOnly: true, Internal: true },
      'configuration network can only contain network specific fields',
    ],
    [{ IPAM: { Driver: 'odd' } }, 'plugin "odd" not found'],
    [
      { IPAM: { Config: [{ Subnet: '10.5.0.0/24' }, { Subnet: '10.6.0.0/24' }] } },
      "bridge driver doesn't support multiple subnets",
    ],
    [
      { EnableIPv6: true, IPAM: { Config: [{ Subnet: 'fe80::/80' }] } },
      "clashes with the Link-Local prefix 'fe80::/64'",
    ],
    [
      { Options: { 'com.docker.network.bridge.name': 'much-too-long-a-name' } },
      'invalid bridge name',
    ],
  ])('%j is refused: %s', async (request, message) => {
    const given = context();
    await expect(draft(request, given)).rejects.toThrow(message);
    // Nothing was kept: the first subnet is still free.
    expect((await draft({ Name: 'after' }, given)).pools[0]?.subnet).toBe('10.1.0.0/24');
  });

  test('two bridges on one device or one subnet cannot be', async () => {
    const given = context();
    const Options = { 'com.docker.network.bridge.name': 'mine0' };
    await draft({ Name: 'a', Options, IPAM: { Config: [{ Subnet: '10.4.0.0/24' }] } }, given);
    await expect(draft({ Name: 'b', Options }, given)).rejects.toThrow(
      'networks have same bridge name',
    );
    await expect(
      draft(
        { Name: 'c', IPAM: { Config: [{ Subnet: '10.4.0.0/24', IPRange: '10.4.0.128/25' }] } },
        given,
      ),
    ).rejects.toThrow('networks have overlapping IPv4');
  });

  test('a configuration network lends its settings', async () => {
    const given = context();
    const Options = { 'com.docker.network.driver.mtu': '1300' };
    const source = await draft(
      { Name: 'conf', ConfigOnly: true, Options, IPAM: { Config: [{ Subnet: '10.3.0.0/24' }] } },
      given,
    );
    expect(source).toMatchObject({ driver: 'null', isConfigOnly: true, pools: [] });
    expect(await draft({ Name: 'user', ConfigFrom: { Network: 'conf' } }, given)).toMatchObject({
      options: Options,
      pools: [{ subnet: '10.3.0.0/24' }],
    });
  });

  test('default options of the engine apply unless the request says otherwise', async () => {
    const given = context({
      defaultOptions: { bridge: { 'com.docker.network.driver.mtu': '1400' } },
    });
    expect((await draft({ Name: 'a' }, given)).options).toEqual({
      'com.docker.network.driver.mtu': '1400',
    });
    const own = { 'com.docker.network.driver.mtu': '1200' };
    expect((await draft({ Name: 'b', Options: own }, given)).options).toEqual(own);
  });

  test('macvlan without a parent gets one of its own; a parent in passthru mode is not shared', async () => {
    const given = context();
    const alone = await draft({ Name: 'a', Driver: 'macvlan' }, given);
    expect(alone.device?.name).toBe(`dm-${alone.id.slice(0, 12)}`);
    expect(alone.pools[0]?.gateway).toBeUndefined();
    await draft(
      { Name: 'b', Driver: 'macvlan', Options: { parent: 'eth9', macvlan_mode: 'passthru' } },
      given,
    );
    await expect(
      draft({ Name: 'c', Driver: 'macvlan', Options: { parent: 'eth9' } }, given),
    ).rejects.toThrow('is already using parent interface eth9 in mode passthru');
  });
});

test('timestamps have nanoseconds', () => {
  expect(timestamp(new Date(0))).toMatch(/^1970-01-01T00:00:00\.000\d{6}Z$/);
});

test('on-link routes are read from the table of the kernel', () => {
  const text = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    'tun0\t0000000A\t010200C0\t0003\t0\t0\t0\t000000FF\t0\t0\t0',
    'wg0\t0040640A\t00000000\t0001\t0\t0\t0\t00C0FFFF\t0\t0\t0',
    '',
  ].join('\n');
  expect(parseOnLinkRoutes(text)).toEqual([
    parsePrefix('192.0.2.0/24'),
    parsePrefix('10.100.64.0/18'),
  ]);
});
