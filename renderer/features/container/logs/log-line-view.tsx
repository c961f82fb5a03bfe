import { type CSSProperties, memo } from 'react';
import type { LogLine } from '../../../../electron/contract/log-channels.ts';
import { cx } from '../../../components/cx.ts';
import { text } from '../text.ts';
import { type AnsiColor, type AnsiStyle, parseAnsi } from './ansi.ts';
import { segmentLine } from './line-segments.ts';

/** Height of an unwrapped line in CSS pixels. */
export const LINE_HEIGHT_PX = 20;

/** Fixed colours are moved to a lightness that can be read on the theme's background. */
function cssColor(color: AnsiColor, isText: boolean): string {
  if (color.type === 'theme') {
    return `var(--ansi-${color.index})`;
  }
  const rgb = `rgb(${color.r} ${color.g} ${color.b})`;
  return isText
    ? `light-dark(oklch(from ${rgb} min(l, 0.52) c h), oklch(from ${rgb} max(l, 0.72) c h))`
    : rgb;
}

/** A background takes a text colour of its own, else dark text could stand on dark. */
function contrastOn(color: AnsiColor): string {
  if (color.type === 'theme') {
    return 'var(--surface)';
  }
  const luminance = 0.299 * color.r + 0.587 * color.g + 0.114 * color.b;
  return luminance > 140 ? '#111' : '#fff';
}

function toCss(style: AnsiStyle): CSSProperties {
  const isInverse = style.isInverse === true;
  const bg = isInverse ? (style.fg ?? { type: 'theme' as const, index: 7 }) : style.bg;
  const css: CSSProperties = {};
  if (bg !== undefined) {
    css.backgroundColor = cssColor(bg, false);
    css.color = contrastOn(bg);
  } else if (style.fg !== undefined) {
    css.color = cssColor(style.fg, true);
  }
  if (style.isBold === true) {
    css.fontWeight = 600;
  }
  if (style.isDim === true && bg === undefined && style.fg === undefined) {
    css.color = 'var(--ink-3)';
  }
  if (style.isItalic === true) {
    css.fontStyle = 'italic';
  }
  const lines = [
    style.isUnderline === true ? 'underline' : '',
    style.isStrike === true ? 'line-through' : '',
  ].join(' ');
  if (lines.trim() !== '') {
    css.textDecoration = lines.trim();
  }
  return css;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** `2026-11-21 12:27:04.123` in the reader's zone: always 23 characters. */
export function formatTimestamp(timeMs: number): string {
  const date = new Date(timeMs);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day} ${time}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

interface LogLineProps {
  readonly row: number;
  readonly line: LogLine | undefined;
  readonly source: { readonly label: string; readonly color: string } | undefined;
  readonly pattern: RegExp | undefined;
  readonly isCurrent: boolean;
  readonly hasTimestamp: boolean;
  readonly isWrapped: boolean;
  readonly onLink: (url: string) => void;
}

/** One line: mark of stderr, container, time, coloured text. A line on its way is an empty one. */
export const LogLineView = memo(function LogLineView({
  row,
  line,
  source,
  pattern,
  isCurrent,
  hasTimestamp,
  isWrapped,
  onLink,
}: LogLineProps) {
  if (line === undefined) {
    return <div data-row={row} aria-hidden style={{ height: LINE_HEIGHT_PX }} />;
  }
  const isError = line.stream === 'stderr';
  return (
    <div
      data-row={row}
      data-stream={line.stream}
      className={cx(
        'flex min-h-5 border-l-2 pr-4 pl-3 leading-5',
        isError ? 'border-bad bg-bad-soft/50' : 'border-transparent',
        isCurrent && 'bg-accent-soft',
      )}
    >
      {source !== undefined && (
        <span
          title={source.label}
          className="mr-3 w-32 shrink-0 truncate"
          style={{ color: source.color }}
        >
          {source.label}
        </span>
      )}
      {hasTimestamp && (
        <span className="mr-3 shrink-0 whitespace-pre text-ink-3">
          {formatTimestamp(line.timeMs)}
        </span>
      )}
      {isError && <span className="sr-only">{text.logs.stderr} </span>}
      <span
        className={cx('min-w-0', isWrapped ? 'whitespace-pre-wrap break-all' : 'whitespace-pre')}
      >
        {segmentLine(parseAnsi(line.text), pattern).map((segment, index) => {
          const style = toCss(segment.style);
          const { url } = segment;
          const content = segment.isMatch ? (
            <mark
              className={
                isCurrent
                  ? 'rounded-[2px] bg-(--match-current) text-(--match-current-ink)'
                  : 'rounded-[2px] bg-(--match) text-ink'
              }
            >
              {segment.text}
            </mark>
          ) : (
            segment.text
          );
          return url === undefined ? (
            // biome-ignore lint/suspicious/noArrayIndexKey: the parts of one line have no identity
            <span key={index} style={style}>
              {content}
            </span>
          ) : (
            <a
              // biome-ignore lint/suspicious/noArrayIndexKey: the parts of one line have no identity
              key={index}
              href={url}
              style={style}
              tabIndex={-1}
              rel="noopener noreferrer"
              className="underline decoration-line-strong underline-offset-2 hover:decoration-current"
              onClick={(event) => {
                event.preventDefault();
                onLink(url);
              }}
            >
              {content}
            </a>
          );
        })}
      </span>
    </div>
  );
});
