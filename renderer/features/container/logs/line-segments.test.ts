import { describe, expect, it } from 'vitest';
import { parseAnsi } from './ansi.ts';
import { findRanges, findUrls, segmentLine, toPattern } from './line-segments.ts';

const plain = { isRegex: false, isCaseSensitive: false };

describe('toPattern', () => {
  it('takes a plain search literally', () => {
    const pattern = toPattern({ ...plain, query: 'a.b(' });
    expect(findRanges('xa.b(A.B(', pattern)).toEqual([
      { start: 1, end: 5 },
      { start: 5, end: 9 },
    ]);
  });

  it('is undefined for an invalid expression and for nothing', () => {
    expect(toPattern({ query: '(', isRegex: true, isCaseSensitive: true })).toBeUndefined();
    expect(toPattern({ ...plain, query: '' })).toBeUndefined();
  });

  it('does not hang on expressions that match nothing', () => {
    expect(
      findRanges('aaa', toPattern({ query: 'x*', isRegex: true, isCaseSensitive: true })),
    ).toEqual([]);
  });
});

describe('segmentLine', () => {
  it('marks a match across a change of colour', () => {
    const segments = segmentLine(
      parseAnsi('\u001b[31mred\u001b[0mdish'),
      toPattern({ ...plain, query: 'dd' }),
    );
    expect(segments.map((segment) => [segment.text, segment.isMatch])).toEqual([
      ['re', false],
      ['d', true],
      ['d', true],
      ['ish', false],
    ]);
  });

  it('loses no character', () => {
    const line = 'see http://a.b/c?d=e. And (https://x.y/z), ok';
    const segments = segmentLine(parseAnsi(line), toPattern({ ...plain, query: 'e' }));
    expect(segments.map((segment) => segment.text).join('')).toBe(line);
  });
});

describe('findUrls', () => {
  it('leaves out the punctuation around an address and other schemes', () => {
    expect(
      findUrls('at (https://x.y/z), or http://a.b. Not javascript:alert(1) nor file:///etc').map(
        (one) => one.url,
      ),
    ).toEqual(['https://x.y/z', 'http://a.b']);
  });
});
