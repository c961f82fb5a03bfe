import { z } from 'zod';
import { InvalidParameterError } from '../../base/errors.ts';

/**
 * Building blocks of the request decoders. They read JSON as Docker's Go decoder does: keys of structures match
 * without regard to case, `null` is the same as absent, unknown keys are ignored, wrong types are refused with the path.
 */

const MAX_INT64 = 2n ** 63n - 1n;

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * A structure: keys are matched exactly, else without regard to case; `null` members count as absent.
 * Every member should be optional or have a default, as absent members are zero in Go.
 */
export function struct<S extends z.ZodRawShape>(shape: S) {
  const keyByLower = new Map(Object.keys(shape).map((key) => [key.toLowerCase(), key]));
  return z.preprocess((value) => {
    if (!isPlainObject(value)) {
      return value;
    }
    const known: Record<string, unknown> = {};
    for (const [key, member] of Object.entries(value)) {
      const name = Object.hasOwn(shape, key) ? key : keyByLower.get(key.toLowerCase());
      if (name !== undefined && member !== null) {
        known[name] = member;
      }
    }
    return known;
  }, z.object(shape));
}

/** Text; `null` inside a list or map is the empty text, as in Go. */
const textOrNull = z
  .string()
  .nullable()
  .transform((text) => text ?? '');

/** Optional text. */
export const text = z.string().optional();
/** Optional truth value. */
export const flag = z.boolean().optional();
/** Optional list of texts. */
export const texts = z.array(textOrNull).optional();
/** Optional map of texts. */
export const textMap = z.record(z.string(), textOrNull).optional();
/** Optional Go StrSlice: a list, or one text that stands for a list of one. */
export const textOrTexts = z
  .union([z.array(textOrNull), z.string().transform((only) => [only])], {
    error: 'expected string or array of strings',
  })
  .optional();

/** Whole number in a range; the upper end of int64 is not exact in a double and is let through. */
export function whole(min: number, max: number) {
  return z
    .number()
    .refine((value) => Number.isInteger(value), { error: 'expected a whole number' })
    .refine((value) => value >= min && value <= max, { error: 'number out of range' });
}

/** Optional int64. */
export const int64 = whole(-Number(MAX_INT64), Number(MAX_INT64)).optional();
/** Optional uint64. */
export const uint64 = whole(0, 2 ** 64).optional();
/** Optional uint32. */
export const uint32 = whole(0, 0xff_ff_ff_ff).optional();
/** Optional uint16. */
export const uint16 = whole(0, 0xff_ff).optional();

/** Optional set in Go's form `map[string]struct{}`. */
export const nameSet = z
  .record(
    z.string(),
    z
      .record(z.string(), z.unknown())
      .nullable()
      .transform((): Record<string, never> => ({})),
  )
  .optional();

/** Optional list of structures; `null` elements are dropped. */
export function listOf<T extends z.ZodType>(item: T) {
  return z
    .preprocess(
      (value) => (Array.isArray(value) ? value.filter((element) => element !== null) : value),
      z.array(item),
    )
    .optional();
}

function typeName(value: unknown): string {
  if (value === null) {
    return 'null';
  }
  return Array.isArray(value) ? 'array' : typeof value;
}

function memberAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at: unknown = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null) {
      return undefined;
    }
    const name = String(key).toLowerCase();
    at = Object.entries(at).find(([candidate]) => candidate.toLowerCase() === name)?.[1];
  }
  return at;
}

/**
 * Reads a value from outside.
 *
 * @param subject  what the value is, for the message; e.g. `request body`
 * @throws InvalidParameterError  naming the path of the first wrong field
 */
export function decode<T extends z.ZodType>(
  schema: T,
  value: unknown,
  subject: string,
): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) {
    return result.data;
  }
  const issue = result.error.issues[0];
  const path = issue?.path ?? [];
  const found = memberAt(value, path);
  const problem =
    issue?.code === 'invalid_type'
      ? `expected ${issue.expected}, got ${typeName(found)}`
      : (issue?.message ?? 'not valid');
  const field = path.length === 0 ? '' : `${path.map(String).join('.')}: `;
  throw new InvalidParameterError(`invalid ${subject}: ${field}${problem}`);
}
