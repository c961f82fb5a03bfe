import type { LogEntry } from './contract.ts';

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
      data: Buffer.from(log, 'utf8'),
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
