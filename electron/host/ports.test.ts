import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { openPage, readUntil } from './testing/page.ts';

/** A port that this process listens on. */
async function holdPort(host: string): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
      }),
  };
}

describe('ports.check', () => {
  it('names the process that has the port, on any address', async () => {
    await using page = await openPage();
    for (const host of ['127.0.0.1', '0.0.0.0']) {
      await using held = await holdPort(host);
      const answer = await page.client.call('ports.check', {
        hostPort: held.port,
        protocol: 'tcp',
        ...(host === '127.0.0.1' ? { hostIp: host } : {}),
      });
      expect(answer.isFree).toBe(false);
      expect(answer.owner).toMatchObject({ kind: 'process', pid: process.pid });
      expect(answer.suggestion).not.toBe(held.port);
    }
  });

  it('names the container that has the port, with its project', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({
        id: 'web',
        name: 'web',
        ports: [{ IP: '0.0.0.0', PrivatePort: 80, PublicPort: 18_080, Type: 'tcp' }],
        labels: { 'com.docker.compose.project': 'shop' },
      });
    });
    const list = page.client.open('containers.list', {});
    await readUntil(list, (item) => !(item instanceof Uint8Array) && item.type === 'snapshot');
    const answer = await page.client.call('ports.check', { hostPort: 18_080, protocol: 'tcp' });
    expect(answer).toMatchObject({
      isFree: false,
      owner: { kind: 'container', id: 'web', name: 'web', project: 'shop' },
    });
  });
});

describe('ports.suggest', () => {
  it('moves low ports up and never gives one twice', async () => {
    await using page = await openPage();
    const { ports } = await page.client.call('ports.suggest', {
      ports: [
        { containerPort: 80, protocol: 'tcp' },
        { containerPort: 8080, protocol: 'tcp' },
      ],
      taken: [8080],
    });
    expect(ports).toHaveLength(2);
    const numbers = ports.map((port) => port.hostPort);
    expect(new Set(numbers).size).toBe(2);
    expect(numbers).not.toContain(8080);
    expect(Math.min(...numbers)).toBeGreaterThan(1023);
  });
});
