import { InvalidParameterError } from '../base/errors.ts';

/** Decoded `filters` parameter: key -> values in the order given. */
export type Filters = ReadonlyMap<string, readonly string[]>;

/** No filters at all. */
export const NO_FILTERS: Filters = new Map();

/**
 * Reads the `filters` query parameter in both of Docker's forms: `{"label":["a"]}` and `{"label":{"a":true}}`.
 *
 * @throws InvalidParameterError "invalid filter"
 */
export function parseFilters(text: string): Filters {
  if (text === '') {
    return NO_FILTERS;
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new InvalidParameterError('invalid filter', { cause });
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    if (json === null) {
      return NO_FILTERS;
    }
    throw new InvalidParameterError('invalid filter');
  }
  const filters = new Map<string, readonly string[]>();
  for (const [key, values] of Object.entries(json)) {
    filters.set(key, valuesOf(values));
  }
  return filters;
}

function valuesOf(values: unknown): readonly string[] {
  if (values === null) {
    return [];
  }
  if (Array.isArray(values)) {
    if (!values.every((value) => typeof value === 'string')) {
      throw new InvalidParameterError('invalid filter');
    }
    return [...new Set(values)];
  }
  if (typeof values !== 'object' || !Object.values(values).every((v) => typeof v === 'boolean')) {
    throw new InvalidParameterError('invalid filter');
  }
  return Object.keys(values);
}

/** @throws InvalidParameterError "invalid filter 'x'" for a key that is not among `accepted` */
export function validateFilters(filters: Filters, accepted: readonly string[]): void {
  for (const key of filters.keys()) {
    if (!accepted.includes(key)) {
      throw new InvalidParameterError(`invalid filter '${key}'`);
    }
  }
}

/** Truth value of a filter such as `dangling`. @throws InvalidParameterError  contradictory or not a truth value */
export function boolFilter(filters: Filters, key: string, otherwise: boolean): boolean {
  const values = filters.get(key);
  if (values === undefined) {
    return otherwise;
  }
  const isTrue = values.includes('1') || values.includes('true');
  const isFalse = values.includes('0') || values.includes('false');
  if (isTrue === isFalse) {
    const shown = values.length === 0 ? '' : `=[${values.join(' ')}]`;
    throw new InvalidParameterError(`invalid filter '${key}${shown}'`);
  }
  return isTrue;
}

/** Every `name` or `name=value` of the filter is among the labels; true without such a filter. */
export function matchesLabels(
  filters: Filters,
  key: string,
  labels: Readonly<Record<string, string>> | null | undefined,
): boolean {
  return (filters.get(key) ?? []).every((wanted) => {
    const at = wanted.indexOf('=');
    const name = at < 0 ? wanted : wanted.slice(0, at);
    if (labels === null || labels === undefined || !Object.hasOwn(labels, name)) {
      return false;
    }
    return at < 0 || labels[name] === wanted.slice(at + 1);
  });
}

/** `label` and `label!` together, as every prune has them. */
export function matchesPruneLabels(
  filters: Filters,
  labels: Readonly<Record<string, string>> | null | undefined,
): boolean {
  const isExcluded =
    (filters.get('label!') ?? []).length > 0 && matchesLabels(filters, 'label!', labels);
  return matchesLabels(filters, 'label', labels) && !isExcluded;
}

/** True when any value is exactly `source`, or there is no such filter. */
export function matchesExactly(filters: Filters, key: string, source: string): boolean {
  const values = filters.get(key);
  return values === undefined || values.length === 0 || values.includes(source);
}

const MAX_PATTERN_LENGTH = 512;

/** True when any value is exactly `source` or a regular expression found in it, or there is no such filter. */
export function matchesPattern(filters: Filters, key: string, source: string): boolean {
  if (matchesExactly(filters, key, source)) {
    return true;
  }
  return (filters.get(key) ?? []).some((pattern) => isFound(pattern, source));
}

/**
 * Patterns come from clients and the subjects are short names, but JavaScript's expressions can take exponential time:
 * repeated groups are therefore compared as plain text.
 */
function isFound(pattern: string, source: string): boolean {
  if (/[)\]}*+?][*+{]/.test(pattern) || pattern.length > MAX_PATTERN_LENGTH) {
    return source.includes(pattern);
  }
  try {
    return new RegExp(pattern, 'u').test(source);
  } catch {
    // Docker passes over patterns that do not compile.
    return false;
  }
}

/** True when any value is a prefix of `source`, or there is no such filter. */
export function matchesPrefix(filters: Filters, key: string, source: string): boolean {
  if (matchesExactly(filters, key, source)) {
    return true;
  }
  return (filters.get(key) ?? []).some((prefix) => source.startsWith(prefix));
}
