import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import type { ShimClient } from './contract.ts';
import { encodeRequest, type ReplyFrame, ReplyReader } from './protocol.ts';
import {
  ALL_STREAMS,
  ContainerFixture,
  collect,
  readUntil,
  start,
  until,
} from './testing/container-fixture.ts';

const HELLO = encodeRequest(1, { type: 'hello', version: 1, wantsOom: false });

/** Sends bytes, then reads until the shim closes. */
async function talk(runDir: string, ...parts: readonly Uint8Array[]): Promise<ReplyFrame[]> {
  const socket = connect(`${runDir}/shim.sock`);
  const reader = new ReplyReader();
  const frames: ReplyFrame[] = [];
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    frames.push(...reader.push(chunk));
  });
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(Buffer.concat(parts));
  await closed;
  return frames;
}

/** mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

function frame(type: number, payload: readonly number[], length = payload.length): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(7, 6);
  return Buffer.concat([header, Buffer.from(payload)]);
}

test('whoever breaks the rules gets an error and is closed; the shim goes on', async () => {
  await using fixture = await ContainerFixture.make({ script: 'sleep 1000' });
  await using client = await start(fixture.config);
  const { runDir } = fixture.config;
  const protocolError = (tag: number): unknown =>
    expect.objectContaining({ tag, reply: expect.objectContaining({ code: 'protocol' }) });

  expect(await talk(runDir, Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toHaveLength(1);
  expect(await talk(runDir, frame(2, []))).toEqual([protocolError(7)]);
  expect(await talk(runDir, frame(1, [71, 83, 72, 77, 2, 0, 0, 0]))).toMatchObject([
    { tag: 7, reply: { type: 'error', code: 'version' } },
  ]);
  for (const bad of [
    frame(0, []),
    frame(15, []),
    frame(4, [], 16_385),
    frame(4, [], 0xffffffff),
    frame(2, [1]),
    frame(3, [2, 0, 9, 0]),
    frame(13, [9]),
    frame(10, [3, 0, 46, 46, 47]),
  ]) {
    const frames = await talk(runDir, HELLO, bad);
    expect(frames.map(({ reply }) => reply.type)).toEqual(['helloOk', 'error']);
    expect(frames[1]).toEqual(protocolError(7));
  }
  expect((await client.state()).status).toBe('running');
});

test('random bytes never disturb the shim', async () => {
  await using fixture = await ContainerFixture.make({ script: 'sleep 1000' });
  await using client = await start(fixture.config);
  const seed = Date.now() % 1_000_000;
  const random = randomFrom(seed);
  for (let round = 0; round < 150; round += 1) {
    const parts: Buffer[] = [];
    for (let i = random() % 6; i >= 0; i -= 1) {
      const payload = Array.from({ length: random() % 40 }, () => random() % 5);
      // 12 would end the container; 9 starts programs.
      const type = [2, 3, 4, 5, 6, 8, 10, 11, 13, 14, 99][random() % 11] ?? 2;
      parts.push(random() % 8 === 0 ? Buffer.from(payload) : frame(type, payload));
    }
    const socket = connect(`${fixture.config.runDir}/shim.sock`);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => {}).resume();
    socket.end(Buffer.concat([random() % 4 === 0 ? Buffer.alloc(0) : HELLO, ...parts]));
    await closed;
  }
  expect((await client.state()).status, `seed ${seed}`).toBe('running');
});

test('a client that asks without ever reading is dropped, others are served', async () => {
  await using fixture = await ContainerFixture.make({ script: 'sleep 1000' });
  await using client = await start(fixture.config);
  const greedy: Socket = connect(`${fixture.config.runDir}/shim.sock`);
  greedy.on('error', () => {}).pause();
  greedy.write(HELLO);
  const state = encodeRequest(5, { type: 'state' });
  // Enough to fill both sockets and the ring; what is not taken waits here.
  for (let i = 0; i < 2000; i += 1) {
    greedy.write(Buffer.concat(Array.from({ length: 50 }, () => state)));
  }
  for (let i = 0; i < 20; i += 1) {
    expect((await client.state()).status).toBe('running');
  }
  greedy.destroy();
  expect((await client.state()).status).toBe('running');
});

test('many clients at once each get everything', async () => {
  await using fixture = await ContainerFixture.make({
    script: 'read x; seq 1 2000; read x; echo end',
    config: { hasStdin: true },
  });
  await using client = await start(fixture.config);
  const sessions = await Promise.all(
    Array.from({ length: 60 }, async () => await client.attach(ALL_STREAMS)),
  );
  const outputs = sessions.map(collect);
  await using typist = await client.attach({ ...ALL_STREAMS, wantsStdin: true });
  await typist.writeStdin(Buffer.from('\n'));
  await readUntil(typist.output[Symbol.asyncIterator](), '\n2000\n');
  await typist.writeStdin(Buffer.from('\n'));
  const expected = `${Array.from({ length: 2000 }, (_, i) => `${i + 1}\n`).join('')}end\n`;
  for (const output of await Promise.all(outputs)) {
    expect(output.stdout).toBe(expected);
  }
});

test('a stuck client does not keep the container from being started again', async () => {
  await using fixture = await ContainerFixture.make({
    script: 'seq 1 200000',
    hasLog: false,
  });
  const stuck: Socket[] = [];
  const attachAndStall = async (client: ShimClient): Promise<void> => {
    const socket = connect(`${client.runDir}/shim.sock`);
    stuck.push(socket);
    socket.on('error', () => {});
    socket.write(HELLO);
    socket.write(
      encodeRequest(2, { type: 'attach', id: '', streams: ALL_STREAMS, replays: false }),
    );
    await new Promise((resolve) => socket.once('data', resolve));
    socket.pause();
  };
  await using first = await start(fixture.config, { beforeOutput: attachAndStall });
  await first.kill(9);
  expect((await first.waitExit()).exitCode).toBe(137);
  await first.waitGone();
  await using second = await start(fixture.config);
  expect((await second.waitExit()).exitCode).toBe(0);
  for (const socket of stuck) {
    socket.destroy();
  }
  await until(async () => {
    const state = await second.state().catch(() => undefined);
    return state === undefined;
  });
});
