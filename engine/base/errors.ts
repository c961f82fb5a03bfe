/**
 * Errors that leave a concept. `code` is stable and crosses processes; the class is for throwing.
 * The HTTP status of each code is decided in one place, `engine/server/http-status.ts`.
 */
export type ErrorCode =
  | 'invalid-parameter'
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'conflict'
  | 'not-implemented'
  | 'unavailable'
  | 'system';

/** Base of every classified error. Messages are what a Docker client prints after "Error response from daemon:". */
export abstract class EngineError extends Error {
  abstract readonly code: ErrorCode;

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** 400: malformed or contradictory request. */
export class InvalidParameterError extends EngineError {
  readonly code = 'invalid-parameter';
}

/** 401: registry or API credentials. */
export class UnauthorizedError extends EngineError {
  readonly code = 'unauthorized';
}

/** 403: never allowed. */
export class ForbiddenError extends EngineError {
  readonly code = 'forbidden';
}

/** 404: no such object. */
export class NotFoundError extends EngineError {
  readonly code = 'not-found';
}

/** 409: name taken, in use, wrong state: a change of state could clear it. */
export class ConflictError extends EngineError {
  readonly code = 'conflict';
}

/** 501: documented gap. */
export class NotImplementedError extends EngineError {
  readonly code = 'not-implemented';
}

/** 503: subsystem down or not configured. */
export class UnavailableError extends EngineError {
  readonly code = 'unavailable';
}

/** 500: the operation failed for outside reasons (mount, disk, OCI runtime). */
export class SystemError extends EngineError {
  readonly code = 'system';
}

/** A broken invariant of Gantry itself: logged with its stack, answered as 500, fails tests. */
export class BugError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'BugError';
  }
}

/** Message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** True for the error of an aborted signal, which passes through every layer untouched. */
export function isAbortError(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
}

/** `code` of a Node system error such as `ENOENT`, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return undefined;
}

/** True when a file or folder is not there. */
export function isMissing(error: unknown): boolean {
  return errnoOf(error) === 'ENOENT';
}
