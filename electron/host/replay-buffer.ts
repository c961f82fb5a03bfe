/**
 * The last bytes of a stream by absolute position. Readers keep their own position and may fall behind by at most the
 * capacity; older bytes are gone.
 */
export class ReplayBuffer {
  readonly #capacity: number;
  #parts: Uint8Array[] = [];
  #start = 0;
  #end = 0;

  /** @param capacity  bytes kept at least; up to one part more */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Position of the oldest byte held. */
  get start(): number {
    return this.#start;
  }

  /** Position after the newest byte. */
  get end(): number {
    return this.#end;
  }

  /** Appends; the array must not be changed afterwards. */
  append(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) {
      return;
    }
    this.#parts.push(bytes);
    this.#end += bytes.byteLength;
    for (;;) {
      const oldest = this.#parts[0];
      if (oldest === undefined || this.#end - this.#start - oldest.byteLength < this.#capacity) {
        return;
      }
      this.#parts.shift();
      this.#start += oldest.byteLength;
    }
  }

  /** Up to `maxBytes` from `position` on (or from the oldest byte, when that is later), and the position after them. */
  read(position: number, maxBytes: number): { bytes: Uint8Array; next: number } {
    const from = Math.max(position, this.#start);
    const chunks: Uint8Array[] = [];
    let size = 0;
    let partStart = this.#start;
    for (const part of this.#parts) {
      const partEnd = partStart + part.byteLength;
      if (partEnd > from && size < maxBytes) {
        const chunk = part.subarray(Math.max(0, from - partStart)).subarray(0, maxBytes - size);
        chunks.push(chunk);
        size += chunk.byteLength;
      }
      partStart = partEnd;
    }
    return { bytes: Buffer.concat(chunks), next: from + size };
  }
}
