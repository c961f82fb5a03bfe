/**
 * How well a name fits a search; undefined = not at all. All words must occur; a start of the name counts more than
 * the start of a word in it, that more than the middle, and shorter names more than longer ones.
 */
export function rank(name: string, query: string): number | undefined {
  const text = name.toLowerCase();
  let score = 0;
  for (const word of query.toLowerCase().split(/\s+/).filter(Boolean)) {
    const at = text.indexOf(word);
    if (at === -1) {
      return undefined;
    }
    if (at === 0) {
      score += 100;
    } else if (/[\s\-_./:]/.test(text.charAt(at - 1))) {
      score += 60;
    } else {
      score += 20;
    }
  }
  return score - Math.min(19, text.length / 8);
}

/** The best `limit` of `items`, best first; equal ones in their order. Without a search the first ones. */
export function best<T>(
  items: readonly T[],
  query: string,
  nameOf: (item: T) => string,
  limit: number,
): readonly T[] {
  if (query.trim() === '') {
    return items.slice(0, limit);
  }
  return items
    .map((item) => ({ item, score: rank(nameOf(item), query) }))
    .filter((entry) => entry.score !== undefined)
    .sort((a, b) => (b.score ?? 0) - (a.score ?? 0))
    .slice(0, limit)
    .map((entry) => entry.item);
}
