import type { AnsiSpan, AnsiStyle } from './ansi.ts';

/** A stretch of a line that looks the same throughout. */
export interface Segment {
  readonly text: string;
  readonly style: AnsiStyle;
  readonly isMatch: boolean;
  /** An address that can be opened. */
  readonly url?: string;
}

/** Half-open range of a line's text. */
export interface TextRange {
  readonly start: number;
  readonly end: number;
}

/** More matches than this in one line are not marked one by one. */
const MAX_RANGES = 500;

/** What a search looks for. */
export interface SearchQuery {
  readonly query: string;
  readonly isRegex: boolean;
  readonly isCaseSensitive: boolean;
}

/** The search as an expression for marking; undefined when it is empty or no valid expression. */
export function toPattern(search: SearchQuery): RegExp | undefined {
  if (search.query === '') {
    return undefined;
  }
  const source = search.isRegex
    ? search.query
    : search.query.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  try {
    return new RegExp(source, search.isCaseSensitive ? 'gu' : 'giu');
  } catch {
    return undefined;
  }
}

/** Where the expression matches; empty matches are left out. */
export function findRanges(text: string, pattern: RegExp | undefined): readonly TextRange[] {
  if (pattern === undefined) {
    return [];
  }
  const ranges: TextRange[] = [];
  pattern.lastIndex = 0;
  for (const match of text.matchAll(pattern)) {
    if (match[0] !== '') {
      ranges.push({ start: match.index, end: match.index + match[0].length });
    }
    if (ranges.length >= MAX_RANGES) {
      break;
    }
  }
  return ranges;
}

const URL_PATTERN = /\bhttps?:\/\/[^\s"'<>`\\^{}|]+/g;

/** Addresses in a text, without the punctuation that closes a sentence or a bracket around them. */
export function findUrls(text: string): readonly (TextRange & { readonly url: string })[] {
  if (!text.includes('://')) {
    return [];
  }
  return [...text.matchAll(URL_PATTERN)].map((match) => {
    const url = match[0].replace(/[.,;:!?'")\]]+$/, '');
    return { start: match.index, end: match.index + url.length, url };
  });
}

/** A line cut at every change of look, match and address. */
export function segmentLine(
  spans: readonly AnsiSpan[],
  pattern: RegExp | undefined,
): readonly Segment[] {
  const text = spans.map((span) => span.text).join('');
  const matches = findRanges(text, pattern);
  const urls = findUrls(text);
  if (matches.length === 0 && urls.length === 0) {
    return spans.map((span) => ({ ...span, isMatch: false }));
  }
  const cuts = new Set<number>();
  for (const range of [...matches, ...urls]) {
    cuts.add(range.start);
    cuts.add(range.end);
  }
  const sorted = [...cuts].sort((a, b) => a - b);
  const segments: Segment[] = [];
  let offset = 0;
  let next = 0;
  for (const span of spans) {
    const end = offset + span.text.length;
    let start = offset;
    while (start < end) {
      while ((sorted[next] ?? Number.POSITIVE_INFINITY) <= start) {
        next += 1;
      }
      const stop = Math.min(end, sorted[next] ?? end);
      const from = start;
      const url = urls.find((range) => range.start <= from && from < range.end)?.url;
      segments.push({
        text: text.slice(start, stop),
        style: span.style,
        isMatch: matches.some((range) => range.start <= from && from < range.end),
        ...(url === undefined ? {} : { url }),
      });
      start = stop;
    }
    offset = end;
  }
  return segments;
}
