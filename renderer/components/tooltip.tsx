import { Tooltip as Base } from '@base-ui/react/tooltip';
import type { ReactElement } from 'react';
import { Kbd } from './kbd.tsx';

interface TooltipProps {
  readonly label: string;
  readonly shortcut?: string;
  readonly side?: 'top' | 'bottom' | 'left' | 'right';
  readonly children: ReactElement<Record<string, unknown>>;
}

/** Names what is below the pointer or has the focus. Never the only place of a piece of information. */
export function Tooltip({ label, shortcut, side = 'bottom', children }: TooltipProps) {
  return (
    <Base.Root>
      <Base.Trigger render={children} />
      <Base.Portal>
        <Base.Positioner side={side} sideOffset={6} className="z-60">
          <Base.Popup className="pop-motion flex max-w-80 items-center gap-2 rounded-sm bg-ink px-2 py-1 text-xs text-surface shadow-pop">
            {label}
            {shortcut !== undefined && <Kbd isInverted keys={shortcut} />}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}
