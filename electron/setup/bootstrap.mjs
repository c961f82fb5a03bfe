// Runs on whatever Node the system has (18 or newer): installs the project's packages, among them the Node that the
// rest runs on, and hands over to main.ts.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
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

/** Runs a program with the user's terminal. True when it ended well. */
function succeeds(file, args) {
  const result = spawnSync(file, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ELECTRON_SKIP_BINARY_DOWNLOAD: '1' },
  });
  return result.status === 0;
}

const NPM = process.platform === 'win32' ? 'npm.cmd' : 'npm';
const QUIET = ['--no-fund', '--no-audit', '--loglevel=error'];

/**
 * npm leaves out optional packages (the compiled parts of the page's builder) whose `engines` do not fit the Node that runs it.
 * On an older Node a new one and an npm for it come first, into a folder of their own.
 */
function installPackages() {
  const [nodeMajor = 0, nodeMinor = 0] = process.versions.node.split('.').map(Number);
  const isFit =
    nodeMajor > 22 ||
    (nodeMajor === 22 && nodeMinor >= 12) ||
    (nodeMajor === 20 && nodeMinor >= 19);
  // Not `npm ci`: it refuses a lock file without the optional packages of other platforms; `npm install` keeps to the
  // same versions.
  const install = ['install', '--no-save', ...QUIET];
  if (isFit) {
    return succeeds(NPM, install);
  }
  const folder = join(root, '.cache/npm');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const version = lock.packages['node_modules/node'].version;
  const tools = [`node@${version}`, 'npm@11'];
  return (
    succeeds(NPM, ['install', '--prefix', folder, ...QUIET, ...tools]) &&
    succeeds(join(folder, 'node_modules/.bin/node'), [
      join(folder, 'node_modules/npm/bin/npm-cli.js'),
      ...install,
    ])
  );
}

const wanted = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');
const installed = existsSync(stamp) ? readFileSync(stamp, 'utf8') : '';
if (installed !== wanted || !existsSync(node)) {
  console.log('Installing packages (npm install) ...');
  if (!installPackages() || !existsSync(node)) {
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
