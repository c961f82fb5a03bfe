import { describe, expect, it } from 'vitest';
import { LineSplitter } from './log-lines.ts';
import { LogRing, MAX_LINE_BYTES } from './log-ring.ts';
import { searchRing, segmentMatcher, stripEscapes } from './log-search.ts';

const BIG = { maxLines: 1_000_000, maxBytes: 200 * 1024 * 1024 };
const ORIGIN = { timeMs: 5, source: 0, isStderr: false };

function ringOf(lines: readonly string[], limits = BIG): LogRing {
  const ring = new LogRing(limits);
  for (const line of lines) {
    ring.append(Buffer.from(line), ORIGIN);
  }
  return ring;
}

function find(
  ring: LogRing,
  query: string,
  flags: { regex?: boolean; exact?: boolean } = {},
): number[] {
  const matcher = segmentMatcher({
    query,
    isRegex: flags.regex ?? false,
    isCaseSensitive: flags.exact ?? false,
  });
  return [...searchRing(ring, matcher, ring.firstLine)].flatMap((step) => step.lines);
}

describe('LogRing', () => {
  it('holds a million lines and answers any window of them', () => {
    const ring = new LogRing(BIG);
    for (let line = 0; line < 1_000_000; line += 1) {
      ring.append(Buffer.from(`line ${line} of a log that is long`), { ...ORIGIN, timeMs: line });
    }
    expect(ring.lineCount).toBe(1_000_000);
    expect(ring.firstLine).toBe(0);
    for (const first of [0, 4095, 4096, 500_123, 999_999]) {
      const window = ring.window(first, 3);
      expect(window.first).toBe(first);
      expect(window.lines[0]).toMatchObject({
        text: `line ${first} of a log that is long`,
        timeMs: first,
      });
    }
    expect(ring.window(999_999, 10).lines).toHaveLength(1);
    expect(find(ring, 'line 77777')).toEqual([
      77_777,
      ...Array.from({ length: 10 }, (_unused, digit) => 777_770 + digit),
    ]);
    expect(find(ring, '^line \\d{1,3} ', { regex: true })).toHaveLength(1000);
  });

  it('drops the oldest lines at the limit of lines', () => {
    const ring = ringOf(
      Array.from({ length: 50_000 }, (_unused, line) => `${line}`),
      { maxLines: 10_000, maxBytes: BIG.maxBytes },
    );
    expect(ring.lineCount).toBe(50_000);
    expect(ring.lineCount - ring.firstLine).toBeLessThanOrEqual(10_000);
    expect(ring.lineCount - ring.firstLine).toBeGreaterThan(5000);
    expect(ring.window(0, 1)).toMatchObject({
      first: ring.firstLine,
      lines: [],
    });
    expect(ring.window(ring.firstLine, 1).lines[0]?.text).toBe(String(ring.firstLine));
  });

  it('drops the oldest lines at the limit of bytes', () => {
    const ring = ringOf(
      Array.from({ length: 2000 }, () => 'x'.repeat(1000)),
      { maxLines: BIG.maxLines, maxBytes: 1024 * 1024 },
    );
    expect(ring.heldBytes).toBeLessThanOrEqual(1024 * 1024);
    expect(ring.window(1999, 1).lines[0]?.text).toHaveLength(1000);
  });

  it('cuts lines that no view could show, and says so', () => {
    const text = ringOf(['y'.repeat(MAX_LINE_BYTES * 2)]).window(0, 1).lines[0]?.text ?? '';
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_LINE_BYTES);
    expect(text.endsWith('(line cut)')).toBe(true);
  });

  it('keeps stream and source', () => {
    const ring = new LogRing(BIG);
    ring.append(Buffer.from('a'), { timeMs: 1, source: 49, isStderr: true });
    expect(ring.window(0, 1).lines[0]).toEqual({
      source: 49,
      stream: 'stderr',
      timeMs: 1,
      text: 'a',
    });
  });
});

describe('search', () => {
  const ring = ringOf([
    'Plain Error here',
    '\u001b[31merr\u001b[1mor\u001b[0m in colours',
    'grün ERROR ✓',
    'nothing',
    'error error',
  ]);

  it('finds text whatever its case and colours', () => {
    expect(find(ring, 'error')).toEqual([0, 1, 2, 4]);
  });

  it('minds the case when told', () => {
    expect(find(ring, 'error', { exact: true })).toEqual([1, 4]);
    expect(find(ring, 'GRÜN')).toEqual([2]);
  });

  it('takes regular expressions, line by line', () => {
    expect(find(ring, '^plain|✓$', { regex: true })).toEqual([0, 2]);
    expect(find(ring, 'here\\sg', { regex: true })).toEqual([]);
  });

  it('gives the same lines for plain and for coloured segments', () => {
    const words = Array.from({ length: 9000 }, (_unused, line) => `w${line % 97} tail`);
    const plain = find(ringOf(words), 'W13 ');
    const coloured = find(ringOf(words.map((word) => `\u001b[32m${word}`)), 'W13 ');
    expect(plain).toEqual(coloured);
    expect(plain).toHaveLength(words.filter((word) => word.startsWith('w13 ')).length);
  });

  it('refuses what is no regular expression', () => {
    expect(() => find(ring, '(', { regex: true })).toThrow(/not a valid regular expression/);
  });

  it('gives up on an expression that backtracks without end', () => {
    const hostile = ringOf([`${'a'.repeat(60)}!`]);
    expect(() => find(hostile, '(a+)+$', { regex: true })).toThrow(/takes too long/);
  });

  it('knows escape sequences of all kinds', () => {
    expect(
      stripEscapes('a\u001b[1;31mb\u001b]0;title\u0007c\u001b]8;;http://x\u001b\\d\u001bMe'),
    ).toBe('abcde');
  });
});

describe('LineSplitter', () => {
  function split(messages: readonly string[]): { text: string; timeMs: number; stamp: string }[] {
    const lines: { text: string; timeMs: number; stamp: string }[] = [];
    const splitter = new LineSplitter((line) => {
      lines.push({
        text: Buffer.from(line.bytes).toString(),
        timeMs: line.timeMs,
        stamp: Buffer.from(line.stamp).toString(),
      });
    });
    for (const message of messages) {
      splitter.message(Buffer.from(message));
    }
    splitter.end();
    return lines;
  }

  it('reads the time in full precision', () => {
    const [line] = split(['2026-01-02T03:04:05.123456789Z hello\n']);
    expect(line).toMatchObject({ text: 'hello', stamp: '2026-01-02T03:04:05.123456789Z' });
    expect(line?.timeMs).toBeCloseTo(Date.parse('2026-01-02T03:04:05Z') + 123.456789, 3);
  });

  it('joins the parts of a long line and keeps the first time', () => {
    const lines = split([
      '2026-01-02T03:04:05.1Z first ',
      '2026-01-02T03:04:05.2Z second\n',
      '2026-01-02T03:04:06Z next\n',
    ]);
    expect(lines.map((line) => line.text)).toEqual(['first second', 'next']);
    expect(lines[0]?.stamp).toBe('2026-01-02T03:04:05.1Z');
  });

  it('takes several lines in one message, and drops carriage returns', () => {
    const lines = split(['2026-01-02T03:04:05Z a\r\n2026-01-02T03:04:06Z b\r\n']);
    expect(lines.map((line) => line.text)).toEqual(['a', 'b']);
  });

  it('keeps a line that has no time', () => {
    expect(split(['no time here\n']).map((line) => line.text)).toEqual(['no time here']);
  });

  it('gives the unfinished last line', () => {
    expect(split(['2026-01-02T03:04:05Z prompt> ']).map((line) => line.text)).toEqual(['prompt> ']);
  });
});
