import type { KeyboardEvent } from 'react';
import type { MenuAnchor } from '../menu.tsx';
import { keyRange, type ListRow } from './list-model.ts';
import { type ListStore, setSelected } from './list-store.ts';

/** What the keys of a list act on. */
export interface ListKeyContext<T> {
  readonly rows: readonly ListRow<T>[];
  /** Of the active row; -1 when there is none. */
  readonly index: number;
  readonly store: ListStore;
  /** Keys of the rows that can be selected, in order. */
  readonly itemKeys: readonly string[];
  readonly canSelect: (item: T) => boolean;
  readonly focusIndex: (index: number) => void;
  readonly openMenu: (key: string, anchor: MenuAnchor) => void;
  readonly toggle: (key: string, isRange: boolean) => void;
  readonly toggleGroup: (key: string) => void;
  readonly onOpen: ((item: T) => void) | undefined;
  readonly onRemove: ((items: readonly T[]) => void) | undefined;
  readonly selectedItems: readonly T[];
}

const PAGE_ROWS = 12;

/**
 * Arrows, Page, Home, End move; with Shift they select. Space selects, Enter opens, Delete removes, Escape and
 * Ctrl+A act on the selection, Shift+F10 opens the menu. True when the key was used.
 */
export function handleListKey<T>(event: KeyboardEvent, context: ListKeyContext<T>): boolean {
  if (moveStep(event.key, context.rows.length) !== undefined) {
    return handleMove(event, context);
  }
  if (handleSelectionKey(event, context)) {
    return true;
  }
  const row = context.rows[context.index];
  // Keys on a button inside a row are the button's.
  const { target } = event;
  if (
    !(target instanceof HTMLElement) ||
    target.dataset['key'] === undefined ||
    row === undefined
  ) {
    return false;
  }
  if (event.key === 'ContextMenu' || (event.shiftKey && event.key === 'F10')) {
    const box = target.getBoundingClientRect();
    context.openMenu(row.key, { x: box.left + 60, y: box.bottom - 4 });
    return true;
  }
  return row.type === 'group'
    ? handleGroupKey(event, row, context)
    : handleItemKey(event, row.key, row.item, context);
}

function moveStep(key: string, rowCount: number): number | undefined {
  switch (key) {
    case 'ArrowDown':
      return 1;
    case 'ArrowUp':
      return -1;
    case 'PageDown':
      return PAGE_ROWS;
    case 'PageUp':
      return -PAGE_ROWS;
    case 'Home':
      return -rowCount;
    case 'End':
      return rowCount;
    default:
      return undefined;
  }
}

function handleMove<T>(event: KeyboardEvent, context: ListKeyContext<T>): boolean {
  const { rows, index, store, itemKeys } = context;
  const target = index + (moveStep(event.key, rows.length) ?? 0);
  const next = rows[Math.min(rows.length - 1, Math.max(0, target))];
  const row = rows[index];
  if (event.shiftKey && next?.type === 'item' && row?.type === 'item') {
    if (store.getState().anchorKey === undefined) {
      store.setState({ anchorKey: row.key });
    }
    setSelected(store, keyRange(itemKeys, store.getState().anchorKey, next.key), true);
  }
  context.focusIndex(target);
  return true;
}

function handleSelectionKey<T>(event: KeyboardEvent, context: ListKeyContext<T>): boolean {
  if (event.key === 'Escape' && context.store.getState().selected.size > 0) {
    context.store.setState({ selected: new Set(), anchorKey: undefined });
    return true;
  }
  if ((event.ctrlKey || event.metaKey) && event.key === 'a') {
    setSelected(context.store, context.itemKeys, true);
    return true;
  }
  return false;
}

function handleGroupKey<T>(
  event: KeyboardEvent,
  row: Extract<ListRow<T>, { readonly type: 'group' }>,
  context: ListKeyContext<T>,
): boolean {
  const isFold = event.key === 'ArrowLeft' && !row.isCollapsed;
  const isUnfold = event.key === 'ArrowRight' && row.isCollapsed;
  if (isFold || isUnfold || event.key === 'Enter' || event.key === ' ') {
    context.toggleGroup(row.group.key);
    return true;
  }
  return false;
}

function handleItemKey<T>(
  event: KeyboardEvent,
  key: string,
  item: T,
  context: ListKeyContext<T>,
): boolean {
  if (event.key === 'Enter' && context.onOpen !== undefined) {
    context.onOpen(item);
    return true;
  }
  if (event.key === ' ' && context.canSelect(item)) {
    context.toggle(key, event.shiftKey);
    return true;
  }
  if (event.key === 'Delete' && context.onRemove !== undefined) {
    const isSelected = context.store.getState().selected.has(key);
    context.onRemove(isSelected ? context.selectedItems : [item]);
    return true;
  }
  return false;
}
