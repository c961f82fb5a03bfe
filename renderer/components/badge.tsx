import type { ReactNode } from 'react';
import { cx } from './cx.ts';

/** Meaning of a badge or dot; always shown with a text beside it. */
export type Tone = 'neutral' | 'ok' | 'warn' | 'bad' | 'accent' | 'idle';

const BADGES: Record<Tone, string> = {
  neutral: 'bg-active text-ink-2',
  idle: 'bg-active text-ink-2',
  ok: 'bg-ok-soft text-ok-ink',
  warn: 'bg-warn-soft text-warn-ink',
  bad: 'bg-bad-soft text-bad-ink',
  accent: 'bg-accent-soft text-accent-ink',
};

const DOTS: Record<Tone, string> = {
  neutral: 'bg-ink-3',
  idle: 'border-[1.5px] border-idle',
  ok: 'bg-ok',
  warn: 'bg-warn',
  bad: 'bg-bad',
  accent: 'bg-accent',
};

/** A small label. */
export function Badge({
  tone = 'neutral',
  isMono = false,
  children,
}: {
  readonly tone?: Tone;
  readonly isMono?: boolean;
  readonly children: ReactNode;
}) {
  return (
    <span
      className={cx(
        'inline-flex h-5 max-w-full shrink-0 items-center gap-1 truncate rounded-xs px-1.5 text-2xs font-medium',
        isMono && 'font-mono',
        BADGES[tone],
      )}
    >
      {children}
    </span>
  );
}

/** The dot of a state; `isLive` lets it pulse while the state is passing (starting, restarting). */
export function Dot({ tone, isLive = false }: { readonly tone: Tone; readonly isLive?: boolean }) {
  return (
    <span
      aria-hidden
      className={cx(
        'inline-block size-2 shrink-0 rounded-full',
        DOTS[tone],
        isLive && 'animate-shimmer',
      )}
    />
  );
}
