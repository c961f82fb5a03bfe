import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../fixtures/places.ts';

/**
 * Who may import whom. The first rule whose folder holds the importing file decides; `self` is that folder.
 * A target ending in `.ts` allows that one file. Type-only imports count like others. Test files may also import
 * fixtures and whatever they put together.
 */
const RULES: readonly {
  readonly folder: string;
  readonly may: readonly string[];
  readonly packages: readonly string[];
}[] = [
  { folder: 'engine/base/node', may: ['engine/base'], packages: ['node:'] },
  { folder: 'engine/base', may: [], packages: ['node:crypto'] },
  { folder: 'engine/api/client', may: ['engine/api', 'engine/base'], packages: ['node:', 'zod'] },
  { folder: 'engine/api', may: ['engine/base'], packages: ['zod'] },
  { folder: 'engine/daemon.ts', may: ['engine'], packages: ['node:'] },
  { folder: 'engine/main.ts', may: ['engine'], packages: ['node:'] },
  { folder: 'engine/config.ts', may: ['engine/base'], packages: ['node:', 'zod'] },
  {
    folder: 'engine',
    may: ['engine/api', 'engine/base', 'CONTRACTS'],
    packages: ['node:', 'zod', 'ws'],
  },
  { folder: 'electron/contract', may: [], packages: ['zod'] },
  {
    folder: 'electron/host',
    may: ['electron/contract', 'engine/api', 'engine/base'],
    packages: ['node:', 'zod'],
  },
  {
    folder: 'electron/web',
    may: ['electron/contract', 'electron/host', 'engine/base'],
    packages: ['node:', 'ws', 'zod'],
  },
  {
    folder: 'electron/main',
    may: ['electron/contract', 'electron/host', 'engine/base'],
    packages: ['node:', 'electron', 'zod'],
  },
  { folder: 'electron/preload', may: ['electron/contract'], packages: ['electron'] },
  {
    folder: 'electron/setup',
    may: ['electron/host', 'electron/web', 'engine/base'],
    packages: ['node:'],
  },
  {
    folder: 'renderer',
    may: ['electron/contract', 'engine/api'],
    packages: ['react', '@', 'zustand', 'lucide-react', 'sonner', 'uplot', 'zod', 'vite', 'node:'],
  },
  {
    folder: 'e2e',
    may: ['engine', 'electron', 'e2e'],
    packages: ['node:', 'vitest', 'playwright', '@', 'ws'],
  },
];

/** Concepts whose pure parts others use besides the contract file. */
const SHARED_FILES: readonly string[] = [];

interface Import {
  readonly from: string;
  readonly target: string;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(join(PROJECT_ROOT, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.(ts|tsx|mjs)$/.test(entry.name))
    .map((entry) => relative(PROJECT_ROOT, join(entry.parentPath, entry.name)))
    .sort();
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(PROJECT_ROOT, file), 'utf8');
  const pattern =
    /^\s*(?:import|export)\s(?:[^'";]*?\sfrom\s)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;
  return [...text.matchAll(pattern)].map((match) => ({
    from: file,
    target: match[1] ?? match[2] ?? '',
  }));
}

function isTestFile(file: string): boolean {
  return /\.(test|spec|suite)\.tsx?$/.test(file) || file.includes('/testing/');
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function isAllowed({ from, target }: Import): boolean {
  const rule = RULES.find((candidate) => isWithin(from, candidate.folder));
  if (rule === undefined) {
    return false;
  }
  if (!target.startsWith('.')) {
    return (
      rule.packages.some((name) => target === name || target.startsWith(name)) ||
      (isTestFile(from) && (target === 'vitest' || target.startsWith('node:') || target === 'ws'))
    );
  }
  const path = join(dirname(from), target).replace(/\?.*$/, '');
  const concept = from.split('/').slice(0, 2).join('/');
  if (isWithin(path, rule.folder === 'engine' ? concept : rule.folder)) {
    return true;
  }
  if (isTestFile(from)) {
    return isWithin(path, 'engine') || isWithin(path, 'electron') || isWithin(path, 'e2e/fixtures');
  }
  return rule.may.some((allowed) =>
    allowed === 'CONTRACTS'
      ? /^engine\/[a-z/]+\/contract\.ts$/.test(path) || SHARED_FILES.includes(path)
      : isWithin(path, allowed),
  );
}

const FILES = ['engine', 'electron', 'renderer', 'vm', 'e2e'].flatMap(sourceFiles);

describe('imports', () => {
  it('are found in most files', () => {
    expect(FILES.flatMap(importsOf).length).toBeGreaterThan(FILES.length);
  });

  it('follow the rules of the folders', () => {
    const broken = FILES.flatMap(importsOf).filter((entry) => !isAllowed(entry));
    expect(broken.map(({ from, target }) => `${from} may not import ${target}`)).toEqual([]);
  });

  it('a forbidden import would be seen', () => {
    expect(isAllowed({ from: 'renderer/app/x.ts', target: '../../engine/daemon.ts' })).toBe(false);
    expect(isAllowed({ from: 'engine/images/x.ts', target: '../network/ipam.ts' })).toBe(false);
    expect(isAllowed({ from: 'electron/host/x.ts', target: 'electron' })).toBe(false);
  });
});

describe('folders', () => {
  it('top level holds the fixed ones only', () => {
    const folders = readdirSync(PROJECT_ROOT, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => entry.name)
      .filter((name) => !['node_modules', 'build', 'dist'].includes(name));
    expect(folders.sort()).toEqual(['e2e', 'electron', 'engine', 'native', 'renderer', 'vm']);
  });
});
