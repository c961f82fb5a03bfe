import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { hasDockerd, startDockerd } from './dockerd.ts';
import { startGantry } from './engine-under-test.ts';
import { type Figure, measureAll, median } from './figure.ts';
import { FIGURES } from './figures/index.ts';
import { type BenchPlace, enterPlace, runIsolated } from './isolation.ts';
import { missedBar, ratioOf, renderTable, short, writeToReadme } from './table.ts';

const USAGE = `Usage: npm run bench [-- [--write] [--gantry-only] [FIGURE...]]
  --write        also put the table into README.md
  --gantry-only  do not measure dockerd, even where it is installed
Figures: ${FIGURES.map((figure) => figure.key).join(' ')}`;

interface Wishes {
  readonly figures: readonly Figure[];
  readonly isWritten: boolean;
  readonly isGantryOnly: boolean;
}

function readWishes(args: readonly string[]): Wishes | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      write: { type: 'boolean' },
      'gantry-only': { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const unknown = positionals.filter((key) => FIGURES.every((figure) => figure.key !== key));
  if (values.help === true || unknown.length > 0) {
    console.error(unknown.length > 0 ? `no such figure: ${unknown.join(' ')}\n${USAGE}` : USAGE);
    return undefined;
  }
  return {
    figures: FIGURES.filter(({ key }) => positionals.length === 0 || positionals.includes(key)),
    isWritten: values.write === true,
    isGantryOnly: values['gantry-only'] === true,
  };
}

async function measure(place: BenchPlace, wishes: Wishes): Promise<number> {
  const isCompared = !wishes.isGantryOnly && (await hasDockerd());
  if (!isCompared && !wishes.isGantryOnly) {
    console.log('No dockerd and containerd on PATH (Debian: docker.io): Gantry is measured alone.');
  }
  const engines = [await startGantry(place)];
  if (isCompared) {
    engines.push(await startDockerd(place));
  }
  const startedAt = performance.now();
  const failures: string[] = [];
  const results = await measureAll(wishes.figures, engines, {
    done: (measured) => {
      const { figure, samples } = measured;
      const parts = [...samples].map(
        ([name, values]) =>
          `${name} ${short(median(values))} ${figure.unit} [${values.map(short).join(' ')}]`,
      );
      const ratio = isCompared ? `  ratio ${ratioOf(measured).toFixed(2)}` : '';
      const seconds = Math.round((performance.now() - startedAt) / 1000);
      console.log(`${String(seconds).padStart(4)} s  ${figure.name}: ${parts.join('  ')}${ratio}`);
    },
    failed: (figure, error) => {
      console.error(`${figure.name} failed:`, error);
      failures.push(figure.name);
    },
  });
  const table = await renderTable(results, engines);
  console.log(`\n${table}\n`);
  const missed = results.map(missedBar).filter((text) => text !== undefined);
  console.log(missed.length === 0 ? 'All bars are met.' : `Missed bars:\n${missed.join('\n')}`);
  if (wishes.isWritten && failures.length === 0) {
    await writeToReadme(table);
    console.log('Written to README.md.');
  }
  return failures.length === 0 ? 0 : 1;
}

const outerArgs = process.argv.slice(2);
const inside = await enterPlace(outerArgs);
const wishes = readWishes(inside?.args ?? outerArgs);
if (wishes === undefined) {
  process.exitCode = 2;
} else if (inside === undefined) {
  process.exitCode = await runIsolated(fileURLToPath(import.meta.url), outerArgs);
} else {
  process.exit(await measure(inside.place, wishes));
}
