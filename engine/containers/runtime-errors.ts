import { type EngineError, InvalidParameterError, SystemError } from '../base/errors.ts';

/** What a failed start means for the container: the exit code it gets and the error its caller sees. */
export interface RuntimeFailure {
  /** 126 not executable, 127 not found, 128 anything else. */
  readonly exitCode: number;
  readonly error: EngineError;
}

const INVALID_COMMAND =
  /executable file not found|no such file or directory|system cannot find the file specified|failed to run runc create\/exec call/i;

/**
 * Classifies the runtime's sentence as clients expect: the docker CLI takes its own exit code (125, 126, 127) from words
 * in this message.
 *
 * @param stage  what the engine was doing, put in front
 */
export function classifyRuntimeMessage(
  stage: 'create' | 'exec',
  runtimeMessage: string,
): RuntimeFailure {
  const front =
    stage === 'create'
      ? 'failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: '
      : 'OCI runtime exec failed: exec failed: ';
  const sentence = runtimeMessage.trim().replace(/^(runc (run|create) failed|exec failed): /, '');
  const message = `${front}${sentence}: unknown`;
  const lower = message.toLowerCase();
  if (lower.includes('permission denied')) {
    return { exitCode: 126, error: new InvalidParameterError(message) };
  }
  if (lower.includes('is a directory')) {
    return { exitCode: 126, error: new InvalidParameterError(`${message}: permission denied`) };
  }
  if (lower.includes('not a directory')) {
    const hint =
      'Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type';
    return { exitCode: 127, error: new InvalidParameterError(`${message}: ${hint}`) };
  }
  if (INVALID_COMMAND.test(message)) {
    return { exitCode: 127, error: new InvalidParameterError(message) };
  }
  return { exitCode: 128, error: new SystemError(message) };
}
