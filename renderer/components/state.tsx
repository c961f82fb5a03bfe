import { type LucideIcon, TriangleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import { Button } from './button.tsx';
import { cx } from './cx.ts';
import { text } from './text.ts';

interface EmptyStateProps {
  readonly icon: LucideIcon;
  readonly title: string;
  readonly body?: ReactNode;
  readonly children?: ReactNode;
  readonly isCompact?: boolean;
}

/** What a page shows when it has nothing to show: what belongs here and the next thing to do. */
export function EmptyState({
  icon: Icon,
  title,
  body,
  children,
  isCompact = false,
}: EmptyStateProps) {
  return (
    <div
      className={cx(
        'flex min-h-0 flex-1 flex-col items-center justify-center gap-1 px-8 text-center',
        isCompact ? 'py-8' : 'py-16',
      )}
    >
      <div className="mb-3 flex size-11 items-center justify-center rounded-lg border border-line bg-surface text-ink-3 shadow-tiny">
        <Icon aria-hidden className="size-5" strokeWidth={1.7} />
      </div>
      <h2 className="text-base font-semibold text-ink">{title}</h2>
      {body !== undefined && <p className="max-w-md text-balance text-sm text-ink-3">{body}</p>}
      {children !== undefined && <div className="mt-4 flex items-center gap-2">{children}</div>}
    </div>
  );
}

interface ErrorStateProps {
  readonly title?: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly onRetry?: (() => void) | undefined;
}

/** A failed load: what happened, what to do, and a way to try again. */
export function ErrorState({ title = text.errorTitle, message, hint, onRetry }: ErrorStateProps) {
  return (
    <div
      role="alert"
      className="flex min-h-0 flex-1 flex-col items-center justify-center gap-1 p-8 text-center"
    >
      <div className="mb-3 flex size-11 items-center justify-center rounded-lg bg-bad-soft text-bad-ink">
        <TriangleAlert aria-hidden className="size-5" strokeWidth={1.8} />
      </div>
      <h2 className="text-base font-semibold">{title}</h2>
      <p className="max-w-lg break-words text-sm text-ink-2">{message}</p>
      {hint !== undefined && <p className="max-w-lg text-sm text-ink-3">{hint}</p>}
      {onRetry !== undefined && (
        <Button className="mt-4" onClick={onRetry}>
          {text.retry}
        </Button>
      )}
    </div>
  );
}

/** A grey bar in place of a text that is on its way. */
export function Skeleton({ className }: { readonly className?: string }) {
  return (
    <span aria-hidden className={cx('block h-3 animate-shimmer rounded-xs bg-active', className)} />
  );
}

/** A message inside a page or dialog: a short sentence and what can be done. */
export function Notice({
  tone,
  icon: Icon = TriangleAlert,
  children,
  action,
}: {
  readonly tone: 'warn' | 'bad' | 'accent' | 'neutral';
  readonly icon?: LucideIcon;
  readonly children: ReactNode;
  readonly action?: ReactNode;
}) {
  const tones = {
    warn: 'bg-warn-soft text-warn-ink',
    bad: 'bg-bad-soft text-bad-ink',
    accent: 'bg-accent-soft text-accent-ink',
    neutral: 'bg-active text-ink-2',
  };
  return (
    <div
      role={tone === 'bad' ? 'alert' : 'status'}
      className={cx('flex items-start gap-2 rounded-sm px-3 py-2 text-sm', tones[tone])}
    >
      <Icon aria-hidden className="mt-px size-4 shrink-0" strokeWidth={1.9} />
      <div className="min-w-0 flex-1 break-words">{children}</div>
      {action}
    </div>
  );
}
