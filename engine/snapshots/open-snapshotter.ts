import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, SystemError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { readTextIfThere, writeFileAtomic } from '../base/node/atomic-file.ts';
import type { Snapshotter } from './contract.ts';
import { CopySnapshotter } from './copy-snapshotter.ts';
import type { LayerProgram } from './layer-program.ts';
import { OverlaySnapshotter } from './overlay-snapshotter.ts';
import { openParts } from './stored-snapshotter.ts';

type Driver = Snapshotter['driver'];

/** Input of {@link openSnapshotter}. */
export interface OpenSnapshotterOptions {
  /** Absolute path of the folder for snapshots; made when missing. */
  readonly root: string;
  /** Borrowed: the caller disposes it after the snapshotter. */
  readonly program: LayerProgram;
  readonly logger: Logger;
  /** Default: what the folder was made with, else overlayfs where it works. */
  readonly driver?: Driver | undefined;
}

const recordSchema = z.object({ driver: z.enum(['overlay2', 'vfs']) });

/** Why overlayfs does not work below `root`, or undefined when it does. */
async function findOverlayProblem(
  root: string,
  program: LayerProgram,
): Promise<string | undefined> {
  const folder = join(root, `probe-${process.pid}`);
  await program.run(['remove', '--path', folder]);
  await mkdir(folder, { mode: 0o700 });
  try {
    await program.run(['probe', '--path', folder]);
    return undefined;
  } catch (error) {
    return messageOf(error);
  } finally {
    await program.run(['remove', '--path', folder]);
  }
}

/** The driver that the folder was made with. */
async function readDriver(file: string): Promise<Driver | undefined> {
  const text = await readTextIfThere(file);
  return text === undefined ? undefined : recordSchema.parse(JSON.parse(text)).driver;
}

/**
 * Opens the storage below `root` with the driver asked for, the one it has, or the best that works here.
 *
 * @throws SystemError  the folder belongs to another driver than asked for, or overlayfs was asked for and does not work
 */
export async function openSnapshotter(options: OpenSnapshotterOptions): Promise<Snapshotter> {
  const { root, program } = options;
  const logger = options.logger.child({ component: 'snapshots' });
  await mkdir(root, { recursive: true, mode: 0o711 });
  const file = join(root, 'driver.json');
  const before = await readDriver(file);
  const asked = options.driver;
  if (asked !== undefined && before !== undefined && asked !== before) {
    throw new SystemError(
      `${root} holds data of the storage driver ${before}; ${asked} cannot use it`,
    );
  }
  let driver = asked ?? before;
  if (driver !== 'vfs') {
    const problem = await findOverlayProblem(root, program);
    if (problem !== undefined && driver !== undefined) {
      throw new SystemError(`overlayfs does not work below ${root}: ${problem}`);
    }
    if (problem !== undefined) {
      logger.warn('overlayfs does not work here: every container gets a copy of its image', {
        root,
        reason: problem,
      });
    }
    driver = problem === undefined ? 'overlay2' : 'vfs';
  }
  if (before === undefined) {
    await writeFileAtomic(file, `${JSON.stringify({ driver })}\n`);
  }
  const parts = await openParts({ root, program, logger });
  logger.info('storage is open', { driver, layerCount: parts.layers.list().length });
  return driver === 'vfs'
    ? await CopySnapshotter.open(parts)
    : await OverlaySnapshotter.open(parts);
}
