import { InvalidParameterError } from '../base/errors.ts';

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

/** Nanoseconds of a duration such as `1h30m` or `-1.5s`; undefined when it is none. */
export function parseDurationNs(text: string): number | undefined {
  const [, sign = '', body = ''] = /^([+-]?)(.*)$/.exec(text) ?? [];
  if (body === '0') {
    return 0;
  }
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(body)) {
    return undefined;
  }
  let total = 0;
  for (const [, value = '', unit = ''] of body.matchAll(/([\d.]+)([a-zµμ]+)/g)) {
    total += Number(value) * (UNIT_NS[unit] ?? 0);
  }
  return sign === '-' ? -total : Math.round(total);
}

/**
 * Time of an `until` or `since` filter: a duration before now, RFC 3339 in full or in part (local zone when none is
 * given), or seconds since the epoch.
 *
 * @returns milliseconds since the epoch
 * @throws InvalidParameterError
 */
export function parseFilterTimeMs(text: string, nowMs: number): number {
  const durationNs = text === '0' ? undefined : parseDurationNs(text);
  if (durationNs !== undefined) {
    return nowMs - durationNs / 1e6;
  }
  if (/^-?\d+(\.\d+)?$/.test(text)) {
    return Number(text) * 1000;
  }
  const match =
    /^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d{1,9})?))?)?)?(Z|[+-]\d\d:\d\d)?$/i.exec(
      text,
    );
  if (match !== null) {
    const [, date = '', hour = '00', minute = '00', second = '00', zone = ''] = match;
    const [whole = '00', fraction = ''] = second.split('.');
    const part = fraction === '' ? '' : `.${fraction.slice(0, 3).padEnd(3, '0')}`;
    const timeMs = Date.parse(`${date}T${hour}:${minute}:${whole}${part}${zone.toUpperCase()}`);
    if (!Number.isNaN(timeMs)) {
      return timeMs;
    }
  }
  throw new InvalidParameterError(
    `failed to parse value as time or duration: ${JSON.stringify(text)}`,
  );
}
