import { cx } from './cx.ts';

/** How far a piece of work is, 0 to 1; undefined = not known. */
export function ProgressBar({
  label,
  value,
  tone = 'accent',
}: {
  readonly label: string;
  readonly value: number | undefined;
  readonly tone?: 'accent' | 'ok' | 'bad';
}) {
  const tones = { accent: 'bg-accent', ok: 'bg-ok', bad: 'bg-bad' };
  const share = value === undefined ? undefined : Math.min(1, Math.max(0, value));
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={share === undefined ? undefined : Math.round(share * 100)}
      className="h-1 w-full overflow-hidden rounded-full bg-active"
    >
      <div
        className={cx(
          'h-full rounded-full transition-[width] duration-150',
          tones[tone],
          share === undefined && 'w-full animate-shimmer',
        )}
        style={share === undefined ? undefined : { width: `${share * 100}%` }}
      />
    </div>
  );
}

/** One part of a {@link StackedBar}. */
export interface BarPart {
  readonly id: string;
  readonly label: string;
  readonly value: number;
  /** A CSS colour, normally a chart token. */
  readonly color: string;
  readonly isHatched?: boolean;
}

/** Parts of a whole in one bar; the numbers are in the text beside it, so the bar itself is one image. */
export function StackedBar({
  label,
  parts,
  total,
}: {
  readonly label: string;
  readonly parts: readonly BarPart[];
  readonly total: number;
}) {
  return (
    <div
      role="img"
      aria-label={label}
      className="flex h-3 w-full gap-0.5 overflow-hidden rounded-full bg-active"
    >
      {parts
        .filter((part) => part.value > 0)
        .map((part) => (
          <div
            key={part.id}
            title={part.label}
            className="h-full min-w-1 first:rounded-l-full last:rounded-r-full"
            style={{
              width: `${(part.value / Math.max(1, total)) * 100}%`,
              backgroundColor: part.color,
              opacity: part.isHatched === true ? 0.4 : 1,
            }}
          />
        ))}
    </div>
  );
}
