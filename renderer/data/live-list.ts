/** A live list as the page holds it. */
export interface LiveList<T> {
  readonly items: readonly T[];
  readonly byId: ReadonlyMap<string, T>;
  /** Set while the engine is away: the items are the last known ones. */
  readonly offlineMessage?: string;
}

/** What the host sends for a live list; see `electron/contract/lists.ts`. */
export type LiveListItem<T> =
  | { readonly type: 'snapshot'; readonly items: readonly T[] }
  | { readonly type: 'patch'; readonly upserts: readonly T[]; readonly removed: readonly string[] }
  | { readonly type: 'offline'; readonly message: string };

/**
 * The list after an item. Unchanged elements keep their identity, so that only changed rows render again.
 *
 * @param before  undefined = nothing has been received yet
 */
export function reduceLiveList<T extends { readonly id: string }>(
  before: LiveList<T> | undefined,
  item: LiveListItem<T>,
): LiveList<T> {
  switch (item.type) {
    case 'snapshot':
      return {
        items: item.items,
        byId: new Map(item.items.map((element) => [element.id, element])),
      };
    case 'patch': {
      const byId = new Map(before?.byId);
      for (const id of item.removed) {
        byId.delete(id);
      }
      for (const element of item.upserts) {
        byId.set(element.id, element);
      }
      return { items: [...byId.values()], byId };
    }
    case 'offline':
      return {
        items: before?.items ?? [],
        byId: before?.byId ?? new Map(),
        offlineMessage: item.message,
      };
    default:
      return item satisfies never;
  }
}
