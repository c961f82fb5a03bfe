import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../../base/logger.ts';
import { addressData, encodeAnswer, encodeQuery, parseQuery, RCODE, TYPE } from './message.ts';
import { DnsServer, type DnsView } from './server.ts';

const resources: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of resources.splice(0).reverse()) {
    await close();
  }
});

function view(more: Partial<DnsView> = {}): DnsView {
  return {
    resolveName: (name, family) => {
      if (name.toLowerCase() !== 'web') {
        return undefined;
      }
      return family === 4 ? ['10.0.0.2', '10.0.0.3'] : [];
    },
    resolveAddress: (address) => (address === '10.0.0.2' ? 'web.net1' : undefined),
    upstream: [],
    keepsBareNames: false,
    ...more,
  };
}

function server(found: DnsView | undefined): DnsServer {
  const dns = new DnsServer(() => found, silentLogger);
  resources.push(() => dns[Symbol.asyncDispose]());
  return dns;
}

/** Response code and number of answers. */
function summary(answer: Uint8Array | undefined): { rcode: number; answers: number } | undefined {
  if (answer === undefined) {
    return undefined;
  }
  const bytes = new DataView(answer.buffer, answer.byteOffset);
  return { rcode: bytes.getUint16(2) & 15, answers: bytes.getUint16(6) };
}

const ask = (dns: DnsServer, name: string, type: number) =>
  dns.respond(encodeQuery(5, name, type), '10.0.0.9', 'udp');

/** An upstream name server that answers every A query with 192.0.2.1, or with a code. */
async function upstream(
  rcode: number = RCODE.ok,
): Promise<{ address: string; count: () => number }> {
  let count = 0;
  const reply = (message: Uint8Array): Uint8Array => {
    count += 1;
    const query = parseQuery(message)!;
    const records =
      rcode === RCODE.ok ? [{ type: TYPE.A, ttlSec: 1, data: addressData(0xc0000201n, 4) }] : [];
    return encodeAnswer(query, { rcode, records, transport: 'udp' });
  };
  for (;;) {
    const tcp = createServer((socket) => {
      socket.on('data', (part) => {
        const answer = reply(part.subarray(2));
        socket.write(Buffer.concat([Buffer.from([0, answer.length]), answer]));
      });
    });
    tcp.listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    const bound = tcp.address();
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
    const udp = createSocket('udp4');
    const isBound = await new Promise<boolean>((resolve) => {
      udp.once('error', () => resolve(false));
      udp.bind(port, '127.0.0.1', () => resolve(true));
    });
    resources.push(() => tcp.close());
    if (isBound) {
      resources.push(() => udp.close());
      udp.on('message', (message, remote) => udp.send(reply(message), remote.port, remote.address));
      return { address: `127.0.0.1#${port}`, count: () => count };
    }
  }
}

describe('names of containers', () => {
  test('are answered from the view of who asks', async () => {
    const dns = server(view());
    expect(summary(await ask(dns, 'WEB', TYPE.A))).toEqual({ rcode: RCODE.ok, answers: 2 });
    expect(summary(await ask(dns, '2.0.0.10.in-addr.arpa', TYPE.PTR))).toEqual({
      rcode: RCODE.ok,
      answers: 1,
    });
  });

  test('a known name without an address of the family is empty, not passed on', async () => {
    const dns = server(view({ upstream: ['127.0.0.1#1'] }));
    expect(summary(await ask(dns, 'web', TYPE.AAAA))).toEqual({ rcode: RCODE.ok, answers: 0 });
    expect(summary(await ask(dns, 'web', TYPE.MX))).toEqual({ rcode: RCODE.ok, answers: 0 });
  });

  test('strangers get no answer at all', async () => {
    expect(await ask(server(undefined), 'web', TYPE.A)).toBeUndefined();
    expect(
      await server(view()).respond(Uint8Array.from([1, 2, 3]), '10.0.0.9', 'udp'),
    ).toBeUndefined();
  });
});

describe('other names', () => {
  test('go to the first server that knows, and come back under the id of the query', async () => {
    const failing = await upstream(RCODE.serverFailure);
    const working = await upstream();
    const dns = server(view({ upstream: [failing.address, working.address] }));
    for (const transport of ['udp', 'tcp'] as const) {
      const answer = await dns.respond(
        encodeQuery(321, 'example.org', TYPE.A),
        '10.0.0.9',
        transport,
      );
      expect(summary(answer)).toEqual({ rcode: RCODE.ok, answers: 1 });
      expect(new DataView(answer!.buffer, answer!.byteOffset).getUint16(0)).toBe(321);
    }
    expect(failing.count()).toBe(2);
  });

  test('fail when no server answers or there is no way out', async () => {
    expect(summary(await ask(server(view()), 'example.org', TYPE.A))).toEqual({
      rcode: RCODE.serverFailure,
      answers: 0,
    });
    const refusing = await upstream(RCODE.refused);
    expect(
      summary(await ask(server(view({ upstream: [refusing.address] })), 'example.org', TYPE.A)),
    ).toEqual({
      rcode: RCODE.serverFailure,
      answers: 0,
    });
  });

  test('a refusal to know a name is final', async () => {
    const first = await upstream(RCODE.nameError);
    const second = await upstream();
    const dns = server(view({ upstream: [first.address, second.address] }));
    expect(summary(await ask(dns, 'nosuch.example', TYPE.A))).toEqual({
      rcode: RCODE.nameError,
      answers: 0,
    });
    expect(second.count()).toBe(0);
  });

  test('bare names stay inside when ndots was set by hand', async () => {
    const outside = await upstream();
    const dns = server(view({ upstream: [outside.address], keepsBareNames: true }));
    expect(summary(await ask(dns, 'bare', TYPE.A))).toEqual({ rcode: RCODE.ok, answers: 0 });
    expect(outside.count()).toBe(0);
  });
});

describe('listening', () => {
  test('serves UDP and TCP on one port, several queries on one connection in order', async () => {
    const dns = server(view());
    await dns.listen(0);
    const udp = createSocket('udp4');
    resources.push(() => udp.close());
    udp.send(encodeQuery(1, 'web', TYPE.A), dns.port, '127.0.0.1');
    const [message] = await once(udp, 'message');
    expect(summary(message as Buffer)).toEqual({ rcode: RCODE.ok, answers: 2 });

    const tcp = connect(dns.port, '127.0.0.1');
    resources.push(() => tcp.destroy());
    for (const id of [1, 2, 3]) {
      const query = encodeQuery(id, 'web', TYPE.A);
      tcp.write(Buffer.from([0, query.length]));
      tcp.write(query);
    }
    const ids: number[] = [];
    let held = Buffer.alloc(0);
    for await (const part of tcp) {
      held = Buffer.concat([held, part as Buffer]);
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        ids.push(held.readUInt16BE(2));
        held = held.subarray(2 + held.readUInt16BE(0));
      }
      if (ids.length === 3) {
        break;
      }
    }
    expect(ids).toEqual([1, 2, 3]);
  });

  test('takes the port of the run before when it is free, else another', async () => {
    const first = server(view());
    await first.listen(0);
    const port = first.port;
    const second = server(view());
    await second.listen(port);
    expect(second.port).not.toBe(port);
    await first[Symbol.asyncDispose]();
    const third = server(view());
    await third.listen(port);
    expect(third.port).toBe(port);
  });
});
