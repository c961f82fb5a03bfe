import { jsonLogger } from '../../engine/base/logger.ts';
import { resolveEndpoint } from '../host/endpoint.ts';
import { Host } from '../host/host.ts';
import { type HostConfig, hostConfigSchema, type ToMain } from './host-messages.ts';
import { type ParentPort, serveParent } from './host-service.ts';

/** Entry of the utility process. Its one argument is the configuration as JSON. */
function readConfig(): HostConfig {
  return hostConfigSchema.parse(JSON.parse(process.argv.at(-1) ?? '{}'));
}

const config = readConfig();
const log = jsonLogger(
  (line) => process.stderr.write(line),
  () => config.logLevel,
);
// Electron adds this to `process` in a utility process.
const { parentPort } = process as NodeJS.Process & { parentPort: ParentPort };
const tellMain = parentPort.postMessage.bind(parentPort);

async function openHost(): Promise<Host> {
  return await Host.open({
    endpoint: await resolveEndpoint({ explicit: config.engine, env: process.env }),
    settingsPath: config.settingsPath,
    shell: 'electron',
    appVersion: config.appVersion,
    log,
    openExternal: (url) => {
      const message: ToMain = { type: 'openExternal', url };
      tellMain(message);
      return Promise.resolve();
    },
  });
}

const host = openHost();
host.catch((error: unknown) => {
  log.error('host could not start', { error });
  process.exit(1);
});
serveParent(parentPort, host, log, () => process.exit(0));
