import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { APT_ENVIRONMENT, refreshPackageLists } from './packages.ts';
import { PROJECT_ROOT, runVisibly } from './processes.ts';

/** Programs that tests use as strangers: unpacked, never installed, so that no service of theirs is started. */
const TOOLS: readonly { readonly packageName: string; readonly program: string }[] = [
  { packageName: 'docker.io', program: 'usr/bin/docker' },
  { packageName: 'docker-registry', program: 'usr/bin/docker-registry' },
];

/** Folder with the unpacked tools, laid out as below `/`. */
export const TOOLS_DIR: string = join(PROJECT_ROOT, '.cache/tools');

/** Downloads and unpacks what is missing. @throws Error */
export function ensureTools(): void {
  const missing = TOOLS.filter((tool) => !existsSync(join(TOOLS_DIR, tool.program)));
  if (missing.length === 0) {
    return;
  }
  console.log(`Unpacking test tools: ${missing.map((tool) => tool.packageName).join(' ')}`);
  mkdirSync(TOOLS_DIR, { recursive: true });
  refreshPackageLists();
  for (const tool of missing) {
    const folder = mkdtempSync(join(TOOLS_DIR, 'download-'));
    try {
      const result = spawnSync('apt-get', ['download', '-qq', tool.packageName], {
        cwd: folder,
        env: APT_ENVIRONMENT,
        encoding: 'utf8',
      });
      const archive = readdirSync(folder).find((name) => name.endsWith('.deb'));
      if (result.status !== 0 || archive === undefined) {
        throw new Error(`cannot download Debian's ${tool.packageName}: ${result.stderr}`);
      }
      runVisibly('dpkg-deb', ['-x', join(folder, archive), TOOLS_DIR]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}
