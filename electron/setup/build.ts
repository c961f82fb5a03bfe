import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NODE, PROJECT_ROOT, runVisibly } from './processes.ts';

/** Names, sizes and times of all files below some folders: changes whenever a source does. */
function fingerprint(paths: readonly string[]): string {
  const hash = createHash('sha256');
  const visit = (path: string): void => {
    const facts = statSync(path);
    if (facts.isDirectory()) {
      for (const name of readdirSync(path).sort()) {
        visit(join(path, name));
      }
    } else {
      hash.update(`${path} ${facts.size} ${facts.mtimeMs}\n`);
    }
  };
  for (const path of paths) {
    if (existsSync(join(PROJECT_ROOT, path))) {
      visit(join(PROJECT_ROOT, path));
    }
  }
  return hash.digest('hex');
}

/** Runs `make` unless `output` was made from the same sources. */
function unlessUnchanged(name: string, sources: readonly string[], make: () => void): void {
  const stampPath = join(PROJECT_ROOT, 'build', `${name}.stamp`);
  const current = fingerprint(sources);
  if (existsSync(stampPath) && readFileSync(stampPath, 'utf8') === current) {
    return;
  }
  make();
  mkdirSync(join(PROJECT_ROOT, 'build'), { recursive: true });
  writeFileSync(stampPath, current);
}

/** Compiles the C programs into build/native. @throws Error */
export function buildNative(): void {
  unlessUnchanged('native', ['native'], () => {
    console.log('Compiling native programs ...');
    runVisibly('make', ['-s', '-C', 'native', 'all'], { isQuiet: true });
  });
}

/** Builds the page into build/renderer. @throws Error */
export function buildPage(): void {
  unlessUnchanged('renderer', ['renderer', 'electron/contract', 'package-lock.json'], () => {
    console.log('Building the page ...');
    runVisibly(
      NODE,
      [
        'node_modules/vite/bin/vite.js',
        'build',
        '--config',
        'renderer/vite.config.ts',
        '--logLevel',
        'warn',
      ],
      { isQuiet: true },
    );
  });
}

/** Builds the desktop shell into build/electron. @throws Error */
export function buildElectron(): void {
  const sources = [
    'electron/main',
    'electron/preload',
    'electron/host',
    'electron/contract',
    'engine/api',
    'engine/base',
  ];
  unlessUnchanged('electron', [...sources, 'package-lock.json'], () => {
    console.log('Building the desktop shell ...');
    for (const part of ['main', 'preload']) {
      runVisibly(
        NODE,
        [
          'node_modules/vite/bin/vite.js',
          'build',
          '--config',
          `electron/setup/${part}.vite.config.ts`,
          '--logLevel',
          'warn',
        ],
        { isQuiet: true },
      );
    }
  });
}
