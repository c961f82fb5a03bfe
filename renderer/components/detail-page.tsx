import { ChevronLeft } from 'lucide-react';
import type { ReactNode } from 'react';
import { Link } from 'react-router';

interface DetailHeaderProps {
  /** Name and path of the list this belongs to. */
  readonly parent: { readonly label: string; readonly path: string };
  readonly title: string;
  readonly subtitle?: ReactNode;
  readonly actions?: ReactNode;
}

/** Top of a details page: the way back, what it is, what can be done with it. */
export function DetailHeader({ parent, title, subtitle, actions }: DetailHeaderProps) {
  return (
    <header className="flex shrink-0 items-end gap-4 px-5 pt-3 pb-3">
      <div className="min-w-0 flex-1">
        <Link
          to={parent.path}
          className="-ml-1 inline-flex items-center gap-0.5 rounded-xs pr-1 text-xs text-ink-3 hover:text-ink"
        >
          <ChevronLeft aria-hidden className="size-3.5" />
          {parent.label}
        </Link>
        <div className="flex min-h-7 min-w-0 items-center gap-3">
          <h1
            className="select-text truncate text-lg font-semibold tracking-[-0.01em]"
            title={title}
          >
            {title}
          </h1>
          {subtitle}
        </div>
      </div>
      {actions !== undefined && <div className="flex shrink-0 items-center gap-2">{actions}</div>}
    </header>
  );
}
