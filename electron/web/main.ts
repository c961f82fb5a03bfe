import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { messageOf } from '../../engine/base/errors.ts';
import { jsonLogger } from '../../engine/base/logger.ts';
import { startWeb } from './web.ts';

const USAGE = `Usage: npm run web -- [--engine URL] [--port N] [--host ADDRESS] [--verbose]
  --engine URL    unix:///path, tcp://host:port; default: DOCKER_HOST, the docker context, or Gantry's own socket
  --port N        default 8390, the next free one when it is taken; 0 = any
  --host ADDRESS  loopback address to listen on, default 127.0.0.1`;
const DEFAULT_PORT = 8390;

function fail(message: string): never {
  console.error(`${message}\n${USAGE}`);
  process.exit(2);
}

function readFlags() {
  try {
    return parseArgs({
      options: {
        engine: { type: 'string' },
        port: { type: 'string' },
        host: { type: 'string' },
        verbose: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    return fail(messageOf(error));
  }
}

const flags = readFlags();
if (flags.help === true) {
  console.log(USAGE);
  process.exit(0);
}
const port = flags.port === undefined ? undefined : Number(flags.port);
if (port !== undefined && (!Number.isInteger(port) || port < 0 || port > 65_535)) {
  fail(`not a port: ${flags.port}`);
}

const root = new URL('../../', import.meta.url);
const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
  version: string;
};
const log = jsonLogger(
  (line) => process.stderr.write(line),
  () => (flags.verbose === true ? 'debug' : 'warn'),
);

try {
  const web = await startWeb({
    engine: flags.engine,
    env: process.env,
    platform: process.platform,
    pageRoot: fileURLToPath(new URL('build/renderer', root)),
    port: port ?? DEFAULT_PORT,
    isPortFixed: port !== undefined,
    appVersion: version,
    log,
    ...(flags.host === undefined ? {} : { address: flags.host }),
  });
  console.log(`Dashboard: ${web.url}`);
  const stop = (): void => {
    web[Symbol.asyncDispose]().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  process.once('SIGHUP', stop);
} catch (error) {
  console.error(`gantry web: ${messageOf(error)}`);
  process.exit(1);
}
