/** Docker's default: ctrl-p, ctrl-q. */
const DEFAULT_KEYS: readonly number[] = [16, 17];

const CONTROL_CODES: Readonly<Record<string, number>> = {
  '@': 0,
  '[': 27,
  '\\': 28,
  ']': 29,
  '^': 30,
  _: 31,
};

function codeOf(key: string): number | undefined {
  const control = /^ctrl-(.)$/.exec(key.toLowerCase())?.[1];
  if (control !== undefined) {
    return /[a-z]/.test(control) ? control.charCodeAt(0) - 96 : CONTROL_CODES[control];
  }
  return key.length === 1 ? key.charCodeAt(0) : undefined;
}

/** Key codes of `ctrl-p,ctrl-q` and the like; the default for '' and undefined; 'invalid' for anything else. */
export function parseDetachKeys(text: string | undefined): readonly number[] | 'invalid' {
  if (text === undefined || text === '') {
    return DEFAULT_KEYS;
  }
  // A comma may itself be a key: `a,,` has an empty part on each side of it.
  const codes = text.split(',').map(codeOf);
  const known = codes.filter((code) => code !== undefined);
  return known.length === codes.length ? known : 'invalid';
}

/**
 * Finds the detach sequence in a client's input, also when it is split over several writes. Keys that began the sequence
 * are held back until it is clear whether it goes on, then passed on.
 */
export class DetachScanner {
  readonly #keys: readonly number[];
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** What to pass on; `isDetached` once the sequence is complete, then the rest is dropped. */
  scan(data: Uint8Array): { readonly pass: Uint8Array; readonly isDetached: boolean } {
    if (this.#keys.length === 0) {
      return { pass: data, isDetached: false };
    }
    if (this.#matched === 0 && !data.includes(this.#keys[0] ?? -1)) {
      return { pass: data, isDetached: false };
    }
    const out: number[] = [];
    for (const byte of data) {
      if (byte === this.#keys[this.#matched]) {
        this.#matched += 1;
        if (this.#matched === this.#keys.length) {
          return { pass: Uint8Array.from(out), isDetached: true };
        }
        continue;
      }
      out.push(...this.#keys.slice(0, this.#matched));
      this.#matched = 0;
      if (byte === this.#keys[0]) {
        this.#matched = 1;
      } else {
        out.push(byte);
      }
    }
    return { pass: Uint8Array.from(out), isDetached: false };
  }
}
