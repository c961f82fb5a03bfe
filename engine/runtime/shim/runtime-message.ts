/** Longest sentence that is handed on, in characters. */
const MAX_MESSAGE_LENGTH = 8192;

/** What the shim collected of a failed runtime call. */
export interface RuntimeFailure {
  readonly exitCode: number;
  /** JSON lines of the runtime's log; the first may be cut. */
  readonly log: string;
  /** What it printed. */
  readonly text: string;
}

function messageOfLine(line: string): string | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== 'object' || entry === null || !('msg' in entry) || !('level' in entry)) {
      return undefined;
    }
    return entry.level === 'error' && typeof entry.msg === 'string' ? entry.msg : undefined;
  } catch {
    // Not a log line: half a line, or text of a library.
    return undefined;
  }
}

/** The runtime's own sentence about a failure, without its name and command in front; never empty. */
export function runtimeMessageOf(failure: RuntimeFailure): string {
  const logged = failure.log
    .split('\n')
    .map(messageOfLine)
    .findLast((line) => line !== undefined);
  const printed = failure.text.split('\n').findLast((line) => line.trim() !== '');
  const message = (logged ?? printed ?? '')
    .replace(/^[\w.-]+ (?:run|create|start|exec) failed: /, '')
    .trim();
  return message === ''
    ? `the runtime ended with exit code ${failure.exitCode}`
    : message.slice(0, MAX_MESSAGE_LENGTH);
}
