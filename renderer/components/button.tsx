import { LoaderCircle, type LucideIcon } from 'lucide-react';
import type { ButtonHTMLAttributes, ReactNode, Ref } from 'react';
import { cx } from './cx.ts';
import { Tooltip } from './tooltip.tsx';

/** Looks of a button: one primary per view, the rest secondary or ghost. */
export type ButtonTone = 'primary' | 'secondary' | 'ghost' | 'danger';

const TONES: Record<ButtonTone, string> = {
  primary:
    'bg-accent text-on-accent shadow-tiny hover:bg-accent-hover active:bg-accent-hover disabled:bg-active disabled:text-ink-3 disabled:shadow-none',
  secondary:
    'border border-line-strong bg-raised text-ink shadow-tiny hover:bg-hover active:bg-active disabled:text-ink-3 disabled:shadow-none',
  ghost: 'text-ink-2 hover:bg-hover hover:text-ink active:bg-active disabled:text-ink-3',
  danger:
    'bg-bad-solid text-on-accent shadow-tiny hover:bg-bad-solid-hover disabled:bg-active disabled:text-ink-3',
};

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  readonly tone?: ButtonTone;
  readonly size?: 'sm' | 'md';
  readonly icon?: LucideIcon;
  /** Shows a spinner and refuses clicks; the name stays. */
  readonly isBusy?: boolean;
  readonly ref?: Ref<HTMLButtonElement> | undefined;
  readonly children: ReactNode;
}

/** The button with a text. */
export function Button({
  tone = 'secondary',
  size = 'md',
  icon: Icon,
  isBusy = false,
  className,
  children,
  disabled,
  ...rest
}: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      disabled={disabled === true || isBusy}
      aria-busy={isBusy || undefined}
      className={cx(
        'inline-flex shrink-0 select-none items-center justify-center gap-1.5 whitespace-nowrap rounded-sm font-medium transition-colors duration-100',
        size === 'sm' ? 'h-7 px-2 text-xs' : 'h-8 px-3 text-sm',
        TONES[tone],
        className,
      )}
    >
      {isBusy ? (
        <LoaderCircle aria-hidden className="size-3.5 animate-spin" />
      ) : (
        Icon !== undefined && <Icon aria-hidden className="size-3.5" strokeWidth={2} />
      )}
      {children}
    </button>
  );
}

interface IconButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, 'children'> {
  /** Accessible name, and the text of the tooltip. */
  readonly label: string;
  readonly icon: LucideIcon;
  readonly shortcut?: string;
  readonly size?: 'sm' | 'md';
  readonly tone?: 'ghost' | 'danger';
  readonly isPressed?: boolean;
  readonly isBusy?: boolean;
  readonly hasTooltip?: boolean;
  readonly ref?: Ref<HTMLButtonElement> | undefined;
}

/** A square button with an icon; its name is in the tooltip and for assistive technology. */
export function IconButton({
  label,
  icon: Icon,
  shortcut,
  size = 'md',
  tone = 'ghost',
  isPressed,
  isBusy = false,
  hasTooltip = true,
  className,
  disabled,
  ...rest
}: IconButtonProps) {
  const button = (
    <button
      type="button"
      {...rest}
      disabled={disabled === true || isBusy}
      aria-label={label}
      aria-pressed={isPressed}
      className={cx(
        'inline-flex shrink-0 items-center justify-center rounded-sm transition-colors duration-100 disabled:opacity-45',
        size === 'sm' ? 'size-6' : 'size-8',
        isPressed === true
          ? 'bg-accent-soft text-accent-ink'
          : tone === 'danger'
            ? 'text-ink-2 hover:bg-bad-soft hover:text-bad-ink'
            : 'text-ink-2 hover:bg-active hover:text-ink',
        className,
      )}
    >
      {isBusy ? (
        <LoaderCircle aria-hidden className="size-3.5 animate-spin" />
      ) : (
        <Icon aria-hidden className={size === 'sm' ? 'size-3.5' : 'size-4'} strokeWidth={1.9} />
      )}
    </button>
  );
  return hasTooltip ? (
    <Tooltip label={label} {...(shortcut === undefined ? {} : { shortcut })}>
      {button}
    </Tooltip>
  ) : (
    button
  );
}
