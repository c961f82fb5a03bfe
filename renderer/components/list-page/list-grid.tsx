import { useVirtualizer } from '@tanstack/react-virtual';
import { ArrowDown, ArrowUp, X } from 'lucide-react';
import {
  type KeyboardEvent,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import { useStore } from 'zustand';
import { Button, IconButton } from '../button.tsx';
import { Checkbox } from '../controls.tsx';
import { cx } from '../cx.ts';
import { type Action, FloatingMenu, type MenuAnchor } from '../menu.tsx';
import { text } from '../text.ts';
import { handleListKey } from './list-keys.ts';
import { keyRange, type ListRow, type ListSort } from './list-model.ts';
import { GroupRow, ItemRow, ROW_HEIGHT_PX } from './list-row.tsx';
import { setSelected } from './list-store.ts';
import type { ListColumn, ListPageProps } from './list-types.ts';

const HEADER_HEIGHT_PX = 32;

interface OpenMenu {
  readonly label: string;
  readonly actions: readonly Action[];
  readonly anchor: MenuAnchor;
}

/** The table: header, virtual rows, bulk bar, one menu for all rows, and the keyboard. */
export function ListGrid<T>(
  props: ListPageProps<T> & { readonly items: readonly T[]; readonly rows: readonly ListRow<T>[] },
) {
  const { items, rows, store, columns, getKey, getLabel, sort, bulkActions } = props;
  const scrollRef = useRef<HTMLDivElement>(null);
  const selected = useStore(store, (state) => state.selected);
  const activeKey = useStore(store, (state) => state.activeKey);
  const [menu, setMenu] = useState<OpenMenu>();
  const canSelect = props.canSelect ?? always;

  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scrollRef.current,
    estimateSize: () => ROW_HEIGHT_PX,
    overscan: 8,
    // The header sticks to the top of the scrolled area and moves the rows down by its height.
    scrollPaddingEnd: HEADER_HEIGHT_PX,
    getItemKey: (index) => rows[index]?.key ?? index,
    initialOffset: store.getState().scrollTopPx,
  });
  const virtualRows = virtualizer.getVirtualItems();

  useLayoutEffect(() => {
    const element = scrollRef.current;
    if (element === null) {
      return undefined;
    }
    element.scrollTop = store.getState().scrollTopPx;
    const onScroll = (): void => store.setState({ scrollTopPx: element.scrollTop });
    element.addEventListener('scroll', onScroll, { passive: true });
    return () => element.removeEventListener('scroll', onScroll);
  }, [store]);

  const { onVisibleChange } = props;
  const visible = virtualRows
    .map((row) => rows[row.index])
    .filter((row) => row?.type === 'item')
    .map((row) => row?.key ?? '')
    .join(' ');
  useEffect(() => {
    onVisibleChange?.(visible === '' ? [] : visible.split(' '));
  }, [visible, onVisibleChange]);

  const itemKeys = useMemo(
    () => rows.flatMap((row) => (row.type === 'item' && canSelect(row.item) ? [row.key] : [])),
    [rows, canSelect],
  );
  const selectedItems = useMemo(
    () => items.filter((item) => selected.has(getKey(item))),
    [items, selected, getKey],
  );
  const selectedShown = itemKeys.reduce((sum, key) => sum + (selected.has(key) ? 1 : 0), 0);
  const effectiveActive =
    activeKey !== undefined && rows.some((row) => row.key === activeKey) ? activeKey : rows[0]?.key;
  const template = useMemo(
    () => `40px ${columns.map((column) => column.width).join(' ')} 112px`,
    [columns],
  );

  const focusKey = useCallback(
    (index: number): void => {
      const row = rows[Math.min(rows.length - 1, Math.max(0, index))];
      if (row === undefined) {
        return;
      }
      store.setState({ activeKey: row.key });
      virtualizer.scrollToIndex(rows.indexOf(row));
      // The row may have to be drawn first.
      requestAnimationFrame(() => {
        const rowElements = scrollRef.current?.querySelectorAll<HTMLElement>('[data-key]') ?? [];
        for (const element of rowElements) {
          if (element.dataset['key'] === row.key) {
            element.focus({ preventScroll: true });
          }
        }
      });
    },
    [rows, store, virtualizer],
  );

  // Rows are memoised: their callbacks never change and read what is current from here.
  const latest = useRef({ props, itemKeys });
  useLayoutEffect(() => {
    latest.current = { props, itemKeys };
  });
  const { groupActions } = props;

  const toggle = useCallback(
    (key: string, isRange: boolean): void => {
      const { anchorKey, selected: before } = store.getState();
      if (isRange) {
        setSelected(store, keyRange(latest.current.itemKeys, anchorKey, key), true);
      } else {
        setSelected(store, [key], !before.has(key));
        store.setState({ anchorKey: key });
      }
    },
    [store],
  );

  const openMenu = useCallback(
    (key: string, anchor: MenuAnchor): void => {
      const now = latest.current.props;
      const chosen = store.getState().selected;
      const row = now.rows.find((candidate) => candidate.key === key);
      if (row === undefined) {
        return;
      }
      if (row.type === 'group') {
        const actions = now.groupActions?.(row.group, row.items) ?? [];
        setMenu({ label: text.list.actionsFor(row.group.label), actions, anchor });
      } else if (!(anchor instanceof Element) && chosen.size > 1 && chosen.has(key)) {
        const actions = now.bulkActions(now.items.filter((item) => chosen.has(now.getKey(item))));
        setMenu({ label: text.list.bulk, actions, anchor });
      } else {
        const actions = now.rowActions(row.item);
        setMenu({ label: text.list.actionsFor(now.getLabel(row.item)), actions, anchor });
      }
    },
    [store],
  );

  const setActive = useCallback((key: string) => store.setState({ activeKey: key }), [store]);

  const toggleGroup = (key: string): void => {
    const collapsed = new Set(props.collapsed);
    if (!collapsed.delete(key)) {
      collapsed.add(key);
    }
    props.onCollapsedChange?.(collapsed);
  };

  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>): void => {
    const index = rows.findIndex((row) => row.key === effectiveActive);
    const isHandled = handleListKey(event, {
      rows,
      index,
      store,
      itemKeys,
      canSelect,
      focusIndex: focusKey,
      openMenu,
      toggle,
      toggleGroup,
      onOpen: props.onOpen,
      onRemove: props.onRemove,
      selectedItems,
    });
    if (isHandled) {
      event.preventDefault();
    }
  };

  return (
    <div className="relative flex min-h-0 flex-1 flex-col border-t border-line bg-surface">
      <div
        role="grid"
        aria-label={props.title}
        aria-rowcount={rows.length + 1}
        aria-colcount={columns.length + 2}
        aria-multiselectable
        tabIndex={-1}
        onKeyDown={onKeyDown}
        className="flex min-h-0 flex-1 flex-col overflow-hidden"
      >
        <div ref={scrollRef} className="min-h-0 flex-1 overflow-y-auto">
          <div
            role="row"
            aria-rowindex={1}
            className="sticky top-0 z-2 grid h-8 items-center border-b border-line bg-sunken text-xs text-ink-3"
            style={{ gridTemplateColumns: template }}
          >
            <div role="columnheader" className="flex justify-center">
              <span className="sr-only">{text.list.selection}</span>
              {itemKeys.length > 0 && (
                <Checkbox
                  label={text.list.selectAll}
                  isChecked={selectedShown === itemKeys.length}
                  isIndeterminate={selectedShown > 0 && selectedShown < itemKeys.length}
                  onChange={(isChecked) => setSelected(store, itemKeys, isChecked)}
                />
              )}
            </div>
            {columns.map((column) => (
              <ColumnHeader
                key={column.id}
                column={column}
                sort={sort}
                onSortChange={props.onSortChange}
              />
            ))}
            <div role="columnheader">
              <span className="sr-only">{text.list.actions}</span>
            </div>
          </div>
          <div
            role="rowgroup"
            className="relative w-full"
            style={{ height: virtualizer.getTotalSize() + (selected.size > 0 ? 64 : 0) }}
          >
            {virtualRows.map((virtual) => {
              const row = rows[virtual.index];
              if (row === undefined) {
                return null;
              }
              const frame = {
                index: virtual.index,
                top: virtual.start,
                template,
                isActive: row.key === effectiveActive,
                rowKey: row.key,
                columns,
                onMenu: openMenu,
                onFocus: setActive,
              };
              if (row.type === 'item') {
                return (
                  <ItemRow
                    key={row.key}
                    {...frame}
                    item={row.item}
                    label={getLabel(row.item)}
                    isInGroup={row.isInGroup}
                    isSelected={selected.has(row.key)}
                    isSelectable={canSelect(row.item)}
                    version={props.version}
                    quickActions={props.quickActions}
                    onToggle={toggle}
                    onOpen={props.onOpen}
                  />
                );
              }
              const keys = row.items.map(getKey);
              const count = keys.reduce((sum, key) => sum + (selected.has(key) ? 1 : 0), 0);
              return (
                <GroupRow
                  key={row.key}
                  {...frame}
                  label={row.group.label}
                  items={row.items}
                  isCollapsed={row.isCollapsed}
                  summary={props.groupSummary?.(row.items)}
                  quickActions={(groupActions?.(row.group, row.items) ?? []).slice(0, 2)}
                  selection={count === 0 ? 'none' : count === keys.length ? 'all' : 'some'}
                  onSelect={(isSelected) => setSelected(store, keys, isSelected)}
                  onToggle={() => toggleGroup(row.group.key)}
                />
              );
            })}
          </div>
        </div>
      </div>
      {selected.size > 0 && (
        <BulkBar
          count={selected.size}
          actions={bulkActions(selectedItems)}
          onClear={() => store.setState({ selected: new Set(), anchorKey: undefined })}
        />
      )}
      <FloatingMenu
        label={menu?.label ?? ''}
        actions={menu?.actions ?? []}
        anchor={menu?.anchor}
        onClose={() => setMenu(undefined)}
      />
    </div>
  );
}

const always = (): boolean => true;

function ColumnHeader<T>({
  column,
  sort,
  onSortChange,
}: {
  readonly column: ListColumn<T>;
  readonly sort: ListSort;
  readonly onSortChange: (sort: ListSort) => void;
}) {
  const isSorted = sort.columnId === column.id;
  const Arrow = sort.isDescending ? ArrowDown : ArrowUp;
  return (
    <div
      role="columnheader"
      aria-sort={isSorted ? (sort.isDescending ? 'descending' : 'ascending') : undefined}
      className={cx('flex min-w-0 items-center px-2', column.align === 'end' && 'justify-end')}
    >
      {column.sortValue === undefined ? (
        <span className="truncate font-medium">{column.label}</span>
      ) : (
        <button
          type="button"
          title={text.list.sortBy(column.label)}
          onClick={() =>
            onSortChange({
              columnId: column.id,
              isDescending: isSorted ? !sort.isDescending : column.isDescendingFirst === true,
            })
          }
          className={cx(
            '-mx-1 flex min-w-0 items-center gap-1 rounded-xs px-1 py-0.5 font-medium hover:text-ink',
            isSorted && 'text-ink',
            column.align === 'end' && 'flex-row-reverse',
          )}
        >
          <span className="truncate">{column.label}</span>
          {isSorted && <Arrow aria-hidden className="size-3 shrink-0" />}
        </button>
      )}
    </div>
  );
}

function BulkBar({
  count,
  actions,
  onClear,
}: {
  readonly count: number;
  readonly actions: readonly Action[];
  readonly onClear: () => void;
}) {
  return (
    <div className="pointer-events-none absolute inset-x-0 bottom-3 z-2 flex justify-center px-4">
      <div
        role="toolbar"
        aria-label={text.list.bulk}
        className="pointer-events-auto flex items-center gap-1 rounded-md border border-line-strong bg-raised p-1 shadow-pop"
      >
        <span className="nums px-2.5 text-sm font-medium" role="status">
          {text.list.selected(count)}
        </span>
        <span aria-hidden className="mx-0.5 h-5 w-px bg-line" />
        {actions.map((action) => (
          <Button
            key={action.id}
            tone="ghost"
            size="sm"
            {...(action.icon === undefined ? {} : { icon: action.icon })}
            disabled={action.isDisabled === true}
            onClick={action.run}
            className={cx(
              action.isDangerous === true && 'text-bad-ink hover:bg-bad-soft hover:text-bad-ink',
            )}
          >
            {action.label}
          </Button>
        ))}
        <span aria-hidden className="mx-0.5 h-5 w-px bg-line" />
        <IconButton size="sm" label={text.list.clearSelection} icon={X} onClick={onClear} />
      </div>
    </div>
  );
}
