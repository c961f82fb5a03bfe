import { InvalidParameterError } from '../base/errors.ts';

interface Pattern {
  readonly expression: RegExp;
  readonly isException: boolean;
}

/** Path parts cleaned as Go's filepath.Clean does, without a leading slash. */
function cleaned(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') {
      parts.pop();
    } else if (part !== '' && part !== '.') {
      parts.push(part);
    }
  }
  return parts.join('/');
}

function classAt(pattern: string, start: number): { source: string; end: number } {
  const end = pattern.indexOf(']', start + 2);
  if (end === -1) {
    throw new InvalidParameterError(`syntax error in pattern: ${pattern}`);
  }
  const body = pattern.slice(start + 1, end).replaceAll('\\', '\\\\');
  return { source: `[${body.startsWith('!') ? `^${body.slice(1)}` : body}]`, end };
}

function expressionOf(pattern: string): RegExp {
  let source = '^';
  for (let at = 0; at < pattern.length; at += 1) {
    const char = pattern[at] ?? '';
    if (char === '*' && pattern[at + 1] === '*') {
      at += 1;
      if (pattern[at + 1] === '/') {
        at += 1;
        source += '(?:.*/)?';
      } else {
        source += '.*';
      }
    } else if (char === '*') {
      source += '[^/]*';
    } else if (char === '?') {
      source += '[^/]';
    } else if (char === '[') {
      const found = classAt(pattern, at);
      source += found.source;
      at = found.end;
    } else {
      const literal = char === '\\' && at + 1 < pattern.length ? (pattern[(at += 1)] ?? '') : char;
      source += literal.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
    }
  }
  try {
    // A match of a folder covers what is below it.
    return new RegExp(`${source}(?:/.*)?$`, 's');
  } catch (cause) {
    throw new InvalidParameterError(`syntax error in pattern: ${pattern}`, { cause });
  }
}

/** Patterns of a .dockerignore file: the last one that matches a path decides. */
export class IgnoreRules {
  readonly #patterns: readonly Pattern[];

  /** @throws InvalidParameterError  a bad pattern */
  constructor(text: string) {
    this.#patterns = text
      .replace(/^\uFEFF/, '')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'))
      .flatMap((line) => {
        const isException = line.startsWith('!');
        const body = cleaned((isException ? line.slice(1) : line).trim());
        if (isException && line.length === 1) {
          throw new InvalidParameterError('illegal exclusion pattern: "!"');
        }
        return body === '' ? [] : [{ expression: expressionOf(body), isException }];
      });
  }

  /** @param path  relative to the context, without leading `./` */
  isIgnored(path: string): boolean {
    let isIgnored = false;
    for (const pattern of this.#patterns) {
      if (isIgnored === pattern.isException && pattern.expression.test(path)) {
        isIgnored = !pattern.isException;
      }
    }
    return isIgnored;
  }

  get isEmpty(): boolean {
    return this.#patterns.length === 0;
  }
}
