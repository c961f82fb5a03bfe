import { type Schema, type StreamMethod, stream } from './method.ts';
import { z } from './zod.ts';

/*
 * Live lists. The first item is `snapshot` (or `offline` when the engine does not answer yet), then `patch` at most
 * every 50 ms. After a lost engine connection comes `offline`: keep showing the last items, marked as stale; the next
 * item is a new `snapshot` that replaces everything.
 */

/** Schema of the items of a live list of `T`, which are keyed by `id`. */
export function listItemSchema<T extends Schema>(element: T) {
  return z.discriminatedUnion('type', [
    z.object({ type: z.literal('snapshot'), items: z.array(element) }),
    z.object({
      type: z.literal('patch'),
      /** New or changed elements, complete. */
      upserts: z.array(element),
      /** Ids that are gone. */
      removed: z.array(z.string()),
    }),
    z.object({ type: z.literal('offline'), message: z.string() }),
  ]);
}

/** A live list as a channel. */
export function liveList<T extends Schema>(
  element: T,
): StreamMethod<z.ZodObject<{}>, ReturnType<typeof listItemSchema<T>>, z.ZodNever> {
  return stream({
    params: z.object({}),
    item: listItemSchema(element),
    up: z.never(),
    unit: 'items',
    window: 16,
  });
}
