import { InvalidParameterError } from '../../base/errors.ts';

/** A here-document of an instruction. */
export interface Heredoc {
  readonly name: string;
  /** False when the name was quoted: variables in the content stay as they are. */
  readonly isExpanded: boolean;
  readonly content: string;
}

/** One instruction as written: continuation lines joined, comments gone. */
export interface LogicalLine {
  /** First and last line in the file, from 1. */
  readonly line: number;
  readonly endLine: number;
  readonly text: string;
  readonly heredocs: readonly Heredoc[];
}

/** A Dockerfile cut into instructions. */
export interface DockerfileLines {
  /** Escape character: backslash or backtick. */
  readonly escape: '\\' | '`';
  readonly lines: readonly LogicalLine[];
  /** For the client, one sentence each. */
  readonly warnings: readonly string[];
}

const DIRECTIVE = /^#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.*?)\s*$/;
const HEREDOC = /(?:^|\s)\d*<<(-?)(["']?)([A-Za-z_][A-Za-z0-9_.-]*)\2(?=\s|$|[;&|)>])/g;

/** A sentence about a place in the Dockerfile. */
export function dockerfileError(line: number, message: string): InvalidParameterError {
  return new InvalidParameterError(`dockerfile parse error on line ${line}: ${message}`);
}

function readDirectives(rows: readonly string[]): { escape: '\\' | '`'; count: number } {
  let escape: '\\' | '`' = '\\';
  const seen = new Set<string>();
  let count = 0;
  for (const row of rows) {
    const match = DIRECTIVE.exec(row);
    const name = (match?.[1] ?? '').toLowerCase();
    if (match === null || !['syntax', 'escape', 'check'].includes(name)) {
      break;
    }
    if (seen.has(name)) {
      throw dockerfileError(count + 1, `only one ${name} parser directive can be used`);
    }
    seen.add(name);
    if (name === 'escape') {
      const value = match[2] ?? '';
      if (value !== '\\' && value !== '`') {
        throw dockerfileError(count + 1, `invalid escape token '${value}' does not match \` or \\`);
      }
      escape = value;
    }
    count += 1;
  }
  return { escape, count };
}

/** The text without its continuation character, or undefined when the line is complete. */
function continued(text: string, escape: string): string | undefined {
  const trimmed = text.replace(/[ \t]+$/, '');
  if (!trimmed.endsWith(escape)) {
    return undefined;
  }
  // An escaped escape character is a character of the line.
  return trimmed.endsWith(escape + escape) ? undefined : trimmed.slice(0, -1);
}

const MAY_HAVE_HEREDOC = /^\s*(?:ONBUILD\s+)?(RUN|COPY|ADD)\s/i;

/** Openers of here-documents in an instruction, in order. */
function heredocOpeners(
  text: string,
): { name: string; isExpanded: boolean; hasTabsCut: boolean }[] {
  const start = MAY_HAVE_HEREDOC.exec(text);
  if (start === null || /^\s*\[/.test(text.slice(start[0].length))) {
    return [];
  }
  return [...text.matchAll(HEREDOC)].map((match) => ({
    name: match[3] ?? '',
    isExpanded: match[2] === '',
    hasTabsCut: match[1] === '-',
  }));
}

class Cursor {
  readonly rows: readonly string[];
  at: number;

  constructor(rows: readonly string[], at: number) {
    this.rows = rows;
    this.at = at;
  }

  next(): string | undefined {
    const row = this.rows[this.at];
    if (row !== undefined) {
      this.at += 1;
    }
    return row;
  }
}

function readHeredocs(text: string, cursor: Cursor, line: number): Heredoc[] {
  return heredocOpeners(text).map(({ name, isExpanded, hasTabsCut }) => {
    const content: string[] = [];
    for (;;) {
      const row = cursor.next();
      if (row === undefined) {
        throw dockerfileError(line, 'unterminated heredoc');
      }
      const cut = hasTabsCut ? row.replace(/^\t+/, '') : row;
      if (cut === name) {
        return { name, isExpanded, content: content.map((entry) => `${entry}\n`).join('') };
      }
      content.push(cut);
    }
  });
}

const isComment = (row: string): boolean => /^\s*#/.test(row);

function joinContinuations(
  first: string,
  escape: string,
  cursor: Cursor,
): { text: string; hasEmptyLine: boolean } {
  let rest = continued(first, escape);
  if (rest === undefined) {
    return { text: first, hasEmptyLine: false };
  }
  let text = rest;
  let hasEmptyLine = false;
  for (;;) {
    const row = cursor.next();
    if (row === undefined) {
      return { text, hasEmptyLine };
    }
    if (isComment(row)) {
      continue;
    }
    if (row.trim() === '') {
      hasEmptyLine = true;
      continue;
    }
    rest = continued(row, escape);
    text += rest ?? row;
    if (rest === undefined) {
      return { text, hasEmptyLine };
    }
  }
}

/**
 * Cuts a Dockerfile into instructions.
 *
 * @throws InvalidParameterError  a bad parser directive, an unterminated here-document, or no instruction at all
 */
export function readDockerfileLines(text: string): DockerfileLines {
  const rows = text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((row) => row.replace(/\r$/, ''));
  const { escape, count } = readDirectives(rows);
  const cursor = new Cursor(rows, count);
  const lines: LogicalLine[] = [];
  const warnings: string[] = [];
  for (let row = cursor.next(); row !== undefined; row = cursor.next()) {
    if (row.trim() === '' || isComment(row)) {
      continue;
    }
    const line = cursor.at;
    const { text: joined, hasEmptyLine } = joinContinuations(row.trimStart(), escape, cursor);
    if (hasEmptyLine) {
      warnings.push(`Empty continuation line found in: ${joined}`);
    }
    const heredocs = readHeredocs(joined, cursor, line);
    if (joined.trim() !== '') {
      lines.push({ line, endLine: cursor.at, text: joined.trim(), heredocs });
    }
  }
  if (lines.length === 0) {
    throw new InvalidParameterError('file with no instructions');
  }
  return { escape, lines, warnings };
}
