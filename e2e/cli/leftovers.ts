import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing } from '../../engine/base/errors.ts';
import { listIfThere } from '../../engine/base/node/atomic-file.ts';
import { run } from '../../engine/base/node/run.ts';
import type { TestEngine } from '../fixtures/engine.ts';
import { waitFor } from '../fixtures/wait.ts';

async function shims(engine: TestEngine): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(join('/proc', pid, 'cmdline'), 'utf8').catch(() => '');
    if (/gantry-shim|runc/.test(line) && line.includes(engine.folder)) {
      found.push(`process ${pid} ${line.replaceAll('\0', ' ')}`);
    }
  }
  return found;
}

async function interfaces(hash: string): Promise<string[]> {
  const result = await run('ip', ['-j', 'link', 'show']);
  const links = JSON.parse(result.stdout || '[]') as { ifname: string; ifalias?: string }[];
  return links.filter((link) => link.ifalias === `gantry:${hash}`).map((link) => link.ifname);
}

async function cgroups(engine: TestEngine): Promise<string[]> {
  const parent = `gantry-test-${engine.folder.split('/').pop() ?? ''}`;
  const found: string[] = [];
  for (const root of ['', ...(await listIfThere('/sys/fs/cgroup'))]) {
    const folder = join('/sys/fs/cgroup', root, parent);
    const children = await readdir(folder).catch((error: unknown) => {
      if (isMissing(error) || (error instanceof Error && /ENOTDIR/.test(error.message))) {
        return [];
      }
      throw error;
    });
    found.push(...children.filter((name) => /^[0-9a-f]{64}$/.test(name)));
  }
  return [...new Set(found)].map((name) => `cgroup ${name}`);
}

/**
 * What an engine without containers and networks of its own must not have: processes, mounts, namespaces, bridges other
 * than its own, cgroups, folders.
 */
export async function leftoversOf(engine: TestEngine): Promise<string[]> {
  const hash = await readFile(join(engine.folder, 'hash'), 'utf8');
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((target) => target.startsWith(`${engine.folder}/`));
  const namespaces = await listIfThere('/run/netns');
  const [bridge, ...others] = await interfaces(hash);
  const folders = await Promise.all(
    ['data/containers', 'run/containers', 'run/runtime', 'data/snapshots/writables'].map(
      async (name) =>
        (await listIfThere(join(engine.folder, name))).map((entry) => `folder ${name}/${entry}`),
    ),
  );
  return [
    ...(bridge === undefined ? ['no bridge'] : []),
    ...others.map((name) => `interface ${name}`),
    ...mounts.map((target) => `mount ${target}`),
    ...namespaces
      .filter((name) => name.startsWith(`gantry-${hash}-`))
      .map((name) => `netns ${name}`),
    ...folders.flat(),
    ...(await shims(engine)),
    ...(await cgroups(engine)),
  ];
}

/** Waits until nothing of {@link leftoversOf} is left: the last processes end on their own. @throws Error  naming it */
export async function expectNoLeftovers(engine: TestEngine): Promise<void> {
  await waitFor('everything to be gone', async () => {
    const left = await leftoversOf(engine);
    if (left.length > 0) {
      throw new Error(left.join('\n'));
    }
    return true;
  });
}

/** Removes all containers, own networks and volumes, so that a failed test does not fail the next one. */
export async function clearEngine(engine: TestEngine): Promise<void> {
  const { docker } = engine;
  const names = (await docker(['ps', '-aq'])).stdout.split('\n').filter(Boolean);
  if (names.length > 0) {
    await docker(['rm', '-fv', ...names]);
  }
  await docker(['network', 'prune', '-f']);
  await docker(['volume', 'prune', '-f']);
}
