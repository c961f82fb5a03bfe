import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../engine/base/logger.ts';
import { canConnect, EngineSupervisor } from './engine-supervisor.ts';
import { until } from './testing/page.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-supervisor-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A stand-in for the engine: listens on the socket and notes how it is stopped. */
const PROGRAM = `
import { createServer } from 'node:net';
import { appendFileSync, rmSync } from 'node:fs';
const [socket, notes] = process.argv.slice(2);
process.on('SIGTERM', () => { appendFileSync(notes, 'term\\n'); process.exit(0); });
rmSync(socket, { force: true });
appendFileSync(notes, 'up\\n');
createServer((it) => it.end()).listen(socket);
`;

async function supervisor(source: string, readyTimeoutMs = 30_000) {
  const program = join(folder, 'engine.mjs');
  const socketPath = join(folder, 'engine.sock');
  const notes = join(folder, 'notes');
  await writeFile(program, source);
  await writeFile(notes, '');
  const it = new EngineSupervisor({
    command: process.execPath,
    args: [program, socketPath, notes],
    cwd: folder,
    env: { PATH: process.env['PATH'] },
    socketPath,
    log: silentLogger,
    readyTimeoutMs,
  });
  return { it, socketPath, notes: () => readFile(notes, 'utf8') };
}

describe('EngineSupervisor', () => {
  it('resolves when the engine listens, and stops it in good order', async () => {
    const { it: engine, socketPath, notes } = await supervisor(PROGRAM);
    await engine.start();
    expect(await canConnect(socketPath)).toBe(true);
    await engine[Symbol.asyncDispose]();
    expect(engine.pid).toBeUndefined();
    expect(await notes()).toBe('up\nterm\n');
  });

  it('starts it again when it dies', async () => {
    const { it: engine, notes } = await supervisor(PROGRAM);
    await engine.start();
    const first = engine.pid;
    process.kill(first ?? 0, 'SIGKILL');
    await until(async () => (await notes()) === 'up\nup\n');
    expect(engine.restartCount).toBe(1);
    expect(engine.pid).not.toBe(first);
    await engine[Symbol.asyncDispose]();
  });

  it('says why it could not start', async () => {
    const { it: engine } = await supervisor("console.error('no such option'); process.exit(3);");
    await expect(engine.start()).rejects.toThrow(/ended with code 3\nno such option/);
    await engine[Symbol.asyncDispose]();
  });

  it('gives up on an engine that never listens', async () => {
    const { it: engine } = await supervisor('setInterval(() => {}, 1000);', 500);
    await expect(engine.start()).rejects.toThrow(/does not listen/);
    expect(engine.pid).toBeUndefined();
    await engine[Symbol.asyncDispose]();
  });
});
