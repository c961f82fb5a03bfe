import { writeSync } from 'node:fs';
import { enableCompileCache, flushCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';
import { messageOf } from './base/errors.ts';
import { jsonLogger, type LogLevel } from './base/logger.ts';
import type { EngineConfig } from './config.ts';

// Compiled code is kept beside the sources, whose owner it shares, and halves the time of the next start. What is loaded
// before this line is not kept, hence the late imports.
enableCompileCache(fileURLToPath(new URL('../build/compile-cache', import.meta.url)));
const { FLAG_NAMES, parseConfig } = await import('./config.ts');
const { startDaemon } = await import('./daemon.ts');

const USAGE = `Usage: npm run engine -- [flags]
Flags: ${FLAG_NAMES.join(' ')}`;
/** A stop that takes longer is ended by force; containers go on either way. */
const STOP_DEADLINE_MS = 20_000;
/** Writing compiled code takes a moment, which the first requests need not share. */
const FLUSH_DELAY_MS = 5_000;

function fail(error: unknown): never {
  console.error(`gantry engine: ${messageOf(error)}\n${USAGE}`);
  process.exit(2);
}

function readConfig(args: readonly string[]): EngineConfig {
  if (args.includes('--help') || args.includes('-h')) {
    console.log(USAGE);
    process.exit(0);
  }
  try {
    return parseConfig(args);
  } catch (error) {
    return fail(error);
  }
}

const args = process.argv.slice(2);
const config = readConfig(args);
let level: LogLevel = config.logLevel;
const logger = jsonLogger(
  (line) => {
    try {
      writeSync(2, line);
    } catch {
      // Nobody reads standard error any more: the engine goes on without its log.
    }
  },
  () => level,
);

process.on('uncaughtException', (error) => {
  logger.error('unexpected error', { error });
});
process.on('unhandledRejection', (error) => {
  logger.error('unexpected rejection', { error });
});

try {
  const daemon = await startDaemon(config, logger);
  logger.info('engine ready', { hosts: config.hosts, startupMs: Math.round(performance.now()) });
  setTimeout(flushCompileCache, FLUSH_DELAY_MS).unref();
  const stop = (signal: NodeJS.Signals): void => {
    logger.info('stopping', { signal });
    setTimeout(() => process.exit(1), STOP_DEADLINE_MS).unref();
    daemon[Symbol.asyncDispose]().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error('stop failed', { error });
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  process.on('SIGHUP', () => {
    try {
      const next = parseConfig(args);
      level = next.logLevel;
      daemon.reload(next);
      logger.info('configuration reloaded', { path: next.configPath });
    } catch (error) {
      logger.error('configuration not reloaded', { error });
    }
  });
} catch (error) {
  logger.error('engine cannot start', { error });
  process.exit(1);
}
