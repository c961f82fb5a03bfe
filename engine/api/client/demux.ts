/** Stream of a frame. */
export type OutputStream = 'stdin' | 'stdout' | 'stderr';

/** Payload of one frame or part of it. */
export interface OutputChunk {
  readonly stream: OutputStream;
  /** A view into the bytes pushed; copy to keep. Never empty. */
  readonly bytes: Uint8Array;
  /** True for the part that completes its frame. Empty frames yield nothing. */
  readonly isEnd: boolean;
}

const HEADER_BYTES = 8;
const STREAMS: readonly OutputStream[] = ['stdin', 'stdout', 'stderr'];

/**
 * Takes apart the engine's multiplexed stream (attach, logs and exec without a terminal): frames of an 8-byte header
 * (stream, three zero bytes, length big-endian) and a payload. Bytes may arrive split anywhere, also inside a header.
 * Payload is handed on as it comes, so a large frame costs no memory.
 */
export class StreamDemux {
  readonly #header = new Uint8Array(HEADER_BYTES);
  #headerLength = 0;
  #payloadLeft = 0;
  #stream: OutputStream = 'stdout';

  /**
   * Feeds bytes and returns what they complete, in order.
   *
   * @throws Error  the bytes are not such a stream
   */
  push(bytes: Uint8Array): OutputChunk[] {
    const chunks: OutputChunk[] = [];
    let offset = 0;
    while (offset < bytes.byteLength) {
      if (this.#payloadLeft > 0) {
        const part = bytes.subarray(offset, offset + this.#payloadLeft);
        this.#payloadLeft -= part.byteLength;
        chunks.push({ stream: this.#stream, bytes: part, isEnd: this.#payloadLeft === 0 });
        offset += part.byteLength;
      } else {
        const part = bytes.subarray(offset, offset + HEADER_BYTES - this.#headerLength);
        this.#header.set(part, this.#headerLength);
        this.#headerLength += part.byteLength;
        offset += part.byteLength;
        if (this.#headerLength === HEADER_BYTES) {
          this.#readHeader();
        }
      }
    }
    return chunks;
  }

  /** True between two frames: an end elsewhere means that the stream was cut. */
  get isAtBoundary(): boolean {
    return this.#headerLength === 0 && this.#payloadLeft === 0;
  }

  #readHeader(): void {
    const stream = STREAMS[this.#header[0] ?? 255];
    if (stream === undefined) {
      throw new Error(`not a multiplexed stream: frame type ${this.#header[0]}`);
    }
    this.#stream = stream;
    this.#payloadLeft = new DataView(this.#header.buffer).getUint32(4);
    this.#headerLength = 0;
  }
}
