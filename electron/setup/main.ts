import { ENGINE_NODE_FLAGS } from '../../engine/base/node/engine-process.ts';
import { buildNative, buildPage } from './build.ts';
import { ensurePackages } from './packages.ts';
import { NODE, runToEnd } from './processes.ts';
import { QUICK_STAGES, runStages, STAGE_NAMES } from './stages.ts';
import { ensureTools } from './tools.ts';

const USAGE = `Usage: npm start | npm test [-- STAGE...] | npm run check | npm run bench
       npm run engine -- [flags] | npm run web -- --engine URL --port N
Stages: ${STAGE_NAMES.join(', ')}`;

type Command = (args: readonly string[]) => Promise<number>;

async function test(args: readonly string[]): Promise<number> {
  const unknown = args.filter((name) => !STAGE_NAMES.includes(name));
  if (unknown.length > 0) {
    console.error(`No such stage: ${unknown.join(', ')}\n${USAGE}`);
    return 2;
  }
  ensurePackages('test');
  ensureTools();
  buildNative();
  buildPage();
  return (await runStages(args)) ? 0 : 1;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  start: async (args) => {
    ensurePackages('engine');
    buildNative();
    buildPage();
    const { start } = await import('./start.ts');
    return await start(args);
  },
  test,
  check: async () => ((await runStages(QUICK_STAGES)) ? 0 : 1),
  bench: async (args) => {
    ensurePackages('test');
    ensureTools();
    buildNative();
    buildPage();
    return await runToEnd(NODE, ['e2e/bench/main.ts', ...args]);
  },
  engine: async (args) => {
    ensurePackages('engine');
    buildNative();
    return await runToEnd(NODE, [...ENGINE_NODE_FLAGS, 'engine/main.ts', ...args]);
  },
  web: async (args) => {
    buildPage();
    return await runToEnd(NODE, ['electron/web/main.ts', ...args]);
  },
};

const [name = '', ...args] = process.argv.slice(2);
const command = COMMANDS[name];
if (command === undefined) {
  console.error(USAGE);
  process.exit(2);
}
try {
  process.exitCode = await command(args);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
