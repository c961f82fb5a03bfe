/** Any JSON value. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json };

/** What is unknown as JSON: what cannot be told in JSON becomes null. */
export function toJson(value: unknown): Json {
  if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) {
    return value as string | number | boolean | null;
  }
  if (Array.isArray(value)) {
    return value.map(toJson);
  }
  if (typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value).map(([key, element]) => [key, toJson(element)]),
    );
  }
  return null;
}

/**
 * The part of a value that matches: an object keeps members whose name or content matches (a name that
 * matches keeps all of its content), a list the elements that do. Undefined when nothing does.
 */
export function filterJson(value: Json, query: string): Json | undefined {
  if (value === null || typeof value !== 'object') {
    return contains(String(value), query) ? value : undefined;
  }
  if (Array.isArray(value)) {
    const elements = value.flatMap((element: Json) => filterJson(element, query) ?? []);
    return elements.length === 0 ? undefined : elements;
  }
  const members: [string, Json][] = [];
  for (const [key, element] of Object.entries(value)) {
    const kept = contains(key, query) ? element : filterJson(element, query);
    if (kept !== undefined) {
      members.push([key, kept]);
    }
  }
  return members.length === 0 ? undefined : Object.fromEntries(members);
}

/** How many names and plain values contain the query. */
export function countMatches(value: Json, query: string): number {
  if (value === null || typeof value !== 'object') {
    return contains(String(value), query) ? 1 : 0;
  }
  if (Array.isArray(value)) {
    return value.reduce((sum: number, element: Json) => sum + countMatches(element, query), 0);
  }
  return Object.entries(value).reduce(
    (sum, [key, element]) => sum + (contains(key, query) ? 1 : 0) + countMatches(element, query),
    0,
  );
}

function contains(text: string, query: string): boolean {
  return text.toLowerCase().includes(query.toLowerCase());
}
