import { InvalidParameterError } from '../base/errors.ts';

const NS_PER_SECOND = 1_000_000_000n;
const NS_PER_MS = 1_000_000n;

function fractionNs(digits: string): bigint {
  return BigInt(digits.slice(0, 9).padEnd(9, '0') || '0');
}

/**
 * `SECONDS[.NANOSECONDS]` since the epoch, as `since` and `until` come over the wire.
 *
 * @returns nanoseconds since the epoch; undefined for '' and '0'
 * @throws InvalidParameterError
 */
export function parseUnixTimeNs(text: string, parameter: string): bigint | undefined {
  if (text === '' || text === '0') {
    return undefined;
  }
  const match = /^([+-]?\d{1,12})(?:\.(\d{1,18}))?$/.exec(text);
  if (match === null) {
    throw new InvalidParameterError(
      `invalid value for "${parameter}": ${JSON.stringify(text)} is not a time in seconds since the epoch`,
    );
  }
  return BigInt(match[1] ?? '0') * NS_PER_SECOND + fractionNs(match[2] ?? '');
}

const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** A Go duration such as `1h10m` or `-1.5s` in nanoseconds; undefined when it is none. */
export function parseDurationNs(text: string): bigint | undefined {
  const match = /^([+-]?)((?:\d{1,18}(?:\.\d{0,18})?(?:ns|us|µs|μs|ms|s|m|h))+)$/u.exec(text);
  if (match === null) {
    return text === '0' ? 0n : undefined;
  }
  let sum = 0;
  for (const [, number, unit] of (match[2] ?? '').matchAll(/([\d.]+)(ns|us|µs|μs|ms|s|m|h)/gu)) {
    sum += Number(number) * (UNIT_NS[unit ?? ''] ?? 0);
  }
  const ns = BigInt(Math.round(sum));
  return match[1] === '-' ? -ns : ns;
}

const DATE =
  /^(\d{4}-\d{2}-\d{2})(?:T(\d{2})(?::(\d{2})(?::(\d{2})(?:\.(\d{1,18}))?)?)?)?([zZ]|[+-]\d{2}:\d{2})?$/;

/**
 * A point in time as filters have it: a duration before `nowMs`, RFC 3339 (also shortened; local time without a zone),
 * or seconds since the epoch.
 *
 * @returns nanoseconds since the epoch
 * @throws InvalidParameterError
 */
export function parseTimeNs(text: string, nowMs: number): bigint {
  const duration = text === '0' ? undefined : parseDurationNs(text);
  if (duration !== undefined) {
    return BigInt(Math.trunc(nowMs)) * NS_PER_MS - duration;
  }
  const match = DATE.exec(text);
  if (match !== null) {
    const [, day, hour = '00', minute = '00', second = '00', fraction = '', zone = ''] = match;
    const ms = Date.parse(`${day}T${hour}:${minute}:${second}${zone.toUpperCase()}`);
    if (!Number.isNaN(ms)) {
      return BigInt(ms) * NS_PER_MS + fractionNs(fraction);
    }
  }
  const unix = /^([+-]?\d{1,12})(?:\.(\d{1,18}))?$/.exec(text);
  if (unix === null) {
    throw new InvalidParameterError(
      `failed to parse value as time or duration: ${JSON.stringify(text)}`,
    );
  }
  return BigInt(unix[1] ?? '0') * NS_PER_SECOND + fractionNs(unix[2] ?? '');
}

/** RFC 3339 in UTC with all nine digits, as log lines and records have it. */
export function formatTimeNs(timeNs: bigint): string {
  const ms = timeNs / NS_PER_MS;
  const seconds = new Date(Number(ms)).toISOString().slice(0, 19);
  return `${seconds}.${(timeNs % NS_PER_SECOND).toString().padStart(9, '0')}Z`;
}
