import { createContext, Script } from 'node:vm';
import { BridgeError } from '../contract/error.ts';
import type { LogQuery } from '../contract/log-channels.ts';
import type { LogRing, LogSegment } from './log-ring.ts';

/** Decides on one segment at a time which of its lines match. */
export type SegmentMatcher = (segment: LogSegment, fromIndex: number) => number[];

/** A regular expression that needs longer than this for one segment is refused: it backtracks without end. */
const REGEX_TIMEOUT_MS = 1500;
/** SGR and other control sequences, operating system commands included: not part of the text that is searched. */
const ESC = String.raw`\u001b`;
const BEL = String.raw`\u0007`;
const ESCAPES = new RegExp(
  `${ESC}(?:${String.raw`\[[0-9;:?]*[ -/]*[@-~]`}|\\][^${BEL}${ESC}]*(?:${BEL}|${ESC}\\\\)?|[@-Z\\\\^_])`,
  'g',
);

/** Text without escape sequences. */
export function stripEscapes(text: string): string {
  return text.includes('\u001b') ? text.replace(ESCAPES, '') : text;
}

function isPlain(segment: LogSegment): boolean {
  return segment.isAscii && !segment.hasEscapes;
}

function lineText(segment: LogSegment, index: number): string {
  return stripEscapes(segment.lineBytes(index).toString(segment.isAscii ? 'latin1' : 'utf8'));
}

/** Lines for which `test` holds; a plain segment is decoded once and cut into lines by its offsets. */
function matchEach(
  segment: LogSegment,
  fromIndex: number,
  test: (text: string) => boolean,
): number[] {
  const found: number[] = [];
  const whole = isPlain(segment) ? segment.bytes.toString('latin1') : undefined;
  for (let index = fromIndex; index < segment.lineCount; index += 1) {
    const text =
      whole === undefined
        ? lineText(segment, index)
        : whole.slice(segment.offsetOf(index), segment.offsetOf(index + 1) - 1);
    if (test(text)) {
      found.push(segment.firstLine + index);
    }
  }
  return found;
}

/** Lines that hold `needle`, by searching the whole segment at once. */
function matchNeedle(
  segment: LogSegment,
  fromIndex: number,
  options: { haystack: string; needle: string },
): number[] {
  const { haystack, needle } = options;
  const found: number[] = [];
  let index = fromIndex;
  let at = haystack.indexOf(needle, segment.offsetOf(fromIndex));
  while (at !== -1) {
    while (index < segment.lineCount && segment.offsetOf(index + 1) <= at) {
      index += 1;
    }
    if (index >= segment.lineCount) {
      break;
    }
    found.push(segment.firstLine + index);
    index += 1;
    at = haystack.indexOf(needle, segment.offsetOf(index));
  }
  return found;
}

/**
 * Makes a matcher.
 *
 * @throws BridgeError  `invalid-parameter`: not a regular expression (also from the matcher: it takes too long)
 */
export function segmentMatcher(query: LogQuery): SegmentMatcher {
  if (query.isRegex) {
    return regexMatcher(query);
  }
  if (query.query.includes('\n')) {
    return () => [];
  }
  const needle = query.isCaseSensitive ? query.query : query.query.toLowerCase();
  const fold = query.isCaseSensitive
    ? (text: string) => text
    : (text: string) => text.toLowerCase();
  return (segment, fromIndex) => {
    if (isPlain(segment)) {
      // Folding plain ASCII keeps every offset.
      const haystack = fold(segment.bytes.toString('latin1'));
      return matchNeedle(segment, fromIndex, { haystack, needle });
    }
    return matchEach(segment, fromIndex, (text) => fold(text).includes(needle));
  };
}

function regexMatcher(query: LogQuery): SegmentMatcher {
  let expression: RegExp;
  try {
    expression = new RegExp(query.query, query.isCaseSensitive ? '' : 'i');
  } catch (error) {
    throw new BridgeError('invalid-parameter', 'not a valid regular expression', { cause: error });
  }
  // Only a script of the vm module can be stopped from outside while it runs.
  const box: { scan: () => void } = { scan: () => {} };
  const context = createContext(box);
  const script = new Script('scan()');
  return (segment, fromIndex) => {
    let found: number[] = [];
    box.scan = () => {
      found = matchEach(segment, fromIndex, (text) => expression.test(text));
    };
    try {
      script.runInContext(context, { timeout: REGEX_TIMEOUT_MS });
    } catch (error) {
      throw new BridgeError('invalid-parameter', 'this regular expression takes too long', {
        hint: 'Nested repetitions such as (a+)+ need endless time on some lines.',
        cause: error,
      });
    }
    return found;
  };
}

/** Progress of a search. */
export interface SearchStep {
  readonly lines: number[];
  /** Lines below this have been looked at. */
  readonly scannedTo: number;
}

/**
 * Searches lines from `from` to the present end, one segment per step. The caller decides when to let others run.
 * Lines that were dropped meanwhile are passed over.
 */
export function* searchRing(
  ring: LogRing,
  matcher: SegmentMatcher,
  from: number,
): Generator<SearchStep, void, void> {
  const end = ring.lineCount;
  let next = from;
  while (next < end) {
    const segment = ring.segmentAt(next);
    if (segment === undefined) {
      return;
    }
    const fromIndex = Math.max(0, next - segment.firstLine);
    const segmentEnd = segment.firstLine + segment.lineCount;
    yield { lines: matcher(segment, fromIndex), scannedTo: segmentEnd };
    next = segmentEnd;
  }
}
