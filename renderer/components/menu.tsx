import { Menu as Base } from '@base-ui/react/menu';
import type { LucideIcon } from 'lucide-react';
import type { ReactElement } from 'react';
import { cx } from './cx.ts';
import { Kbd } from './kbd.tsx';

/** One thing that can be done, in menus, row buttons and bulk bars alike. */
export interface Action {
  readonly id: string;
  readonly label: string;
  readonly icon?: LucideIcon;
  readonly isDangerous?: boolean;
  readonly isDisabled?: boolean;
  readonly shortcut?: string;
  /** Starts a new block in a menu. */
  readonly hasSeparator?: boolean;
  readonly run: () => void;
}

/** Where a menu opens: an element or a point of the window in CSS pixels. */
export type MenuAnchor = Element | { readonly x: number; readonly y: number };

function anchorOf(anchor: MenuAnchor): Element | { getBoundingClientRect: () => DOMRect } {
  return anchor instanceof Element
    ? anchor
    : { getBoundingClientRect: () => new DOMRect(anchor.x, anchor.y, 0, 0) };
}

function MenuPopup({
  actions,
  label,
}: {
  readonly actions: readonly Action[];
  readonly label?: string;
}) {
  return (
    <Base.Popup
      aria-label={label}
      className="pop-motion min-w-44 max-w-80 rounded-md border border-line bg-raised p-1 shadow-pop outline-none"
    >
      {actions.map((action, index) => (
        <div key={action.id} role="none">
          {action.hasSeparator === true && index > 0 && (
            <Base.Separator className="-mx-1 my-1 h-px bg-line" />
          )}
          <Base.Item
            disabled={action.isDisabled === true}
            onClick={action.run}
            className={cx(
              'flex select-none items-center gap-2.5 rounded-xs px-2 py-1.5 text-sm outline-none data-disabled:opacity-45 data-highlighted:bg-hover',
              action.isDangerous === true && 'text-bad-ink data-highlighted:bg-bad-soft',
            )}
          >
            {action.icon === undefined ? (
              <span className="w-3.5" />
            ) : (
              <action.icon aria-hidden className="size-3.5 shrink-0 opacity-80" strokeWidth={1.9} />
            )}
            <span className="min-w-0 flex-1 truncate">{action.label}</span>
            {action.shortcut !== undefined && <Kbd keys={action.shortcut} />}
          </Base.Item>
        </div>
      ))}
    </Base.Popup>
  );
}

/** A menu opened by a button of the caller's. */
export function Menu({
  actions,
  label,
  align = 'end',
  children,
}: {
  readonly actions: readonly Action[];
  readonly label?: string;
  readonly align?: 'start' | 'end';
  readonly children: ReactElement<Record<string, unknown>>;
}) {
  return (
    <Base.Root>
      <Base.Trigger render={children} />
      <Base.Portal>
        <Base.Positioner align={align} sideOffset={4} className="z-60 outline-none">
          <MenuPopup actions={actions} {...(label === undefined ? {} : { label })} />
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}

/** A menu opened from code: row menus and right clicks. One per list serves all of its rows. */
export function FloatingMenu({
  actions,
  label,
  anchor,
  onClose,
}: {
  readonly actions: readonly Action[];
  readonly label: string;
  /** undefined = closed. */
  readonly anchor: MenuAnchor | undefined;
  readonly onClose: () => void;
}) {
  return (
    <Base.Root
      open={anchor !== undefined}
      onOpenChange={(open) => {
        if (!open) {
          onClose();
        }
      }}
    >
      <Base.Portal>
        <Base.Positioner
          {...(anchor === undefined ? {} : { anchor: anchorOf(anchor) })}
          align={anchor instanceof Element ? 'end' : 'start'}
          sideOffset={anchor instanceof Element ? 4 : 0}
          className="z-60 outline-none"
        >
          <MenuPopup actions={actions} label={label} />
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}
