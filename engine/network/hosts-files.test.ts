import { describe, expect, test } from 'vitest';
import { containerResolvConf, hostsFile, parseResolvConf } from './hosts-files.ts';

const none = { servers: [], search: [], options: [] };

describe('hostsFile', () => {
  const input = {
    hostname: 'web',
    domainName: '',
    extraHosts: [],
    hostGateways: ['172.17.0.1', 'fd00::1'],
    links: [],
    addresses: ['172.17.0.2'],
    hasIPv6: false,
  };

  test('names localhost and the container', () => {
    expect(hostsFile(input)).toBe('127.0.0.1\tlocalhost\n172.17.0.2\tweb\n');
  });

  test('a full name brings its first label along', () => {
    expect(hostsFile({ ...input, domainName: 'example.org' })).toContain(
      '172.17.0.2\tweb.example.org web\n',
    );
    expect(hostsFile({ ...input, hostname: 'a.b' })).toContain('172.17.0.2\ta.b a\n');
  });

  test('IPv6 lines appear only where there is IPv6', () => {
    const text = hostsFile({ ...input, hasIPv6: true, addresses: ['172.17.0.2', 'fd00::2'] });
    expect(text).toContain('::1\tlocalhost ip6-localhost ip6-loopback\n');
    expect(text).toContain('fd00::2\tweb\n');
    expect(hostsFile({ ...input, extraHosts: ['six:fd00::9'] })).not.toContain('fd00::9');
  });

  test('extra hosts and links come before the own name', () => {
    expect(
      hostsFile({
        ...input,
        extraHosts: ['db:10.0.0.9', 'gw:host-gateway', 'six:[::1]'],
        links: [{ alias: 'cache', names: ['redis-1', 'cache'], ipAddress: '172.17.0.3' }],
      }).split('\n'),
    ).toEqual([
      '127.0.0.1\tlocalhost',
      '10.0.0.9\tdb',
      '172.17.0.1\tgw',
      '172.17.0.3\tcache redis-1',
      '172.17.0.2\tweb',
      '',
    ]);
  });
});

describe('resolv.conf', () => {
  const host = parseResolvConf(
    '# comment\nnameserver 127.0.0.53\nnameserver 10.0.0.1\nnameserver fd00::53\nnameserver fe80::1%eth0\nnameserver\nsearch a.example b.example\noptions edns0 trust-ad\nsortlist 10.0.0.0\n; end\n',
  );

  test('is read as the resolver reads it', () => {
    expect(host).toEqual({
      servers: ['127.0.0.53', '10.0.0.1', 'fd00::53'],
      search: ['a.example', 'b.example'],
      options: ['edns0', 'trust-ad'],
      other: ['sortlist 10.0.0.0'],
    });
    expect(parseResolvConf('domain x\nsearch y z\n').search).toEqual(['y', 'z']);
  });

  test('on the default bridge servers on loopback are left out', () => {
    const direct = containerResolvConf(host, none, { kind: 'direct', hasIPv6: false });
    expect(direct.text).toContain(
      '\nnameserver 10.0.0.1\nsearch a.example b.example\noptions edns0 trust-ad\n',
    );
    expect(direct.text).not.toContain('127.0.0.53');
    expect(direct.text).not.toContain('fd00::53');
    expect(containerResolvConf(host, none, { kind: 'direct', hasIPv6: true }).text).toContain(
      'nameserver fd00::53',
    );
  });

  test('with no server left, public ones are used', () => {
    const local = parseResolvConf('nameserver 127.0.0.53\n');
    expect(containerResolvConf(local, none, { kind: 'direct', hasIPv6: false }).text).toContain(
      'nameserver 8.8.8.8',
    );
  });

  test('user-defined networks get the responder, which asks the others', () => {
    const embedded = containerResolvConf(host, none, { kind: 'embedded', hasIPv6: false });
    expect(embedded.text.match(/^nameserver .*$/gm)).toEqual(['nameserver 127.0.0.11']);
    expect(embedded.text).toContain('options edns0 trust-ad ndots:0');
    expect(embedded.text).toContain(
      '# ExtServers: [host(127.0.0.53) host(10.0.0.1) host(fd00::53)]',
    );
    expect(embedded).toMatchObject({
      upstream: ['127.0.0.53', '10.0.0.1', 'fd00::53'],
      hasNdots: false,
    });
  });

  test('what was asked for replaces what the host has, kind by kind', () => {
    const overrides = { servers: ['9.9.9.9'], search: ['.'], options: ['ndots:3', 'timeout:1'] };
    const embedded = containerResolvConf(host, overrides, { kind: 'embedded', hasIPv6: false });
    expect(embedded.text).not.toMatch(/^search/m);
    expect(embedded.text).toContain('options ndots:3 timeout:1');
    expect(embedded.text).toContain('# Overrides: [nameservers search options]');
    expect(embedded).toMatchObject({ upstream: ['9.9.9.9'], hasNdots: true });
    const direct = containerResolvConf(
      host,
      { ...none, servers: ['127.0.0.1'] },
      { kind: 'direct', hasIPv6: false },
    );
    expect(direct.text).toContain('nameserver 127.0.0.1\n');
  });

  test('in the host namespace everything stays', () => {
    expect(containerResolvConf(host, none, { kind: 'host', hasIPv6: false }).text).toContain(
      'nameserver 127.0.0.53',
    );
  });
});
