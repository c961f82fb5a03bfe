import { InvalidParameterError } from '../base/errors.ts';
import type { ImageFilters } from './contract.ts';

/** @throws InvalidParameterError  "invalid filter 'x'" */
export function checkFilterNames(filters: ImageFilters, accepted: readonly string[]): void {
  for (const name of filters.keys()) {
    if (!accepted.includes(name)) {
      throw new InvalidParameterError(`invalid filter '${name}'`);
    }
  }
}

/** Value of a yes-or-no filter; undefined when it is not given. @throws InvalidParameterError */
export function booleanFilter(filters: ImageFilters, name: string): boolean | undefined {
  const values = filters.get(name);
  if (values === undefined) {
    return undefined;
  }
  const isTrue = values.includes('1') || values.includes('true');
  const isFalse = values.includes('0') || values.includes('false');
  if (isTrue === isFalse) {
    const shown = values.length === 0 ? '' : `=[${values.join(' ')}]`;
    throw new InvalidParameterError(`invalid filter '${name}${shown}'`);
  }
  return isTrue;
}

/** True when every value (`key` or `key=value`) is among the labels; also when the filter is not given. */
export function matchesLabels(
  filters: ImageFilters,
  name: string,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  return (filters.get(name) ?? []).every((wanted) => {
    const equals = wanted.indexOf('=');
    const key = equals < 0 ? wanted : wanted.slice(0, equals);
    const has = labels !== undefined && Object.hasOwn(labels, key);
    return has && (equals < 0 || labels[key] === wanted.slice(equals + 1));
  });
}
