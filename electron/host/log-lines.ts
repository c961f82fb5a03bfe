/** Longest message put together; the ring cuts lines shorter than this. */
const MAX_MESSAGE_BYTES = 128 * 1024;
const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
const SPACE = 32;
/** `2026-01-02T03:04:` */
const MINUTE_LENGTH = 17;
/** Longest stamp: nanoseconds and an offset. */
const MAX_STAMP_LENGTH = 36;

/** A line with its time. */
export interface StampedLine {
  /** Without newline; valid only during the call. */
  readonly bytes: Uint8Array;
  readonly timeMs: number;
  /** The time as written, in full precision; empty when the engine sent none. Valid only during the call. */
  readonly stamp: Uint8Array;
}

/**
 * Splits one output stream, read with `timestamps=1`, into lines. The engine writes the time in front of each message;
 * a message without a newline is the first part of a long line, whose next part has a time of its own that is dropped.
 */
export class LineSplitter {
  readonly #emit: (line: StampedLine) => void;
  /** The unfinished line: stamp removed. */
  #partial: Buffer = Buffer.alloc(0);
  #stamp: Buffer = Buffer.alloc(0);
  #timeMs = 0;
  #hasStamp = false;
  #minute: Buffer = Buffer.alloc(0);
  #minuteMs = 0;

  constructor(emit: (line: StampedLine) => void) {
    this.#emit = emit;
  }

  /** One complete message or, for a terminal's stream, whole lines. */
  message(bytes: Buffer): void {
    let offset = 0;
    while (offset < bytes.length) {
      const bodyStart = offset + this.#readStamp(bytes, offset);
      const newline = bytes.indexOf(NEWLINE, bodyStart);
      const end = newline === -1 ? bytes.length : newline;
      const body = bytes.subarray(bodyStart, end);
      if (newline === -1) {
        this.#keep(body);
        return;
      }
      this.#finish(body);
      offset = newline + 1;
    }
  }

  /** The stream is over: an unfinished line counts. */
  end(): void {
    if (this.#partial.length > 0) {
      this.#finish(Buffer.alloc(0));
    }
  }

  #keep(body: Buffer): void {
    if (this.#partial.length + body.length <= MAX_MESSAGE_BYTES) {
      this.#partial = Buffer.concat([this.#partial, body]);
    }
  }

  #finish(body: Buffer): void {
    let bytes = this.#partial.length === 0 ? body : Buffer.concat([this.#partial, body]);
    if (bytes.at(-1) === CARRIAGE_RETURN) {
      bytes = bytes.subarray(0, -1);
    }
    this.#emit({ bytes, timeMs: this.#timeMs, stamp: this.#stamp });
    this.#partial = Buffer.alloc(0);
    this.#hasStamp = false;
  }

  /** Length of the stamp and its space at `offset`, 0 when there is none. Keeps it as the line's, if it is the first. */
  #readStamp(bytes: Buffer, offset: number): number {
    const limit = Math.min(bytes.length, offset + MAX_STAMP_LENGTH + 1);
    if (bytes[offset + 4] !== 0x2d || bytes[offset + 10] !== 0x54) {
      return 0;
    }
    let space = offset + MINUTE_LENGTH;
    while (space < limit && bytes[space] !== SPACE) {
      space += 1;
    }
    if (space >= limit) {
      return 0;
    }
    const stamp = bytes.subarray(offset, space);
    if (!this.#hasStamp) {
      const timeMs = this.#parse(stamp);
      if (Number.isNaN(timeMs)) {
        return 0;
      }
      this.#timeMs = timeMs;
      this.#stamp = Buffer.from(stamp);
      this.#hasStamp = true;
    }
    return space - offset + 1;
  }

  /** Epoch ms with a fraction. Lines of the same minute share the slow part. */
  #parse(stamp: Buffer): number {
    const zone = stamp.at(-1) === 0x5a ? stamp.length - 1 : -1;
    if (zone === -1) {
      return Date.parse(stamp.toString('latin1').replace(/(\.\d{3})\d+/, '$1'));
    }
    const minute = stamp.subarray(0, MINUTE_LENGTH);
    if (!minute.equals(this.#minute)) {
      this.#minute = Buffer.from(minute);
      this.#minuteMs = Date.parse(`${minute.toString('latin1')}00Z`);
    }
    let seconds = 0;
    let scale = 1;
    let isFraction = false;
    for (let index = MINUTE_LENGTH; index < zone; index += 1) {
      const byte = stamp[index] ?? 0;
      if (byte === 0x2e) {
        isFraction = true;
      } else {
        seconds = seconds * 10 + (byte - 48);
        scale = isFraction ? scale * 10 : 1;
      }
    }
    return this.#minuteMs + (seconds / scale) * 1000;
  }
}

/** `seconds.nanoseconds` of a stamp, as the engine's `since` wants it; undefined when there is none. */
export function sinceOf(stamp: Uint8Array): string | undefined {
  const text = Buffer.from(stamp).toString('latin1');
  const wholeMs = Date.parse(text.replace(/\.\d+/, ''));
  if (text === '' || Number.isNaN(wholeMs)) {
    return undefined;
  }
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? '0';
  return `${Math.floor(wholeMs / 1000)}.${fraction.padEnd(9, '0').slice(0, 9)}`;
}
