import type { z } from './zod.ts';

/** Any zod schema. */
export type Schema = z.ZodType;

/** A method with one answer. */
export interface CallMethod<P extends Schema = Schema, R extends Schema = Schema> {
  readonly kind: 'call';
  readonly params: P;
  readonly result: R;
}

/** A method whose answer is a stream; see {@link stream} for the fields. */
export interface StreamMethod<
  P extends Schema = Schema,
  I extends Schema = Schema,
  U extends Schema = Schema,
> {
  readonly kind: 'stream';
  readonly params: P;
  readonly item: I;
  readonly up: U;
  readonly unit: 'items' | 'bytes';
  readonly window: number;
}

/** Declares a method with one answer. */
export function call<P extends Schema, R extends Schema>(params: P, result: R): CallMethod<P, R> {
  return { kind: 'call', params, result };
}

/**
 * Declares a stream.
 *
 * @param item  schema of the items from the host
 * @param up  schema of the items from the page (`z.never()` when it takes none)
 * @param unit  what a credit counts, in both directions. On a `bytes` stream payload bytes are counted and
 *   items are free (they are rare control messages); on an `items` stream there are no bytes.
 * @param window  credits outstanding at most in each direction
 */
export function stream<P extends Schema, I extends Schema, U extends Schema>(options: {
  params: P;
  item: I;
  up: U;
  unit: 'items' | 'bytes';
  window: number;
}): StreamMethod<P, I, U> {
  return { kind: 'stream', ...options };
}
