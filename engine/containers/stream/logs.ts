import { ConflictError, InvalidParameterError, NotImplementedError } from '../../base/errors.ts';
import type { LogEntry } from '../../logs/contract.ts';
import type { Container } from '../container.ts';
import type { ContainerLogs, LogsOptions } from '../contract.ts';
import type { ContainerCore } from '../core.ts';

/**
 * When a follower of the log is done: the container is down for good. A restart by policy or hand while it follows goes on
 * in the same file.
 */
function endOf(container: Container): {
  readonly ended: Promise<void>;
  readonly cancel: () => void;
} {
  if (!container.record.state.isRunning) {
    return { ended: Promise.resolve(), cancel: () => {} };
  }
  let cancel = (): void => {};
  const ended = (async (): Promise<void> => {
    // A policy keeps `isRunning` over its pause between two runs.
    while (container.record.state.isRunning && !container.isRemoved) {
      const waiter = container.onStop();
      cancel = waiter.cancel;
      await waiter.result;
      await Promise.resolve();
    }
  })();
  return { ended, cancel: () => cancel() };
}

async function* withEnd(
  batches: AsyncIterable<readonly LogEntry[]>,
  cancel: () => void,
): AsyncGenerator<readonly LogEntry[], void, void> {
  try {
    yield* batches;
  } finally {
    cancel();
  }
}

/** Implements {@link ContainerService.logs}. */
export function logsOfContainer(
  core: ContainerCore,
  ref: string,
  options: LogsOptions,
): ContainerLogs {
  if (!options.wantsStdout && !options.wantsStderr) {
    throw new InvalidParameterError('You must choose at least one stream');
  }
  const container = core.registry.get(ref);
  const { state, config } = container.record;
  if (state.isRemoving || state.isDead) {
    throw new ConflictError('can not get logs from container which is dead or marked for removal');
  }
  const path = core.logPath(container);
  if (path === '') {
    throw new NotImplementedError('configured logging driver does not support reading');
  }
  const end = options.isFollowing ? endOf(container) : undefined;
  const batches = core.ports.logReader.read({
    path,
    wantsStdout: options.wantsStdout,
    wantsStderr: options.wantsStderr,
    tail: options.tail,
    ...(options.sinceNs === undefined ? {} : { sinceNs: options.sinceNs }),
    ...(options.untilNs === undefined ? {} : { untilNs: options.untilNs }),
    ...(end === undefined ? {} : { follow: { ended: end.ended } }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  return {
    hasTty: config.Tty === true,
    batches: end === undefined ? batches : withEnd(batches, end.cancel),
  };
}
