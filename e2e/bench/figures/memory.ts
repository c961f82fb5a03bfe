import type { BenchEngine } from '../engine-under-test.ts';
import type { Figure, Scene } from '../figure.ts';
import { pssMiB } from '../processes.ts';
import { fill } from './containers.ts';

const HUNDRED = 100;
/** Both engines give memory back only some time after work. */
const SETTLE_MS = 5000;

async function settle(): Promise<void> {
  await new Promise<void>((resolve) => {
    setTimeout(resolve, SETTLE_MS);
  });
}

/** A hundred running containers. They stay: the thousand are built on them. */
const hundredRunning: Scene = {
  prepare: async (engine) => {
    await fill(engine, { all: HUNDRED, running: HUNDRED });
    await settle();
  },
};

async function allPids(engine: BenchEngine): Promise<readonly number[]> {
  return [...(await engine.daemonPids()), ...(await engine.supervisorPids())];
}

/** Memory of the engine's processes, some seconds after a fresh start without containers. */
export const idleMemory: Figure = {
  key: 'memory-idle',
  name: 'memory of the idle engine (PSS)',
  unit: 'MiB',
  repeats: 1,
  ratioBar: 1,
  run: async (engine) => {
    await engine.stop();
    await engine.start();
    await settle();
    return await pssMiB(await engine.daemonPids());
  },
};

export const supervisorMemory: Figure = {
  key: 'memory-container',
  name: 'memory of the supervisor of a running container (PSS)',
  unit: 'MiB',
  repeats: 3,
  valueBar: 0.5,
  scene: hundredRunning,
  run: async (engine) => (await pssMiB(await engine.supervisorPids())) / HUNDRED,
};

export const hundredMemory: Figure = {
  key: 'memory-100',
  name: 'memory of engine and supervisors with 100 running containers (PSS)',
  unit: 'MiB',
  repeats: 3,
  ratioBar: 0.35,
  scene: hundredRunning,
  run: async (engine) => await pssMiB(await allPids(engine)),
};
