import { type ChildProcess, spawn } from 'node:child_process';
import { messageOf, SystemError } from '../base/errors.ts';
import { PLAIN_ENV } from '../base/node/run.ts';

/** How a command that was run through {@link ServeClient} ended. */
export interface ServeAnswer {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Pending {
  resolve(answer: ServeAnswer): void;
  reject(error: Error): void;
}

const MAX_STDERR_BYTES = 4096;

/**
 * Keeps one `gantry-layer serve` running and sends it short commands, which saves starting a program for each.
 * Commands run one after another. The program is started when needed, anew after it died, keeps nobody alive and ends
 * with its input. The bytes of requests and answers are described in native/layer/README.md.
 */
export class ServeClient implements AsyncDisposable {
  readonly #file: string;
  #child: ChildProcess | undefined;
  #pending: Pending[] = [];
  #received: Buffer = Buffer.alloc(0);
  #isDisposed = false;

  constructor(file: string) {
    this.#file = file;
  }

  /** @throws SystemError  the program cannot be started or died; whether the command took effect is then unknown */
  async request(words: readonly string[]): Promise<ServeAnswer> {
    const child = this.#ensureChild();
    const body = Buffer.from(words.map((word) => `${word}\0`).join(''), 'utf8');
    const head = Buffer.alloc(4);
    head.writeUInt32LE(body.length);
    const { promise, resolve, reject } = Promise.withResolvers<ServeAnswer>();
    this.#pending.push({ resolve, reject });
    this.#hold(child);
    child.stdin?.write(Buffer.concat([head, body]));
    return await promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) {
      return;
    }
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.ref();
    child.stdin?.end();
    await ended;
  }

  #ensureChild(): ChildProcess {
    if (this.#child !== undefined) {
      return this.#child;
    }
    if (this.#isDisposed) {
      throw new SystemError('the layer program is no longer available: the engine is ending');
    }
    const child = spawn(this.#file, ['serve'], {
      cwd: '/',
      env: { ...PLAIN_ENV },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#received = Buffer.alloc(0);
    const pending: Pending[] = [];
    this.#pending = pending;
    let stderr = '';
    const fail = (reason: string): void => {
      if (this.#child === child) {
        this.#child = undefined;
      }
      const said = stderr.trim();
      for (const request of pending.splice(0)) {
        request.reject(new SystemError(`${this.#file} ${reason}${said === '' ? '' : `: ${said}`}`));
      }
    };
    child.once('error', (error) => fail(`cannot be run: ${messageOf(error)}`));
    child.once('close', (code, signal) => fail(`ended unexpectedly (${signal ?? code})`));
    // Writing to a program that has gone is reported through its end.
    child.stdin.on('error', () => {});
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString('utf8')).slice(0, MAX_STDERR_BYTES);
    });
    child.stdout.on('data', (chunk: Buffer) => {
      if (this.#child === child) {
        this.#receive(child, chunk, pending);
      }
    });
    this.#release(child);
    return child;
  }

  #receive(child: ChildProcess, chunk: Buffer, pending: Pending[]): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    for (;;) {
      const bytes = this.#received;
      const length = bytes.length < 4 ? undefined : bytes.readUInt32LE(0);
      if (length === undefined || bytes.length < 4 + length) {
        return;
      }
      const outputEnd = 12 + bytes.readUInt32LE(8);
      const answer: ServeAnswer = {
        exitCode: bytes.readUInt32LE(4),
        stdout: bytes.toString('utf8', 12, outputEnd),
        stderr: bytes.toString('utf8', outputEnd, 4 + length),
      };
      this.#received = bytes.subarray(4 + length);
      pending.shift()?.resolve(answer);
      if (pending.length === 0) {
        this.#release(child);
      }
    }
  }

  /** An idle program does not keep this process alive, one that is asked something does. */
  #release(child: ChildProcess): void {
    child.unref();
    for (const stream of [child.stdin, child.stdout, child.stderr]) {
      if (stream !== null && 'unref' in stream && typeof stream.unref === 'function') {
        stream.unref();
      }
    }
  }

  #hold(child: ChildProcess): void {
    child.ref();
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null && 'ref' in stream && typeof stream.ref === 'function') {
        stream.ref();
      }
    }
  }
}
