import { describe, expect, it } from 'vitest';
import { IgnoreRules } from '../dockerignore.ts';
import { parseDockerfile } from './instructions.ts';
import { readDockerfileLines } from './lines.ts';
import { expandWord, splitWords } from './words.ts';

const parse = (text: string) => parseDockerfile(readDockerfileLines(text));
const stepsOf = (text: string) => parse(text).stages.flatMap((stage) => stage.instructions);
const step = (text: string) => stepsOf(`FROM scratch\n${text}`)[0];

describe('lines', () => {
  it('continuation › joins lines, comments and blank lines between do not matter', () => {
    expect(step('RUN a \\\n# note\n\n  b \\\n c')).toMatchObject({
      kind: 'run',
      command: { form: 'shell', text: 'a   b  c' },
    });
  });

  it('blank continuation line › is warned about', () => {
    expect(readDockerfileLines('RUN a \\\n\n b').warnings).toHaveLength(1);
  });

  it('escape directive › changes the continuation character', () => {
    expect(parse('# escape=`\nFROM scratch\nRUN a `\n b').escape).toBe('`');
  });

  it('escape directive › refuses others', () => {
    expect(() => readDockerfileLines('# escape=x\nFROM a')).toThrow('invalid escape token');
  });

  it('empty › is refused', () => {
    expect(() => readDockerfileLines('# only a comment\n')).toThrow('file with no instructions');
  });

  it('byte order mark and CRLF › are ignored', () => {
    expect(parse('\uFEFFFROM scratch\r\nUSER me\r\n').stages[0]?.instructions[0]).toMatchObject({
      value: 'me',
    });
  });

  it('here-document › becomes content, tabs are cut when asked for', () => {
    expect(step('RUN <<-EOF\n\techo a\n\tEOF\n')).toMatchObject({
      heredocs: [{ name: 'EOF', isExpanded: true, content: 'echo a\n' }],
    });
    expect(step("COPY <<'A' /f\n$x\nA\n")).toMatchObject({
      heredocs: [{ isExpanded: false, content: '$x\n' }],
      sources: [],
      target: '/f',
    });
  });

  it('here-document › must end', () => {
    expect(() => readDockerfileLines('FROM a\nRUN <<EOF\nx\n')).toThrow('unterminated heredoc');
  });
});

describe('instructions', () => {
  it('stages › have names in lower case and their own instructions', () => {
    const { stages, metaArgs } = parse('ARG V=1\nFROM a:$V AS Build\nRUN x\nFROM b\nUSER u');
    expect(metaArgs).toHaveLength(1);
    expect(stages.map((stage) => stage.name)).toEqual(['build', '']);
    expect(stages[1]?.instructions).toHaveLength(1);
  });

  it('exec form › is read as JSON, a bracket that is no JSON is shell', () => {
    expect(step('CMD ["a", "b c"]')).toMatchObject({ command: { args: ['a', 'b c'] } });
    expect(step('CMD [ -f x ]')).toMatchObject({ command: { form: 'shell', text: '[ -f x ]' } });
  });

  it('ENV › both forms', () => {
    expect(step('ENV a=1 b="x y"')).toMatchObject({
      assignments: [
        { name: 'a', value: '1' },
        { name: 'b', value: '"x y"' },
      ],
    });
    expect(step('ENV a one two')).toMatchObject({ assignments: [{ name: 'a', value: 'one two' }] });
  });

  it('COPY › flags, sources and target', () => {
    expect(step('COPY --from=build --chown=1:2 --chmod=755 a b /d/')).toMatchObject({
      from: 'build',
      chown: '1:2',
      chmod: '755',
      sources: ['a', 'b'],
      target: '/d/',
    });
  });

  it('HEALTHCHECK › durations and forms', () => {
    expect(step('HEALTHCHECK --interval=1m30s --retries=2 CMD ["x"]')).toMatchObject({
      probe: { Test: ['CMD', 'x'], Interval: 90e9, Retries: 2 },
    });
    expect(step('HEALTHCHECK NONE')).toMatchObject({ probe: { Test: ['NONE'] } });
  });

  it.each([
    ['NOPE x', 'unknown instruction: NOPE'],
    ['FROM a b', 'FROM requires either one or three arguments'],
    ['COPY a', 'COPY requires at least two arguments'],
    ['RUN --magic=1 x', 'unknown flag: --magic'],
    ['ENV a', 'ENV must have two arguments'],
    ['ENV a=1 b', "can't find = in"],
    ['ONBUILD FROM x', "FROM isn't allowed as an ONBUILD trigger"],
    ['ONBUILD ONBUILD RUN x', 'Chaining ONBUILD'],
    ['SHELL sh', 'JSON form'],
    ['HEALTHCHECK SOME x', 'Unknown type "SOME"'],
    ['HEALTHCHECK --interval=1ns CMD x', 'cannot be less than 1ms'],
  ])('%s › is refused with its line', (text, message) => {
    expect(() => parse(`FROM scratch\n${text}`)).toThrow(`dockerfile parse error on line 2`);
    expect(() => parse(`FROM scratch\n${text}`)).toThrow(message);
  });

  it('instruction before FROM › is refused', () => {
    expect(() => parse('RUN x\nFROM a')).toThrow('no build stage in current context');
  });
});

describe('expandWord', () => {
  const values: Record<string, string> = { a: 'one', empty: '', path: 'x/y/z.tar.gz' };
  const expand = (word: string) =>
    expandWord(word, { escape: '\\', lookup: (name) => values[name] });

  it.each([
    ['$a-${a}', 'one-one'],
    ['$none.', '.'],
    ['${none:-d}', 'd'],
    ['${empty:-d}', 'd'],
    ['${empty-d}', ''],
    ['${a:+set}', 'set'],
    ['${none:+set}', ''],
    ['${none:-${a}}', 'one'],
    ['\\$a', '$a'],
    ["'$a'", '$a'],
    ['"$a"', 'one'],
    ['"a\\"b"', 'a"b'],
    ['${path##*/}', 'z.tar.gz'],
    ['${path#*/}', 'y/z.tar.gz'],
    ['${path%.*}', 'x/y/z.tar'],
    ['${path%%.*}', 'x/y/z'],
    ['${path/y/q}', 'x/q/z.tar.gz'],
    ['${path//\\//-}', 'x-y-z.tar.gz'],
    ['$', '$'],
  ])('%s › %s', (word, expected) => {
    expect(expand(word)).toBe(expected);
  });

  it('required variable › says so', () => {
    expect(() => expand('${none:?is needed}')).toThrow('none: is needed');
  });

  it('open quote › is refused', () => {
    expect(() => expand('"a')).toThrow('double-quote');
    expect(() => expand("'a")).toThrow('single-quote');
    expect(() => expand('${a')).toThrow('substitution');
  });

  it('split › keeps quotes together', () => {
    expect(splitWords(`a "b c" d\\ e 'f g'`, '\\')).toEqual(['a', '"b c"', 'd\\ e', "'f g'"]);
  });
});

describe('IgnoreRules', () => {
  it.each([
    ['*.log', 'a.log', true],
    ['*.log', 'd/a.log', false],
    ['**/*.log', 'd/e/a.log', true],
    ['node_modules', 'node_modules/x/y', true],
    ['/a', 'a', true],
    ['a/*/c', 'a/b/c', true],
    ['a/*/c', 'a/b/b/c', false],
    ['te?t', 'test', true],
    ['[a-c]x', 'bx', true],
    ['*\n!keep', 'keep', false],
    ['*\n!keep', 'other', true],
    ['# comment', '# comment', false],
    ['a/../b', 'b', true],
    ['**', 'anything/below', true],
  ])('%j › %s ignored: %s', (rules, path, expected) => {
    expect(new IgnoreRules(rules).isIgnored(path)).toBe(expected);
  });

  it('bad pattern › is refused', () => {
    expect(() => new IgnoreRules('[a')).toThrow('syntax error in pattern');
  });
});
