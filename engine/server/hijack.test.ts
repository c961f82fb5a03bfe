import { describe, expect, it } from 'vitest';
import { StreamDemux } from '../api/client/demux.ts';
import { ConflictError, NotFoundError } from '../base/errors.ts';
import { FakeSession, fakeServices } from './testing/fake-services.ts';
import { type RawClient, TestServer } from './testing/test-server.ts';
import { encodeServerFrame, FrameReader } from './websocket.ts';

const UPGRADE = 'Connection: Upgrade\r\nUpgrade: tcp\r\n';

const attachServer = async (session: FakeSession): Promise<TestServer> =>
  await TestServer.open(
    fakeServices({ containers: { attach: async () => await Promise.resolve(session) } }),
  );

const bodyOf = (client: RawClient): Buffer =>
  client.received.subarray(client.received.indexOf('\r\n\r\n') + 4);

const framesOf = (bytes: Buffer): [string, string][] =>
  new StreamDemux().push(bytes).map((chunk) => [chunk.stream, Buffer.from(chunk.bytes).toString()]);

describe('attach', () => {
  it('upgrades, frames the output, and closes when it ends', async () => {
    const session = new FakeSession();
    await using server = await attachServer(session);
    using client = await server.raw(
      `POST /v1.51/containers/x/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\n${UPGRADE}Content-Length: 0\r\n\r\n`,
    );
    const { head } = await client.head();
    expect(head).toContain('HTTP/1.1 101 UPGRADED\r\n');
    expect(head).toContain('Content-Type: application/vnd.docker.multiplexed-stream');
    expect(head).toContain('Upgrade: tcp');
    client.socket.write('typed');
    session.say('stdout', 'hello');
    session.say('stderr', 'oh');
    await client.until((received) => received.includes('oh'));
    // The client's end of input is not the end of its interest in the output.
    client.socket.end();
    await session.inputEnded;
    expect(session.input).toBe('typed');
    session.say('stdout', 'bye');
    session.finish();
    await client.untilEnd();
    expect(framesOf(bodyOf(client))).toEqual([
      ['stdout', 'hello'],
      ['stderr', 'oh'],
      ['stdout', 'bye'],
    ]);
    expect(session.isDisposed).toBe(true);
  });

  it('takes input that came together with the request', async () => {
    const session = new FakeSession(true);
    await using server = await attachServer(session);
    using client = await server.raw(
      `POST /containers/x/attach?stream=1&stdin=1 HTTP/1.1\r\nHost: d\r\n${UPGRADE}\r\nearly bird`,
    );
    client.socket.end();
    await session.inputEnded;
    expect(session.input).toBe('early bird');
    session.say('stdout', 'raw');
    session.finish();
    await client.untilEnd();
    expect((await client.head()).head).toContain('application/vnd.docker.raw-stream');
    expect(bodyOf(client).toString()).toBe('raw');
  });

  it('serves clients that do not ask for the upgrade', async () => {
    const session = new FakeSession(true);
    await using server = await attachServer(session);
    using client = await server.raw(
      'POST /v1.30/containers/x/attach?stream=1&stdin=1 HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n',
    );
    const { head } = await client.head();
    expect(head).toMatch(
      /^HTTP\/1\.1 200 OK\r\nContent-Type: application\/vnd\.docker\.raw-stream\r\n/,
    );
    client.socket.write('GET / HTTP/1.1\r\n\r\n');
    client.socket.end();
    await session.inputEnded;
    expect(session.input).toBe('GET / HTTP/1.1\r\n\r\n');
    session.say('stdout', 'out');
    session.finish();
    await client.untilEnd();
    expect(bodyOf(client).toString()).toBe('out');
  });

  it('drops input when stdin is not attached', async () => {
    const session = new FakeSession(true);
    await using server = await attachServer(session);
    using client = await server.raw(
      `POST /containers/x/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\n${UPGRADE}\r\nignored`,
    );
    await client.head();
    client.socket.end();
    session.say('stdout', 'still here');
    await client.until((received) => received.includes('still here'));
    session.finish();
    await client.untilEnd();
    expect(session.input).toBe('');
    expect(session.hasInputEnded).toBe(false);
  });

  it('detaches when the client is gone', async () => {
    const session = new FakeSession(true);
    await using server = await attachServer(session);
    using client = await server.raw(
      `POST /containers/x/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\n${UPGRADE}\r\n`,
    );
    await client.head();
    client.socket.destroy();
    // Some output is needed to notice: a closed end and a closed connection look the same.
    const deadline = Date.now() + 30_000;
    while (!session.isDisposed && Date.now() < deadline) {
      session.say('stdout', 'x'.repeat(1000));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(session.isDisposed).toBe(true);
  });

  it('answers errors as ordinary answers', async () => {
    await using server = await TestServer.open(
      fakeServices({
        containers: {
          attach: async () => await Promise.reject(new NotFoundError('No such container: x')),
        },
      }),
    );
    using client = await server.raw(
      `POST /containers/x/attach?stream=1 HTTP/1.1\r\nHost: d\r\n${UPGRADE}\r\n`,
    );
    const text = (await client.untilEnd()).toString();
    expect(text).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/);
    expect(text).toContain('{"message":"No such container: x"}');
  });
});

describe('exec start', () => {
  const start = (body: string, headers: string): string =>
    `POST /v1.51/exec/e/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;

  it.each(['', UPGRADE])('relays both ways (%j)', async (headers) => {
    const session = new FakeSession();
    await using server = await TestServer.open(
      fakeServices({ containers: { startExec: async () => await Promise.resolve(session) } }),
    );
    using client = await server.raw(start('{"Detach":false,"Tty":false}', headers));
    const { head } = await client.head();
    expect(head).toContain(headers === '' ? '200 OK' : '101 UPGRADED');
    client.socket.end('in');
    await session.inputEnded;
    expect(session.input).toBe('in');
    session.say('stderr', 'err');
    session.finish();
    await client.untilEnd();
    expect(framesOf(bodyOf(client))).toEqual([['stderr', 'err']]);
  });

  it('reads a body in chunks before an upgrade', async () => {
    let isDetached: boolean | undefined;
    await using server = await TestServer.open(
      fakeServices({
        containers: {
          startExec: async (_id, options) => {
            isDetached = options.isDetached;
            return await Promise.resolve(undefined);
          },
        },
      }),
    );
    using client = await server.raw(
      `POST /exec/e/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n${UPGRADE}Transfer-Encoding: chunked\r\n\r\n7\r\n{"Detac\r\n`,
    );
    client.socket.write('9\r\nh": true}\r\n0\r\n\r\n');
    const text = (await client.untilEnd()).toString();
    expect(text).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(isDetached).toBe(true);
  });

  it('checks before it takes over', async () => {
    await using server = await TestServer.open(
      fakeServices({
        containers: {
          assertExecReady: () => {
            throw new ConflictError('container is paused');
          },
        },
      }),
    );
    using client = await server.raw(start('{}', UPGRADE));
    expect((await client.untilEnd()).toString()).toMatch(/^HTTP\/1\.1 409 Conflict/);
  });

  it('says in the stream what went wrong with the start', async () => {
    await using server = await TestServer.open(
      fakeServices({
        containers: {
          startExec: async () => await Promise.reject(new ConflictError('exec failed: not found')),
        },
      }),
    );
    using client = await server.raw(start('{}', UPGRADE));
    await client.untilEnd();
    expect(framesOf(bodyOf(client))).toEqual([['stdout', 'exec failed: not found\r\n']]);
  });
});

describe('attach over WebSocket', () => {
  const HANDSHAKE =
    'GET /containers/x/attach/ws?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

  /** A client's frame, masked. */
  const clientFrame = (opcode: number, text: string): Buffer => {
    const payload = Buffer.from(text);
    const mask = Buffer.from([1, 2, 3, 4]);
    const masked = payload.map((byte, i) => byte ^ (mask[i & 3] ?? 0));
    return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length]), mask, masked]);
  };

  it('carries messages both ways and closes', async () => {
    const session = new FakeSession();
    await using server = await attachServer(session);
    using client = await server.raw(HANDSHAKE);
    const { head } = await client.head();
    expect(head).toContain('101 Switching Protocols');
    expect(head).toContain('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    client.socket.write(clientFrame(1, 'typed'));
    session.say('stdout', 'hello');
    await client.until((received) => received.includes(encodeServerFrame(2, Buffer.from('hello'))));
    client.socket.write(clientFrame(9, 'are you there'));
    await client.until((received) =>
      received.includes(encodeServerFrame(10, Buffer.from('are you there'))),
    );
    client.socket.write(clientFrame(8, ''));
    await session.inputEnded;
    expect(session.input).toBe('typed');
    await client.untilEnd();
    session.finish();
  });

  it('refuses what is no handshake', async () => {
    await using server = await attachServer(new FakeSession());
    expect((await server.ask({ path: '/containers/x/attach/ws' })).status).toBe(400);
  });

  it('takes frames apart whatever the splits', () => {
    const bytes = Buffer.concat([
      clientFrame(2, 'one'),
      clientFrame(2, ''),
      clientFrame(1, 'three'),
    ]);
    for (let size = 1; size <= bytes.length; size += 1) {
      const reader = new FrameReader();
      const texts: string[] = [];
      for (let at = 0; at < bytes.length; at += size) {
        texts.push(
          ...reader.push(bytes.subarray(at, at + size)).map((frame) => frame.payload.toString()),
        );
      }
      expect(texts).toEqual(['one', '', 'three']);
    }
    expect(() => new FrameReader().push(Buffer.from([0x82, 3, 1, 2, 3]))).toThrow('not a masked');
    const huge = Buffer.from([0x82, 0xff, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
    expect(() => new FrameReader().push(huge)).toThrow('too long');
  });
});
