import { cx } from './cx.ts';

/** Keys of a shortcut, written `Ctrl+K`. */
export function Kbd({
  keys,
  isInverted = false,
}: {
  readonly keys: string;
  readonly isInverted?: boolean;
}) {
  return (
    <kbd
      className={cx(
        'inline-flex items-center gap-0.5 font-sans text-2xs',
        isInverted ? 'text-surface' : 'text-ink-3',
      )}
    >
      {keys.split('+').map((key) => (
        <span
          key={key}
          className={cx(
            'inline-flex h-4.5 min-w-4.5 items-center justify-center rounded-xs border px-1',
            isInverted ? 'border-ink-3' : 'border-line-strong bg-sunken',
          )}
        >
          {key}
        </span>
      ))}
    </kbd>
  );
}
