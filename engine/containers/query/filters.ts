import { InvalidParameterError } from '../../base/errors.ts';
import type { Filters } from '../contract.ts';

/** @throws InvalidParameterError "invalid filter 'X'" */
export function assertKnownFilters(filters: Filters, known: ReadonlySet<string>): void {
  for (const key of filters.keys()) {
    if (!known.has(key)) {
      throw new InvalidParameterError(`invalid filter '${key}'`);
    }
  }
}

/** True when one of the filter's values equals `value`, or, as a pattern, is found in it; or there is no such filter. */
export function matchesText(filters: Filters, key: string, value: string): boolean {
  const wanted = filters.get(key);
  if (wanted === undefined || wanted.length === 0) {
    return true;
  }
  return wanted.some((pattern) => {
    if (pattern === value) {
      return true;
    }
    try {
      return new RegExp(pattern).test(value);
    } catch {
      return false;
    }
  });
}

/** True when all `key` or `key=value` conditions hold. */
export function matchesLabels(
  wanted: readonly string[] | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  return (wanted ?? []).every((condition) => {
    const end = condition.indexOf('=');
    const key = end === -1 ? condition : condition.slice(0, end);
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    return value !== undefined && (end === -1 || value === condition.slice(end + 1));
  });
}

/** True when none of the `label!` conditions holds. */
export function lacksLabels(
  unwanted: readonly string[] | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  return (unwanted ?? []).every((condition) => !matchesLabels([condition], labels));
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of a Go duration such as `1h30m`; undefined when it is none. */
export function parseGoDuration(text: string): number | undefined {
  if (
    !/^[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)(?:(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*$/.test(
      text,
    )
  ) {
    return undefined;
  }
  let total = 0;
  for (const [, amount = '0', unit = 's'] of text.matchAll(
    /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/g,
  )) {
    total += Number(amount) * (UNIT_MS[unit] ?? 0);
  }
  return text.startsWith('-') ? -total : total;
}

/**
 * `until` of a prune: unix seconds, a time, or a duration back from now.
 *
 * @returns milliseconds since the epoch; undefined when absent
 * @throws InvalidParameterError
 */
export function untilMs(filters: Filters): number | undefined {
  const values = filters.get('until') ?? [];
  const [text] = values;
  if (text === undefined) {
    return undefined;
  }
  if (values.length > 1) {
    throw new InvalidParameterError('more than one until filter specified');
  }
  if (/^\d+(\.\d+)?$/.test(text)) {
    return Number(text) * 1000;
  }
  const back = parseGoDuration(text);
  if (back !== undefined) {
    return Date.now() - back;
  }
  const time = /^\d{4}-\d\d-\d\d(T.*)?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) {
    throw new InvalidParameterError(
      `parsing time "${text}" as "2006-01-02": cannot parse "${text}" as "2006"`,
    );
  }
  return time;
}
