import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../base/node/run.ts';
import type { Sandbox } from './contract.ts';
import { ask, eventually, inside, NetworkFixture, published, serve } from './network-fixture.ts';

/** A port that nothing listens on, below the range from which the kernel gives ports to others meanwhile. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '::', () => resolve(true));
    });
    if (isFree) {
      server.close();
      await once(server, 'close');
      return port;
    }
  }
}

const addressOf = (sandbox: Sandbox, network: string): string =>
  sandbox.endpoints.get(network)?.IPAddress ?? '';
const address6Of = (sandbox: Sandbox, network: string): string =>
  sandbox.endpoints.get(network)?.GlobalIPv6Address ?? '';

describe('networks', () => {
  let fixture: NetworkFixture;
  beforeAll(async () => {
    fixture = await NetworkFixture.open();
  });
  afterAll(async () => {
    await fixture[Symbol.asyncDispose]();
  });

  test('start with bridge, host and none, which cannot be removed', async () => {
    const all = await fixture.service.list();
    expect(all.map((network) => `${network.Name} ${network.Driver}`).sort()).toEqual([
      'bridge bridge',
      'host host',
      'none null',
    ]);
    for (const name of ['bridge', 'host', 'none']) {
      await expect(fixture.service.remove(name)).rejects.toThrow(
        `${name} is a pre-defined network and cannot be removed`,
      );
      await expect(fixture.service.create({ Name: name })).rejects.toThrow(
        'operation is not permitted on predefined',
      );
    }
  });

  test('are made, found by name, id and beginning of the id, and removed', async () => {
    const { id } = await fixture.service.create({ Name: 'made', Labels: { a: 'b' } });
    for (const ref of ['made', id, id.slice(0, 9)]) {
      expect((await fixture.service.inspect(ref)).Id).toBe(id);
    }
    const device = await run('ip', ['link', 'show', `br-${id.slice(0, 12)}`]);
    expect(device.stdout).toContain(`alias gantry:${fixture.hash}`);
    await expect(fixture.service.create({ Name: 'made' })).rejects.toThrow(
      'network with name made already exists',
    );
    await fixture.service.remove('made');
    await expect(fixture.service.inspect(id)).rejects.toThrow(`network ${id} not found`);
    expect((await run('ip', ['link', 'show', `br-${id.slice(0, 12)}`])).exitCode).not.toBe(0);
  });

  test('an id wins over a name that looks like it', async () => {
    const { id } = await fixture.service.create({ Name: 'first' });
    const byPrefix = await fixture.service.create({ Name: id.slice(0, 12) });
    const byId = await fixture.service.create({ Name: id });
    await fixture.service.remove(id.slice(0, 12));
    await fixture.service.remove(id);
    const left = (await fixture.service.list()).map((network) => network.Id);
    expect(left).toContain(byId.id);
    expect(left).not.toContain(id);
    expect(left).not.toContain(byPrefix.id);
    await fixture.service.remove(byId.id);
  });

  test('subnets must not overlap, options must make sense', async () => {
    const subnet = `${fixture.block}.200.0/24`;
    await fixture.service.create({ Name: 'owner', IPAM: { Config: [{ Subnet: subnet }] } });
    await expect(
      fixture.service.create({ Name: 'rival', IPAM: { Config: [{ Subnet: subnet }] } }),
    ).rejects.toThrow('invalid pool request: Pool overlaps with other one on this address space');
    const bad = async (key: string, value: string): Promise<void> => {
      await fixture.service.create({ Name: 'bad', Options: { [key]: value } });
    };
    await expect(bad('com.docker.network.driver.mtu', 'big')).rejects.toThrow(
      'failed to parse com.docker.network.driver.mtu value: big (strconv.Atoi: parsing "big": invalid syntax)',
    );
    await expect(bad('com.docker.network.bridge.gateway_mode_ipv4', 'odd')).rejects.toThrow(
      'unknown gateway mode odd',
    );
    await expect(bad('com.docker.network.bridge.gateway_mode_ipv4', 'isolated')).rejects.toThrow(
      "gateway mode 'isolated' can only be used for an internal network",
    );
    await expect(fixture.service.create({ Name: 'bad', Driver: 'nope' })).rejects.toThrow(
      'plugin "nope" not found',
    );
    await expect(fixture.service.create({ Name: 'bad', Driver: 'host' })).rejects.toThrow(
      'only one instance of "host" network is allowed',
    );
    await fixture.service.remove('owner');
    expect((await fixture.service.list()).map((network) => network.Name).sort()).toEqual([
      'bridge',
      'host',
      'none',
    ]);
  });

  test('events tell what happened, with the name and the driver', async () => {
    fixture.events.length = 0;
    const { id } = await fixture.service.create({ Name: 'told' });
    const sandbox = await fixture.open('c', { told: {} });
    await fixture.close(sandbox);
    await fixture.service.remove(id);
    const attributes = { name: 'told', type: 'bridge' };
    const container = sandbox.containerId;
    expect(fixture.events).toEqual([
      { type: 'network', action: 'create', id, attributes },
      { type: 'network', action: 'connect', id, attributes: { ...attributes, container } },
      { type: 'network', action: 'disconnect', id, attributes: { ...attributes, container } },
      { type: 'network', action: 'destroy', id, attributes },
    ]);
  });

  test('what is in use stays, what is not is pruned', async () => {
    await fixture.service.create({ Name: 'used' });
    await fixture.service.create({ Name: 'unused' });
    const sandbox = await fixture.open('holder', { used: {} });
    await expect(fixture.service.remove('used')).rejects.toThrow(
      'error while removing network: network used has active endpoints (name:"holder" id:"',
    );
    expect(await fixture.service.prune(() => true)).toEqual(['unused']);
    expect((await fixture.service.inspect('used')).Containers[sandbox.containerId]).toMatchObject({
      Name: 'holder',
      IPv4Address: `${addressOf(sandbox, 'used')}/24`,
    });
    await fixture.close(sandbox);
    await fixture.service.remove('used');
  });

  test('the default bridge takes neither fixed addresses nor aliases', async () => {
    const validate = async (settings: object): Promise<void> =>
      fixture.service.validate(new Map([['bridge', settings]]));
    await expect(validate({ IPAMConfig: { IPv4Address: '10.0.0.1' } })).rejects.toThrow(
      'user specified IP address is supported on user defined networks only',
    );
    await expect(validate({ Aliases: ['x'] })).rejects.toThrow(
      'network-scoped alias is supported only',
    );
  });

  test('macvlan and ipvlan settings are checked before anything is made', async () => {
    const create = async (driver: string, options: Record<string, string>): Promise<unknown> =>
      fixture.service.create({ Name: 'vlan', Driver: driver, Options: options });
    await expect(create('macvlan', { macvlan_mode: 'x' })).rejects.toThrow(
      "requested macvlan mode 'x' is not valid",
    );
    await expect(create('ipvlan', { ipvlan_mode: 'x' })).rejects.toThrow(
      "requested ipvlan mode 'x' is not valid",
    );
    await expect(create('macvlan', { parent: 'lo' })).rejects.toThrow(
      'loopback interface is not a valid macvlan parent link',
    );
    await expect(create('macvlan', { parent: 'nosuch0' })).rejects.toThrow(
      'invalid subinterface vlan name nosuch0',
    );
    await expect(create('macvlan', { parent: 'nosuch0.5000' })).rejects.toThrow(
      'vlan id must be between 1-4094, received: 5000',
    );
    expect((await fixture.service.list()).map((network) => network.Name)).not.toContain('vlan');
  });
});

describe('connections', () => {
  let fixture: NetworkFixture;
  beforeAll(async () => {
    fixture = await NetworkFixture.open();
  });
  afterAll(async () => {
    await fixture[Symbol.asyncDispose]();
  });

  test('containers of a user-defined network find each other by name, alias, short id and address', async () => {
    await fixture.service.create({ Name: 'names' });
    const web = await fixture.open('web', { names: { Aliases: ['frontend'] } });
    const client = await fixture.open('client', { names: { Links: ['web:store'] } });
    using _ = await serve(web, 80, 'web');
    const address = addressOf(web, 'names');
    expect(client.resolvConf).toContain('nameserver 127.0.0.11');
    for (const name of ['web', 'frontend', web.containerId.slice(0, 12), 'web.names', 'store']) {
      expect(await ask(client, 'A', { host: name })).toBe(address);
    }
    expect(await ask(client, 'AAAA', { host: 'web' })).toBe('ENODATA');
    expect(await ask(client, 'PTR', { host: address })).toBe('web.names');
    expect(await ask(client, 'tcp', { host: address, port: 80 })).toBe(
      `web saw ${addressOf(client, 'names')}`,
    );
    await fixture.service.rename(web.containerId, 'renamed');
    expect(await ask(client, 'A', { host: 'renamed' })).toBe(address);
    await fixture.close(web);
    await fixture.close(client);
  });

  test('published ports answer on loopback, on the own address, over IPv6 and from containers', async () => {
    const port = await freePort();
    await fixture.service.create({ Name: 'ports' });
    const web = await fixture.open(
      'web',
      { ports: {} },
      {
        ports: [published(80, port), published(80, port, { protocol: 'udp' })],
      },
    );
    const neighbour = await fixture.open('neighbour', { ports: {} });
    const stranger = await fixture.open('stranger', { bridge: {} });
    using _ = await serve(web, 80, 'web');
    expect(
      web.ports.map((binding) => `${binding.hostIp} ${binding.hostPort}/${binding.protocol}`),
    ).toEqual([`0.0.0.0 ${port}/tcp`, `:: ${port}/tcp`, `0.0.0.0 ${port}/udp`, `:: ${port}/udp`]);
    const gateway = web.endpoints.get('ports')?.Gateway ?? '';
    for (const kind of ['tcp', 'udp'] as const) {
      for (const host of ['127.0.0.1', '::1', gateway]) {
        expect(await ask(undefined, kind, { host, port })).toMatch(/^web saw /);
      }
      for (const from of [neighbour, stranger, web]) {
        expect([
          from.endpoints,
          kind,
          await ask(from, kind, { host: gateway, port, timeoutMs: 5000 }),
        ]).toEqual([from.endpoints, kind, expect.stringMatching(/^web saw /)]);
      }
    }
    // A port that was not published is not reached from another network.
    expect(
      await ask(stranger, 'tcp', { host: addressOf(web, 'ports'), port: 80, timeoutMs: 1500 }),
    ).toBe('timeout');
    for (const sandbox of [web, neighbour, stranger]) {
      await fixture.close(sandbox);
    }
    expect(await ask(undefined, 'tcp', { host: '127.0.0.1', port })).toBe('ECONNREFUSED');
  });

  test('a taken port is named, and nothing is left of the attempt', async () => {
    const other = createServer().listen(await freePort(), '0.0.0.0');
    await once(other, 'listening');
    const bound = other.address();
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
    const ports = [published(80, port)];
    await expect(fixture.open('late', { bridge: {} }, { ports })).rejects.toThrow(
      new RegExp(
        `^driver failed programming external connectivity on endpoint late \\([0-9a-f]{64}\\): failed to bind host port for 0\\.0\\.0\\.0:${port}:[0-9.]+:80/tcp: address already in use$`,
      ),
    );
    other.close();
    await once(other, 'close');
    const first = await fixture.open('first', { bridge: {} }, { ports });
    await expect(fixture.open('second', { bridge: {} }, { ports })).rejects.toThrow(
      `Bind for 0.0.0.0:${port} failed: port is already allocated`,
    );
    expect(fixture.service.findSandbox(first.containerId)?.ports).toHaveLength(2);
    expect(Object.keys((await fixture.service.inspect('bridge')).Containers)).toEqual([
      first.containerId,
    ]);
    await fixture.close(first);
  });

  test('chosen addresses, free ports and ranges', async () => {
    const port = await freePort();
    const sandbox = await fixture.open(
      'chosen',
      { bridge: {} },
      {
        ports: [
          published(80, port, { hostIp: '127.0.0.1' }),
          published(81, 0),
          published(82, port + 1, { hostPortEnd: port + 40 }),
          published(83, 0, { protocol: 'sctp' }),
        ],
      },
    );
    const of = (containerPort: number) =>
      sandbox.ports.filter((binding) => binding.containerPort === containerPort);
    expect(of(80)).toEqual([
      { containerPort: 80, protocol: 'tcp', hostIp: '127.0.0.1', hostPort: port },
    ]);
    expect(new Set(of(81).map((binding) => binding.hostPort)).size).toBe(1);
    expect(of(81)[0]?.hostPort).toBeGreaterThanOrEqual(1024);
    expect(of(82)[0]?.hostPort).toBeGreaterThan(port);
    expect(of(83)).toHaveLength(2);
    using _ = await serve(sandbox, 80, 'chosen');
    expect(await ask(undefined, 'tcp', { host: '127.0.0.1', port })).toMatch(/^chosen saw /);
    expect(await ask(undefined, 'tcp', { host: '::1', port })).toBe('ECONNREFUSED');
    await fixture.close(sandbox);
  });

  test('a running container is plugged in and out; default route and ports follow the priority', async () => {
    const port = await freePort();
    for (const name of ['one', 'two']) {
      await fixture.service.create({ Name: name, EnableIPv6: true });
    }
    const sandbox = await fixture.open('mover', { one: {} }, { ports: [published(80, port)] });
    using _ = await serve(sandbox, 80, 'mover');
    const defaultRoute = async (): Promise<string> =>
      (await inside(sandbox, ['ip', 'route', 'show', 'default'])).trim();
    expect(await defaultRoute()).toBe(
      `default via ${sandbox.endpoints.get('one')?.Gateway} dev eth0`,
    );
    const both = await fixture.service.connect(sandbox.containerId, 'two', {
      GwPriority: 5,
      Aliases: ['moved'],
    });
    expect(await defaultRoute()).toBe(`default via ${both.endpoints.get('two')?.Gateway} dev eth1`);
    expect(await ask(undefined, 'tcp', { host: '127.0.0.1', port })).toMatch(/^mover saw /);
    const peer = await fixture.open('peer', { two: {} });
    expect(await ask(peer, 'A', { host: 'moved' })).toBe(addressOf(both, 'two'));
    await expect(fixture.service.connect(sandbox.containerId, 'two', {})).rejects.toThrow(
      'endpoint with name mover already exists in network two',
    );
    for (const [family, gateway] of [
      ['-4', both.endpoints.get('two')?.Gateway],
      ['-6', both.endpoints.get('two')?.IPv6Gateway],
    ]) {
      expect(
        (await inside(sandbox, ['ip', family ?? '', 'route', 'show', 'default'])).match(
          /default via \S+/g,
        ),
      ).toEqual([`default via ${gateway}`]);
    }
    const after = await fixture.service.disconnect(sandbox.containerId, 'two');
    expect([...after.endpoints.keys()]).toEqual(['one']);
    expect(await defaultRoute()).toBe(
      `default via ${sandbox.endpoints.get('one')?.Gateway} dev eth0`,
    );
    expect(after.ports.map((binding) => binding.hostPort)).toEqual([port, port]);
    expect(await ask(undefined, 'tcp', { host: '127.0.0.1', port })).toMatch(/^mover saw /);
    expect(await ask(peer, 'A', { host: 'moved' })).not.toBe(addressOf(both, 'two'));
    await expect(fixture.service.disconnect(sandbox.containerId, 'two')).rejects.toThrow(
      'is not connected to network two',
    );
    await fixture.close(sandbox);
    await fixture.close(peer);
  });

  test('static addresses, hardware addresses, interface names and kernel settings are as asked', async () => {
    const subnet = `${fixture.block}.210.0/24`;
    await fixture.service.create({
      Name: 'fixed',
      IPAM: { Config: [{ Subnet: subnet, Gateway: `${fixture.block}.210.9` }] },
    });
    const sandbox = await fixture.open('exact', {
      fixed: {
        IPAMConfig: { IPv4Address: `${fixture.block}.210.77` },
        MacAddress: '02:42:0a:01:02:03',
        DriverOpts: {
          'com.docker.network.endpoint.ifname': 'lan',
          'com.docker.network.endpoint.sysctls': 'net.ipv4.conf.IFNAME.log_martians=1',
        },
      },
    });
    const text = await inside(sandbox, ['ip', 'address', 'show', 'dev', 'lan']);
    expect(text).toContain(`inet ${fixture.block}.210.77/24`);
    expect(text).toContain('link/ether 02:42:0a:01:02:03');
    expect(await inside(sandbox, ['cat', '/proc/sys/net/ipv4/conf/lan/log_martians'])).toBe('1\n');
    expect(sandbox.endpoints.get('fixed')).toMatchObject({
      Gateway: `${fixture.block}.210.9`,
      IPPrefixLen: 24,
    });
    await expect(
      fixture.open('clash', { fixed: { IPAMConfig: { IPv4Address: `${fixture.block}.210.77` } } }),
    ).rejects.toThrow('Address already in use');
    await expect(
      fixture.open('outside', { fixed: { IPAMConfig: { IPv4Address: '192.0.2.1' } } }),
    ).rejects.toThrow('no configured subnet or ip-range contain the IP address 192.0.2.1');
    await fixture.close(sandbox);
  });

  test('an internal network has names but no way out', async () => {
    await fixture.service.create({ Name: 'inner', Internal: true });
    const web = await fixture.open('web', { inner: {} });
    const client = await fixture.open('client', { inner: {} });
    using _ = await serve(web, 80, 'web');
    expect(await ask(client, 'A', { host: 'web' })).toBe(addressOf(web, 'inner'));
    expect(await ask(client, 'tcp', { host: addressOf(web, 'inner'), port: 80 })).toMatch(
      /^web saw /,
    );
    expect(await inside(client, ['ip', 'route', 'show', 'default'])).toBe('');
    expect(await ask(client, 'A', { host: 'example.org' })).toBe('ESERVFAIL');
    await fixture.close(web);
    await fixture.close(client);
  });

  test('names work where the host has no address: isolated and inhibited networks, on a link of two', async () => {
    const subnet = `${fixture.block}.220.0/31`;
    for (const option of [
      'com.docker.network.bridge.inhibit_ipv4',
      'com.docker.network.bridge.gateway_mode_ipv4',
    ]) {
      const value = option.endsWith('inhibit_ipv4') ? 'true' : 'isolated';
      await fixture.service.create({
        Name: 'link',
        Internal: true,
        Options: { [option]: value, 'com.docker.network.bridge.name': `gl${fixture.hash}` },
        IPAM: { Config: [{ Subnet: subnet }] },
      });
      expect((await run('ip', ['-o', 'address', 'show', 'dev', `gl${fixture.hash}`])).stdout).toBe(
        '',
      );
      const one = await fixture.open('one', { link: {} });
      const two = await fixture.open('two', { link: {} });
      using _ = await serve(one, 80, 'one');
      expect(await ask(two, 'A', { host: 'one' })).toBe(`${fixture.block}.220.0`);
      expect(await ask(two, 'tcp', { host: `${fixture.block}.220.0`, port: 80 })).toBe(
        `one saw ${fixture.block}.220.1`,
      );
      await fixture.close(one);
      await fixture.close(two);
      await fixture.service.remove('link');
    }
  });

  test('without inter-container traffic containers reach neither each other nor loopback of others', async () => {
    await fixture.service.create({
      Name: 'apart',
      Options: { 'com.docker.network.bridge.enable_icc': 'false' },
    });
    const web = await fixture.open('web', { apart: {} });
    const client = await fixture.open('client', { apart: {} });
    using _ = await serve(web, 80, 'web');
    expect(await ask(client, 'A', { host: 'web' })).toBe(addressOf(web, 'apart'));
    const blocked = await ask(client, 'tcp', {
      host: addressOf(web, 'apart'),
      port: 80,
      timeoutMs: 1500,
    });
    expect(['timeout', 'EHOSTUNREACH']).toContain(blocked);
    expect(await ask(undefined, 'tcp', { host: addressOf(web, 'apart'), port: 80 })).toMatch(
      /^web saw /,
    );
    await fixture.close(web);
    await fixture.close(client);
  });

  test('IPv6: unique local addresses, names, published ports; a network without IPv4 has names too', async () => {
    const port = await freePort();
    await fixture.service.create({ Name: 'six', EnableIPv6: true });
    await fixture.service.create({ Name: 'only6', EnableIPv6: true, EnableIPv4: false });
    const web = await fixture.open('web', { six: {}, only6: {} }, { ports: [published(80, port)] });
    const client = await fixture.open('client', { only6: {} });
    using _ = await serve(web, 80, 'web');
    expect(address6Of(web, 'six')).toMatch(/^fd/);
    expect(addressOf(web, 'only6')).toBe('');
    expect(await ask(client, 'AAAA', { host: 'web' })).toBe(address6Of(web, 'only6'));
    expect(await ask(client, 'A', { host: 'web' })).toBe('ENODATA');
    expect(await ask(client, 'tcp', { host: address6Of(web, 'only6'), port: 80 })).toBe(
      `web saw ${address6Of(client, 'only6')}`,
    );
    expect(await ask(undefined, 'tcp', { host: '::1', port })).toMatch(/^web saw /);
    expect(
      await ask(client, 'tcp', { host: client.endpoints.get('only6')?.IPv6Gateway ?? '', port }),
    ).toMatch(/^web saw /);
    await fixture.close(web);
    await fixture.close(client);
  });

  test('host and none', async () => {
    const host = await fixture.open('h', { host: {} });
    expect(host.netnsPath).toBe('');
    expect(host.endpoints.get('host')?.IPAddress).toBe('');
    const none = await fixture.open('n', { none: {} });
    expect((await inside(none, ['ip', '-o', 'link', 'show'])).trim().split('\n')).toHaveLength(1);
    await expect(fixture.service.connect(none.containerId, 'bridge', {})).rejects.toThrow(
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    );
    await expect(fixture.service.connect(host.containerId, 'bridge', {})).rejects.toThrow(
      'container sharing network namespace with another container or host',
    );
    await fixture.close(host);
    await fixture.close(none);
  });

  test('many at once get addresses of their own', async () => {
    const sandboxes = await Promise.all(
      Array.from({ length: 20 }, (_, index) => fixture.open(`m${index}`, { bridge: {} })),
    );
    expect(new Set(sandboxes.map((sandbox) => addressOf(sandbox, 'bridge'))).size).toBe(20);
    await Promise.all(sandboxes.map((sandbox) => fixture.close(sandbox)));
  });
});

describe('restarts and repairs', () => {
  test('connections and ports go on without the engine; after its return everything is as before', async () => {
    await using fixture = await NetworkFixture.open();
    const port = await freePort();
    await fixture.service.create({ Name: 'kept' });
    const web = await fixture.open('web', { kept: {} }, { ports: [published(80, port)] });
    const gone = await fixture.open('gone', { kept: {} });
    const client = await fixture.open('client', { kept: {} });
    using _ = await serve(web, 80, 'web');
    await fixture.stop();
    expect(await ask(undefined, 'tcp', { host: '127.0.0.1', port })).toMatch(/^web saw /);
    fixture.forget(gone);
    await fixture.restart();
    const again = fixture.service.findSandbox(web.containerId);
    expect(again?.endpoints).toEqual(web.endpoints);
    expect(again?.ports).toEqual(web.ports);
    expect(await ask(client, 'A', { host: 'web' })).toBe(addressOf(web, 'kept'));
    expect(await ask(client, 'A', { host: 'gone' })).not.toBe(addressOf(gone, 'kept'));
    expect(await ask(undefined, 'tcp', { host: '127.0.0.1', port })).toMatch(/^web saw /);
    expect(await ask(undefined, 'tcp', { host: '::1', port })).toMatch(/^web saw /);
    expect(fixture.service.findSandbox(gone.containerId)).toBeUndefined();
    expect((await run('ip', ['netns', 'list'])).stdout).not.toContain(
      gone.containerId.slice(0, 12),
    );
    await expect(
      fixture.open('thief', { kept: {} }, { ports: [published(80, port)] }),
    ).rejects.toThrow('port is already allocated');
    const next = await fixture.open('next', { kept: {} });
    expect([addressOf(web, 'kept'), addressOf(client, 'kept')]).not.toContain(
      addressOf(next, 'kept'),
    );
  });

  test('what a crash left half-made is swept', async () => {
    await using fixture = await NetworkFixture.open();
    await fixture.stop();
    const leftover = `gantry-${fixture.hash}-0123456789ab`;
    await run('ip', ['netns', 'add', leftover]);
    await run('ip', [
      'link',
      'add',
      `gv${fixture.hash}aaaaaaa`,
      'type',
      'veth',
      'peer',
      'name',
      `gv${fixture.hash}bbbbbbb`,
    ]);
    await run('ip', ['link', 'add', `gx${fixture.hash}`, 'type', 'bridge']);
    await run('ip', ['link', 'set', `gx${fixture.hash}`, 'alias', `gantry:${fixture.hash}`]);
    await fixture.restart();
    const traces = (await fixture.traces()).join('\n');
    expect(traces).not.toContain(leftover);
    expect(traces).not.toContain(`gv${fixture.hash}aaaaaaa`);
    expect(traces).not.toContain(`gx${fixture.hash}`);
    expect(traces).toContain(fixture.bridge);
  });

  test('a flushed table is written anew by the next start and by the check', async () => {
    await using fixture = await NetworkFixture.open();
    const port = await freePort();
    const web = await fixture.open('web', { bridge: {} }, { ports: [published(80, port)] });
    const rules = async (): Promise<string> =>
      (await run('nft', ['list', 'table', 'inet', `gantry_${fixture.hash}`])).stdout;
    const drop = async (): Promise<void> => {
      await run('nft', ['delete', 'table', 'inet', `gantry_${fixture.hash}`]);
      expect(await rules()).toBe('');
    };
    const whole = await rules();
    expect(whole).toContain(`tcp . ${port} : ${addressOf(web, 'bridge')} . 80`);
    await drop();
    await fixture.close(await fixture.open('other', { bridge: {} }));
    expect(await rules()).toBe(whole);
    await drop();
    await fixture.service.check();
    expect(await rules()).toBe(whole);
    await drop();
    await fixture.close(web);
    expect(await rules()).not.toContain(`tcp . ${port}`);
  });

  test('two engines live side by side, and one going leaves the other alone', async () => {
    await using left = await NetworkFixture.open();
    const right = await NetworkFixture.open();
    try {
      const [a, b] = await Promise.all([
        left.open('same', { bridge: {} }),
        right.open('same', { bridge: {} }),
      ]);
      expect(a.netnsPath).not.toBe(b.netnsPath);
      const before = await left.traces();
      await right.service.teardown();
      expect(await eventually('', async () => (await right.traces()).join('\n'))).toBe('');
      expect(await left.traces()).toEqual(before);
    } finally {
      await right[Symbol.asyncDispose]();
    }
  });

  test('a bridge of another engine is not taken', async () => {
    await using owner = await NetworkFixture.open();
    await expect(NetworkFixture.open({ bridgeName: owner.bridge })).rejects.toThrow(
      'belongs to another engine',
    );
  });

  test('a bridge of the administrator must exist', async () => {
    await expect(
      NetworkFixture.open({ bridgeName: 'nosuchbr0', isBridgeUserManaged: true }),
    ).rejects.toThrow('bridge interface nosuchbr0 does not exist');
  });

  test('nothing is left in the end', async () => {
    const fixture = await NetworkFixture.open();
    await fixture.service.create({ Name: 'n', EnableIPv6: true });
    await fixture.service.create({
      Name: 'i',
      Internal: true,
      Options: { 'com.docker.network.bridge.gateway_mode_ipv4': 'isolated' },
    });
    await fixture.open('a', { n: {}, i: {}, bridge: {} }, { ports: [published(80, 0)] });
    expect((await fixture.traces()).length).toBeGreaterThan(0);
    await fixture[Symbol.asyncDispose]();
    expect(await eventually('', async () => (await fixture.traces()).join('\n'))).toBe('');
  });
});
