import { describe, expect, test } from 'vitest';
import { checkEndpoint, checkIpam, parseEndpointSysctl } from './validation.ts';

const pool = (subnet: string, isStatic = true) => ({ subnet, auxiliary: {}, isStatic });

describe('checkIpam', () => {
  test('good blocks pass', () => {
    checkIpam(
      [
        {
          Subnet: '10.1.0.0/16',
          IPRange: '10.1.2.0/24',
          Gateway: '10.1.0.1',
          AuxiliaryAddresses: { a: '10.1.0.9' },
        },
      ],
      false,
    );
    checkIpam([{ Subnet: 'fd00::/64' }], true);
  });

  test.each([
    [
      { Subnet: 'nonsense' },
      'invalid network config:\ninvalid subnet nonsense: invalid CIDR block notation',
    ],
    [
      { Subnet: '10.1.0.5/16' },
      'invalid network config:\ninvalid subnet 10.1.0.5/16: it should be 10.1.0.0/16',
    ],
    [
      { Subnet: '10.1.0.0/16', IPRange: '10.0.0.0/8' },
      'invalid network config:\ninvalid ip-range 10.0.0.0/8: CIDR block is bigger than its parent subnet 10.1.0.0/16',
    ],
    [
      { Subnet: '10.1.0.0/16', IPRange: '10.2.0.0/24' },
      "invalid network config:\ninvalid ip-range 10.2.0.0/24: parent subnet 10.1.0.0/16 doesn't contain ip-range",
    ],
    [
      { Subnet: '10.1.0.0/16', Gateway: '10.2.0.1' },
      "invalid network config:\ninvalid gateway 10.2.0.1: parent subnet 10.1.0.0/16 doesn't contain this address",
    ],
    [
      { Subnet: '10.1.0.0/16', Gateway: 'fd00::1' },
      'invalid network config:\ninvalid gateway fd00::1: parent subnet is an IPv4 block',
    ],
    [
      { Subnet: '10.1.0.5/16', Gateway: 'x' },
      'invalid network config:\n* invalid subnet 10.1.0.5/16: it should be 10.1.0.0/16\n* invalid gateway x: invalid address',
    ],
  ])('%j is refused in words', (config, message) => {
    expect(() => checkIpam([config], false)).toThrow(expect.objectContaining({ message }));
  });

  test('IPv6 blocks do not matter while IPv6 is off', () => {
    checkIpam([{ Subnet: 'fd00::1/64' }], false);
    expect(() => checkIpam([{ Subnet: 'fd00::1/64' }], true)).toThrow('it should be fd00::/64');
  });
});

describe('checkEndpoint', () => {
  test('addresses need a network with a named subnet that has them', () => {
    const settings = { IPAMConfig: { IPv4Address: '10.1.0.5' } };
    checkEndpoint('net', settings, [pool('10.1.0.0/16')]);
    checkEndpoint('net', settings, undefined);
    expect(() => checkEndpoint('net', settings, [pool('10.1.0.0/16', false)])).toThrow(
      'invalid endpoint settings:\nuser specified IP address is supported only when connecting to networks with user configured subnets',
    );
    expect(() => checkEndpoint('net', settings, [pool('10.2.0.0/16')])).toThrow(
      'no configured subnet or ip-range contain the IP address 10.1.0.5',
    );
    expect(() => checkEndpoint('bridge', settings, undefined)).toThrow(
      'user specified IP address is supported on user defined networks only',
    );
  });

  test('aliases need a user-defined network', () => {
    expect(() => checkEndpoint('bridge', { Aliases: ['a'] }, undefined)).toThrow(
      'network-scoped alias is supported only for containers in user defined networks',
    );
  });

  test('what is no address, hardware address or interface name is named', () => {
    expect(() => checkEndpoint('n', { IPAMConfig: { IPv4Address: '::1' } }, undefined)).toThrow(
      'invalid IPv4 address: ::1',
    );
    expect(() => checkEndpoint('n', { IPAMConfig: { IPv6Address: '1.2.3.4' } }, undefined)).toThrow(
      'invalid IPv6 address: 1.2.3.4',
    );
    expect(() => checkEndpoint('n', { IPAMConfig: { LinkLocalIPs: ['x'] } }, undefined)).toThrow(
      'invalid link-local IP address: x',
    );
    expect(() => checkEndpoint('n', { MacAddress: 'zz' }, undefined)).toThrow(
      'invalid MAC address zz',
    );
    expect(() =>
      checkEndpoint(
        'n',
        { DriverOpts: { 'com.docker.network.endpoint.ifname': 'a b' } },
        undefined,
      ),
    ).toThrow('invalid interface name');
  });

  test('kernel settings are taken apart, and nothing else gets through', () => {
    expect(parseEndpointSysctl('net.ipv4.conf.IFNAME.log_martians=1')).toEqual({
      path: 'ipv4/conf/IFNAME/log_martians',
      value: '1',
    });
    for (const bad of [
      'net.ipv4.conf.eth0.log_martians=1',
      "net.ipv4.conf.IFNAME.x=1'; rm -rf /",
      'net.ipv4.../IFNAME.x=1',
      'kernel.x.y.IFNAME.z=1',
    ]) {
      expect(parseEndpointSysctl(bad)).toBeUndefined();
      expect(() =>
        checkEndpoint(
          'n',
          { DriverOpts: { 'com.docker.network.endpoint.sysctls': bad } },
          undefined,
        ),
      ).toThrow('unrecognised network interface sysctl');
    }
  });
});
