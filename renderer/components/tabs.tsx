import { Tabs as Base } from '@base-ui/react/tabs';
import type { LucideIcon } from 'lucide-react';
import type { ReactNode } from 'react';
import { cx } from './cx.ts';

/** One tab: its panel is rendered only while chosen. */
export interface Tab {
  readonly id: string;
  readonly label: string;
  readonly icon?: LucideIcon;
  readonly render: () => ReactNode;
}

interface TabsProps {
  readonly label: string;
  readonly tabs: readonly Tab[];
  readonly value: string;
  readonly onChange: (id: string) => void;
}

/** A row of tabs with the chosen panel filling the rest. */
export function Tabs({ label, tabs, value, onChange }: TabsProps) {
  return (
    <Base.Root
      value={value}
      onValueChange={(next) => {
        if (typeof next === 'string') {
          onChange(next);
        }
      }}
      className="flex min-h-0 flex-1 flex-col"
    >
      <Base.List
        aria-label={label}
        className="relative flex shrink-0 gap-1 border-b border-line px-4"
      >
        {tabs.map((tab) => (
          <Base.Tab
            key={tab.id}
            value={tab.id}
            className="flex h-9 select-none items-center gap-1.5 rounded-t-sm px-2.5 text-sm text-ink-2 transition-colors hover:text-ink focus-visible:-outline-offset-2 data-active:font-medium data-active:text-ink"
          >
            {tab.icon !== undefined && (
              <tab.icon aria-hidden className="size-3.5" strokeWidth={1.9} />
            )}
            {tab.label}
          </Base.Tab>
        ))}
        <Base.Indicator className="absolute bottom-[-1px] left-0 h-0.5 w-(--active-tab-width) translate-x-(--active-tab-left) rounded-full bg-accent transition-all duration-150 ease-out" />
      </Base.List>
      {tabs.map((tab) => (
        <Base.Panel
          key={tab.id}
          value={tab.id}
          // Never two panels at once, not even for a frame: what is inside measures itself.
          className={cx(
            'min-h-0 flex-1 flex-col outline-none focus-visible:outline-2 focus-visible:-outline-offset-2',
            tab.id === value ? 'flex' : 'hidden',
          )}
        >
          {tab.id === value && tab.render()}
        </Base.Panel>
      ))}
    </Base.Root>
  );
}
