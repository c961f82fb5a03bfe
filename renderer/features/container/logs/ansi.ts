/** Colour of a span: one of the 16 theme colours, or a fixed one. */
export type AnsiColor =
  | { readonly type: 'theme'; readonly index: number }
  | { readonly type: 'rgb'; readonly r: number; readonly g: number; readonly b: number };

/** Look of a piece of text. */
export interface AnsiStyle {
  readonly fg?: AnsiColor;
  readonly bg?: AnsiColor;
  readonly isBold?: boolean;
  readonly isDim?: boolean;
  readonly isItalic?: boolean;
  readonly isUnderline?: boolean;
  readonly isStrike?: boolean;
  readonly isInverse?: boolean;
}

/** Text of one look. */
export interface AnsiSpan {
  readonly text: string;
  readonly style: AnsiStyle;
}

const PLAIN: AnsiStyle = {};
const ESC = 0x1b;

/**
 * One log line as styled text. Only SGR (colours and weights) has an effect; every other control sequence,
 * complete or cut off, disappears, and so do control characters other than the tab: a log line is hostile input and
 * must not be able to do more than look colourful. A carriage return shows what was written after it, as on a
 * terminal.
 */
export function parseAnsi(line: string): readonly AnsiSpan[] {
  if (!hasControls(line)) {
    return line === '' ? [] : [{ text: line, style: PLAIN }];
  }
  const spans: AnsiSpan[] = [];
  let style = PLAIN;
  let run = '';
  const flush = (): void => {
    if (run !== '') {
      spans.push({ text: run, style });
      run = '';
    }
  };
  let index = 0;
  while (index < line.length) {
    const code = line.charCodeAt(index);
    if (code === ESC || code === 0x9b) {
      const sequence = readSequence(line, index);
      index = sequence.end;
      if (sequence.sgr !== undefined) {
        flush();
        style = applySgr(style, sequence.sgr);
      }
    } else if (code === 0x0d) {
      index += 1;
      // Only a return that is followed by text replaces what was there.
      if (index < line.length && stripControls(line.slice(index)) !== '') {
        run = '';
        spans.length = 0;
      }
    } else {
      if (code === 0x09 || (code >= 0x20 && code !== 0x7f && !(code >= 0x80 && code < 0xa0))) {
        run += line.charAt(index);
      }
      index += 1;
    }
  }
  flush();
  return spans;
}

/** The text alone, as the search sees it. */
export function stripAnsi(line: string): string {
  return parseAnsi(line)
    .map((span) => span.text)
    .join('');
}

function hasControls(line: string): boolean {
  for (let index = 0; index < line.length; index += 1) {
    const code = line.charCodeAt(index);
    if ((code < 0x20 && code !== 0x09) || (code >= 0x7f && code < 0xa0)) {
      return true;
    }
  }
  return false;
}

function stripControls(text: string): string {
  let left = '';
  for (let index = 0; index < text.length; ) {
    const code = text.charCodeAt(index);
    if (code === ESC || code === 0x9b) {
      index = readSequence(text, index).end;
    } else {
      left += code < 0x20 ? '' : text.charAt(index);
      index += 1;
    }
  }
  return left;
}

/** Reads the sequence that starts at `start`. `sgr` holds its parameters when it is one that sets a look. */
function readSequence(
  line: string,
  start: number,
): { readonly end: number; readonly sgr?: readonly number[] } {
  const isC1 = line.charCodeAt(start) === 0x9b;
  const kind = isC1 ? '[' : line.charAt(start + 1);
  const body = start + (isC1 ? 1 : 2);
  if (kind === '[') {
    return readCsi(line, body);
  }
  if (kind === ']' || kind === 'P' || kind === '_' || kind === '^' || kind === 'X') {
    return { end: endOfString(line, body) };
  }
  // A two-character escape, or one with intermediates such as ESC ( B.
  let end = start + 1;
  while (end < line.length && line.charCodeAt(end) >= 0x20 && line.charCodeAt(end) <= 0x2f) {
    end += 1;
  }
  return { end: Math.min(line.length, end + 1) };
}

function readCsi(
  line: string,
  body: number,
): { readonly end: number; readonly sgr?: readonly number[] } {
  let end = body;
  while (end < line.length && line.charCodeAt(end) >= 0x20 && line.charCodeAt(end) < 0x40) {
    end += 1;
  }
  if (end >= line.length) {
    return { end };
  }
  const parameters = line.slice(body, end);
  if (line.charAt(end) !== 'm' || !/^[\d;:]*$/.test(parameters)) {
    return { end: end + 1 };
  }
  return {
    end: end + 1,
    sgr:
      parameters === ''
        ? [0]
        : parameters.split(/[;:]/).map((part) => (part === '' ? 0 : Number(part))),
  };
}

/** OSC and its like end with BEL or ST; a cut-off one takes the rest of the line. */
function endOfString(line: string, start: number): number {
  for (let index = start; index < line.length; index += 1) {
    const code = line.charCodeAt(index);
    if (code === 0x07 || code === 0x9c) {
      return index + 1;
    }
    if (code === ESC && line.charAt(index + 1) === '\\') {
      return index + 2;
    }
  }
  return line.length;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function applySgr(before: AnsiStyle, parameters: readonly number[]): AnsiStyle {
  let style: Mutable<AnsiStyle> = { ...before };
  for (let index = 0; index < parameters.length; index += 1) {
    const code = parameters[index] ?? 0;
    if (code === 0) {
      style = {};
    } else if (code === 38 || code === 48) {
      const { color, used } = extendedColor(parameters, index + 1);
      index += used;
      if (color !== undefined) {
        style[code === 38 ? 'fg' : 'bg'] = color;
      }
    } else if (!applyColor(style, code)) {
      applyWeight(style, code);
    }
  }
  return style;
}

function applyColor(style: Mutable<AnsiStyle>, code: number): boolean {
  if (code >= 30 && code <= 37) {
    style.fg = { type: 'theme', index: code - 30 };
  } else if (code >= 90 && code <= 97) {
    style.fg = { type: 'theme', index: code - 82 };
  } else if (code >= 40 && code <= 47) {
    style.bg = { type: 'theme', index: code - 40 };
  } else if (code >= 100 && code <= 107) {
    style.bg = { type: 'theme', index: code - 92 };
  } else if (code === 39) {
    delete style.fg;
  } else if (code === 49) {
    delete style.bg;
  } else {
    return false;
  }
  return true;
}

const ON: Readonly<Record<number, keyof AnsiStyle>> = {
  1: 'isBold',
  2: 'isDim',
  3: 'isItalic',
  4: 'isUnderline',
  7: 'isInverse',
  9: 'isStrike',
};
const OFF: Readonly<Record<number, readonly (keyof AnsiStyle)[]>> = {
  22: ['isBold', 'isDim'],
  23: ['isItalic'],
  24: ['isUnderline'],
  27: ['isInverse'],
  29: ['isStrike'],
};

function applyWeight(style: Mutable<AnsiStyle>, code: number): void {
  const on = ON[code];
  if (on !== undefined) {
    Object.assign(style, { [on]: true });
  }
  for (const key of OFF[code] ?? []) {
    delete style[key];
  }
}

/** Reads `5;n` or `2;r;g;b` after a 38 or 48. */
function extendedColor(
  parameters: readonly number[],
  start: number,
): { readonly color: AnsiColor | undefined; readonly used: number } {
  const mode = parameters[start];
  if (mode === 5) {
    return { color: paletteColor(parameters[start + 1] ?? -1), used: 2 };
  }
  if (mode === 2) {
    const [r = -1, g = -1, b = -1] = parameters.slice(start + 1, start + 4);
    const isValid = [r, g, b].every((part) => part >= 0 && part <= 255);
    return { color: isValid ? { type: 'rgb', r, g, b } : undefined, used: 4 };
  }
  return { color: undefined, used: parameters.length };
}

const CUBE = [0, 95, 135, 175, 215, 255] as const;

function paletteColor(index: number): AnsiColor | undefined {
  if (index < 0 || index > 255) {
    return undefined;
  }
  if (index < 16) {
    return { type: 'theme', index };
  }
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return { type: 'rgb', r: grey, g: grey, b: grey };
  }
  const cube = index - 16;
  return {
    type: 'rgb',
    r: CUBE[Math.floor(cube / 36)] ?? 0,
    g: CUBE[Math.floor(cube / 6) % 6] ?? 0,
    b: CUBE[cube % 6] ?? 0,
  };
}
