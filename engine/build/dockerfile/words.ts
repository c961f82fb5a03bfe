import { InvalidParameterError } from '../../base/errors.ts';

/** Value of a variable; undefined when it is not set. */
export type Lookup = (name: string) => string | undefined;

/** Options of {@link expandWord}. */
export interface ExpandOptions {
  readonly escape: string;
  readonly lookup: Lookup;
}

const NAME_START = /[A-Za-z_]/;
const NAME_PART = /[A-Za-z0-9_]/;

/** Turns a shell pattern (`*`, `?`, backslash) into a regular expression source. */
function patternSource(pattern: string, isGreedy: boolean): string {
  let source = '';
  for (let at = 0; at < pattern.length; at += 1) {
    const char = pattern[at] ?? '';
    if (char === '*') {
      source += isGreedy ? '.*' : '.*?';
    } else if (char === '?') {
      source += '.';
    } else {
      const literal = char === '\\' && at + 1 < pattern.length ? (pattern[(at += 1)] ?? '') : char;
      source += literal.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
    }
  }
  return source;
}

function trimmed(value: string, operator: string, pattern: string): string {
  const source = patternSource(pattern, operator.length === 2);
  if (operator.startsWith('#')) {
    return value.replace(new RegExp(`^${source}`, 's'), '');
  }
  // The shortest suffix starts as late as possible.
  const lead = operator.length === 2 ? '^(.*?)' : '^(.*)';
  const match = new RegExp(`${lead}${source}$`, 's').exec(value);
  return match === null ? value : (match[1] ?? '');
}

/** Reads one word with quotes and variables, as Dockerfile instructions other than RUN, CMD and ENTRYPOINT see it. */
class WordReader {
  readonly #text: string;
  readonly #options: ExpandOptions;
  #at = 0;

  constructor(text: string, options: ExpandOptions) {
    this.#text = text;
    this.#options = options;
  }

  /** Everything up to `stop` (not consumed past the end when undefined). */
  read(stop?: string): string {
    let result = '';
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] ?? '';
      if (char === stop) {
        return result;
      }
      result += this.#readPart(char);
    }
    if (stop !== undefined) {
      throw new InvalidParameterError(
        `unexpected end of statement while looking for matching ${stop}`,
      );
    }
    return result;
  }

  #readPart(char: string): string {
    if (char === "'") {
      return this.#singleQuoted();
    }
    if (char === '"') {
      return this.#doubleQuoted();
    }
    if (char === '$') {
      return this.#variable();
    }
    this.#at += 1;
    if (char === this.#options.escape) {
      const next = this.#text[this.#at];
      this.#at += 1;
      return next ?? char;
    }
    return char;
  }

  #singleQuoted(): string {
    const end = this.#text.indexOf("'", this.#at + 1);
    if (end === -1) {
      throw new InvalidParameterError(
        'unexpected end of statement while looking for matching single-quote',
      );
    }
    const result = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return result;
  }

  #doubleQuoted(): string {
    this.#at += 1;
    let result = '';
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) {
        throw new InvalidParameterError(
          'unexpected end of statement while looking for matching double-quote',
        );
      }
      if (char === '"') {
        this.#at += 1;
        return result;
      }
      if (char === '$') {
        result += this.#variable();
        continue;
      }
      this.#at += 1;
      const next = this.#text[this.#at];
      if (char === this.#options.escape && next !== undefined) {
        // Inside double quotes only these are escaped; before others the character stays.
        const isSpecial = next === '"' || next === '$' || next === this.#options.escape;
        result += isSpecial ? next : char + next;
        this.#at += 1;
      } else {
        result += char;
      }
    }
  }

  #name(): string {
    const start = this.#at;
    if (NAME_START.test(this.#text[this.#at] ?? '')) {
      while (NAME_PART.test(this.#text[this.#at] ?? '')) {
        this.#at += 1;
      }
    } else if (/[0-9@*#]/.test(this.#text[this.#at] ?? '')) {
      this.#at += 1;
    }
    return this.#text.slice(start, this.#at);
  }

  #variable(): string {
    this.#at += 1;
    if (this.#text[this.#at] === '{') {
      this.#at += 1;
      return this.#braced();
    }
    const name = this.#name();
    return name === '' ? '$' : (this.#options.lookup(name) ?? '');
  }

  #braced(): string {
    const name = this.#name();
    if (name === '') {
      throw new InvalidParameterError('syntax error: bad substitution');
    }
    const operator = this.#operator();
    if (operator === '}') {
      return this.#options.lookup(name) ?? '';
    }
    const value = this.#options.lookup(name);
    if (operator.includes('/')) {
      return this.#replaced(value ?? '', operator);
    }
    const word = this.read('}');
    this.#at += 1;
    return this.#substituted(name, value, operator, word);
  }

  #substituted(name: string, value: string | undefined, operator: string, word: string): string {
    // With a colon an empty value counts as not set.
    const isUnset = value === undefined || (operator.startsWith(':') && value === '');
    switch (operator.replace(':', '')) {
      case '-':
        return isUnset ? word : value;
      case '+':
        return isUnset ? '' : word;
      case '?':
        return this.#required(name, value, word, operator);
      default:
        return trimmed(value ?? '', operator, word);
    }
  }

  #required(name: string, value: string | undefined, word: string, operator: string): string {
    if (value === undefined || (operator === ':?' && value === '')) {
      const reason = word === '' ? 'is not allowed to be unset' : word;
      throw new InvalidParameterError(`${name}: ${reason}`);
    }
    return value;
  }

  #replaced(value: string, operator: string): string {
    const pattern = this.read('/');
    this.#at += 1;
    const replacement = this.read('}');
    this.#at += 1;
    const expression = new RegExp(patternSource(pattern, true), operator === '//' ? 'gs' : 's');
    return value.replace(expression, () => replacement);
  }

  #operator(): string {
    const rest = this.#text.slice(this.#at);
    const match = /^(\}|:[-+?]|[-+?]|##?|%%?|\/\/?)/.exec(rest);
    if (match === null) {
      throw new InvalidParameterError("missing ':' in substitution or unsupported modifier");
    }
    const operator = match[0];
    this.#at += operator.length;
    return operator;
  }
}

/**
 * Removes quotes and replaces variables.
 *
 * @throws InvalidParameterError  unbalanced quotes or a bad substitution
 */
export function expandWord(word: string, options: ExpandOptions): string {
  return new WordReader(word, options).read();
}

/**
 * Cuts text at white space outside quotes. Quotes and escapes stay in the words, for {@link expandWord}.
 */
export function splitWords(text: string, escape: string): string[] {
  const words: string[] = [];
  let word = '';
  let quote = '';
  let isInWord = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] ?? '';
    if (quote === '' && /\s/.test(char)) {
      if (isInWord) {
        words.push(word);
      }
      word = '';
      isInWord = false;
      continue;
    }
    isInWord = true;
    word += char;
    if (char === escape && quote !== "'" && at + 1 < text.length) {
      at += 1;
      word += text[at] ?? '';
    } else if (quote === '') {
      quote = char === '"' || char === "'" ? char : '';
    } else if (char === quote) {
      quote = '';
    }
  }
  if (isInWord) {
    words.push(word);
  }
  return words;
}
