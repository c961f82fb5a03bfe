import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { runOrThrow } from '../../engine/base/node/run.ts';
import type { Docker } from '../fixtures/docker.ts';
import { waitFor } from '../fixtures/wait.ts';

/** A docker command that goes on while the test talks to it. Disposing kills it. */
export interface Session extends AsyncDisposable {
  /** What came so far. */
  readonly stdout: string;
  readonly stderr: string;
  readonly pid: number;
  write(text: string): void;
  /** Ends the standard input. */
  endInput(): void;
  kill(signal: NodeJS.Signals): void;
  /** Waits until the standard output holds `text` at or after `from`. @returns the position behind it */
  sees(text: string, from?: number): Promise<number>;
  /** Waits for the end. @returns exit code; 128 for a signal */
  exited(): Promise<number>;
}

class ProcessSession implements Session {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number>;
  #stdout = '';
  #stderr = '';
  #exitCode: number | undefined;

  constructor(program: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#child = spawn(program, [...args], { env: { ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    // A command that ended no longer reads.
    this.#child.stdin?.on('error', () => {});
    this.#ended = new Promise<number>((resolve) => {
      this.#child.once('close', (code) => {
        this.#exitCode = code ?? 128;
        resolve(this.#exitCode);
      });
    });
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  endInput(): void {
    this.#child.stdin?.end();
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async sees(text: string, from = 0): Promise<number> {
    return await waitFor(`"${text}" in the output`, () => {
      const at = this.#stdout.indexOf(text, from);
      return at === -1 ? undefined : at + text.length;
    }).catch((cause: unknown) => {
      throw new Error(`no "${text}" in:\n${this.#stdout}\n--- stderr\n${this.#stderr}`, { cause });
    });
  }

  async exited(): Promise<number> {
    await waitFor('the command to end', () => this.#exitCode !== undefined).catch(
      (cause: unknown) => {
        throw new Error(`it goes on:\n${this.#stdout}\n--- stderr\n${this.#stderr}`, { cause });
      },
    );
    return await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

/** Starts a docker command with pipes. */
export function openSession(docker: Docker, args: readonly string[]): Session {
  return new ProcessSession(docker.program, args, docker.env);
}

/** A docker command in a terminal of its own. Everything it prints is in `stdout`. */
export interface TerminalSession extends Session {
  /** Changes the size of the terminal that the docker command runs in. */
  resize(rows: number, columns: number): Promise<void>;
}

/** Starts a docker command in a pseudo terminal of 24 rows and 80 columns. */
export async function openTerminal(
  docker: Docker,
  args: readonly string[],
): Promise<TerminalSession> {
  const folder = await mkdtemp(join(docker.env['HOME'] ?? '/tmp', 'tty-'));
  const nameFile = join(folder, 'name');
  const words = [docker.program, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  const script = `stty rows 24 cols 80; tty >'${nameFile}'; exec ${words.join(' ')}`;
  const session = new ProcessSession('script', ['-qefc', script, '/dev/null'], {
    ...docker.env,
    SHELL: '/bin/sh',
  });
  const resize = async (rows: number, columns: number): Promise<void> => {
    const name = await waitFor('the name of the terminal', async () => {
      const text = (await readFile(nameFile, 'utf8')).trim();
      return text === '' ? undefined : text;
    });
    await runOrThrow('stty', ['-F', name, 'rows', String(rows), 'cols', String(columns)]);
  };
  const end = async (): Promise<void> => {
    await session[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  };
  return new Proxy(session, {
    get: (target, key) => {
      if (key === 'resize') {
        return resize;
      }
      if (key === Symbol.asyncDispose) {
        return end;
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  }) as unknown as TerminalSession;
}

/** Arguments: `line` cut at its spaces, then `more` as they are. */
export function words(line: string, ...more: readonly string[]): string[] {
  return [...line.split(' ').filter(Boolean), ...more];
}

/** A listener on a free TCP port of all addresses, from a range that neither kernels nor engines give away by themselves. */
export async function occupyPort(): Promise<{ readonly port: number; readonly server: Server }> {
  return await waitFor('a free port', async () => {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '0.0.0.0', resolve);
    });
    return { port, server };
  });
}

/** Number of a TCP port that is free now. */
export async function freePort(): Promise<number> {
  const { port, server } = await occupyPort();
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  return port;
}
