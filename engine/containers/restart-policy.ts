import type { RestartPolicy } from '../api/types/container.ts';
import { InvalidParameterError } from '../base/errors.ts';

/** First pause before a restart; doubles with every restart of a program that ends early. */
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 60_000;
/** A run this long counts as a success and resets the pause. */
const STEADY_RUN_MS = 10_000;

/** What is to happen after an exit. */
export type RestartDecision =
  | { readonly kind: 'stay-down' }
  | { readonly kind: 'restart'; readonly delayMs: number };

/** How a container ended. */
export interface EndedRun {
  readonly exitCode: number;
  /** Somebody asked for the end (stop, kill, shutdown of the engine). */
  readonly isManuallyStopped: boolean;
  readonly durationMs: number;
}

/**
 * Decides whether a container starts again, and when: one per container and life. A manual start makes a new one.
 */
export class RestartBackoff {
  #delayMs = 0;
  #count: number;

  /** @param count  restarts so far, for `on-failure:N` */
  constructor(count = 0) {
    this.#count = count;
  }

  decide(policy: RestartPolicy | undefined, run: EndedRun): RestartDecision {
    const name = policy?.Name ?? 'no';
    const maxCount = policy?.MaximumRetryCount ?? 0;
    if (run.durationMs >= STEADY_RUN_MS) {
      this.#delayMs = 0;
    }
    const isWanted =
      (name === 'always' && !run.isManuallyStopped) ||
      (name === 'unless-stopped' && !run.isManuallyStopped) ||
      (name === 'on-failure' &&
        !run.isManuallyStopped &&
        run.exitCode !== 0 &&
        (maxCount === 0 || this.#count < maxCount));
    if (!isWanted) {
      return { kind: 'stay-down' };
    }
    this.#count += 1;
    this.#delayMs =
      this.#delayMs === 0 ? FIRST_DELAY_MS : Math.min(this.#delayMs * 2, LONGEST_DELAY_MS);
    return { kind: 'restart', delayMs: this.#delayMs };
  }
}

/** True when a container that is down should be started as the engine starts. */
export function startsWithEngine(
  policy: RestartPolicy | undefined,
  facts: { readonly isManuallyStopped: boolean; readonly exitCode: number },
): boolean {
  switch (policy?.Name) {
    case 'always':
      return true;
    case 'unless-stopped':
      return !facts.isManuallyStopped;
    case 'on-failure':
      return !facts.isManuallyStopped && facts.exitCode !== 0;
    default:
      return false;
  }
}

/** @throws InvalidParameterError  with Docker's words */
export function validateRestartPolicy(policy: RestartPolicy | undefined): void {
  const name = policy?.Name ?? '';
  const count = policy?.MaximumRetryCount ?? 0;
  switch (name) {
    case '':
      return;
    case 'always':
    case 'unless-stopped':
    case 'no':
      if (count !== 0) {
        const more = count < 0 ? ' and cannot be negative' : '';
        throw new InvalidParameterError(
          `invalid restart policy: maximum retry count can only be used with 'on-failure'${more}`,
        );
      }
      return;
    case 'on-failure':
      if (count < 0) {
        throw new InvalidParameterError(
          'invalid restart policy: maximum retry count cannot be negative',
        );
      }
      return;
    default:
      throw new InvalidParameterError(
        `invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
      );
  }
}
