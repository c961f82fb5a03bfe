import { bridgeErrorSchema } from './error.ts';
import { z } from './zod.ts';

/*
 * What travels between page and host. A transport carries two kinds of message, in order and without loss:
 * - text: one JSON frame of the union below;
 * - bytes: one binary frame, an 8-byte header and the payload (see encodeBytes).
 * `id` is chosen by the page, counts up from 1 and is never reused on one connection.
 * The page sends: request, cancel, credit, up, up-end, bytes. The host sends: response, open, item, end, credit, bytes.
 * A stream ends exactly once: `end` by the host (with or without error), also after a `cancel`.
 */

const id = z.int().min(1).max(0xffff_ffff);

/** Calls a method, or opens a stream when the method is one; `credit` is then the first grant. */
export const requestFrameSchema = z.object({
  t: z.literal('request'),
  id,
  method: z.string().max(100),
  params: z.unknown(),
  credit: z.int().min(0).optional(),
});

/** The caller no longer wants the answer or the stream. Late or unknown ids are ignored. */
export const cancelFrameSchema = z.object({ t: z.literal('cancel'), id });

/**
 * Allows the other side `n` more units on stream `id`: items or bytes, as the channel declares.
 * A sender may send while its balance is positive; one frame may overdraw it.
 */
export const creditFrameSchema = z.object({ t: z.literal('credit'), id, n: z.int().min(1) });

/** An item from the page into a stream that takes input. */
export const upFrameSchema = z.object({ t: z.literal('up'), id, value: z.unknown() });

/** No more input from the page; the stream itself goes on. */
export const upEndFrameSchema = z.object({ t: z.literal('up-end'), id });

/** Everything the page may send as text. */
export const pageFrameSchema = z.discriminatedUnion('t', [
  requestFrameSchema,
  cancelFrameSchema,
  creditFrameSchema,
  upFrameSchema,
  upEndFrameSchema,
]);

/** Everything the host may send as text. */
export const hostFrameSchema = z.discriminatedUnion('t', [
  z.object({ t: z.literal('response'), id, ok: z.literal(true), value: z.unknown() }),
  z.object({ t: z.literal('failure'), id, error: bridgeErrorSchema }),
  z.object({ t: z.literal('item'), id, value: z.unknown() }),
  z.object({ t: z.literal('end'), id, error: bridgeErrorSchema.optional() }),
  creditFrameSchema,
]);

/** Text frame from the page. */
export type PageFrame = z.infer<typeof pageFrameSchema>;
/** Text frame from the host. */
export type HostFrame = z.infer<typeof hostFrameSchema>;

/** What a transport carries. */
export type WireMessage = string | Uint8Array;

/** Version in the first byte of a binary frame. */
export const BYTES_VERSION = 1;
/** Version, three zero bytes, stream id as 32-bit big-endian. */
export const BYTES_HEADER_LENGTH = 8;
/** Longest payload of one binary frame; longer data is split by the sender. Bounds what either side buffers at once. */
export const MAX_BYTES_PAYLOAD = 256 * 1024;
/** Longest text frame the host accepts; a run dialog with every field filled is far below. */
export const MAX_PAGE_TEXT_LENGTH = 4 * 1024 * 1024;

/** Builds a binary frame; the payload is copied. */
export function encodeBytes(streamId: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(BYTES_HEADER_LENGTH + payload.byteLength);
  frame[0] = BYTES_VERSION;
  new DataView(frame.buffer).setUint32(4, streamId);
  frame.set(payload, BYTES_HEADER_LENGTH);
  return frame;
}

/** Reads a binary frame; `payload` is a view into `frame`. Undefined when it is not one. */
export function decodeBytes(
  frame: Uint8Array,
): { streamId: number; payload: Uint8Array } | undefined {
  if (frame.byteLength < BYTES_HEADER_LENGTH || frame[0] !== BYTES_VERSION) {
    return undefined;
  }
  const streamId = new DataView(frame.buffer, frame.byteOffset).getUint32(4);
  return { streamId, payload: frame.subarray(BYTES_HEADER_LENGTH) };
}

/** Parses a text frame; undefined when it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
