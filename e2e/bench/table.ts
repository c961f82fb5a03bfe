import { readFile, writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { run } from '../../engine/base/node/run.ts';
import { PROJECT_ROOT } from '../fixtures/places.ts';
import type { BenchEngine } from './engine-under-test.ts';
import { type Measured, median } from './figure.ts';

const BEGIN = '<!-- bench -->';
const END = '<!-- /bench -->';

/** Three significant figures, no exponent. */
export function short(value: number): string {
  if (!Number.isFinite(value)) {
    return '-';
  }
  const magnitude = Math.abs(value);
  return value.toFixed(magnitude >= 100 ? 0 : magnitude >= 10 ? 1 : 2);
}

/** Gantry's median divided by dockerd's; NaN without either. */
export function ratioOf({ samples }: Measured): number {
  return median(samples.get('Gantry') ?? []) / median(samples.get('dockerd') ?? []);
}

/** What a figure misses of its bars, in words; undefined when it is good. */
export function missedBar(measured: Measured): string | undefined {
  const { figure } = measured;
  const value = median(measured.samples.get('Gantry') ?? []);
  const ratio = ratioOf(measured);
  const isFar = (is: number, bar: number): boolean =>
    figure.isMoreBetter === true ? is < bar : is > bar;
  if (figure.valueBar !== undefined && isFar(value, figure.valueBar)) {
    return `${figure.name}: ${short(value)} ${figure.unit}, bar ${figure.valueBar} ${figure.unit}`;
  }
  if (figure.ratioBar !== undefined && isFar(ratio, figure.ratioBar)) {
    return `${figure.name}: ratio ${ratio.toFixed(2)}, bar ${figure.ratioBar}`;
  }
  return undefined;
}

async function describeMachine(engines: readonly BenchEngine[]): Promise<string> {
  const processors = cpus();
  const runc = (await run('runc', ['--version'])).stdout.split('\n')[0]?.replace('version ', '');
  const debian = await readFile('/etc/debian_version', 'utf8').catch(() => '');
  const names = engines.map((engine) => `${engine.name} ${engine.version}`).join(', ');
  return [
    `${processors.length} × ${processors[0]?.model.trim() ?? 'unknown processor'}`,
    `${Math.round(totalmem() / 2 ** 30)} GiB memory`,
    `Linux ${release()}${debian === '' ? '' : `, Debian ${debian.trim()}`}`,
    `${names}, ${runc ?? 'runc'} under both`,
    new Date().toISOString().slice(0, 10),
  ].join('; ');
}

/** The figures as a markdown table, with the machine below. */
export async function renderTable(
  results: readonly Measured[],
  engines: readonly BenchEngine[],
): Promise<string> {
  const isAlone = engines.length === 1;
  const head = isAlone ? ['figure', 'Gantry'] : ['figure', 'Gantry', 'dockerd', 'ratio'];
  const rows = results.map((measured) => {
    const { figure, samples } = measured;
    const cell = (name: string): string =>
      `${short(median(samples.get(name) ?? []))} ${figure.unit}`;
    const label = figure.isMoreBetter === true ? `${figure.name} (more is better)` : figure.name;
    return isAlone
      ? [label, cell('Gantry')]
      : [label, cell('Gantry'), cell('dockerd'), ratioOf(measured).toFixed(2)];
  });
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = line(head.map((_, index) => (index === 0 ? '---' : '---:')));
  return [
    line(head),
    rule,
    ...rows.map(line),
    '',
    `Medians, engines interleaved in one run. ${await describeMachine(engines)}.`,
  ].join('\n');
}

/** A text with what is between the markers replaced; the end marker is added when only the first is there. */
export function insertTable(text: string, table: string): string {
  const begin = text.indexOf(BEGIN);
  if (begin < 0) {
    throw new Error(`README.md has no ${BEGIN}`);
  }
  const end = text.indexOf(END, begin);
  const rest = end < 0 ? text.slice(begin + BEGIN.length) : text.slice(end + END.length);
  return `${text.slice(0, begin)}${BEGIN}\n\n${table}\n\n${END}${rest}`;
}

/** Puts a table into the project's README. */
export async function writeToReadme(table: string): Promise<void> {
  const path = join(PROJECT_ROOT, 'README.md');
  await writeFile(path, insertTable(await readFile(path, 'utf8'), table));
}
