import { type ChildProcess, spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import {
  type EngineError,
  InvalidParameterError,
  NotFoundError,
  SystemError,
} from '../base/errors.ts';
import { PLAIN_ENV } from '../base/node/run.ts';
import type { LayerFile } from './contract.ts';
import { type ServeAnswer, ServeClient } from './serve-client.ts';
import type { Words } from './words.ts';

/** Options of a command that runs as a process of its own. */
export interface LayerRunOptions {
  /** Kills the process and rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

const MAX_STDERR_BYTES = 8192;
const READ_CHUNK_BYTES = 256 * 1024;
const EXIT_REFUSED = 1;
const EXIT_MISSING = 3;

function errorOf(command: string, exitCode: number, stderr: string): EngineError {
  const said = stderr.trim();
  const message = said === '' ? `gantry-layer ${command} ended with status ${exitCode}` : said;
  if (exitCode === EXIT_REFUSED) {
    return new InvalidParameterError(message);
  }
  return exitCode === EXIT_MISSING ? new NotFoundError(message) : new SystemError(message);
}

interface Ended {
  readonly exitCode: number;
  readonly stderr: string;
}

/** Waits for the end; `line` gets every line of standard output when that is piped and not read otherwise. */
function watch(child: ChildProcess, file: string, line?: (text: string) => void): Promise<Ended> {
  const { promise, resolve, reject } = Promise.withResolvers<Ended>();
  let stderr = '';
  let rest = '';
  child.once('error', (cause) => {
    reject(new SystemError(`cannot run ${file}: ${cause.message}`, { cause }));
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(0, MAX_STDERR_BYTES);
  });
  if (line !== undefined) {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      lines.forEach(line);
    });
  }
  child.once('close', (code, signal) => {
    resolve({ exitCode: code ?? 128, stderr: signal === null ? stderr : `killed by ${signal}` });
  });
  return promise;
}

/** Writes until the source ends or the reader leaves. Rejects only with an error of the source. */
async function pump(iterator: AsyncIterator<Uint8Array>, sink: Writable | null): Promise<void> {
  if (sink === null) {
    return;
  }
  // A program that refuses its input closes it early: its exit status tells why.
  sink.on('error', () => {});
  const closed = new Promise<void>((resolve) => sink.once('close', () => resolve()));
  for (;;) {
    const item = await iterator.next();
    if (item.done === true || sink.destroyed) {
      sink.end();
      return;
    }
    if (!sink.write(item.value)) {
      await Promise.race([closed, new Promise<void>((resolve) => sink.once('drain', resolve))]);
    }
  }
}

/**
 * The program `gantry-layer`. Exit statuses become errors: refused input InvalidParameterError, a missing path
 * NotFoundError, anything else SystemError, always with the program's own sentence.
 */
export class LayerProgram implements AsyncDisposable {
  readonly #file: string;
  readonly #quick: ServeClient;
  readonly #slow: ServeClient;

  /** @param file  absolute path of the program */
  constructor(file: string) {
    this.#file = file;
    this.#quick = new ServeClient(file);
    this.#slow = new ServeClient(file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#quick[Symbol.asyncDispose](), this.#slow[Symbol.asyncDispose]()]);
  }

  /** Runs a command that is over in a millisecond or two (mount, stat), without starting a program. */
  async call(command: Words): Promise<string> {
    return this.#judge(command[0], await this.#quick.request(command));
  }

  /** Runs work that nobody waits for, one after another (removing trees). */
  async callSlowly(command: Words): Promise<string> {
    return this.#judge(command[0], await this.#slow.request(command));
  }

  /** Runs a command as a process of its own. Returns the last line that it printed. */
  async run(command: Words, options: LayerRunOptions = {}): Promise<string> {
    options.signal?.throwIfAborted();
    return await this.#finish(
      this.#spawn(command, 'ignore'),
      command[0],
      undefined,
      options.signal,
    );
  }

  /**
   * Runs a command that reads a tar, and returns the last line it printed. A file is read by the program itself;
   * gzip is decompressed there as well.
   */
  async feed(
    command: Words,
    tar: AsyncIterable<Uint8Array> | LayerFile,
    options: LayerRunOptions = {},
  ): Promise<string> {
    options.signal?.throwIfAborted();
    if (Symbol.asyncIterator in tar) {
      return await this.#feedStream(command, tar, options);
    }
    const tell = (line: string): void => {
      const match = /^\{"read":(\d+)\}$/.exec(line);
      if (match?.[1] !== undefined) {
        tar.onProgress?.(Number(match[1]));
      }
    };
    if (tar.compression === 'zstd') {
      const packed = createReadStream(tar.path, { highWaterMark: READ_CHUNK_BYTES });
      const plain = createZstdDecompress({ chunkSize: READ_CHUNK_BYTES });
      packed.on('data', () => tar.onProgress?.(packed.bytesRead));
      // The first error of either side is the one that the reader of `plain` gets.
      const piped = pipeline(packed, plain).catch((cause: unknown) => {
        plain.destroy(new InvalidParameterError('malformed zstd data', { cause }));
      });
      const result = await this.#feedStream(command, plain, options).finally(() =>
        packed.destroy(),
      );
      await piped;
      return result;
    }
    const handle: FileHandle = await open(tar.path, 'r');
    try {
      const all: [string, ...string[]] = [...command];
      all.push(...(tar.compression === 'gzip' ? ['--gzip'] : []));
      all.push(...(tar.onProgress === undefined ? [] : ['--progress']));
      return await this.#finish(this.#spawn(all, handle.fd), command[0], tell, options.signal);
    } finally {
      await handle.close();
    }
  }

  /** Runs a command that writes a tar (or another byte stream); leaving the loop ends it. */
  async *stream(
    command: Words,
    options: LayerRunOptions = {},
  ): AsyncGenerator<Uint8Array, void, void> {
    options.signal?.throwIfAborted();
    const child = this.#spawn(command, 'ignore');
    const ended = watch(child, this.#file);
    // Reported by the await below; a reader that leaves before must not make it an unhandled one.
    ended.catch(() => {});
    const onAbort = (): boolean => child.kill('SIGKILL');
    options.signal?.addEventListener('abort', onAbort, { once: true });
    let isWhole = false;
    try {
      if (child.stdout !== null) {
        for await (const chunk of child.stdout) {
          yield chunk as Uint8Array;
        }
      }
      isWhole = true;
    } finally {
      options.signal?.removeEventListener('abort', onAbort);
      if (!isWhole) {
        child.kill('SIGKILL');
      }
    }
    const { exitCode, stderr } = await ended;
    options.signal?.throwIfAborted();
    if (exitCode !== 0) {
      throw errorOf(command[0], exitCode, stderr);
    }
  }

  #judge(command: string, answer: ServeAnswer): string {
    if (answer.exitCode !== 0) {
      throw errorOf(command, answer.exitCode, answer.stderr);
    }
    return answer.stdout;
  }

  #spawn(command: readonly string[], stdin: 'ignore' | 'pipe' | number): ChildProcess {
    return spawn(this.#file, [...command], {
      cwd: '/',
      env: { ...PLAIN_ENV },
      stdio: [stdin, 'pipe', 'pipe'],
    });
  }

  async #feedStream(
    command: Words,
    source: AsyncIterable<Uint8Array>,
    options: LayerRunOptions,
  ): Promise<string> {
    const child = this.#spawn(command, 'pipe');
    const iterator = source[Symbol.asyncIterator]();
    let sourceError: unknown;
    // Not awaited at the end: a program that refuses its input does not wait for a source that never ends.
    pump(iterator, child.stdin).catch((error: unknown) => {
      sourceError = error;
      child.kill('SIGKILL');
    });
    try {
      return await this.#finish(child, command[0], undefined, options.signal);
    } catch (error) {
      throw sourceError ?? error;
    } finally {
      iterator.return?.().catch(() => {});
    }
  }

  /** Waits for the program; returns its last line. */
  async #finish(
    child: ChildProcess,
    command: string,
    tell: ((line: string) => void) | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    let last = '';
    const ended = watch(child, this.#file, (line) => {
      last = line;
      tell?.(line);
    });
    const onAbort = (): boolean => child.kill('SIGKILL');
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const { exitCode, stderr } = await ended;
      signal?.throwIfAborted();
      if (exitCode !== 0) {
        throw errorOf(command, exitCode, stderr);
      }
      return last;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }
}
