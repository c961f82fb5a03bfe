import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What decides whether a process belongs to an engine. */
export interface ProcessFacts {
  readonly pid: number;
  readonly parentPid: number;
  readonly args: readonly string[];
}

async function readProcess(pid: number): Promise<ProcessFacts | undefined> {
  try {
    const [stat, line] = await Promise.all([
      readFile(join('/proc', String(pid), 'stat'), 'utf8'),
      readFile(join('/proc', String(pid), 'cmdline'), 'utf8'),
    ]);
    const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { pid, parentPid: Number(afterName[1]), args: line.split('\0') };
  } catch {
    // Ended while the table was read.
    return undefined;
  }
}

/** Pids of all processes that `belongs` takes; `ancestors` starts with the parent. */
export async function findPids(
  belongs: (facts: ProcessFacts, ancestors: readonly ProcessFacts[]) => boolean,
): Promise<readonly number[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const table = new Map<number, ProcessFacts>();
  for (const name of names) {
    const facts = await readProcess(Number(name));
    if (facts !== undefined) {
      table.set(facts.pid, facts);
    }
  }
  return [...table.values()]
    .filter((facts) => {
      const ancestors: ProcessFacts[] = [];
      let parent = table.get(facts.parentPid);
      while (parent !== undefined) {
        ancestors.push(parent);
        parent = table.get(parent.parentPid);
      }
      return belongs(facts, ancestors);
    })
    .map((facts) => facts.pid);
}

/** Proportional set size of some processes together, in MiB: shared pages count once, spread over those who share. */
export async function pssMiB(pids: readonly number[]): Promise<number> {
  let kibibytes = 0;
  for (const pid of pids) {
    const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
    kibibytes += Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0);
  }
  return kibibytes / 1024;
}
