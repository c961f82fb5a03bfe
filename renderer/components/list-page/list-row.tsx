import { ChevronRight, Ellipsis } from 'lucide-react';
import { type KeyboardEvent, type MouseEvent, memo, type ReactNode } from 'react';
import { IconButton } from '../button.tsx';
import { Checkbox } from '../controls.tsx';
import { cx } from '../cx.ts';
import type { Action } from '../menu.tsx';
import { text } from '../text.ts';
import type { ListColumn } from './list-types.ts';

/** Heights of the rows in CSS pixels. */
export const ROW_HEIGHT_PX = 42;

interface RowFrameProps {
  readonly index: number;
  readonly top: number;
  readonly template: string;
  readonly isActive: boolean;
  readonly rowKey: string;
}

interface ItemRowProps<T> extends RowFrameProps {
  readonly item: T;
  readonly label: string;
  readonly columns: readonly ListColumn<T>[];
  readonly isInGroup: boolean;
  readonly isSelected: boolean;
  readonly isSelectable: boolean;
  /** Changes when the cells must be drawn again although the item is the same. */
  readonly version: unknown;
  readonly quickActions: ((item: T) => readonly Action[]) | undefined;
  readonly onToggle: (key: string, isRange: boolean) => void;
  readonly onMenu: (key: string, anchor: Element | { x: number; y: number }) => void;
  readonly onOpen: ((item: T) => void) | undefined;
  readonly onFocus: (key: string) => void;
}

function isFromControl(event: MouseEvent | KeyboardEvent): boolean {
  return (
    event.target instanceof Element &&
    event.target.closest('button, a, input, [role="checkbox"]') !== null
  );
}

const ROW =
  'group/row absolute left-0 grid w-full items-center border-b border-line text-sm outline-none focus-visible:z-1 focus-visible:outline-2 focus-visible:-outline-offset-2 focus-visible:outline-accent';

function ItemRowView<T>({
  index,
  top,
  template,
  isActive,
  rowKey,
  item,
  label,
  columns,
  isInGroup,
  isSelected,
  isSelectable,
  quickActions,
  onToggle,
  onMenu,
  onOpen,
  onFocus,
}: ItemRowProps<T>) {
  const tabIndex = isActive ? 0 : -1;
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      aria-selected={isSelectable ? isSelected : undefined}
      aria-label={label}
      data-key={rowKey}
      tabIndex={tabIndex}
      onFocus={() => onFocus(rowKey)}
      onClick={(event) => {
        if (isFromControl(event)) {
          return;
        }
        if (isSelectable && (event.ctrlKey || event.metaKey || event.shiftKey)) {
          onToggle(rowKey, event.shiftKey);
        } else if (window.getSelection()?.isCollapsed !== false) {
          onOpen?.(item);
        }
      }}
      onContextMenu={(event) => {
        event.preventDefault();
        onMenu(rowKey, { x: event.clientX, y: event.clientY });
      }}
      className={cx(
        ROW,
        isSelected ? 'bg-accent-soft' : 'hover:bg-hover',
        onOpen !== undefined && 'cursor-default',
      )}
      style={{
        gridTemplateColumns: template,
        height: ROW_HEIGHT_PX,
        transform: `translateY(${top}px)`,
      }}
    >
      <div
        role="gridcell"
        className={cx('flex h-full items-center justify-center', isInGroup && 'pl-3')}
      >
        {isSelectable && (
          <span
            className={cx(
              'flex',
              !isSelected && 'opacity-0 focus-within:opacity-100 group-hover/row:opacity-100',
            )}
          >
            <Checkbox
              label={text.list.select(label)}
              isChecked={isSelected}
              tabIndex={tabIndex}
              onChange={() => onToggle(rowKey, false)}
            />
          </span>
        )}
      </div>
      {columns.map((column, position) => (
        <div
          key={column.id}
          role="gridcell"
          className={cx(
            'flex h-full min-w-0 items-center gap-2 px-2',
            column.align === 'end' && 'nums justify-end text-right',
            position === 0 && isInGroup && 'pl-5',
          )}
        >
          {column.render(item, tabIndex)}
        </div>
      ))}
      <div role="gridcell" className="flex h-full items-center justify-end gap-0.5 pr-3">
        {quickActions?.(item).map((action) => (
          <span key={action.id} className="flex">
            {action.icon !== undefined && (
              <IconButton
                size="sm"
                label={`${action.label} ${label}`}
                icon={action.icon}
                tabIndex={tabIndex}
                className="text-ink-3"
                disabled={action.isDisabled === true}
                onClick={action.run}
              />
            )}
          </span>
        ))}
        <IconButton
          size="sm"
          label={text.list.actionsFor(label)}
          icon={Ellipsis}
          className="text-ink-3"
          tabIndex={tabIndex}
          hasTooltip={false}
          aria-haspopup="menu"
          onClick={(event) => onMenu(rowKey, event.currentTarget)}
        />
      </div>
    </div>
  );
}

/** One item of a list; drawn again only when something of its own changed. */
export const ItemRow = memo(ItemRowView) as typeof ItemRowView;

interface GroupRowProps<T> extends RowFrameProps {
  readonly label: string;
  readonly items: readonly T[];
  readonly columns: readonly ListColumn<T>[];
  readonly isCollapsed: boolean;
  readonly summary: ReactNode;
  readonly quickActions: readonly Action[];
  readonly selection: 'none' | 'some' | 'all';
  readonly onSelect: (isSelected: boolean) => void;
  readonly onToggle: () => void;
  readonly onMenu: (key: string, anchor: Element | { x: number; y: number }) => void;
  readonly onFocus: (key: string) => void;
}

/** The heading of a group with its fold button, a summary and actions on all of its members. */
export function GroupRow<T>({
  index,
  top,
  template,
  isActive,
  rowKey,
  label,
  items,
  columns,
  isCollapsed,
  summary,
  quickActions,
  selection,
  onSelect,
  onToggle,
  onMenu,
  onFocus,
}: GroupRowProps<T>) {
  const tabIndex = isActive ? 0 : -1;
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      aria-label={label}
      data-key={rowKey}
      tabIndex={tabIndex}
      onFocus={() => onFocus(rowKey)}
      onClick={(event) => {
        if (!isFromControl(event)) {
          onToggle();
        }
      }}
      onContextMenu={(event) => {
        event.preventDefault();
        onMenu(rowKey, { x: event.clientX, y: event.clientY });
      }}
      className={cx(ROW, 'bg-sunken hover:bg-hover')}
      style={{
        gridTemplateColumns: template,
        height: ROW_HEIGHT_PX,
        transform: `translateY(${top}px)`,
      }}
    >
      <div role="gridcell" className="flex h-full items-center justify-center">
        <span
          className={cx(
            'flex',
            selection === 'none' &&
              'opacity-0 focus-within:opacity-100 group-hover/row:opacity-100',
          )}
        >
          <Checkbox
            label={text.list.select(label)}
            isChecked={selection === 'all'}
            isIndeterminate={selection === 'some'}
            tabIndex={tabIndex}
            onChange={onSelect}
          />
        </span>
      </div>
      {columns.map((column, position) => (
        <div
          key={column.id}
          role="gridcell"
          className={cx(
            'flex h-full min-w-0 items-center gap-1.5 px-2 text-ink-2',
            column.align === 'end' && 'nums justify-end',
          )}
        >
          {position === 0 ? (
            <>
              <button
                type="button"
                tabIndex={tabIndex}
                aria-label={isCollapsed ? text.list.expand(label) : text.list.collapse(label)}
                aria-expanded={!isCollapsed}
                onClick={onToggle}
                className="-ml-1 flex size-5 shrink-0 items-center justify-center rounded-xs text-ink-3 hover:bg-active hover:text-ink"
              >
                <ChevronRight
                  aria-hidden
                  className={cx('size-3.5 transition-transform', !isCollapsed && 'rotate-90')}
                />
              </button>
              <span className="truncate font-semibold text-ink">{label}</span>
              {summary}
            </>
          ) : (
            column.renderGroup?.(items)
          )}
        </div>
      ))}
      <div role="gridcell" className="flex h-full items-center justify-end gap-0.5 pr-3">
        {quickActions.map(
          (action) =>
            action.icon !== undefined && (
              <span key={action.id} className="flex">
                <IconButton
                  size="sm"
                  label={`${action.label} ${label}`}
                  icon={action.icon}
                  tabIndex={tabIndex}
                  className="text-ink-3"
                  disabled={action.isDisabled === true}
                  onClick={action.run}
                />
              </span>
            ),
        )}
        <IconButton
          size="sm"
          label={text.list.actionsFor(label)}
          icon={Ellipsis}
          className="text-ink-3"
          tabIndex={tabIndex}
          hasTooltip={false}
          aria-haspopup="menu"
          onClick={(event) => onMenu(rowKey, event.currentTarget)}
        />
      </div>
    </div>
  );
}
