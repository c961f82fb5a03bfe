import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { messageOf, SystemError } from '../errors.ts';
import { PLAIN_ENV } from './run.ts';

/** How to talk to a program of which one copy is kept running, see {@link AckProcess}. */
export interface AckProtocol {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /**
   * A command that has no effect but makes the program print a line with `token` to standard error, such as asking
   * for an object of that name. It follows every request, so its line says that the request is done.
   */
  acknowledge(token: string): string;
  /** Cleans what was said before the acknowledgement of everything that belongs to acknowledgements, not to the request. */
  clean(lines: readonly string[]): string[];
}

interface Pending {
  readonly token: string;
  readonly lines: string[];
  resolve(said: readonly string[]): void;
  reject(error: Error): void;
}

/** After so many requests the program is replaced, which bounds what it caches or remembers. */
const REQUESTS_PER_PROCESS = 500;
const DEFAULT_TIMEOUT_MS = 60_000;
const LAST_WORDS_MS = 1000;

/**
 * Keeps one copy of a line-reading program (`ip -batch -`, `nft -i`) running, so that a request costs a fraction of a
 * millisecond rather than a process start. Requests are answered in order. The program is started when needed, started
 * anew after it died, and does not keep this process alive; it ends by itself when this process does (end of its input).
 */
export class AckProcess implements AsyncDisposable {
  readonly #protocol: AckProtocol;
  readonly #timeoutMs: number;
  #child: ChildProcess | undefined;
  #pending: Pending[] = [];
  #requestCount = 0;
  #sequence = 0;
  #isDisposed = false;

  constructor(protocol: AckProtocol, options: { readonly timeoutMs?: number } = {}) {
    this.#protocol = protocol;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  }

  /**
   * Sends lines and waits until the program has worked through them.
   *
   * @returns what it wrote to standard error meanwhile; empty = everything went well
   * @throws SystemError  it cannot be started, died, or took too long; how far it came is unknown
   */
  async request(lines: readonly string[]): Promise<readonly string[]> {
    const child = this.#ensureChild();
    this.#sequence += 1;
    const token = `ack-${process.pid % 1000}-${this.#sequence}`;
    const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
    this.#pending.push({ token, lines: [], resolve, reject });
    child.stdin?.write(`${[...lines, this.#protocol.acknowledge(token)].join('\n')}\n`);
    this.#requestCount += 1;
    if (this.#requestCount >= REQUESTS_PER_PROCESS) {
      this.recycle();
    }
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
    }, this.#timeoutMs);
    try {
      return this.#protocol.clean(await promise);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Lets the program finish what it has and uses a fresh one from now on. */
  recycle(): void {
    this.#child?.stdin?.end();
    this.#child = undefined;
    this.#pending = [];
    this.#requestCount = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    const child = this.#child;
    this.recycle();
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.ref();
      await new Promise<void>((resolve) => child.once('exit', () => resolve()));
    }
  }

  #ensureChild(): ChildProcess {
    if (this.#child !== undefined) {
      return this.#child;
    }
    if (this.#isDisposed) {
      throw new SystemError(
        `${this.#protocol.file} is no longer available: the engine is shutting down`,
      );
    }
    const { file, args, env } = this.#protocol;
    const child = spawn(file, [...args], {
      cwd: '/',
      env: { ...PLAIN_ENV, ...env },
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    // Each child has its own list, so that one that was replaced still answers what it was asked.
    const pending: Pending[] = [];
    this.#pending = pending;
    this.#child = child;
    this.#requestCount = 0;
    const fail = (reason: string): void => {
      if (this.#child === child) {
        this.#child = undefined;
      }
      for (const request of pending.splice(0)) {
        const said = request.lines.join('\n').trim();
        request.reject(new SystemError(`${file} ${reason}${said === '' ? '' : `: ${said}`}`));
      }
    };
    child.once('error', (error) => fail(`cannot be run: ${messageOf(error)}`));
    let drainTimer: NodeJS.Timeout | undefined;
    child.once('exit', (code, signal) => {
      // What it said last is worth a moment, but a child of its own may hold the stream open for ever.
      drainTimer = setTimeout(() => fail(`ended unexpectedly (${signal ?? code})`), LAST_WORDS_MS);
    });
    child.once('close', (code, signal) => {
      clearTimeout(drainTimer);
      fail(`ended unexpectedly (${signal ?? code})`);
    });
    // Writing to a program that has gone is reported through its end.
    child.stdin.on('error', () => {});
    createInterface({ input: child.stderr, crlfDelay: Number.POSITIVE_INFINITY }).on(
      'line',
      (line) => {
        const [first] = pending;
        if (first === undefined) {
          return;
        }
        first.lines.push(line);
        if (line.includes(first.token)) {
          pending.shift();
          first.resolve(first.lines);
        }
      },
    );
    child.unref();
    for (const stream of [child.stdin, child.stderr]) {
      if ('unref' in stream && typeof stream.unref === 'function') {
        stream.unref();
      }
    }
    return child;
  }
}
