/**
 * Docker's multiplexed stream: frames of an 8-byte header (stream number, three zero bytes, payload length big-endian)
 * and the payload. Used by attach, exec and logs when there is no terminal. The reading side is `client/demux.ts`.
 */

/** Stream of a frame; `system` carries errors of the engine itself. */
export type FrameStream = 'stdin' | 'stdout' | 'stderr' | 'system';

/** Bytes before each payload. */
export const FRAME_HEADER_BYTES = 8;

const NUMBERS: Readonly<Record<FrameStream, number>> = {
  stdin: 0,
  stdout: 1,
  stderr: 2,
  system: 3,
};

/** Writes a frame's header at `offset`. */
export function writeFrameHeader(
  target: Uint8Array,
  offset: number,
  frame: { readonly stream: FrameStream; readonly length: number },
): void {
  target.fill(0, offset, offset + 4);
  target[offset] = NUMBERS[frame.stream];
  new DataView(target.buffer, target.byteOffset).setUint32(offset + 4, frame.length);
}

/** One payload as a frame; the bytes are copied. */
export function encodeFrame(stream: FrameStream, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + payload.byteLength);
  writeFrameHeader(frame, 0, { stream, length: payload.byteLength });
  frame.set(payload, FRAME_HEADER_BYTES);
  return frame;
}
