/** Words of a command line, or why it cannot be cut into words. */
export interface ShellWords {
  readonly words: readonly string[];
  readonly error?: string;
}

/**
 * Cuts a command line into words as a POSIX shell does: blanks separate, single quotes keep everything, double quotes
 * keep all but `\"`, `\\`, `\$` and `` \` ``, a backslash keeps the next character. Variables, globs and operators have
 * no meaning: the engine gets the words as they are.
 */
export function parseShellWords(line: string): ShellWords {
  const words: string[] = [];
  let word = '';
  let isInWord = false;
  let index = 0;
  while (index < line.length) {
    const char = line.charAt(index);
    if (char === "'") {
      const end = line.indexOf("'", index + 1);
      if (end === -1) {
        return { words, error: 'A single quote is not closed.' };
      }
      word += line.slice(index + 1, end);
      isInWord = true;
      index = end + 1;
    } else if (char === '"') {
      const quoted = readDoubleQuoted(line, index + 1);
      if (quoted === undefined) {
        return { words, error: 'A double quote is not closed.' };
      }
      word += quoted.text;
      isInWord = true;
      index = quoted.end;
    } else if (char === '\\') {
      if (index + 1 >= line.length) {
        return { words, error: 'There is nothing after the last backslash.' };
      }
      // A backslash before a newline continues the line.
      const next = line.charAt(index + 1);
      word += next === '\n' ? '' : next;
      isInWord ||= next !== '\n';
      index += 2;
    } else if (/\s/.test(char)) {
      if (isInWord) {
        words.push(word);
      }
      word = '';
      isInWord = false;
      index += 1;
    } else {
      word += char;
      isInWord = true;
      index += 1;
    }
  }
  if (isInWord) {
    words.push(word);
  }
  return { words };
}

function readDoubleQuoted(
  line: string,
  start: number,
): { readonly text: string; readonly end: number } | undefined {
  let text = '';
  let index = start;
  while (index < line.length) {
    const char = line.charAt(index);
    if (char === '"') {
      return { text, end: index + 1 };
    }
    if (char === '\\' && '"\\$`\n'.includes(line.charAt(index + 1)) && index + 1 < line.length) {
      text += line.charAt(index + 1) === '\n' ? '' : line.charAt(index + 1);
      index += 2;
    } else {
      text += char;
      index += 1;
    }
  }
  return undefined;
}

/** A word as it must be written in a shell. */
export function quoteShellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
