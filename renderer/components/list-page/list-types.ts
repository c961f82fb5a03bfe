import type { ReactNode } from 'react';
import type { Action } from '../menu.tsx';
import type { GroupRef, ListSort, SortValue } from './list-model.ts';
import type { ListStore } from './list-store.ts';

/** One column of a list. The first one names the item. */
export interface ListColumn<T> {
  readonly id: string;
  readonly label: string;
  /** A grid track: `minmax(200px, 2fr)`, `96px`. */
  readonly width: string;
  readonly align?: 'start' | 'end';
  readonly sortValue?: (item: T) => SortValue;
  /** Numbers are of most interest when large: the first click sorts descending. */
  readonly isDescendingFirst?: boolean;
  /** `tabIndex` goes onto every control inside, so that Tab visits one row only. */
  readonly render: (item: T, tabIndex: number) => ReactNode;
  readonly renderGroup?: (items: readonly T[]) => ReactNode;
}

/** One choice of a list's filter. */
export interface ListFilter<T> {
  readonly id: string;
  readonly label: string;
  readonly matches: (item: T) => boolean;
}

/** Everything that differs between list pages. */
export interface ListPageProps<T> {
  readonly title: string;
  /** undefined = not answered yet: skeletons, never "empty". */
  readonly items: readonly T[] | undefined;
  /** Set while what is shown may be old. */
  readonly staleMessage?: string | undefined;
  readonly store: ListStore;
  readonly columns: readonly ListColumn<T>[];
  readonly getKey: (item: T) => string;
  /** Accessible name of the row. */
  readonly getLabel: (item: T) => string;
  readonly searchText: (item: T) => string;
  readonly searchLabel: string;
  readonly filters?: readonly ListFilter<T>[];
  readonly sort: ListSort;
  readonly onSortChange: (sort: ListSort) => void;
  readonly groupOf?: (item: T) => GroupRef | undefined;
  readonly collapsed?: ReadonlySet<string>;
  readonly onCollapsedChange?: (collapsed: ReadonlySet<string>) => void;
  readonly groupSummary?: (items: readonly T[]) => ReactNode;
  readonly groupActions?: (group: GroupRef, items: readonly T[]) => readonly Action[];
  readonly canSelect?: (item: T) => boolean;
  readonly rowActions: (item: T) => readonly Action[];
  readonly quickActions?: (item: T) => readonly Action[];
  readonly bulkActions: (items: readonly T[]) => readonly Action[];
  readonly onOpen?: (item: T) => void;
  /** Delete key on a row or selection. */
  readonly onRemove?: (items: readonly T[]) => void;
  /** Keys of the rows on screen, whenever they change. */
  readonly onVisibleChange?: (keys: readonly string[]) => void;
  /** A new value draws the rows again, for cells that read more than their item. */
  readonly version?: unknown;
  /** Right end of the toolbar: the page's own buttons. */
  readonly toolbar?: ReactNode;
  /** Beside the title. */
  readonly subtitle?: ReactNode;
  readonly empty: ReactNode;
  /** Stands in for the skeletons while there is no answer, e.g. when the engine cannot be reached. */
  readonly placeholder?: ReactNode;
}
