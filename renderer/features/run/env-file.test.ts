import { describe, expect, it } from 'vitest';
import { parseEnvFile } from './env-file.ts';

const read = (block: string): Record<string, string> =>
  Object.fromEntries(parseEnvFile(block).entries.map((entry) => [entry.name, entry.value]));

describe('parseEnvFile', () => {
  it('reads plain lines, comments and export', () => {
    expect(read('# top\nA=1\n\n  export B = two words \nC=x # why\nD=a#b\nE=')).toEqual({
      A: '1',
      B: 'two words',
      C: 'x',
      D: 'a#b',
      E: '',
    });
  });

  it('reads quoted values, also over several lines', () => {
    expect(read('A="x # y"\nB=\'$HOME \\n\'\nC="a\\n\\"b\\""\nD="one\ntwo"\nE=1')).toEqual({
      A: 'x # y',
      B: '$HOME \\n',
      C: 'a\n"b"',
      D: 'one\ntwo',
      E: '1',
    });
  });

  it('keeps equals signs in values and takes the last of a name', () => {
    expect(read('URL=postgres://u:p@h/db?a=b\nURL=x=y')).toEqual({ URL: 'x=y' });
  });

  it('reads files of Windows', () => {
    expect(read('A=1\r\nB="2"\r\n')).toEqual({ A: '1', B: '2' });
  });

  it('names the lines that are no variables', () => {
    expect(parseEnvFile('A=1\nnonsense\n1B=2\nC="open').badLines).toEqual([2, 3, 4]);
  });
});
