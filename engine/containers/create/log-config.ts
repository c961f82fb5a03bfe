import type { LogConfig } from '../../api/types/container.ts';
import { InvalidParameterError } from '../../base/errors.ts';

const JSON_FILE_OPTIONS = new Set([
  'max-file',
  'max-size',
  'compress',
  'labels',
  'labels-regex',
  'env',
  'env-regex',
  'tag',
  'mode',
  'max-buffer-size',
  'cache-disabled',
  'cache-max-size',
  'cache-max-file',
  'cache-compress',
]);
const LOCAL_OPTIONS = new Set(['max-file', 'max-size', 'compress', 'mode', 'max-buffer-size']);
/** What the `local` driver keeps when nothing is said. */
const LOCAL_MAX_SIZE_BYTES = 20 * 1024 * 1024;
const LOCAL_MAX_FILES = 5;
const KNOWN_BUT_ABSENT = new Set([
  'syslog',
  'journald',
  'gelf',
  'fluentd',
  'awslogs',
  'splunk',
  'etwlogs',
  'gcplogs',
  'logentries',
]);

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
  p: 1024 ** 5,
};

/** Bytes of `10m`, `1.5g`, `512kb`, `64KiB`; undefined when it is no size. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text);
  const unit = UNITS[(match?.[2] ?? '?').toLowerCase()];
  return match === null || unit === undefined ? undefined : Math.trunc(Number(match[1]) * unit);
}

/**
 * The log configuration a container gets: its own, else the engine's.
 *
 * @throws InvalidParameterError  an unknown driver or option
 */
export function resolveLogConfig(
  own: LogConfig | undefined,
  fallback: { readonly Type: string; readonly Config: Record<string, string> },
): { Type: string; Config: Record<string, string> } {
  const type = own?.Type || fallback.Type;
  const config =
    type === fallback.Type ? { ...fallback.Config, ...own?.Config } : { ...own?.Config };
  validateLogConfig(type, config);
  return { Type: type, Config: config };
}

function validateLogConfig(type: string, config: Readonly<Record<string, string>>): void {
  if (type === 'none') {
    return;
  }
  if (KNOWN_BUT_ABSENT.has(type)) {
    throw new InvalidParameterError(
      `logger: log driver '${type}' is not available on this engine; use json-file, local or none`,
    );
  }
  if (type !== 'json-file' && type !== 'local') {
    throw new InvalidParameterError(`logger: no log driver named '${type}' is registered`);
  }
  const known = type === 'local' ? LOCAL_OPTIONS : JSON_FILE_OPTIONS;
  for (const [key, value] of Object.entries(config)) {
    if (!known.has(key)) {
      throw new InvalidParameterError(`unknown log opt '${key}' for ${type} log driver`);
    }
    if (key === 'mode' && value !== '' && value !== 'blocking' && value !== 'non-blocking') {
      throw new InvalidParameterError(
        `logger: logging mode '${value}' not supported: invalid log option`,
      );
    }
  }
  logLimits({ Type: type, Config: config });
}

/** Rotation of a log. */
export interface LogLimits {
  readonly maxSizeBytes: number | undefined;
  readonly maxFiles: number;
}

function maxSize(text: string): number | undefined {
  if (text === '' || text === '-1') {
    return undefined;
  }
  const size = parseSize(text);
  if (size === undefined || size <= 0) {
    throw new InvalidParameterError(`invalid size: '${text}' for log opt 'max-size'`);
  }
  return size;
}

function maxFile(text: string): number | undefined {
  if (text === '') {
    return undefined;
  }
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) {
    throw new InvalidParameterError('max-file cannot be less than 1');
  }
  return count;
}

/** Decodes `max-size` and `max-file`. @throws InvalidParameterError */
export function logLimits(log: LogConfig): LogLimits {
  const isLocal = log.Type === 'local';
  const size = maxSize(log.Config?.['max-size'] ?? '');
  const files = maxFile(log.Config?.['max-file'] ?? '');
  if (!isLocal && files !== undefined && files > 1 && size === undefined) {
    throw new InvalidParameterError('max-file cannot be set without max-size');
  }
  return {
    maxSizeBytes: size ?? (isLocal ? LOCAL_MAX_SIZE_BYTES : undefined),
    maxFiles: files ?? (isLocal ? LOCAL_MAX_FILES : 1),
  };
}
