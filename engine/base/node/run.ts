import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { SystemError } from '../errors.ts';

/** How a child process ended, with what it printed. */
export interface RunResult {
  /** Exit code; 128 + signal number when a signal ended it. */
  readonly exitCode: number;
  /** At most `maxOutputBytes` from the start of each stream. */
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of {@link run}. */
export interface RunOptions {
  /** Complete environment; default: PATH and LANG=C only. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Written to standard input, which is then closed; default: no standard input. */
  readonly input?: string | Uint8Array;
  /** Kills the process (SIGKILL) and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Kills the process after this long and rejects with SystemError; default 120 s. */
  readonly timeoutMs?: number;
  /** Cap per stream; the rest is read and dropped. Default 1 MiB. */
  readonly maxOutputBytes?: number;
}

const DEFAULT_TIMEOUT_MS = 120_000;
const DEFAULT_MAX_OUTPUT_BYTES = 1024 * 1024;

/** The environment of helper programs: nothing of the engine's own leaks into them. */
export const PLAIN_ENV: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LANG: 'C',
};

async function collect(stream: Readable, maxBytes: number): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of stream) {
    const bytes = part as Buffer;
    if (size < maxBytes) {
      parts.push(bytes.subarray(0, maxBytes - size));
    }
    size += bytes.length;
  }
  return Buffer.concat(parts).toString('utf8');
}

const SIGNAL_NUMBERS: Readonly<Partial<Record<NodeJS.Signals, number>>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
};

/**
 * Runs a program to its end with an argument array (never a shell) and bounded captured output.
 * A non-zero exit is a result, not an error.
 *
 * @throws SystemError  the program cannot be started, or ran longer than `timeoutMs`
 */
export async function run(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  options.signal?.throwIfAborted();
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const maxBytes = options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES;
  const child = spawn(file, [...args], {
    env: { ...(options.env ?? PLAIN_ENV) },
    cwd: options.cwd,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', (cause) => {
      reject(new SystemError(`cannot run ${file}: ${cause.message}`, { cause }));
    });
    child.once('close', (code, signalName) => {
      resolve(code ?? 128 + (signalName === null ? 0 : (SIGNAL_NUMBERS[signalName] ?? 0)));
    });
  });
  let isTimedOut = false;
  const timer = setTimeout(() => {
    isTimedOut = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  const onAbort = (): void => {
    child.kill('SIGKILL');
  };
  options.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    if (child.stdin !== null) {
      // A program that exits without reading its input is judged by its exit code.
      child.stdin.on('error', () => {});
      child.stdin.end(options.input);
    }
    const [exitCode, stdout, stderr] = await Promise.all([
      ended,
      child.stdout === null ? '' : collect(child.stdout, maxBytes),
      child.stderr === null ? '' : collect(child.stderr, maxBytes),
    ]);
    options.signal?.throwIfAborted();
    if (isTimedOut) {
      throw new SystemError(`${file} did not end within ${timeoutMs} ms`);
    }
    return { exitCode, stdout, stderr };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

/**
 * Like {@link run}, but a non-zero exit is an error.
 *
 * @returns standard output
 * @throws SystemError  with the first line of what the program said
 */
export async function runOrThrow(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const result = await run(file, args, options);
  if (result.exitCode !== 0) {
    const said = (result.stderr.trim() || result.stdout.trim()).slice(0, 2000);
    throw new SystemError(`${file} ${args[0] ?? ''} failed (exit ${result.exitCode}): ${said}`);
  }
  return result.stdout;
}
