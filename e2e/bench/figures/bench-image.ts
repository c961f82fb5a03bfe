import { createCipheriv, createHash } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runOrThrow } from '../../../engine/base/node/run.ts';
import { CACHE_DIR } from '../../fixtures/places.ts';

/** The image that is pulled, pushed, loaded and saved. */
export const BENCH_IMAGE = 'bench:latest';
const LAYER_COUNT = 10;
const LAYER_BYTES = 30 * 1024 * 1024;
const FILE_BYTES = 100 * 1024;

/** A file like those in images: a third cannot be compressed, the rest is text-like. Always the same for a seed. */
function fileContent(seed: string): Buffer {
  const key = createHash('sha256').update(seed).digest();
  const random = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(
    Buffer.alloc(Math.floor(FILE_BYTES / 3)),
  );
  const words = random.toString('hex', 0, 2048).match(/.{1,7}/g) ?? [];
  const text = Array.from(
    { length: 12_000 },
    (_, index) => words[(index * 7919) % words.length],
  ).join(' ');
  return Buffer.concat([random, Buffer.from(text)], FILE_BYTES);
}

async function makeArchive(work: string): Promise<string> {
  const archive = join(work, 'archive');
  const names: string[] = [];
  for (let layer = 0; layer < LAYER_COUNT; layer += 1) {
    const files = join(work, `files-${layer}`, 'opt', `layer-${layer}`);
    await mkdir(files, { recursive: true });
    for (let file = 0; file * FILE_BYTES < LAYER_BYTES; file += 1) {
      await writeFile(join(files, `file-${file}`), fileContent(`${layer} ${file}`));
    }
    const name = `layer-${layer}/layer.tar`;
    await mkdir(join(archive, `layer-${layer}`), { recursive: true });
    await runOrThrow('tar', [
      '--create',
      `--file=${join(archive, name)}`,
      '--sort=name',
      '--owner=0',
      '--group=0',
      '--mtime=2026-01-01 00:00:00Z',
      `--directory=${join(work, `files-${layer}`)}`,
      'opt',
    ]);
    names.push(name);
  }
  const diffIds: string[] = [];
  for (const name of names) {
    const sum = await runOrThrow('sha256sum', [join(archive, name)]);
    diffIds.push(`sha256:${sum.slice(0, 64)}`);
  }
  const created = '2026-01-01T00:00:00Z';
  await writeFile(
    join(archive, 'config.json'),
    JSON.stringify({
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      created,
      config: { Cmd: ['true'] },
      rootfs: { type: 'layers', diff_ids: diffIds },
      history: diffIds.map((_, index) => ({ created, created_by: `layer ${index}` })),
    }),
  );
  await writeFile(
    join(archive, 'manifest.json'),
    JSON.stringify([{ Config: 'config.json', RepoTags: [BENCH_IMAGE], Layers: names }]),
  );
  const made = join(work, 'image.tar');
  await runOrThrow('tar', ['--create', `--file=${made}`, `--directory=${archive}`, '.']);
  return made;
}

/** Archive of {@link BENCH_IMAGE}: 10 layers of 30 MiB each in files of 100 KiB. Made once, then kept. */
export async function benchArchive(): Promise<string> {
  const folder = join(CACHE_DIR, 'images');
  const path = join(folder, `bench-${LAYER_COUNT}x${LAYER_BYTES}-1.tar`);
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  if (!isThere) {
    await mkdir(folder, { recursive: true });
    const work = await mkdtemp(join(folder, 'work-'));
    try {
      await rename(await makeArchive(work), path);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }
  return path;
}
