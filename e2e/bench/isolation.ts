import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, isMissing } from '../../engine/base/errors.ts';
import { listIfThere } from '../../engine/base/node/atomic-file.ts';
import { runOrThrow } from '../../engine/base/node/run.ts';
import { NODE } from '../fixtures/places.ts';
import { TEST_ROOT } from '../fixtures/sweep.ts';
import { waitFor } from '../fixtures/wait.ts';

/**
 * A bench runs in namespaces of its own (network, mounts, processes): bridges, firewall rules, mounts and processes of both
 * engines vanish with it, however it ends, and nothing of the machine's own network is touched. What the kernel does not
 * take back, files and cgroups, is removed afterwards, and before the next bench if this one was killed.
 */
const BENCH_ROOT = '/var/tmp/gantry-bench';
const INSIDE_FLAG = '--inside';
const CGROUP_ROOT = '/sys/fs/cgroup';

/** Folder of one bench. */
export interface BenchPlace {
  readonly folder: string;
  /** In memory, as `/run` is: for what engines keep per running container. */
  readonly runFolder: string;
  /** Parent cgroup for engines that are not started by the test fixture. */
  readonly cgroupParent: string;
}

function placeOf(folder: string): BenchPlace {
  return {
    folder,
    runFolder: join(folder, 'run'),
    cgroupParent: `/gantry-bench-${folder.split('/').pop() ?? ''}`,
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}

async function removeCgroupTree(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) {
      await removeCgroupTree(join(path, entry.name));
    }
  }
  await rmdir(path);
}

/** True once it is gone; false while something that is just ending holds it. */
async function isCgroupGone(path: string): Promise<boolean> {
  return await removeCgroupTree(path).then(
    () => true,
    (error: unknown) => isMissing(error),
  );
}

async function destroyPlace(place: BenchPlace): Promise<void> {
  const tests = await listIfThere(join(place.folder, 'tests'));
  const names = [place.cgroupParent, ...tests.map((name) => `/gantry-test-${name}`)];
  const hierarchies = [
    CGROUP_ROOT,
    ...(await readdir(CGROUP_ROOT)).map((n) => join(CGROUP_ROOT, n)),
  ];
  for (const hierarchy of hierarchies) {
    for (const name of names) {
      const path = join(hierarchy, name);
      await waitFor(`cgroup ${path} to be gone`, async () => await isCgroupGone(path));
    }
  }
  await rm(place.folder, { recursive: true, force: true });
}

/** Ends what is left of benches whose first process is gone, and removes their files. */
async function sweepDeadBenches(): Promise<void> {
  for (const name of await listIfThere(BENCH_ROOT)) {
    const folder = join(BENCH_ROOT, name);
    const owner = Number(await readFile(join(folder, 'owner'), 'utf8').catch(() => '0'));
    if (owner > 0 && isAlive(owner)) {
      throw new Error(`another bench is running (pid ${owner}): figures would be worthless`);
    }
    await destroyPlace(placeOf(folder));
  }
}

async function exitOf(child: ChildProcess): Promise<number> {
  return await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

/**
 * Runs this program again inside new namespaces, below an init that collects orphans, and waits for it.
 *
 * @returns its exit code
 * @throws Error  another bench is running, or namespaces cannot be made (root is needed)
 */
export async function runIsolated(program: string, args: readonly string[]): Promise<number> {
  await sweepDeadBenches();
  const folder = join(BENCH_ROOT, randomBytes(4).toString('hex'));
  await mkdir(join(folder, 'tests'), { recursive: true });
  await writeFile(join(folder, 'owner'), String(process.pid));
  const child = spawn(
    'unshare',
    [
      '--net',
      '--mount',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      'tini',
      '-s',
      '--',
      NODE,
      program,
      INSIDE_FLAG,
      folder,
      ...args,
    ],
    { stdio: ['pipe', 'inherit', 'inherit'] },
  );
  const stop = (): void => {
    child.stdin?.end();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  try {
    return await exitOf(child);
  } finally {
    await destroyPlace(placeOf(folder));
  }
}

/**
 * Inside half of {@link runIsolated}.
 *
 * @returns undefined when this process is the outer one
 */
export async function enterPlace(
  args: readonly string[],
): Promise<{ readonly place: BenchPlace; readonly args: readonly string[] } | undefined> {
  const [flag, folder] = args;
  if (flag !== INSIDE_FLAG || folder === undefined) {
    return undefined;
  }
  // The outer process keeps standard input open: its end is the end of all this, as init takes every process along.
  process.stdin.on('end', () => process.exit(130)).resume();
  process.stdin.unref();
  await runOrThrow('mount', ['--make-rprivate', '/']);
  const place = placeOf(folder);
  await mkdir(place.runFolder);
  await runOrThrow('mount', ['-t', 'tmpfs', 'tmpfs', place.runFolder]);
  // The test fixture sweeps its folder by process ids, which mean something else in here.
  await mkdir(TEST_ROOT, { recursive: true });
  await runOrThrow('mount', ['--bind', join(folder, 'tests'), TEST_ROOT]);
  // /sys shows the devices of the network it was mounted in; a new one has no cgroups.
  const cgroups = join(folder, 'cgroup');
  await mkdir(cgroups);
  await runOrThrow('mount', ['--rbind', CGROUP_ROOT, cgroups]);
  await runOrThrow('mount', ['-t', 'sysfs', 'sysfs', '/sys']);
  await runOrThrow('mount', ['--rbind', cgroups, CGROUP_ROOT]);
  await runOrThrow('umount', ['--lazy', cgroups]);
  await runOrThrow('ip', ['link', 'set', 'lo', 'up']);
  return { place, args: args.slice(2) };
}
