/** One variable. */
export interface EnvEntry {
  readonly name: string;
  readonly value: string;
}

/** What an .env block says, and its lines that say nothing sensible. */
export interface EnvFile {
  readonly entries: readonly EnvEntry[];
  /** Numbers from 1. */
  readonly badLines: readonly number[];
}

/**
 * Reads variables as .env files and shells write them: `NAME=value`, comments, `export`, quotes around a value (in
 * double quotes `\n`, `\t`, `\"` and `\\` are escapes, and either kind may go over several lines), and a comment
 * after an unquoted value. A later line of the same name wins.
 */
export function parseEnvFile(block: string): EnvFile {
  const lines = block.replaceAll('\r\n', '\n').split('\n');
  const entries = new Map<string, string>();
  const badLines: number[] = [];
  for (let index = 0; index < lines.length; index += 1) {
    const line = (lines[index] ?? '').trim();
    if (line === '' || line.startsWith('#')) {
      continue;
    }
    const match = /^(?:export\s+)?([A-Za-z_][\w.-]*)\s*=\s*([\s\S]*)$/.exec(line);
    if (match === null) {
      badLines.push(index + 1);
      continue;
    }
    const [, name = '', start = ''] = match;
    const quote = start.charAt(0);
    if (quote !== '"' && quote !== "'") {
      entries.set(name, start.replace(/\s+#.*$/, '').trim());
      continue;
    }
    const quoted = readQuoted(lines, index, start);
    if (quoted === undefined) {
      badLines.push(index + 1);
    } else {
      entries.set(name, quoted.value);
      index = quoted.lastLine;
    }
  }
  return { entries: [...entries].map(([name, value]) => ({ name, value })), badLines };
}

function readQuoted(
  lines: readonly string[],
  firstLine: number,
  start: string,
): { readonly value: string; readonly lastLine: number } | undefined {
  const quote = start.charAt(0);
  let body = start.slice(1);
  for (let line = firstLine; line < lines.length; line += 1) {
    if (line > firstLine) {
      body += `\n${lines[line] ?? ''}`;
    }
    const end = closingQuote(body, quote);
    if (end !== -1) {
      const value = body.slice(0, end);
      return { value: quote === '"' ? unescape(value) : value, lastLine: line };
    }
  }
  return undefined;
}

function closingQuote(body: string, quote: string): number {
  for (let index = 0; index < body.length; index += 1) {
    if (quote === '"' && body.charAt(index) === '\\') {
      index += 1;
    } else if (body.charAt(index) === quote) {
      return index;
    }
  }
  return -1;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

function unescape(value: string): string {
  return value.replace(/\\(.)/gs, (_, char: string) => ESCAPES[char] ?? char);
}
