import type { Figure } from '../figure.ts';
import { build } from './build.ts';
import { copyIn, copyOut } from './copy.ts';
import { exec } from './exec.ts';
import { load, pull, push, save } from './images.ts';
import { log } from './log.ts';
import { hundredMemory, idleMemory, supervisorMemory } from './memory.ts';
import { port, portShare } from './port.ts';
import { run } from './run.ts';
import { start50, start100 } from './start-at-once.ts';
import { event, list, restart, thousandMemory } from './thousand.ts';

/** All figures in the order they are measured: neighbours share scenes, and the last ones fill the engines. */
export const FIGURES: readonly Figure[] = [
  idleMemory,
  run,
  exec,
  start50,
  start100,
  build,
  load,
  save,
  push,
  pull,
  copyIn,
  copyOut,
  port,
  portShare,
  log,
  supervisorMemory,
  hundredMemory,
  list,
  event,
  thousandMemory,
  restart,
];
