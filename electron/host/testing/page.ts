import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../engine/base/logger.ts';
import { BridgeClient } from '../../contract/client.ts';
import { transportPair } from '../../contract/transport.ts';
import { parseEndpoint } from '../endpoint.ts';
import { Host } from '../host.ts';
import { FakeEngine } from './fake-engine.ts';

/** Nothing in these tests waits this long unless it is broken. */
export const DEADLINE_MS = 30_000;

/** A host on a fake engine, with one page. */
export interface TestPage extends AsyncDisposable {
  readonly engine: FakeEngine;
  readonly host: Host;
  readonly client: BridgeClient;
  /** Another page on the same host. */
  another(): BridgeClient;
}

/** Starts engine, host and page; `prepare` fills the engine before the host looks at it. */
export async function openPage(
  prepare: (engine: FakeEngine) => void = () => {},
): Promise<TestPage> {
  await using cleanup = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'gantry-host-'));
  cleanup.defer(() => rm(folder, { recursive: true, force: true }));
  const engine = cleanup.use(await FakeEngine.open());
  prepare(engine);
  const host = cleanup.use(
    await Host.open({
      endpoint: parseEndpoint(engine.url),
      settingsPath: join(folder, 'settings.json'),
      shell: 'browser',
      appVersion: '1.2.3',
      log: silentLogger,
      statsIntervalMs: 20,
    }),
  );
  const another = (): BridgeClient => {
    const [pageEnd, hostEnd] = transportPair();
    host.serve(hostEnd);
    return new BridgeClient(pageEnd);
  };
  const client = another();
  const owned = cleanup.move();
  return { engine, host, client, another, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Waits until `check` returns something other than undefined and false. */
export async function until<T>(
  check: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false) {
      return value;
    }
    if (Date.now() > deadline) {
      throw new Error('the condition did not come true');
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Reads a stream until an item satisfies `check`, and returns that item. */
export async function readUntil<I>(
  stream: { next(): Promise<I | undefined> },
  check: (item: I) => boolean,
): Promise<I> {
  for (;;) {
    const item = await stream.next();
    if (item === undefined) {
      throw new Error('the stream ended');
    }
    if (check(item)) {
      return item;
    }
  }
}
