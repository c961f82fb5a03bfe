import { describe, expect, test } from 'vitest';
import type { EndpointRecord, NetworkRecord } from './model.ts';
import {
  chooseDnsPlug,
  chooseGateways,
  comparePlugs,
  dnsWork,
  endpointSettings,
  freeInterfaceName,
  hasWayOut,
  insideLine,
  interfaceWork,
  type Plug,
  plugLines,
  routeWork,
} from './plug.ts';

function plug(
  name: string,
  more: { network?: Partial<NetworkRecord>; endpoint?: Partial<EndpointRecord> } = {},
): Plug {
  return {
    network: {
      version: 1,
      id: name.padEnd(64, '0'),
      name,
      createdAt: '',
      driver: 'bridge',
      enableIPv4: true,
      enableIPv6: false,
      isInternal: false,
      isAttachable: false,
      isConfigOnly: false,
      configFrom: '',
      ipamDriver: 'default',
      ipamOptions: null,
      ipamConfig: [],
      pools: [{ subnet: '10.1.0.0/24', gateway: '10.1.0.1', auxiliary: {}, isStatic: false }],
      options: {},
      labels: {},
      device: { name: 'br-x', isOurs: true, mac: '02:00:00:00:00:01' },
      ...more.network,
    },
    endpoint: {
      networkId: name,
      endpointId: 'e'.repeat(64),
      interfaceName: 'eth0',
      hostInterface: 'gvabcdef1234567',
      mac: '02:00:00:00:00:02',
      ipv4: '10.1.0.2',
      ipv6: '',
      dnsSource: '',
      linkLocal: [],
      dnsNames: [],
      aliases: [],
      links: {},
      gatewayPriority: 0,
      sysctls: {},
      requested: {},
      ...more.endpoint,
    },
  };
}

const dual = {
  network: {
    pools: [
      { subnet: '10.1.0.0/24', gateway: '10.1.0.1', auxiliary: {}, isStatic: false },
      { subnet: 'fd00::/64', gateway: 'fd00::1', auxiliary: {}, isStatic: false },
    ],
  },
  endpoint: { ipv6: 'fd00::2' },
};

describe('default gateways', () => {
  test('priority comes first, then not internal, then both families, then the name', () => {
    const plugs = [
      plug('d-internal', { network: { isInternal: true } }),
      plug('b'),
      plug('a'),
      plug('c-dual', dual),
      plug('e-wanted', { endpoint: { gatewayPriority: 1 } }),
      plug('f-unwanted', { ...dual, endpoint: { ...dual.endpoint, gatewayPriority: -1 } }),
    ];
    expect(plugs.sort(comparePlugs).map(({ network }) => network.name)).toEqual([
      'e-wanted',
      'c-dual',
      'a',
      'b',
      'd-internal',
      'f-unwanted',
    ]);
  });

  test('the best one with both families serves both, else each family has its own', () => {
    const names = (plugs: Plug[]) => {
      const { ipv4, ipv6 } = chooseGateways(plugs);
      return [ipv4?.network.name, ipv6?.network.name];
    };
    expect(names([plug('a'), plug('b', dual)])).toEqual(['b', 'b']);
    expect(names([plug('a', { endpoint: { gatewayPriority: 9 } }), plug('b', dual)])).toEqual([
      'b',
      'b',
    ]);
    expect(names([plug('a')])).toEqual(['a', undefined]);
    expect(names([plug('i', { network: { isInternal: true } })])).toEqual([undefined, undefined]);
    expect(hasWayOut([plug('i', { network: { isInternal: true } })])).toBe(false);
  });

  test('a gateway other than the host, and none on isolated networks', () => {
    const other = plug('o', {
      network: {
        pools: [
          {
            subnet: '10.1.0.0/24',
            gateway: '10.1.0.1',
            auxiliary: { DefaultGatewayIPv4: '10.1.0.254' },
            isStatic: true,
          },
        ],
      },
    });
    expect(routeWork([other]).lines).toEqual(['route replace 0.0.0.0/0 via 10.1.0.254 dev eth0']);
    const isolated = plug('s', {
      network: {
        isInternal: true,
        options: { 'com.docker.network.bridge.gateway_mode_ipv4': 'isolated' },
      },
    });
    expect(routeWork([isolated]).lines).toEqual([]);
  });

  test('layer 3 modes route out of the interface', () => {
    const layer3 = plug('l', {
      network: { driver: 'ipvlan', options: { parent: 'eth0', ipvlan_mode: 'l3' } },
    });
    expect(routeWork([layer3]).lines).toEqual(['route replace 0.0.0.0/0 dev eth0']);
    expect(endpointSettings(layer3).Gateway).toBe('');
  });
});

describe('commands', () => {
  test('one line makes the pair, with the far end in the sandbox', () => {
    expect(
      plugLines(
        plug('n', { network: { options: { 'com.docker.network.driver.mtu': '1400' } } }),
        'ns1',
      ),
    ).toEqual([
      'link add gvabcdef1234567 mtu 1400 master br-x type veth peer name eth0 mtu 1400 address 02:00:00:00:00:02 netns ns1',
      'link set gvabcdef1234567 type bridge_slave hairpin on',
      'link set gvabcdef1234567 up',
    ]);
    const apart = plug('n', {
      network: { options: { 'com.docker.network.bridge.enable_icc': 'false' } },
    });
    expect(plugLines(apart, 'ns1')[1]).toBe(
      'link set gvabcdef1234567 type bridge_slave hairpin on isolated on',
    );
  });

  test('macvlan and ipvlan hang on their parents', () => {
    expect(
      plugLines(plug('m', { network: { driver: 'macvlan', options: { parent: 'eth0' } } }), 'ns1'),
    ).toEqual([
      'link add link eth0 name eth0 address 02:00:00:00:00:02 netns ns1 type macvlan mode bridge',
    ]);
    const ipvlan = plug('m', {
      network: { driver: 'ipvlan', options: { parent: 'eth0.5', ipvlan_flag: 'vepa' } },
    });
    expect(plugLines(ipvlan, 'ns1')).toEqual([
      'link add link eth0.5 name eth0 netns ns1 type ipvlan mode l2 vepa',
    ]);
  });

  test('everything inside is one line, quoted for the helper', () => {
    const line = insideLine('ns1', [
      interfaceWork(plug('n', { endpoint: { sysctls: { 'ipv4/conf/eth0/x': '1' } } })),
    ]);
    expect(line.startsWith('netns exec ns1 sh -c "')).toBe(true);
    expect(line.match(/"/g)).toHaveLength(2);
    expect(line).not.toContain('\n');
    expect(line).toContain(
      "'address replace 10.1.0.2/24 brd + dev eth0' 'link set eth0 up' | ip -batch -",
    );
    expect(line).toContain("echo '1' > /proc/sys/net/ipv4/conf/eth0/x || exit 1");
    expect(insideLine('ns1', [])).toBe('');
  });

  test('DNS goes to the bridge, and from a link-local sender without IPv4', () => {
    const lines = dnsWork(plug('n'), '02:00:00:00:00:01').lines;
    expect(lines).toEqual([
      'route replace 127.0.0.11 dev eth0 scope link src 10.1.0.2 table local',
      'neigh replace 127.0.0.11 lladdr 02:00:00:00:00:01 dev eth0 nud permanent',
    ]);
    const only6 = plug('n', { endpoint: { ipv4: '', ipv6: 'fd00::2', dnsSource: '169.254.9.9' } });
    expect(dnsWork(only6, '02:00:00:00:00:01').lines[0]).toBe(
      'address replace 169.254.9.9/32 dev lo',
    );
    expect(chooseDnsPlug([plug('bridge')])).toBeUndefined();
    expect(
      chooseDnsPlug([plug('bridge'), plug('mine', { network: { driver: 'macvlan' } })])?.network
        .name,
    ).toBe('bridge');
  });

  test('interfaces get the lowest free number', () => {
    expect(freeInterfaceName('eth', [])).toBe('eth0');
    expect(freeInterfaceName('eth', ['eth0', 'eth2', 'lan'])).toBe('eth1');
  });
});

test('settings in wire form have what was asked for and what is', () => {
  expect(
    endpointSettings(
      plug('n', {
        ...dual,
        endpoint: { ...dual.endpoint, dnsNames: ['a'], requested: { Aliases: ['x'] } },
      }),
    ),
  ).toMatchObject({
    Aliases: ['x'],
    IPAMConfig: null,
    Links: null,
    Gateway: '10.1.0.1',
    IPAddress: '10.1.0.2',
    IPPrefixLen: 24,
    IPv6Gateway: 'fd00::1',
    GlobalIPv6Address: 'fd00::2',
    GlobalIPv6PrefixLen: 64,
    MacAddress: '02:00:00:00:00:02',
    DNSNames: ['a'],
  });
});
