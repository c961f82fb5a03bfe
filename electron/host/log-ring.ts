import type { LogLine } from '../contract/log-channels.ts';

/** Bytes of one segment: the step in which old lines go. */
const SEGMENT_BYTES = 256 * 1024;
/** Lines of one segment. With its index a segment costs at most 56 KiB besides its bytes. */
const SEGMENT_LINES = 4096;
/** Longer lines are cut: no view can show them, and every line must fit a segment. */
export const MAX_LINE_BYTES = 64 * 1024;
const CUT_MARK = Buffer.from(' … (line cut)');
const NEWLINE = 10;
const ESCAPE = 27;

/** A run of lines. Bytes are the lines, each followed by a newline. */
export interface LogSegment {
  /** Number of its first line. */
  readonly firstLine: number;
  readonly lineCount: number;
  readonly byteLength: number;
  /** True while no byte is above 127: characters and bytes then have the same offsets. */
  readonly isAscii: boolean;
  /** True when some line holds an escape sequence. */
  readonly hasEscapes: boolean;
  /** Bytes of line `index` of this segment, without its newline; a view. */
  lineBytes(index: number): Buffer;
  /** Offset of line `index` in the bytes. */
  offsetOf(index: number): number;
  /** All bytes; a view. */
  readonly bytes: Buffer;
}

class Segment implements LogSegment {
  readonly firstLine: number;
  lineCount = 0;
  byteLength = 0;
  isAscii = true;
  hasEscapes = false;
  readonly #data: Buffer;
  readonly #offsets = new Uint32Array(SEGMENT_LINES + 1);
  readonly #times = new Float64Array(SEGMENT_LINES);
  /** Source index times two, plus one for stderr. */
  readonly #origins = new Uint8Array(SEGMENT_LINES);

  constructor(firstLine: number) {
    this.firstLine = firstLine;
    this.#data = Buffer.allocUnsafeSlow(SEGMENT_BYTES);
  }

  hasRoom(lineBytes: number): boolean {
    return this.lineCount < SEGMENT_LINES && this.byteLength + lineBytes + 1 <= SEGMENT_BYTES;
  }

  append(line: Uint8Array, timeMs: number, origin: number): void {
    this.#data.set(line, this.byteLength);
    for (const byte of line) {
      if (byte > 127) {
        this.isAscii = false;
      } else if (byte === ESCAPE) {
        this.hasEscapes = true;
      }
    }
    this.byteLength += line.byteLength;
    this.#data[this.byteLength] = NEWLINE;
    this.byteLength += 1;
    this.#times[this.lineCount] = timeMs;
    this.#origins[this.lineCount] = origin;
    this.lineCount += 1;
    this.#offsets[this.lineCount] = this.byteLength;
  }

  offsetOf(index: number): number {
    return this.#offsets[index] ?? this.byteLength;
  }

  lineBytes(index: number): Buffer {
    return this.#data.subarray(this.offsetOf(index), this.offsetOf(index + 1) - 1);
  }

  get bytes(): Buffer {
    return this.#data.subarray(0, this.byteLength);
  }

  line(index: number): LogLine {
    const origin = this.#origins[index] ?? 0;
    return {
      source: origin >> 1,
      stream: (origin & 1) === 1 ? 'stderr' : 'stdout',
      timeMs: this.#times[index] ?? 0,
      text: this.lineBytes(index).toString(this.isAscii ? 'latin1' : 'utf8'),
    };
  }
}

/**
 * The lines of one open log: bytes and an index of line offsets, times and origins, in segments. Appending and reading
 * by number are constant time; when a limit is met the oldest segment goes.
 */
export class LogRing {
  readonly #maxLines: number;
  readonly #maxBytes: number;
  readonly #segments: Segment[] = [];
  #lineCount = 0;
  #heldBytes = 0;

  constructor(limits: { maxLines: number; maxBytes: number }) {
    this.#maxLines = limits.maxLines;
    this.#maxBytes = limits.maxBytes;
  }

  /** Lines ever appended: the number of the next line. */
  get lineCount(): number {
    return this.#lineCount;
  }

  /** Number of the oldest line still held. */
  get firstLine(): number {
    return this.#segments[0]?.firstLine ?? this.#lineCount;
  }

  /** Bytes of the lines held, newlines included. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Appends one line without its newline; the bytes are copied. */
  append(line: Uint8Array, options: { timeMs: number; source: number; isStderr: boolean }): void {
    const bytes =
      line.byteLength > MAX_LINE_BYTES
        ? Buffer.concat([line.subarray(0, MAX_LINE_BYTES - CUT_MARK.length), CUT_MARK])
        : line;
    let segment = this.#segments.at(-1);
    if (segment === undefined || !segment.hasRoom(bytes.byteLength)) {
      segment = new Segment(this.#lineCount);
      this.#segments.push(segment);
    }
    segment.append(bytes, options.timeMs, options.source * 2 + (options.isStderr ? 1 : 0));
    this.#lineCount += 1;
    this.#heldBytes += bytes.byteLength + 1;
    this.#trim();
  }

  /** Lines `first` to `first + count - 1` as far as they are held. */
  window(first: number, count: number): { first: number; lines: LogLine[] } {
    const start = Math.min(Math.max(first, this.firstLine), this.#lineCount);
    const end = Math.min(Math.max(first + count, start), this.#lineCount);
    const lines: LogLine[] = [];
    for (let position = this.#segmentIndex(start); lines.length < end - start; position += 1) {
      const segment = this.#segments[position];
      if (segment === undefined) {
        break;
      }
      const from = Math.max(0, start - segment.firstLine);
      const to = Math.min(segment.lineCount, end - segment.firstLine);
      for (let index = from; index < to; index += 1) {
        lines.push(segment.line(index));
      }
    }
    return { first: start, lines };
  }

  /** The segment that holds line `number`, or the first after it; undefined at the end. */
  segmentAt(number: number): LogSegment | undefined {
    return this.#segments[this.#segmentIndex(Math.max(number, this.firstLine))];
  }

  #segmentIndex(line: number): number {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const segment = this.#segments[middle];
      if (segment !== undefined && segment.firstLine + segment.lineCount <= line) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  #trim(): void {
    // The last segment always stays: it holds the line just appended.
    for (;;) {
      const oldest = this.#segments[0];
      const isOver =
        this.#lineCount - this.firstLine > this.#maxLines || this.#heldBytes > this.#maxBytes;
      if (oldest === undefined || this.#segments.length < 2 || !isOver) {
        return;
      }
      this.#segments.shift();
      this.#heldBytes -= oldest.byteLength;
    }
  }
}
