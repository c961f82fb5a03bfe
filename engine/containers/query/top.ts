import { InvalidParameterError, SystemError } from '../../base/errors.ts';
import { run } from '../../base/node/run.ts';
import type { TopResult } from '../contract.ts';
import type { ContainerCore } from '../core.ts';

/** `ps` may not rename its PID column: the rows are picked by it. */
function checkArguments(args: string): void {
  for (const [, key = '', value = ''] of args.matchAll(/\s+(\S*)=\s*(PID\S*)/g)) {
    if (key !== 'pid') {
      throw new InvalidParameterError(`specifying "${key}=${value}" is not allowed`);
    }
  }
}

/** Picks the rows of certain processes, with their threads (rows whose pid is `-`). @throws SystemError */
export function parsePs(output: string, pids: ReadonlySet<number>): TopResult {
  const [header = '', ...lines] = output.split('\n');
  const titles = header.split(/[\t\n\f\r ]+/).filter(Boolean);
  const pidColumn = titles.indexOf('PID');
  if (pidColumn === -1) {
    throw new SystemError("Couldn't find PID field in ps output");
  }
  const processes: string[][] = [];
  let isInside = false;
  for (const line of lines) {
    const fields = line.split(/[\t\n\f\r ]+/).filter(Boolean);
    if (fields.length === 0) {
      continue;
    }
    const pid = fields[pidColumn] ?? '';
    if (pid !== '-') {
      if (!/^\d+$/.test(pid)) {
        throw new SystemError(`Unexpected pid '${pid}'`);
      }
      isInside = pids.has(Number(pid));
    }
    if (isInside) {
      const last = titles.length - 1;
      processes.push([...fields.slice(0, last), fields.slice(last).join(' ')]);
    }
  }
  return { Titles: titles, Processes: processes };
}

/** Implements {@link ContainerService.top}: the host's `ps`, cut to the container's processes. */
export async function topOfContainer(
  core: ContainerCore,
  ref: string,
  psArgs: string | undefined,
): Promise<TopResult> {
  const text = psArgs || '-ef';
  checkArguments(text);
  const container = core.registry.get(ref);
  core.assertRunning(container);
  core.assertNotRestarting(container);
  const pids = await core.ports.runtime.cgroup(container.id, container.record.hostConfig).pids();
  const args = text.split(' ').filter(Boolean);
  let result = await run('ps', [...args, `-q${pids.join(',')}`]);
  if (result.exitCode !== 0) {
    // Some options (f, for one) do not go together with -q.
    result = await run('ps', args);
  }
  if (result.exitCode !== 0) {
    const said = result.stderr.split('\n', 1)[0] || `exit status ${result.exitCode}`;
    throw new SystemError(`ps: ${said}`);
  }
  const table = parsePs(result.stdout, new Set(pids));
  core.publish(container, 'top');
  return table;
}
