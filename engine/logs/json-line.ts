import type { LogEntry } from './contract.ts';

const REPLACEMENT = 0xfffd;

/** Bytes of a text in which bytes that are no UTF-8 stand as lone surrogates U+DCXX: the shim writes binary output so. */
function bytesOf(text: string): Buffer {
  // A UTF-16 unit makes three bytes at most.
  const bytes = Buffer.allocUnsafe(text.length * 3);
  let at = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.codePointAt(index) ?? REPLACEMENT;
    if (code < 0x80) {
      bytes[at] = code;
      at += 1;
    } else if (code >= 0xdc80 && code <= 0xdcff) {
      bytes[at] = code & 0xff;
      at += 1;
    } else {
      at += bytes.write(String.fromCodePoint(code), at);
      index += code > 0xffff ? 1 : 0;
    }
  }
  return bytes.subarray(0, at);
}

/** Parses lines of a json-file log. Keeps the last second seen, since lines of one second share most of the work. */
export class JsonLineParser {
  #secondText = '';
  #secondNs = 0n;

  /**
   * @param line  one line without its newline
   * @returns undefined for what is no log line (a torn write after a full disk)
   */
  parse(line: string): LogEntry | undefined {
    let record: unknown;
    try {
      record = JSON.parse(line);
    } catch {
      return undefined;
    }
    if (typeof record !== 'object' || record === null) {
      return undefined;
    }
    const { log, stream, time, attrs } = record as Partial<Record<string, unknown>>;
    if (typeof log !== 'string' || typeof time !== 'string') {
      return undefined;
    }
    const timeNs = this.#timeNs(time);
    if (timeNs === undefined) {
      return undefined;
    }
    return {
      stream: stream === 'stderr' ? 'stderr' : 'stdout',
      timeNs,
      data: log.isWellFormed() ? Buffer.from(log, 'utf8') : bytesOf(log),
      ...(typeof attrs === 'object' && attrs !== null
        ? { attributes: attrs as Readonly<Record<string, string>> }
        : {}),
    };
  }

  /** RFC 3339 with up to nine decimals, UTC. */
  #timeNs(text: string): bigint | undefined {
    const second = text.slice(0, 19);
    if (second !== this.#secondText) {
      const ms = Date.parse(`${second}Z`);
      if (Number.isNaN(ms)) {
        return undefined;
      }
      this.#secondText = second;
      this.#secondNs = BigInt(ms) * 1_000_000n;
    }
    if (text.charCodeAt(19) !== 0x2e) {
      return this.#secondNs;
    }
    const end = text.charCodeAt(text.length - 1) === 0x5a ? text.length - 1 : text.length;
    const digits = text.slice(20, end);
    return /^\d{1,9}$/.test(digits)
      ? this.#secondNs + BigInt(Number(digits.padEnd(9, '0')))
      : undefined;
  }
}
