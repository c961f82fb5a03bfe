import { type BenchEngine, call } from '../engine-under-test.ts';
import { inParallel } from '../figure.ts';

const SLEEP_SECONDS = '1000000';

/** Creates a container through the API. @returns its id */
export async function create(
  engine: BenchEngine,
  command: readonly string[] = ['sleep', SLEEP_SECONDS],
  more: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const answer = await call(engine, 'POST', '/v1.41/containers/create', {
    Image: 'busybox',
    Cmd: command,
    ...more,
  });
  return (JSON.parse(answer.text) as { Id: string }).Id;
}

/** Starts a container through the API. */
export async function start(engine: BenchEngine, id: string): Promise<void> {
  await call(engine, 'POST', `/v1.41/containers/${id}/start`);
}

/** Removes containers with force, a few at a time. */
export async function removeAll(engine: BenchEngine, ids: readonly string[]): Promise<void> {
  await inParallel(ids, 4, async (id) => {
    await call(engine, 'DELETE', `/v1.41/containers/${id}?force=1&v=1`);
  });
}

/** How many containers there are, and how many of them run. */
async function count(engine: BenchEngine): Promise<{ all: number; running: number }> {
  const list = JSON.parse(
    (await call(engine, 'GET', '/v1.41/containers/json?all=1')).text,
  ) as readonly { State: string }[];
  return { all: list.length, running: list.filter(({ State }) => State === 'running').length };
}

/** Adds sleeping containers until there are as many as wanted. */
export async function fill(
  engine: BenchEngine,
  wanted: { readonly all: number; readonly running: number },
): Promise<void> {
  const there = await count(engine);
  const missing = Math.max(0, wanted.all - there.all);
  const toStart = Math.max(0, wanted.running - there.running);
  const ids: string[] = [];
  await inParallel(Array.from({ length: missing }), 4, async () => {
    ids.push(await create(engine));
  });
  await inParallel(ids.slice(0, toStart), 4, async (id) => {
    await start(engine, id);
  });
}
