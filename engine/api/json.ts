/** V8's way to put a number of any length into JSON text; not yet in TypeScript's library. */
const { rawJSON } = JSON as unknown as {
  readonly rawJSON: (this: void, text: string) => unknown;
};

/** JSON text; bigints become plain numbers of any length. */
export function encodeJson(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    // Only values with bigints get here; asking for every member would slow down long lists.
    return JSON.stringify(value, (_key, member: unknown) =>
      typeof member === 'bigint' ? rawJSON(member.toString()) : member,
    );
  }
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const WORD = /true|false|null/y;

type State = 'value' | 'first-key' | 'key' | 'colon' | 'first-item' | 'after-value';

/** What Go's decoder calls the place where something else was expected. */
const PLACES: Readonly<Record<Exclude<State, 'after-value'>, string>> = {
  value: 'looking for beginning of value',
  'first-item': 'looking for beginning of value',
  'first-key': 'looking for beginning of object key string',
  key: 'looking for beginning of object key string',
  colon: 'after object key',
};

/** Where text stops being JSON. */
export type JsonProblem =
  | { readonly kind: 'empty' }
  | { readonly kind: 'truncated' }
  | { readonly kind: 'invalid'; readonly message: string }
  | { readonly kind: 'trailing' };

function quoteChar(char: string): string {
  return char === "'" ? `'\\''` : `'${char}'`;
}

/**
 * Finds out in Go's words why text is not one JSON value; only called when `JSON.parse` has refused it.
 * Runs in linear time without recursion.
 */
export function explainJson(text: string): JsonProblem {
  const stack: ('object' | 'array')[] = [];
  let state: State = 'value';
  let at = 0;
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    at += match?.[0].length ?? 0;
    return match !== null && match[0] !== '';
  };
  for (;;) {
    take(SPACE);
    const char = text.charAt(at);
    if (state === 'after-value' && stack.length === 0) {
      return { kind: 'trailing' };
    }
    if (char === '') {
      return at === 0 || text.trim() === '' ? { kind: 'empty' } : { kind: 'truncated' };
    }
    const takeString = (): boolean => {
      const found = char === '"' ? scanString(text, at) : undefined;
      at = found?.isWhole === true ? found.stopsAt : at;
      return found?.isWhole === true;
    };
    const next = step(char, state, { stack, take, takeString });
    if (next === undefined) {
      return problemAt(text, at, { state, top: stack.at(-1) });
    }
    if (next.hasChar) {
      at += 1;
    }
    state = next.state;
  }
}

interface Scanner {
  readonly stack: ('object' | 'array')[];
  readonly take: (pattern: RegExp) => boolean;
  readonly takeString: () => boolean;
}

interface Step {
  readonly state: State;
  /** True when the character itself is to be passed. */
  readonly hasChar: boolean;
}

function step(char: string, state: State, scanner: Scanner): Step | undefined {
  const { stack, take, takeString } = scanner;
  if (state === 'after-value') {
    return afterValue(char, stack);
  }
  if (state === 'colon') {
    return char === ':' ? { state: 'value', hasChar: true } : undefined;
  }
  if ((state === 'first-key' && char === '}') || (state === 'first-item' && char === ']')) {
    stack.pop();
    return { state: 'after-value', hasChar: true };
  }
  if (state === 'first-key' || state === 'key') {
    return takeString() ? { state: 'colon', hasChar: false } : undefined;
  }
  if (char === '{' || char === '[') {
    stack.push(char === '{' ? 'object' : 'array');
    return { state: char === '{' ? 'first-key' : 'first-item', hasChar: true };
  }
  return takeString() || take(NUMBER) || take(WORD)
    ? { state: 'after-value', hasChar: false }
    : undefined;
}

function afterValue(char: string, stack: ('object' | 'array')[]): Step | undefined {
  const top = stack.at(-1);
  if (char === ',') {
    return { state: top === 'object' ? 'key' : 'value', hasChar: true };
  }
  if (char === (top === 'object' ? '}' : ']')) {
    stack.pop();
    return { state: 'after-value', hasChar: true };
  }
  return undefined;
}

function problemAt(
  text: string,
  at: number,
  where: { readonly state: State; readonly top: 'object' | 'array' | undefined },
): JsonProblem {
  const { state, top } = where;
  const char = text.charAt(at);
  if (char === '"' && state !== 'after-value' && state !== 'colon') {
    return stringProblem(text, at);
  }
  const isValuePlace = state === 'value' || state === 'first-item';
  if (isValuePlace && ['true', 'false', 'null'].some((word) => word.startsWith(text.slice(at)))) {
    return { kind: 'truncated' };
  }
  const afterValue = top === 'object' ? 'after object key:value pair' : 'after array element';
  const place = state === 'after-value' ? afterValue : PLACES[state];
  return { kind: 'invalid', message: `invalid character ${quoteChar(char)} ${place}` };
}

function stringProblem(text: string, at: number): JsonProblem {
  const bad = scanString(text, at).stopsAt;
  if (bad >= text.length || (text.charAt(bad) === '\\' && bad + 1 >= text.length)) {
    return { kind: 'truncated' };
  }
  const isEscape = text.charAt(bad) === '\\';
  const char = quoteChar(text.charAt(isEscape ? bad + 1 : bad));
  const place = isEscape ? 'in string escape code' : 'in string literal';
  return { kind: 'invalid', message: `invalid character ${char} ${place}` };
}

const FIRST_PRINTABLE = 0x20;

/** Where the string that begins at `at` ends, or what stops it. */
function scanString(
  text: string,
  at: number,
): { readonly isWhole: boolean; readonly stopsAt: number } {
  let i = at + 1;
  while (i < text.length) {
    const char = text.charAt(i);
    if (char === '"') {
      return { isWhole: true, stopsAt: i + 1 };
    }
    if (text.charCodeAt(i) < FIRST_PRINTABLE) {
      break;
    }
    if (char === '\\') {
      ESCAPE.lastIndex = i;
      if (!ESCAPE.test(text)) {
        break;
      }
      i = ESCAPE.lastIndex;
    } else {
      i += 1;
    }
  }
  return { isWhole: false, stopsAt: i };
}
