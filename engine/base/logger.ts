/** error = someone must act; warn = recovered; info = lifecycle; debug = per request. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

/** Variables of a log line. Never credentials, never values of environment variables. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Structured logger: constant message, variables as fields. Passed in, never global. */
export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line. */
  child(fields: LogFields): Logger;
}

const ORDER: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

function plain(value: unknown): unknown {
  if (!(value instanceof Error)) {
    return value;
  }
  const cause = value.cause === undefined ? {} : { cause: plain(value.cause) };
  return { name: value.name, message: value.message, stack: value.stack, ...cause };
}

/**
 * Logger that writes one JSON object per line.
 *
 * @param write  receives each line with its newline; must not throw
 * @param getLevel  asked for every line, so that the level can change while running
 */
export function jsonLogger(
  write: (line: string) => void,
  getLevel: () => LogLevel,
  fields: LogFields = {},
): Logger {
  const log = (level: LogLevel, message: string, more: LogFields = {}): void => {
    if (ORDER.indexOf(level) > ORDER.indexOf(getLevel())) {
      return;
    }
    const line: Record<string, unknown> = { time: new Date().toISOString(), level, message };
    for (const [key, value] of Object.entries({ ...fields, ...more })) {
      line[key] = plain(value);
    }
    write(`${JSON.stringify(line)}\n`);
  };
  return {
    error: (message, more) => log('error', message, more),
    warn: (message, more) => log('warn', message, more),
    info: (message, more) => log('info', message, more),
    debug: (message, more) => log('debug', message, more),
    child: (more) => jsonLogger(write, getLevel, { ...fields, ...more }),
  };
}

/** Logger that drops everything; for tests. */
export const silentLogger: Logger = jsonLogger(
  () => {},
  () => 'error',
);
