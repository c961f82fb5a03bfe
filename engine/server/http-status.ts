import { STATUS_OF_CODE } from '../api/errors.ts';
import { EngineError, errnoOf, messageOf } from '../base/errors.ts';

/** What the machine has run out of: foreseen, but no concept's own error. */
const MACHINE_LIMITS: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'no space left on device'],
  ['EDQUOT', 'disk quota exceeded'],
  ['EROFS', 'read-only file system'],
  ['EIO', 'input/output error'],
  ['EMFILE', 'too many open files'],
  ['ENFILE', 'too many open files in system'],
]);

/** What is answered for a thrown error. */
export interface ErrorAnswer {
  readonly status: number;
  readonly message: string;
  /** False for errors that nobody foresaw: answered as 500 and logged with their stack. */
  readonly isClassified: boolean;
}

/** The one mapping from errors to answers: the outermost classified error wins. */
export function answerOf(error: unknown): ErrorAnswer {
  let at: unknown = error;
  for (let depth = 0; depth < 10 && at instanceof Error; depth += 1) {
    if (at instanceof EngineError) {
      return { status: STATUS_OF_CODE[at.code], message: messageOf(error), isClassified: true };
    }
    const limit = MACHINE_LIMITS.get(errnoOf(at) ?? '');
    if (limit !== undefined) {
      const message =
        at === error ? `the engine cannot store its data: ${limit}` : messageOf(error);
      return { status: 500, message, isClassified: true };
    }
    at = at.cause;
  }
  return { status: 500, message: messageOf(error) || 'internal error', isClassified: false };
}
