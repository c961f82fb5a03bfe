/** A value to sort by; undefined goes last in either direction. */
export type SortValue = string | number | undefined;

/** Order of a list. */
export interface ListSort {
  readonly columnId: string;
  readonly isDescending: boolean;
}

/** A group that an item belongs to. */
export interface GroupRef {
  readonly key: string;
  readonly label: string;
}

/** One row of the table: a group's heading or an item. */
export type ListRow<T> =
  | {
      readonly type: 'group';
      readonly key: string;
      readonly group: GroupRef;
      /** All shown members, also while collapsed. */
      readonly items: readonly T[];
      readonly isCollapsed: boolean;
    }
  | { readonly type: 'item'; readonly key: string; readonly item: T; readonly isInGroup: boolean };

/** What {@link arrangeRows} needs to know. */
export interface Arrangement<T> {
  readonly getKey: (item: T) => string;
  readonly searchText: (item: T) => string;
  readonly query: string;
  readonly matches?: ((item: T) => boolean) | undefined;
  readonly sortValue?: ((item: T) => SortValue) | undefined;
  readonly isDescending: boolean;
  readonly groupOf?: ((item: T) => GroupRef | undefined) | undefined;
  readonly collapsed: ReadonlySet<string>;
}

const COLLATOR = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

/** Compares two sort values ascending; undefined is the greatest. */
export function compareValues(a: SortValue, b: SortValue): number {
  if (a === undefined || b === undefined) {
    return a === b ? 0 : a === undefined ? 1 : -1;
  }
  return typeof a === 'number' && typeof b === 'number'
    ? a - b
    : COLLATOR.compare(String(a), String(b));
}

/** True when every word of `query` occurs in `haystack`, in any order and case. */
export function matchesQuery(haystack: string, query: string): boolean {
  const text = haystack.toLowerCase();
  return query
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

/** The items that pass search and filter, in order. The sort is stable and ties are broken by key. */
export function selectItems<T>(items: readonly T[], arrangement: Arrangement<T>): readonly T[] {
  const { getKey, searchText, matches, sortValue, isDescending } = arrangement;
  const query = arrangement.query.trim();
  const shown = items.filter(
    (item) =>
      (matches === undefined || matches(item)) &&
      (query === '' || matchesQuery(searchText(item), query)),
  );
  if (sortValue === undefined) {
    return shown;
  }
  const keyed = shown.map((item) => ({ item, value: sortValue(item), key: getKey(item) }));
  keyed.sort((a, b) => {
    const order = compareValues(a.value, b.value);
    if (order === 0) {
      return a.key < b.key ? -1 : 1;
    }
    // Unknown values stay last when the order is turned round.
    const isUnknown = a.value === undefined || b.value === undefined;
    return isDescending && !isUnknown ? -order : order;
  });
  return keyed.map((entry) => entry.item);
}

/**
 * Items as rows. A group stands where the first of its members would, followed by all its members in order
 * unless it is collapsed.
 */
export function arrangeRows<T>(
  items: readonly T[],
  arrangement: Arrangement<T>,
): readonly ListRow<T>[] {
  const { getKey, groupOf, collapsed } = arrangement;
  const shown = selectItems(items, arrangement);
  if (groupOf === undefined) {
    return shown.map((item) => ({ type: 'item', key: getKey(item), item, isInGroup: false }));
  }
  const members = new Map<string, { group: GroupRef; items: T[] }>();
  const order: (T | { group: GroupRef; items: T[] })[] = [];
  const isGroupEntry = new Set<unknown>();
  for (const item of shown) {
    const group = groupOf(item);
    if (group === undefined) {
      order.push(item);
      continue;
    }
    const known = members.get(group.key);
    if (known === undefined) {
      const entry = { group, items: [item] };
      members.set(group.key, entry);
      isGroupEntry.add(entry);
      order.push(entry);
    } else {
      known.items.push(item);
    }
  }
  const rows: ListRow<T>[] = [];
  for (const entry of order) {
    if (!isGroupEntry.has(entry)) {
      const item = entry as T;
      rows.push({ type: 'item', key: getKey(item), item, isInGroup: false });
      continue;
    }
    const { group, items: inGroup } = entry as { group: GroupRef; items: T[] };
    const isCollapsed = collapsed.has(group.key);
    rows.push({ type: 'group', key: `group:${group.key}`, group, items: inGroup, isCollapsed });
    if (!isCollapsed) {
      for (const item of inGroup) {
        rows.push({ type: 'item', key: getKey(item), item, isInGroup: true });
      }
    }
  }
  return rows;
}

/** Keys from `from` to `to` in the order shown, whichever comes first; only `to` when `from` is not shown. */
export function keyRange(
  keys: readonly string[],
  from: string | undefined,
  to: string,
): readonly string[] {
  const start = from === undefined ? -1 : keys.indexOf(from);
  const end = keys.indexOf(to);
  if (start === -1 || end === -1) {
    return [to];
  }
  return keys.slice(Math.min(start, end), Math.max(start, end) + 1);
}
