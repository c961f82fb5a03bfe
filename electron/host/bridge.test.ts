import { describe, expect, it } from 'vitest';
import { NotFoundError } from '../../engine/base/errors.ts';
import { silentLogger } from '../../engine/base/logger.ts';
import { BridgeClient } from '../contract/client.ts';
import { BridgeError } from '../contract/error.ts';
import { decodeBytes, encodeBytes, type WireMessage } from '../contract/frames.ts';
import { transportPair } from '../contract/transport.ts';
import { BridgeSession, type Handlers } from './bridge-server.ts';
import { until } from './testing/page.ts';

/** A bridge whose host has just these handlers. */
function bridge(handlers: Partial<Handlers>): { client: BridgeClient; session: BridgeSession } {
  const [pageEnd, hostEnd] = transportPair();
  const session = new BridgeSession(hostEnd, handlers as Handlers, silentLogger);
  return { client: new BridgeClient(pageEnd), session };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return error instanceof BridgeError ? error.code : `not a BridgeError: ${String(error)}`;
  }
  return 'no error';
}

/** Speaks to a session frame by frame, as a page that keeps to no rule might. */
function rawPage(handlers: Partial<Handlers>) {
  const [pageEnd, hostEnd] = transportPair();
  const session = new BridgeSession(hostEnd, handlers as Handlers, silentLogger);
  const received: WireMessage[] = [];
  let isClosed = false;
  pageEnd.listen({
    onMessage: (message) => received.push(message),
    onClose: () => {
      isClosed = true;
    },
  });
  const frames = (): { t: string; id?: number; error?: { code: string; message: string } }[] =>
    received
      .filter((message) => typeof message === 'string')
      .map((text) => JSON.parse(text) as { t: string });
  const send = (frame: unknown): void => pageEnd.send(JSON.stringify(frame));
  return { page: pageEnd, session, received, frames, send, isClosed: () => isClosed };
}

describe('call', () => {
  it('answers with the decoded result', async () => {
    const { client } = bridge({
      'containers.top': ({ id }) => Promise.resolve({ titles: [id], processes: [['1']] }),
    });
    expect(await client.call('containers.top', { id: 'abc' })).toEqual({
      titles: ['abc'],
      processes: [['1']],
    });
  });

  it('refuses parameters that do not fit and names the field', async () => {
    const { client } = bridge({ 'containers.stop': () => Promise.resolve({}) });
    const bad = { id: '../../etc', timeoutSec: 1 };
    await expect(client.call('containers.stop', bad)).rejects.toThrow(/id/);
    expect(await codeOf(client.call('containers.stop', bad))).toBe('invalid-request');
  });

  it('refuses a method that is not in the map', async () => {
    const { send, frames } = rawPage({});
    send({ t: 'request', id: 1, method: 'toString', params: {} });
    await until(() => frames().length > 0);
    expect(frames()[0]).toMatchObject({ t: 'failure', error: { code: 'invalid-request' } });
  });

  it('refuses an answer that does not fit', async () => {
    const { client } = bridge({
      'containers.top': () => Promise.resolve({ titles: 'no list' } as never),
    });
    expect(await codeOf(client.call('containers.top', { id: 'abc' }))).toBe('invalid-response');
  });

  it('carries code, message and hint of a failure', async () => {
    const { client } = bridge({
      'containers.start': () =>
        Promise.reject(new BridgeError('port-in-use', '8080 is taken', { hint: 'use 8081' })),
      'containers.kill': () => Promise.reject(new NotFoundError('No such container: x')),
      'containers.pause': () => Promise.reject(new TypeError('bug')),
    });
    await expect(client.call('containers.start', { id: 'abc' })).rejects.toMatchObject({
      code: 'port-in-use',
      message: '8080 is taken',
      hint: 'use 8081',
    });
    expect(await codeOf(client.call('containers.kill', { id: 'abc' }))).toBe('not-found');
    expect(await codeOf(client.call('containers.pause', { id: 'abc' }))).toBe('internal');
  });

  it('aborts the handler when the caller cancels', async () => {
    const started = Promise.withResolvers<AbortSignal>();
    const { client } = bridge({
      'disk.usage': async (_params, { signal }) => {
        started.resolve(signal);
        await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        });
        throw new Error('never');
      },
    });
    const abort = new AbortController();
    const answer = codeOf(client.call('disk.usage', {}, { signal: abort.signal }));
    const signal = await started.promise;
    abort.abort();
    expect(await answer).toBe('cancelled');
    await until(() => signal.aborted);
  });

  it('fails with disconnected when the transport closes, and the handler is aborted', async () => {
    const started = Promise.withResolvers<AbortSignal>();
    const { client, session } = bridge({
      'disk.usage': async (_params, { signal }) => {
        started.resolve(signal);
        return await new Promise(() => {});
      },
    });
    const answer = codeOf(client.call('disk.usage', {}));
    const signal = await started.promise;
    session.close();
    expect(await answer).toBe('disconnected');
    expect(signal.aborted).toBe(true);
    expect(await codeOf(client.call('disk.usage', {}))).toBe('disconnected');
  });
});

describe('stream', () => {
  it('yields items in order and ends', async () => {
    const { client } = bridge({
      'images.pull': async ({ reference }, context) => {
        for (let step = 0; step < 100; step += 1) {
          await context.send({ type: 'status', message: String(step) });
        }
        await context.send({ type: 'done', reference });
      },
    });
    const items = await Array.fromAsync(client.open('images.pull', { reference: 'busybox' }));
    expect(items).toHaveLength(101);
    expect(items[42]).toEqual({ type: 'status', message: '42' });
    expect(items.at(-1)).toEqual({ type: 'done', reference: 'busybox' });
  });

  it('holds the host back when the page does not read', async () => {
    let sent = 0;
    const { client } = bridge({
      'images.pull': async (_params, context) => {
        for (; sent < 1000; sent += 1) {
          await context.send({ type: 'status', message: String(sent) });
        }
      },
    });
    const stream = client.open('images.pull', { reference: 'busybox' });
    await until(() => sent >= 16);
    for (let turn = 0; turn < 50; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sent).toBe(16);
    for (let step = 0; step < 1000; step += 1) {
      expect(await stream.next()).toEqual({ type: 'status', message: String(step) });
    }
    expect(await stream.next()).toBeUndefined();
  });

  it('counts bytes on a stream of bytes and lets items pass free', async () => {
    let sentBytes = 0;
    const { client } = bridge({
      'terminal.attach': async (_params, context) => {
        for (let step = 0; step < 64; step += 1) {
          await context.sendBytes(new Uint8Array(64 * 1024).fill(step));
          sentBytes += 64 * 1024;
        }
        await context.send({ type: 'exit', code: 7 });
      },
    });
    const stream = client.open('terminal.attach', { sessionId: 's', cols: 80, rows: 24 });
    await until(() => sentBytes >= 256 * 1024);
    for (let turn = 0; turn < 50; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sentBytes).toBe(256 * 1024);
    let received = 0;
    for await (const item of stream) {
      if (item instanceof Uint8Array) {
        received += item.byteLength;
      } else {
        expect(item).toEqual({ type: 'exit', code: 7 });
      }
    }
    expect(received).toBe(64 * 64 * 1024);
  });

  it('copies bytes: changing them after sending changes nothing', async () => {
    const { client } = bridge({
      'terminal.attach': async (_params, context) => {
        const bytes = new Uint8Array([1, 2, 3]);
        await context.sendBytes(bytes);
        bytes.fill(9);
      },
    });
    const stream = client.open('terminal.attach', { sessionId: 's', cols: 80, rows: 24 });
    expect(await stream.next()).toEqual(new Uint8Array([1, 2, 3]));
  });

  it('passes input up with back-pressure, and tells its end', async () => {
    const taken: number[] = [];
    const go = Promise.withResolvers<void>();
    const { client } = bridge({
      'images.load': async (_params, context) => {
        await go.promise;
        for await (const bytes of context.input) {
          taken.push(bytes.byteLength);
        }
        await context.send({ type: 'done', references: [] });
      },
    });
    const stream = client.open('images.load', { fileName: 'x.tar' });
    let sent = 0;
    const sending = (async () => {
      for (let step = 0; step < 40; step += 1) {
        await stream.sendBytes(new Uint8Array(1024 * 1024));
        sent += 1;
      }
      stream.endInput();
    })();
    await until(() => sent >= 4);
    for (let turn = 0; turn < 50; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sent).toBe(4);
    go.resolve();
    await sending;
    expect(await stream.next()).toEqual({ type: 'done', references: [] });
    expect(taken.reduce((sum, bytes) => sum + bytes, 0)).toBe(40 * 1024 * 1024);
  });

  it('cuts off a page that sends more than was granted', async () => {
    const outcome = Promise.withResolvers<unknown>();
    const { page, send, frames } = rawPage({
      'images.load': async (_params, context) => {
        await new Promise<void>((resolve) => {
          context.signal.addEventListener('abort', () => resolve());
        });
        outcome.resolve(context.signal.reason);
        context.signal.throwIfAborted();
      },
    });
    send({ t: 'request', id: 1, method: 'images.load', params: { fileName: 'x' }, credit: 10 });
    for (let step = 0; step < 6; step += 1) {
      page.send(encodeBytes(1, new Uint8Array(1024 * 1024)));
    }
    expect(await outcome.promise).toMatchObject({ code: 'invalid-request' });
    await until(() => frames().some((frame) => frame.t === 'end'));
  });

  it('stops the handler when the reader leaves the loop', async () => {
    const stopped = Promise.withResolvers<void>();
    const { client, session } = bridge({
      'images.pull': async (_params, context) => {
        context.signal.addEventListener('abort', () => stopped.resolve());
        for (;;) {
          await context.send({ type: 'status', message: 'x' });
        }
      },
    });
    for await (const item of client.open('images.pull', { reference: 'busybox' })) {
      expect(item).toBeDefined();
      break;
    }
    await stopped.promise;
    await until(() => session.openCount === 0);
  });

  it('rejects with the error that ended it, after the items before', async () => {
    const { client } = bridge({
      'images.pull': async (_params, context) => {
        await context.send({ type: 'status', message: 'begun' });
        throw new BridgeError('unauthorized', 'who are you');
      },
    });
    const stream = client.open('images.pull', { reference: 'busybox' });
    expect(await stream.next()).toEqual({ type: 'status', message: 'begun' });
    expect(await codeOf(stream.next())).toBe('unauthorized');
  });

  it('refuses items from the page that do not fit', async () => {
    const { send, frames } = rawPage({
      'terminal.attach': async (_params, context) => {
        for await (const item of context.input) {
          expect(item).toBeUndefined();
        }
      },
    });
    const params = { sessionId: 's', cols: 80, rows: 24 };
    send({ t: 'request', id: 1, method: 'terminal.attach', params, credit: 10 });
    send({ t: 'up', id: 1, value: { type: 'resize', cols: -1, rows: 24 } });
    await until(() => frames().some((frame) => frame.t === 'end'));
    expect(frames().at(-1)).toMatchObject({ error: { code: 'invalid-request' } });
  });
});

describe('transport', () => {
  it('closes on text that is no frame', async () => {
    const { page, isClosed } = rawPage({});
    page.send('{"t":"unknown"}');
    await until(isClosed);
  });

  it('reads back binary frames and refuses others', () => {
    const frame = encodeBytes(4_000_000_000, new Uint8Array([5, 6]));
    expect(decodeBytes(frame)).toEqual({
      streamId: 4_000_000_000,
      payload: new Uint8Array([5, 6]),
    });
    expect(decodeBytes(new Uint8Array(4))).toBeUndefined();
    expect(decodeBytes(new Uint8Array(8).fill(2))).toBeUndefined();
  });
});
