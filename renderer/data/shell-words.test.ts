import { describe, expect, it } from 'vitest';
import { parseShellWords, quoteShellWord } from './shell-words.ts';

describe('parseShellWords', () => {
  it('cuts at blanks and joins quoted parts', () => {
    expect(parseShellWords(`  sh -c  'echo "a b"'x"y z" `).words).toEqual([
      'sh',
      '-c',
      'echo "a b"xy z',
    ]);
  });

  it('keeps empty words that are quoted', () => {
    expect(parseShellWords(`a '' ""`).words).toEqual(['a', '', '']);
  });

  it('knows which backslashes count inside double quotes', () => {
    expect(parseShellWords(String.raw`"a\"b\\c\n\$x" d\ e`).words).toEqual([
      String.raw`a"b\c\n$x`,
      'd e',
    ]);
  });

  it('takes a backslash at the end of a line as its continuation', () => {
    expect(parseShellWords('echo a \\\n b').words).toEqual(['echo', 'a', 'b']);
  });

  it('says what is not closed', () => {
    expect(parseShellWords(`sh -c 'x`).error).toContain('single quote');
    expect(parseShellWords(`sh -c "x`).error).toContain('double quote');
    expect(parseShellWords('x\\').error).toContain('backslash');
  });
});

describe('quoteShellWord', () => {
  it('is undone by parsing', () => {
    for (const word of [
      'plain',
      '',
      'a b',
      `it's "x"`,
      '$HOME `x` \\',
      'ünï\ncode',
      '--opt=a/b:c',
    ]) {
      expect(parseShellWords(quoteShellWord(word)).words).toEqual([word]);
    }
  });
});
