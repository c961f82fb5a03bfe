import { z } from './zod.ts';

/** Shape of every failure that crosses the bridge. */
export const bridgeErrorSchema = z.object({
  /** Stable, for programs: see {@link BridgeErrorCode}; unknown codes must be treated as `internal`. */
  code: z.string(),
  /** For people; plain text, may quote hostile names, never markup. */
  message: z.string(),
  /** What the user can do about it. */
  hint: z.string().optional(),
});

/** Failure as data. */
export type BridgeErrorData = z.infer<typeof bridgeErrorSchema>;

/**
 * Codes the bridge itself and the host use. The first eight are the engine's own (`engine/base/errors.ts`).
 * - `invalid-request`: params did not fit the channel's schema, or the method does not exist
 * - `invalid-response`: an answer did not fit; a bug in the host
 * - `cancelled`: the caller aborted
 * - `disconnected`: the transport closed before the answer
 * - `engine-unreachable`: the engine does not answer on its endpoint
 * - `port-in-use`, `name-in-use`: create or start refused for this reason
 * - `no-shell`: no shell was found in the container
 * - `gone`: the log, session or preview named no longer exists in the host
 */
export type BridgeErrorCode =
  | 'invalid-parameter'
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'conflict'
  | 'not-implemented'
  | 'unavailable'
  | 'system'
  | 'invalid-request'
  | 'invalid-response'
  | 'cancelled'
  | 'disconnected'
  | 'engine-unreachable'
  | 'port-in-use'
  | 'name-in-use'
  | 'no-shell'
  | 'gone'
  | 'internal';

/** Thrown by the page's client and by the host's handlers. Match on `code`. */
export class BridgeError extends Error {
  readonly code: string;
  readonly hint: string | undefined;

  constructor(
    code: BridgeErrorCode | (string & {}),
    message: string,
    options: { hint?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BridgeError';
    this.code = code;
    this.hint = options.hint;
  }

  /** The failure as it is sent. */
  toData(): BridgeErrorData {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
    };
  }

  /** The failure as it was received. */
  static fromData(data: BridgeErrorData): BridgeError {
    return new BridgeError(data.code, data.message, { hint: data.hint });
  }
}

/** True when the caller itself ended the work, so that nothing needs to be shown. */
export function isCancelled(error: unknown): boolean {
  return (
    (error instanceof BridgeError && error.code === 'cancelled') ||
    (error instanceof Error && error.name === 'AbortError')
  );
}
