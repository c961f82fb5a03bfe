import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { NODE, PROJECT_ROOT } from './processes.ts';

/** Outcome of one stage; a stage that dies without counting is one failure. */
export interface StageResult {
  readonly name: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
}

interface Stage {
  readonly name: string;
  readonly run: () => Promise<Omit<StageResult, 'name' | 'seconds'>>;
}

interface Finished {
  readonly exitCode: number;
  readonly output: string;
}

/** Runs a program, shows what it prints and keeps it too. */
async function execute(file: string, args: readonly string[]): Promise<Finished> {
  const child = spawn(file, [...args], {
    cwd: PROJECT_ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, FORCE_COLOR: process.stdout.isTTY ? '1' : '0' },
  });
  const parts: Buffer[] = [];
  const keep = (target: NodeJS.WriteStream) => (chunk: Buffer) => {
    parts.push(chunk);
    target.write(chunk);
  };
  child.stdout.on('data', keep(process.stdout));
  child.stderr.on('data', keep(process.stderr));
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
  return { exitCode, output: Buffer.concat(parts).toString('utf8') };
}

/** A stage that passes or fails as a whole. */
function single(name: string, file: string, args: readonly string[]): Stage {
  return {
    name,
    run: async () => {
      const { exitCode } = await execute(file, args);
      return { passed: exitCode === 0 ? 1 : 0, failed: exitCode === 0 ? 0 : 1, skipped: 0 };
    },
  };
}

/** A stage whose program prints `ok NAME` and `not ok NAME`. */
function lines(name: string, target: string): Stage {
  return {
    name,
    run: async () => {
      const { exitCode, output } = await execute('make', ['-s', '-j2', '-C', 'native', target]);
      const passed = output.match(/^ok /gm)?.length ?? 0;
      const failed = output.match(/^not ok /gm)?.length ?? 0;
      return {
        passed,
        failed: failed === 0 && (exitCode !== 0 || passed === 0) ? 1 : failed,
        skipped: 0,
      };
    },
  };
}

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly success: boolean;
}

function vitest(name: string): Stage {
  return {
    name,
    run: async () => {
      const report = join(PROJECT_ROOT, 'build/reports', `${name}.json`);
      mkdirSync(join(PROJECT_ROOT, 'build/reports'), { recursive: true });
      rmSync(report, { force: true });
      const { exitCode } = await execute(NODE, [
        'node_modules/vitest/vitest.mjs',
        'run',
        '--config',
        'e2e/vitest.config.ts',
        '--project',
        name,
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${report}`,
      ]);
      if (!existsSync(report)) {
        return { passed: 0, failed: 1, skipped: 0 };
      }
      const counts = JSON.parse(readFileSync(report, 'utf8')) as VitestReport;
      const isUnclean = exitCode !== 0 || !counts.success || counts.numPassedTests === 0;
      return {
        passed: counts.numPassedTests,
        // A file that cannot be loaded or an error outside any test fails the run without a failed test.
        failed: counts.numFailedTests === 0 && isUnclean ? 1 : counts.numFailedTests,
        skipped: counts.numPendingTests,
      };
    },
  };
}

const BIN = 'node_modules/.bin';

const STAGES: readonly Stage[] = [
  single('format', `${BIN}/biome`, ['ci', '--colors=off', '--error-on-warnings', '.']),
  single('lint', `${BIN}/oxlint`, ['--deny-warnings', '.']),
  single('types', `${BIN}/tsc`, ['-p', 'tsconfig.json']),
  single('page types', `${BIN}/tsc`, ['-p', 'renderer/tsconfig.json']),
  single('C format', 'make', ['-s', '-C', 'native', 'format-check']),
  lines('C tests', 'test'),
  lines('C sanitizers', 'sanitize'),
  lines('C fuzzing', 'fuzz'),
  vitest('unit'),
  vitest('root'),
  vitest('cli'),
  vitest('desktop'),
];

/** The quick loop of `npm run check`. */
export const QUICK_STAGES: readonly string[] = ['format', 'lint', 'types', 'page types', 'unit'];

/** Names that can be asked for. */
export const STAGE_NAMES: readonly string[] = STAGES.map((stage) => stage.name);

/**
 * Runs stages one after another; a failed one does not stop the rest. Prints a table and, alone on the last line,
 * `N passed, N failed`.
 *
 * @param only  names of stages; empty = all
 * @returns true when nothing failed
 */
export async function runStages(only: readonly string[]): Promise<boolean> {
  const results: StageResult[] = [];
  for (const stage of STAGES) {
    if (only.length > 0 && !only.includes(stage.name)) {
      continue;
    }
    console.log(`\n== ${stage.name}`);
    const startedAt = performance.now();
    const counts = await stage.run().catch((error: unknown) => {
      console.error(error);
      return { passed: 0, failed: 1, skipped: 0 };
    });
    results.push({ name: stage.name, ...counts, seconds: (performance.now() - startedAt) / 1000 });
  }
  const sum = (pick: (result: StageResult) => number): number =>
    results.reduce((total, result) => total + pick(result), 0);
  console.log('');
  for (const { name, passed, failed, skipped, seconds } of results) {
    const mark = failed === 0 ? ' ' : '!';
    console.log(
      `${mark} ${name.padEnd(14)} ${String(passed).padStart(5)} passed ${String(failed).padStart(4)} failed` +
        ` ${String(skipped).padStart(4)} skipped ${seconds.toFixed(1).padStart(7)} s`,
    );
  }
  const failed = sum((result) => result.failed);
  const skipped = sum((result) => result.skipped);
  console.log(
    `\n${sum((result) => result.passed)} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`,
  );
  return failed === 0;
}
