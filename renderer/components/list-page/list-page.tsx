import { SearchX } from 'lucide-react';
import { useEffect, useMemo, useRef } from 'react';
import { useStore } from 'zustand';
import { Button } from '../button.tsx';
import { Segmented } from '../controls.tsx';
import { SearchInput } from '../field.tsx';
import { EmptyState, Skeleton } from '../state.tsx';
import { text } from '../text.ts';
import { ListGrid } from './list-grid.tsx';
import { arrangeRows } from './list-model.ts';
import { ROW_HEIGHT_PX } from './list-row.tsx';
import { dropMissing } from './list-store.ts';
import type { ListPageProps } from './list-types.ts';

/** The page of a list: toolbar, table of virtual rows, selection with its bar, menus and keyboard. */
export function ListPage<T>(props: ListPageProps<T>) {
  const { items, store, filters, getKey, sort, columns, title, searchText, groupOf } = props;
  const query = useStore(store, (state) => state.query);
  const filterId = useStore(store, (state) => state.filterId);
  const searchRef = useRef<HTMLInputElement>(null);
  const filter = filters?.find((candidate) => candidate.id === filterId);
  const sortColumn = columns.find((column) => column.id === sort.columnId) ?? columns[0];

  const collapsed = props.collapsed ?? NONE;
  const matches = filter?.matches;
  const sortValue = sortColumn?.sortValue;
  const { isDescending } = sort;
  const rows = useMemo(() => {
    return items === undefined
      ? []
      : arrangeRows(items, {
          getKey,
          searchText,
          query,
          matches,
          sortValue,
          isDescending,
          groupOf,
          collapsed,
        });
  }, [items, getKey, searchText, query, matches, sortValue, isDescending, groupOf, collapsed]);

  useEffect(() => {
    if (items !== undefined) {
      const keys = new Set(items.map(getKey));
      dropMissing(store, (key) => keys.has(key));
    }
  }, [items, getKey, store]);

  useEffect(() => {
    const onKeyDown = (event: globalThis.KeyboardEvent): void => {
      const isTyping =
        event.target instanceof HTMLElement &&
        (event.target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName));
      if (event.key === '/' && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        searchRef.current?.focus();
        searchRef.current?.select();
      }
    };
    window.addEventListener('keydown', onKeyDown);
    return () => window.removeEventListener('keydown', onKeyDown);
  }, []);

  const shownCount = rows.reduce(
    (sum, row) => sum + (row.type === 'group' ? row.items.length : row.isInGroup ? 0 : 1),
    0,
  );
  const isEmpty = items !== undefined && items.length === 0;

  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <header className="flex h-14 shrink-0 items-center gap-3 px-5">
        <h1 className="text-lg font-semibold tracking-[-0.01em]">{title}</h1>
        {items !== undefined && items.length > 0 && (
          <span className="nums rounded-full bg-active px-2 text-xs leading-5 text-ink-2">
            {text.list.countOf(shownCount, items.length)}
          </span>
        )}
        {props.subtitle}
        <div className="ml-auto flex items-center gap-2">{!isEmpty && props.toolbar}</div>
      </header>
      {isEmpty ? (
        props.empty
      ) : (
        <>
          <div className="flex shrink-0 items-center gap-2 px-5 pb-3">
            <SearchInput
              ref={searchRef}
              label={props.searchLabel}
              value={query}
              onChange={(value) => store.setState({ query: value })}
              className="w-72"
              onKeyDown={(event) => {
                if (event.key === 'ArrowDown' && rows[0] !== undefined) {
                  event.preventDefault();
                  store.setState({ activeKey: rows[0].key });
                  document.querySelector<HTMLElement>('[role="grid"] [data-key]')?.focus();
                }
              }}
            />
            {filters !== undefined && items !== undefined && (
              <Segmented
                label={text.list.filter}
                value={filterId}
                options={filters.map((candidate) => ({
                  value: candidate.id,
                  label: candidate.label,
                  count: items.reduce((sum, item) => sum + (candidate.matches(item) ? 1 : 0), 0),
                }))}
                onChange={(value) => store.setState({ filterId: value })}
              />
            )}
            {props.staleMessage !== undefined && (
              <span className="ml-auto truncate text-xs text-ink-3">{props.staleMessage}</span>
            )}
          </div>
          {items === undefined ? (
            (props.placeholder ?? <SkeletonRows />)
          ) : rows.length === 0 ? (
            <EmptyState icon={SearchX} title={text.list.noMatchTitle} body={text.list.noMatchBody}>
              <Button
                onClick={() => store.setState({ query: '', filterId: filters?.[0]?.id ?? 'all' })}
              >
                {text.list.showAll}
              </Button>
            </EmptyState>
          ) : (
            <ListGrid {...props} items={items} rows={rows} />
          )}
        </>
      )}
    </div>
  );
}

const NONE: ReadonlySet<string> = new Set();

function SkeletonRows() {
  return (
    <div
      role="status"
      aria-label={text.loading}
      className="flex-1 overflow-hidden border-t border-line bg-surface"
    >
      {Array.from({ length: 9 }, (_, index) => (
        <div
          // biome-ignore lint/suspicious/noArrayIndexKey: rows without identity
          key={index}
          className="flex items-center gap-6 border-b border-line px-5"
          style={{ height: ROW_HEIGHT_PX, opacity: 1 - index * 0.1 }}
        >
          <Skeleton className="size-2 rounded-full" />
          <Skeleton className="w-44" />
          <Skeleton className="w-60" />
          <Skeleton className="ml-auto w-24" />
          <Skeleton className="w-16" />
        </div>
      ))}
    </div>
  );
}
