import { Search } from 'lucide-react';
import { NavLink, useLocation } from 'react-router';
import { cx } from '../components/cx.ts';
import { Kbd } from '../components/kbd.tsx';
import type { LiveList } from '../data/live-list.ts';
import { useContainers, useImages, useNetworks, useVolumes } from '../data/queries.ts';
import { ui } from '../data/ui.ts';
import { MOD_KEY, PAGES, type Page } from './navigation.ts';
import { text } from './text.ts';

/** Navigation at the left edge. */
export function Sidebar() {
  const { pathname } = useLocation();
  const containers = useContainers();
  const counts: Partial<Record<Page['id'], number | undefined>> = {
    containers: countOf(containers),
    images: countOf(useImages()),
    volumes: countOf(useVolumes()),
    networks: countOf(useNetworks()),
  };
  return (
    <aside
      aria-label={text.product}
      className="flex w-54 shrink-0 flex-col border-r border-line bg-sunken"
    >
      <div className="flex h-14 shrink-0 items-center gap-2.5 px-4">
        <Logo />
        <span className="text-base font-semibold tracking-[-0.015em]">{text.product}</span>
      </div>
      <div className="px-3 pb-3">
        <button
          type="button"
          aria-keyshortcuts="Control+K"
          title={text.openPalette}
          onClick={() => ui.setState({ isPaletteOpen: true })}
          className="flex h-8 w-full items-center gap-2 rounded-sm border border-line-strong bg-surface px-2.5 text-sm text-ink-3 shadow-tiny hover:text-ink-2"
        >
          <Search aria-hidden className="size-3.5" />
          <span className="flex-1 text-left">{text.paletteHint}</span>
          <span aria-hidden className="flex">
            <Kbd keys={`${MOD_KEY}+K`} />
          </span>
        </button>
      </div>
      <nav aria-label={text.navigation} className="flex flex-1 flex-col gap-0.5 px-3">
        {PAGES.map((page) => (
          <NavLink
            key={page.id}
            to={page.path}
            aria-keyshortcuts={`Control+${page.digit}`}
            className={({ isActive: isHere }) => {
              const isActive = isHere || belongsTo(page, pathname);
              return cx(
                'group flex h-8 items-center gap-2.5 rounded-sm px-2.5 text-sm transition-colors duration-100',
                isActive
                  ? 'bg-active font-medium text-ink'
                  : 'text-ink-2 hover:bg-hover hover:text-ink',
                page.id === 'settings' && 'mt-auto mb-3',
              );
            }}
          >
            {({ isActive: isHere }) => (
              <>
                <page.icon
                  aria-hidden
                  className={cx(
                    'size-4',
                    isHere || belongsTo(page, pathname) ? 'text-accent-ink' : 'text-ink-3',
                  )}
                  strokeWidth={1.9}
                />
                <span className="flex-1">{page.label}</span>
                {counts[page.id] !== undefined && (
                  <span aria-hidden className="nums text-xs font-normal text-ink-3">
                    {counts[page.id]}
                  </span>
                )}
              </>
            )}
          </NavLink>
        ))}
      </nav>
    </aside>
  );
}

/** Nothing is not the same as not known. */
function countOf(list: LiveList<unknown> | undefined): number | undefined {
  return list?.offlineMessage !== undefined && list.items.length === 0
    ? undefined
    : list?.items.length;
}

/** Project logs are reached from the containers. */
function belongsTo(page: Page, pathname: string): boolean {
  return page.id === 'containers' && pathname.startsWith('/projects/');
}

function Logo() {
  return (
    <svg aria-hidden viewBox="0 0 32 32" className="size-7 text-accent">
      <rect width="32" height="32" rx="8" fill="currentColor" />
      <path
        d="M6.5 10.5h19M10 10.5V25M22 10.5V25M16 10.5v5"
        fill="none"
        stroke="#fff"
        strokeWidth="2.2"
        strokeLinecap="round"
      />
      <rect x="12.7" y="15.6" width="6.6" height="5.4" rx="1.2" fill="#fff" />
    </svg>
  );
}
