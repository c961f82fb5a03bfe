import {
  ConflictError,
  EngineError,
  ForbiddenError,
  InvalidParameterError,
  messageOf,
  NotFoundError,
  NotImplementedError,
  SystemError,
  UnauthorizedError,
  UnavailableError,
} from '../base/errors.ts';

const CLASSES = {
  'invalid-parameter': InvalidParameterError,
  unauthorized: UnauthorizedError,
  forbidden: ForbiddenError,
  'not-found': NotFoundError,
  conflict: ConflictError,
  'not-implemented': NotImplementedError,
  unavailable: UnavailableError,
  system: SystemError,
} as const;

/** The same kind of error with a longer message; what is not classified becomes a SystemError. */
export function rewrap(cause: unknown, message: string): EngineError {
  const Class = cause instanceof EngineError ? CLASSES[cause.code] : SystemError;
  return new Class(message, { cause });
}

/** The same kind of error with words in front. */
export function withPrefix(cause: unknown, prefix: string): EngineError {
  return rewrap(cause, `${prefix}: ${messageOf(cause)}`);
}

/** Waits for all, then throws the first failure: nothing goes on behind the caller's back. */
export async function allDone<T extends readonly unknown[]>(
  work: {
    readonly [K in keyof T]: Promise<T[K]>;
  },
): Promise<T> {
  const results = await Promise.allSettled(work);
  for (const result of results) {
    if (result.status === 'rejected') {
      throw result.reason;
    }
  }
  return results.map((result) =>
    result.status === 'fulfilled' ? result.value : undefined,
  ) as unknown as T;
}
