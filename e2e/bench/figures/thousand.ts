import { request } from 'node:http';
import { type BenchEngine, call } from '../engine-under-test.ts';
import { type Figure, type Scene, timeMs } from '../figure.ts';
import { pssMiB } from '../processes.ts';
import { create, fill, removeAll, start } from './containers.ts';

const ALL = 1000;
const RUNNING = 200;

/** A thousand containers, two hundred of them running. Last scene: the end of the bench takes them along. */
const thousand: Scene = {
  prepare: async (engine) => {
    await fill(engine, { all: ALL, running: RUNNING });
  },
};

export const list: Figure = {
  key: 'list',
  name: 'list of 1,000 containers, 200 running',
  unit: 'ms',
  repeats: 15,
  warmUps: 3,
  ratioBar: 0.7,
  valueBar: 30,
  scene: thousand,
  run: async (engine) => {
    let length = 0;
    const ms = await timeMs(async () => {
      const { text } = await call(engine, 'GET', '/v1.41/containers/json?all=1');
      length = text.length;
    });
    if (length < ALL * 100) {
      throw new Error(`the list has ${length} bytes only`);
    }
    return ms;
  },
};

export const restart: Figure = {
  key: 'restart',
  name: 'start of the engine with them, until it lists them',
  unit: 's',
  repeats: 2,
  valueBar: 2,
  scene: thousand,
  run: async (engine) => {
    await engine.stop();
    const ms = await timeMs(async () => {
      await engine.start();
      await call(engine, 'GET', '/v1.41/containers/json?all=1');
    });
    return ms / 1000;
  },
};

export const thousandMemory: Figure = {
  key: 'memory-1000',
  name: 'memory of the engine with them (PSS)',
  unit: 'MiB',
  repeats: 3,
  valueBar: 150,
  scene: thousand,
  run: async (engine) => await pssMiB(await engine.daemonPids()),
};

/** Resolves with the time at which the event of a container's end arrived. */
async function endEvent(
  engine: BenchEngine,
  id: string,
): Promise<{ readonly ready: Promise<void>; readonly arrivedAt: Promise<number> }> {
  const filters = encodeURIComponent(JSON.stringify({ container: [id], event: ['die'] }));
  const ready = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<number>();
  const outgoing = request(
    { socketPath: engine.socketPath, path: `/v1.41/events?filters=${filters}`, agent: false },
    (incoming) => {
      ready.resolve();
      incoming.once('data', () => {
        arrived.resolve(performance.now());
        outgoing.destroy();
      });
    },
  );
  outgoing.on('error', (error) => {
    ready.reject(error);
    arrived.reject(error);
  });
  outgoing.end();
  return { ready: ready.promise, arrivedAt: arrived.promise };
}

/** From the death of a container's process to the event in a client's hands. */
export const event: Figure = {
  key: 'event',
  name: "a container's process dies: until the event arrives",
  unit: 'ms',
  repeats: 10,
  warmUps: 1,
  valueBar: 50,
  scene: thousand,
  run: async (engine) => {
    const id = await create(engine);
    await start(engine, id);
    const inspected = JSON.parse(
      (await call(engine, 'GET', `/v1.41/containers/${id}/json`)).text,
    ) as { State: { Pid: number } };
    const { ready, arrivedAt } = await endEvent(engine, id);
    await ready;
    const killedAt = performance.now();
    process.kill(inspected.State.Pid, 'SIGKILL');
    const ms = (await arrivedAt) - killedAt;
    await removeAll(engine, [id]);
    return ms;
  },
};
