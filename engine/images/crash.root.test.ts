import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdir, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { silentLogger } from '../base/logger.ts';
import type { Digest } from '../snapshots/contract.ts';
import { LayerProgram } from '../snapshots/layer-program.ts';
import { openSnapshotter } from '../snapshots/open-snapshotter.ts';
import { layerProgramPath } from '../snapshots/testing/program-path.ts';
import { ImageHarness } from './testing/image-harness.ts';

const ROUNDS = 6;

/** Loads, tags and removes images without end; a line per finished action. */
function script(root: string): string {
  const url = (path: string): string =>
    JSON.stringify(fileURLToPath(new URL(path, import.meta.url)));
  return `
    import { silentLogger } from ${url('../base/logger.ts')};
    import { LayerProgram } from ${url('../snapshots/layer-program.ts')};
    import { openSnapshotter } from ${url('../snapshots/open-snapshotter.ts')};
    import { ImageHarness, sampleImage, tarOf } from ${url('./testing/image-harness.ts')};
    const program = new LayerProgram(${JSON.stringify(layerProgramPath())});
    const snapshots = await openSnapshotter({
      root: ${JSON.stringify(join(root, 'snapshots'))}, program, logger: silentLogger });
    const harness = await ImageHarness.open({ root: ${JSON.stringify(join(root, 'data'))}, snapshots });
    const base = tarOf({ base: 'shared' });
    for (let round = 0; ; round += 1) {
      const own = tarOf({ own: 'x'.repeat(100_000) + round });
      await harness.add(sampleImage({ layers: [base, own] }), 'app:' + (round % 4));
      console.log('loaded');
      await harness.service.tag('app:' + (round % 4), { repo: 'copy', tag: 'latest' });
      console.log('tagged');
      if (round % 3 === 2) {
        await harness.service.remove('app:' + (round % 4), { isForced: true, hasPrune: true });
        await harness.service.prune(new Map());
        console.log('removed');
      }
    }`;
}

/** Runs the script and kills it after `lineCount` lines and a moment more. */
async function runAndKill(root: string, lineCount: number, delayMs: number): Promise<void> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script(root)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let seen = 0;
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      seen += text.split('\n').length - 1;
      if (seen >= lineCount) {
        setTimeout(resolve, delayMs);
      }
    });
    child.once('close', () => reject(new Error(`ended by itself: ${errors}`)));
  });
  child.kill('SIGKILL');
  await ended;
}

async function expectWhole(root: string): Promise<void> {
  const program = new LayerProgram(layerProgramPath());
  const snapshots = await openSnapshotter({
    root: join(root, 'snapshots'),
    program,
    logger: silentLogger,
  });
  {
    await using harness = await ImageHarness.open({ root: join(root, 'data'), snapshots });
    const { service } = harness;
    const chainIds = new Set<Digest>();
    const blobs = new Set<Digest>();
    for (const image of service.all()) {
      blobs.add(image.id);
      for (const layer of image.layers) {
        chainIds.add(layer.chainId);
        expect(layer.blob).toBeDefined();
        blobs.add(layer.blob?.digest ?? image.id);
      }
      for (const reference of image.references) {
        expect((await service.resolve(reference)).id).toBe(image.id);
      }
      if (image.chainId !== undefined) {
        await using tree = await snapshots.mountLayer(image.chainId);
        expect(await readFile(join(tree.path, 'base'), 'utf8')).toBe('shared');
      }
    }
    const layers = (await snapshots.listLayers()).map((layer) => layer.chainId);
    expect(new Set(layers)).toEqual(chainIds);
    expect(new Set(await harness.blobs())).toEqual(blobs);
  }
  await snapshots[Symbol.asyncDispose]();
  await program[Symbol.asyncDispose]();
}

describe('killed at any moment', () => {
  it('every image that is there is whole, and nothing else is left', async () => {
    const root = await mkdtemp(join(tmpdir(), 'image-crash-'));
    await mkdir(join(root, 'data'));
    for (let round = 0; round < ROUNDS; round += 1) {
      const lineCount = randomInt(1, 12);
      const delayMs = randomInt(0, 30);
      await runAndKill(root, lineCount, delayMs);
      await expectWhole(root).catch((error: unknown) => {
        throw new Error(`after ${lineCount} lines and ${delayMs} ms`, { cause: error });
      });
    }
    const program = new LayerProgram(layerProgramPath());
    await program.run(['remove', '--path', root]);
    await program[Symbol.asyncDispose]();
  });
});
