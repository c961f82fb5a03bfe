import { spawn, spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Variables of a child process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Folder of the project. */
export const PROJECT_ROOT: string = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** The Node that the project brings. */
export const NODE: string = join(PROJECT_ROOT, 'node_modules/.bin/node');

/**
 * Runs a program with the user's terminal.
 *
 * @throws Error  it failed; with `isQuiet` its output is in the message and otherwise not shown
 */
export function runVisibly(
  file: string,
  args: readonly string[],
  options: { readonly env?: Environment; readonly isQuiet?: boolean } = {},
): void {
  const result = spawnSync(file, [...args], {
    cwd: PROJECT_ROOT,
    stdio: options.isQuiet ? ['ignore', 'pipe', 'pipe'] : 'inherit',
    encoding: 'utf8',
    env: options.env ?? process.env,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.status !== 0) {
    const said = options.isQuiet ? `\n${result.stdout}${result.stderr}` : '';
    throw new Error(`${file} ${args.slice(0, 3).join(' ')} failed${said}`, { cause: result.error });
  }
}

/**
 * Runs a program as the last thing, passing on signals. Its exit code is the result.
 *
 */
export async function runToEnd(file: string, args: readonly string[]): Promise<number> {
  const child = spawn(file, [...args], { cwd: PROJECT_ROOT, stdio: 'inherit' });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const forward = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  for (const signal of signals) {
    process.on(signal, forward);
  }
  return await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => {
      for (const signal of signals) {
        process.off(signal, forward);
      }
      resolve(code ?? 1);
    });
  });
}
