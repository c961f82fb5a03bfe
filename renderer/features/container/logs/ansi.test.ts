import { describe, expect, it } from 'vitest';
import { parseAnsi, stripAnsi } from './ansi.ts';

const E = '\u001b';

describe('parseAnsi', () => {
  it('gives plain text back as one span', () => {
    expect(parseAnsi('hello')).toEqual([{ text: 'hello', style: {} }]);
    expect(parseAnsi('')).toEqual([]);
  });

  it('reads colours, weights and their ends', () => {
    expect(parseAnsi(`${E}[1;31mbad${E}[22m still red${E}[39m plain`)).toEqual([
      { text: 'bad', style: { isBold: true, fg: { type: 'theme', index: 1 } } },
      { text: ' still red', style: { fg: { type: 'theme', index: 1 } } },
      { text: ' plain', style: {} },
    ]);
  });

  it('reads bright, palette and true colours', () => {
    expect(
      parseAnsi(`${E}[92ma${E}[38;5;196mb${E}[38;5;244mc${E}[38;2;1;2;3md`).map(
        (span) => span.style.fg,
      ),
    ).toEqual([
      { type: 'theme', index: 10 },
      { type: 'rgb', r: 255, g: 0, b: 0 },
      { type: 'rgb', r: 128, g: 128, b: 128 },
      { type: 'rgb', r: 1, g: 2, b: 3 },
    ]);
  });

  it('takes colons as separators and an empty parameter as zero', () => {
    expect(parseAnsi(`${E}[38:5:1mx${E}[my`)).toEqual([
      { text: 'x', style: { fg: { type: 'theme', index: 1 } } },
      { text: 'y', style: {} },
    ]);
  });

  it('ignores colours out of range', () => {
    expect(
      parseAnsi(`${E}[38;5;999mx${E}[38;2;300;0;0my`).every((span) => span.style.fg === undefined),
    ).toBe(true);
  });

  it('drops cursor movements, titles, hyperlinks and clipboard writes', () => {
    const line = `a${E}[2Kb${E}]0;title\u0007c${E}]8;;http://evil\u001b\\d${E}]52;c;AAAA\u0007e${E}(Bf${E}7g`;
    expect(stripAnsi(line)).toBe('abcdefg');
  });

  it('drops sequences that are cut off, and control characters', () => {
    expect(stripAnsi(`x${E}[31`)).toBe('x');
    expect(stripAnsi(`x${E}`)).toBe('x');
    expect(stripAnsi(`x${E}]0;never ended`)).toBe('x');
    expect(stripAnsi('a\u0000b\u0008c\u009fd\te')).toBe('abcd\te');
  });

  it('shows what was written after a carriage return, and keeps a line that ends with one', () => {
    expect(stripAnsi('10%\r20%\r30%')).toBe('30%');
    expect(stripAnsi('done\r')).toBe('done');
    expect(stripAnsi(`done\r${E}[0m`)).toBe('done');
  });

  it('keeps characters outside of the basic plane whole', () => {
    expect(parseAnsi(`${E}[32m🐳 ok`)).toEqual([
      { text: '🐳 ok', style: { fg: { type: 'theme', index: 2 } } },
    ]);
  });

  it('survives any input and never lets an escape through', () => {
    let seed = 42;
    const random = (): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed / 2_147_483_648;
    };
    const alphabet = [
      E,
      '[',
      ']',
      'm',
      ';',
      '3',
      '8',
      '5',
      '2',
      ':',
      '\r',
      '\u009b',
      '\u0007',
      'x',
      '(',
      '\\',
    ];
    for (let round = 0; round < 3000; round += 1) {
      const line = Array.from(
        { length: 24 },
        () => alphabet[Math.floor(random() * alphabet.length)],
      ).join('');
      const text = stripAnsi(line);
      expect(
        text.includes(E) || text.includes('\u009b') || text.includes('\r'),
        JSON.stringify(line),
      ).toBe(false);
    }
  });
});
