import { STATUS_OF_CODE } from '../api/errors.ts';
import { EngineError, messageOf } from '../base/errors.ts';

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
    at = at.cause;
  }
  return { status: 500, message: messageOf(error) || 'internal error', isClassified: false };
}
