import { createStore, type StoreApi } from 'zustand/vanilla';

/** What a list remembers while other pages are shown. */
export interface ListState {
  readonly query: string;
  readonly filterId: string;
  readonly selected: ReadonlySet<string>;
  /** Where a range selection starts. */
  readonly anchorKey: string | undefined;
  /** The row that has or had the focus. */
  readonly activeKey: string | undefined;
  readonly scrollTopPx: number;
}

/** Store of one list page; a module constant of its feature. */
export type ListStore = StoreApi<ListState>;

/** Makes the store of a list page. */
export function createListStore(filterId = 'all'): ListStore {
  return createStore<ListState>(() => ({
    query: '',
    filterId,
    selected: new Set(),
    anchorKey: undefined,
    activeKey: undefined,
    scrollTopPx: 0,
  }));
}

/** Adds or takes away keys. */
export function setSelected(store: ListStore, keys: Iterable<string>, isSelected: boolean): void {
  const selected = new Set(store.getState().selected);
  for (const key of keys) {
    if (isSelected) {
      selected.add(key);
    } else {
      selected.delete(key);
    }
  }
  store.setState({ selected });
}

/** Forgets selected keys that no longer exist. Keeps the state's identity when there are none. */
export function dropMissing(store: ListStore, exists: (key: string) => boolean): void {
  const { selected } = store.getState();
  const left = [...selected].filter(exists);
  if (left.length !== selected.size) {
    store.setState({ selected: new Set(left) });
  }
}
