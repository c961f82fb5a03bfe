// Runs on whatever Node the system has (18 or newer): installs the project's packages, among them the Node that the
// rest runs on, and hands over to main.ts.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const node = join(root, 'node_modules/.bin/node');
const stamp = join(root, 'node_modules/.gantry-packages');

const major = Number(process.versions.node.split('.')[0]);
if (major < 18) {
  console.error(`Gantry needs Node 18 or newer to set itself up; this is ${process.version}.`);
  process.exit(1);
}

const wanted = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');
const installed = existsSync(stamp) ? readFileSync(stamp, 'utf8') : '';
if (installed !== wanted || !existsSync(node)) {
  // Not `npm ci`: it refuses a lock file without the optional packages of other platforms, `npm install` keeps to the
  // same versions.
  console.log('Installing packages (npm install) ...');
  const result = spawnSync(
    process.platform === 'win32' ? 'npm.cmd' : 'npm',
    ['install', '--no-save', '--no-fund', '--no-audit', '--loglevel=error'],
    { cwd: root, stdio: 'inherit', env: { ...process.env, ELECTRON_SKIP_BINARY_DOWNLOAD: '1' } },
  );
  if (result.status !== 0 || !existsSync(node)) {
    console.error(
      'npm install failed. Gantry needs the npm registry once; try again when it is reachable.',
    );
    process.exit(1);
  }
  writeFileSync(stamp, wanted);
}

const child = spawnSync(node, [join(root, 'electron/setup/main.ts'), ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
process.exit(child.status ?? 1);
