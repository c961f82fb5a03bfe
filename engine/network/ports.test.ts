import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../base/logger.ts';
import { PortAllocator, type PortTarget, planPorts } from './port-allocator.ts';
import { openTcpPort, openUdpPort } from './port-proxy.ts';
import { SandboxPorts } from './ports.ts';

const target: PortTarget = {
  ipv4: '127.0.0.1',
  ipv6: '',
  mode4: 'nat',
  mode6: 'nat',
  defaultHostIp: '0.0.0.0',
  isHostIPv6Usable: true,
};
const tcp = (containerPort: number, hostPort: number, more: object = {}) => ({
  containerPort,
  hostPort,
  protocol: 'tcp' as const,
  hostIp: '',
  ...more,
});

const resources: AsyncDisposable[] = [];
afterEach(async () => {
  for (const resource of resources.splice(0).reverse()) {
    await resource[Symbol.asyncDispose]();
  }
});

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

describe('PortAllocator', () => {
  const allocator = () => new PortAllocator({ first: 40_000, last: 40_003 });

  test('an address collides with itself and with all addresses', () => {
    const ports = allocator();
    ports.request(['0.0.0.0'], 'tcp', 80, 80);
    expect(() => ports.request(['127.0.0.1'], 'tcp', 80, 80)).toThrow(
      'Bind for 127.0.0.1:80 failed: port is already allocated',
    );
    ports.request(['0.0.0.0'], 'udp', 80, 80);
    ports.request(['::'], 'tcp', 80, 80);
    ports.request(['127.0.0.1'], 'tcp', 81, 81);
    ports.request(['127.0.0.2'], 'tcp', 81, 81);
    expect(() => ports.request(['0.0.0.0'], 'tcp', 81, 81)).toThrow('Bind for 0.0.0.0:81 failed');
    ports.release('0.0.0.0', 'tcp', 80);
    ports.request(['127.0.0.1'], 'tcp', 80, 80);
  });

  test('free ports are given in turn, not the one just released', () => {
    const ports = allocator();
    const take = () => ports.request(['0.0.0.0', '::'], 'tcp', 0, 0);
    expect([take(), take()]).toEqual([40_000, 40_001]);
    ports.release('0.0.0.0', 'tcp', 40_000);
    ports.release('::', 'tcp', 40_000);
    expect([take(), take(), take()]).toEqual([40_002, 40_003, 40_000]);
    expect(take).toThrow('all ports are allocated');
  });

  test('ranges are searched and must make sense', () => {
    const ports = allocator();
    ports.request(['0.0.0.0'], 'tcp', 90, 90);
    expect(ports.request(['0.0.0.0'], 'tcp', 90, 91)).toBe(91);
    expect(() => ports.request(['0.0.0.0'], 'tcp', 90, 91)).toThrow('all ports are allocated');
    expect(() => ports.request(['0.0.0.0'], 'tcp', 91, 90)).toThrow('invalid port range: 91-90');
  });
});

describe('planPorts', () => {
  const hosts = (bindings: Parameters<typeof planPorts>[0], more: Partial<PortTarget> = {}) =>
    planPorts(bindings, { ...target, ...more }).map((group) =>
      group.map((plan) => `${plan.hostIp}>${plan.containerIp}`),
    );

  test('no address means both families', () => {
    expect(hosts([tcp(80, 8080)])).toEqual([['0.0.0.0>127.0.0.1', '::>127.0.0.1']]);
    expect(hosts([tcp(80, 8080)], { ipv6: 'fd00::2' })).toEqual([
      ['0.0.0.0>127.0.0.1', '::>fd00::2'],
    ]);
    expect(hosts([tcp(80, 8080)], { isHostIPv6Usable: false })).toEqual([['0.0.0.0>127.0.0.1']]);
  });

  test('a default address of one family, or a named one, stays in its family', () => {
    expect(hosts([tcp(80, 8080)], { defaultHostIp: '127.0.0.1' })).toEqual([
      ['127.0.0.1>127.0.0.1'],
    ]);
    expect(hosts([tcp(80, 8080)], { defaultHostIp: '::1' })).toEqual([['::1>127.0.0.1']]);
    expect(hosts([tcp(80, 8080, { hostIp: '::1' })])).toEqual([['::1>127.0.0.1']]);
    expect(hosts([tcp(80, 8080, { hostIp: '10.0.0.1' })])).toEqual([['10.0.0.1>127.0.0.1']]);
  });

  test('equal requests for other addresses share a port, exact ones come first', () => {
    const plans = planPorts(
      [tcp(80, 0), tcp(81, 8081, { hostIp: '10.0.0.1' }), tcp(81, 8081, { hostIp: '10.0.0.2' })],
      target,
    );
    expect(plans.map((group) => group.map((plan) => plan.binding.containerPort))).toEqual([
      [81, 81],
      [80, 80],
    ]);
  });

  test('routed families are opened, not translated; isolated ones are left alone', () => {
    const [group] = planPorts([tcp(80, 8080, { hostIp: '10.0.0.1' })], {
      ...target,
      mode4: 'routed',
    });
    expect(group).toMatchObject([{ hostIp: '0.0.0.0', isTranslated: false }]);
    expect(hosts([tcp(80, 8080)], { mode4: 'isolated' })).toEqual([]);
  });
});

describe('SandboxPorts', () => {
  const open = (allocator: PortAllocator) => {
    const ports = new SandboxPorts(allocator, silentLogger);
    resources.push(ports);
    return ports;
  };

  test('lists both families and translates one of them', async () => {
    const port = await freePort();
    const ports = open(new PortAllocator({ first: 40_000, last: 40_100 }));
    await ports.open([tcp(80, port)], target);
    expect(ports.bindings).toEqual([
      { containerPort: 80, protocol: 'tcp', hostIp: '0.0.0.0', hostPort: port },
      { containerPort: 80, protocol: 'tcp', hostIp: '::', hostPort: port },
    ]);
    expect(ports.firewallPorts).toEqual([
      {
        protocol: 'tcp',
        hostIp: '0.0.0.0',
        hostPort: port,
        containerIp: '127.0.0.1',
        containerPort: 80,
      },
    ]);
  });

  test('a port of another program is named, and nothing stays taken', async () => {
    const other = createServer().listen(0, '0.0.0.0');
    await once(other, 'listening');
    const bound = other.address();
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
    const allocator = new PortAllocator({ first: 40_000, last: 40_100 });
    const ports = open(allocator);
    await expect(ports.open([tcp(80, port)], target)).rejects.toThrow(
      `failed to bind host port for 0.0.0.0:${port}:127.0.0.1:80/tcp: address already in use`,
    );
    expect(ports.bindings).toEqual([]);
    expect(allocator.request(['0.0.0.0'], 'tcp', port, port)).toBe(port);
    other.close();
  });

  test('a taken port of a range is passed over', async () => {
    const other = createServer().listen(0, '0.0.0.0');
    await once(other, 'listening');
    const bound = other.address();
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
    const ports = open(new PortAllocator({ first: 40_000, last: 40_100 }));
    const last = Math.min(port + 50, 65_535);
    await ports.open([tcp(80, Math.min(port, last - 50), { hostPortEnd: last })], target);
    expect(ports.bindings[0]?.hostPort).not.toBe(port);
    other.close();
  });

  test('a conflict between containers is told apart', async () => {
    const port = await freePort();
    const allocator = new PortAllocator({ first: 40_000, last: 40_100 });
    await open(allocator).open([tcp(80, port)], target);
    await expect(open(allocator).open([tcp(81, port)], target)).rejects.toThrow(
      `Bind for 0.0.0.0:${port} failed: port is already allocated`,
    );
  });
});

describe('relays', () => {
  test('TCP carries both directions and half-closes', async () => {
    const echo = createServer({ allowHalfOpen: true }, (socket) => {
      const parts: Buffer[] = [];
      socket.on('data', (part) => parts.push(part));
      socket.on('end', () => socket.end(Buffer.concat(parts)));
    }).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    const bound = echo.address();
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
    const front = await freePort();
    resources.push(
      await openTcpPort({ address: '::1', port: front }, () => ({ address: '127.0.0.1', port })),
    );
    const client = connect({ host: '::1', port: front, allowHalfOpen: true });
    client.end('all of this comes back');
    const parts: Buffer[] = [];
    for await (const part of client) {
      parts.push(part as Buffer);
    }
    expect(Buffer.concat(parts).toString()).toBe('all of this comes back');
    echo.close();
  });

  test('UDP answers go to the client that asked', async () => {
    const echo = createSocket('udp4');
    echo.on('message', (message, remote) =>
      echo.send(`re: ${message.toString()}`, remote.port, remote.address),
    );
    echo.bind(0, '127.0.0.1');
    await once(echo, 'listening');
    const front = await freePort();
    const port = echo.address().port;
    resources.push(
      await openUdpPort({ address: '::1', port: front }, () => ({ address: '127.0.0.1', port })),
    );
    const clients = ['one', 'two'].map((text) => {
      const socket = createSocket('udp6');
      socket.send(text, front, '::1');
      return once(socket, 'message').then(([message]) => {
        socket.close();
        return (message as Buffer).toString();
      });
    });
    expect(await Promise.all(clients)).toEqual(['re: one', 're: two']);
    echo.close();
  });
});
