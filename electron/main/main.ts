import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as electron from 'electron';
import { jsonLogger } from '../../engine/base/logger.ts';
import { settingsPath } from '../host/settings-file.ts';
import { DesktopApp } from './app.ts';

/*
 * Entry of the desktop app, built to build/electron/main.mjs; preload.cjs and host.mjs lie beside it, the page in
 * build/renderer.
 */

const folder = dirname(fileURLToPath(import.meta.url));
const flags = parseArgs({
  args: process.argv.slice(1),
  // Chromium's own switches come along.
  strict: false,
  options: {
    engine: { type: 'string' },
    minimized: { type: 'boolean' },
    verbose: { type: 'boolean' },
  },
}).values;
const logLevel = flags['verbose'] === true ? 'debug' : 'warn';
const log = jsonLogger(
  (line) => process.stderr.write(line),
  () => logLevel,
);
const engine = flags['engine'];

const app = new DesktopApp(electron, {
  preloadPath: join(folder, 'preload.cjs'),
  hostPath: join(folder, 'host.mjs'),
  pageRoot: join(folder, '..', 'renderer'),
  iconPath: join(folder, '..', 'renderer', 'icon.png'),
  hostConfig: {
    ...(typeof engine === 'string' ? { engine } : {}),
    settingsPath: settingsPath(process.platform, process.env),
    appVersion: electron.app.getVersion(),
    logLevel,
  },
  platform: process.platform,
  isMinimized: flags['minimized'] === true,
  log,
});
app.start().catch((error: unknown) => {
  log.error('start failed', { error });
  electron.app.exit(1);
});
