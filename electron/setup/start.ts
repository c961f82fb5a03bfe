import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { jsonLogger } from '../../engine/base/logger.ts';
import { ENGINE_NODE_FLAGS } from '../../engine/base/node/engine-process.ts';
import { canConnect, EngineSupervisor } from '../host/engine-supervisor.ts';
import { startWeb } from '../web/web.ts';
import { buildElectron } from './build.ts';
import { NODE, PROJECT_ROOT, runToEnd } from './processes.ts';

const USAGE = `Usage: npm start -- [--engine URL] [--port N] [--browser] [--verbose]
  --engine URL  use another engine (unix:///path, tcp://host:port) instead of starting Gantry's own
  --port N      port of the dashboard in the browser; default 8390, the next free one when it is taken
  --browser     serve the dashboard to a browser even where Electron could open a window`;
const DEFAULT_PORT = 8390;
const ENGINE_SOCKET = '/run/gantry/docker.sock';

const log = jsonLogger(
  (line) => process.stderr.write(line),
  () => (process.argv.includes('--verbose') ? 'debug' : 'warn'),
);

/** The Electron program, when its package brought one and there is a screen to show a window on. */
function electronProgram(): string | undefined {
  const hasDisplay =
    process.platform !== 'linux' ||
    Boolean(process.env['DISPLAY']) ||
    Boolean(process.env['WAYLAND_DISPLAY']);
  if (!hasDisplay) {
    return undefined;
  }
  const folder = join(createRequire(import.meta.url).resolve('electron/package.json'), '..');
  const pathFile = join(folder, 'path.txt');
  const program = existsSync(pathFile)
    ? join(folder, 'dist', readFileSync(pathFile, 'utf8').trim())
    : undefined;
  return program !== undefined && existsSync(program) ? program : undefined;
}

/** The user behind sudo: a window must not run as root, where Chromium has no sandbox. */
function desktopUser(): { uid: number; gid: number } | undefined {
  const uid = Number(process.env['SUDO_UID']);
  const gid = Number(process.env['SUDO_GID']);
  return Number.isInteger(uid) && uid > 0 && Number.isInteger(gid) ? { uid, gid } : undefined;
}

/**
 * Starts Gantry's engine unless one answers already.
 *
 * @returns what to dispose at the end; undefined when the engine belongs to somebody else
 * @throws Error  what is missing on this machine and what to do
 */
async function startEngine(): Promise<EngineSupervisor | undefined> {
  if (await canConnect(ENGINE_SOCKET)) {
    return undefined;
  }
  if (process.platform !== 'linux') {
    throw new Error(
      'On this system the engine needs the virtual machine, which is not built yet. Use another engine: npm start -- --engine URL',
    );
  }
  if (process.getuid?.() !== 0) {
    throw new Error(
      'The engine needs root: sudo npm start. Or use another engine: npm start -- --engine URL',
    );
  }
  const user = desktopUser();
  const group = user === undefined ? [] : ['--group', String(user.gid)];
  const supervisor = new EngineSupervisor({
    command: NODE,
    args: [...ENGINE_NODE_FLAGS, join(PROJECT_ROOT, 'engine/main.ts'), ...group],
    cwd: PROJECT_ROOT,
    env: process.env,
    socketPath: ENGINE_SOCKET,
    log,
  });
  await supervisor.start();
  return supervisor;
}

async function openWindow(program: string, engine: string): Promise<number> {
  buildElectron();
  const args = [PROJECT_ROOT, `--engine=${engine}`];
  const user = process.getuid?.() === 0 ? desktopUser() : undefined;
  if (user === undefined) {
    return await runToEnd(program, args);
  }
  return await runToEnd('setpriv', [
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    '--init-groups',
    program,
    ...args,
  ]);
}

/** Serves the dashboard to a browser until a signal ends it. */
async function serveBrowser(engine: string | undefined, port: number | undefined): Promise<number> {
  const { version } = JSON.parse(readFileSync(join(PROJECT_ROOT, 'package.json'), 'utf8')) as {
    version: string;
  };
  await using web = await startWeb({
    engine,
    env: { ...process.env, HOME: homedir() },
    platform: process.platform,
    pageRoot: join(PROJECT_ROOT, 'build/renderer'),
    port: port ?? DEFAULT_PORT,
    isPortFixed: port !== undefined,
    appVersion: version,
    log,
  });
  console.log(`Dashboard: ${web.url}`);
  console.log('Docker clients: export DOCKER_HOST=' + (engine ?? `unix://${ENGINE_SOCKET}`));
  console.log('Ctrl+C ends the dashboard and the engine; containers keep running.');
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => resolve());
    }
  });
  return 0;
}

/**
 * `npm start`: engine and window, or engine and dashboard for a browser.
 *
 * @throws Error  with what to do
 */
export async function start(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      engine: { type: 'string' },
      port: { type: 'string' },
      browser: { type: 'boolean' },
      verbose: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) {
    console.log(USAGE);
    return 0;
  }
  const port = values.port === undefined ? undefined : Number(values.port);
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw new Error(`not a port: ${values.port}\n${USAGE}`);
  }
  await using engine = values.engine === undefined ? await startEngine() : undefined;
  void engine;
  const url = values.engine ?? `unix://${ENGINE_SOCKET}`;
  const program = values.browser === true ? undefined : electronProgram();
  return program === undefined ? await serveBrowser(url, port) : await openWindow(program, url);
}
