import { randomBytes } from 'node:crypto';
import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  rmdir,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { delay } from '../../../base/async.ts';
import { listIfThere } from '../../../base/node/atomic-file.ts';
import { run } from '../../../base/node/run.ts';
import type {
  AttachSession,
  ConsoleSize,
  LaunchOptions,
  OutputChunk,
  ShimClient,
  ShimConfig,
} from '../contract.ts';
import { launchShim } from '../launch-shim.ts';
import { connectShim } from '../shim-client.ts';

/**
 * The program under test, made by `make -C native`. GANTRY_TEST_SHIM names another build, such as the one with sanitizers
 * (`build/native/sanitize/gantry-shim`), which a finding ends and thereby fails the test.
 */
export const SHIM_PATH =
  process.env['GANTRY_TEST_SHIM'] ??
  fileURLToPath(new URL('../../../../build/native/gantry-shim', import.meta.url));
const BUSYBOX_PATH = '/usr/bin/busybox';
const CGROUP_ROOT = '/sys/fs/cgroup';

/** What a test container is to be. */
export interface FixtureOptions {
  /** Run by `/bin/sh -c`; every busybox applet is there. */
  readonly script: string;
  readonly hasTty?: boolean;
  readonly config?: Partial<ShimConfig>;
  readonly hasLog?: boolean;
  /** Goes into `linux.resources`. */
  readonly resources?: unknown;
  /** First program; default `/bin/sh -c script`. */
  readonly args?: readonly string[];
}

function consoleSizeOf(size: ConsoleSize | undefined): object {
  return size === undefined ? {} : { consoleSize: { height: size.rows, width: size.columns } };
}

function specOf(options: FixtureOptions, rootfs: string, cgroupsPath: string): unknown {
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: options.hasTty ?? false,
      ...consoleSizeOf(options.config?.consoleSize),
      user: { uid: 0, gid: 0 },
      args: options.args ?? ['/bin/sh', '-c', options.script],
      env: ['PATH=/bin', 'TERM=xterm'],
      cwd: '/',
    },
    root: { path: rootfs },
    hostname: 'fixture',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['mode=755'] },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
    ],
    linux: {
      cgroupsPath,
      resources: options.resources,
      namespaces: ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type })),
    },
  };
}

/** A bundle with busybox, a run folder and the configuration of a shim. Disposing kills and removes all of it. */
export class ContainerFixture implements AsyncDisposable {
  readonly dir: string;
  readonly config: ShimConfig;

  private constructor(dir: string, config: ShimConfig) {
    this.dir = dir;
    this.config = config;
  }

  static async make(options: FixtureOptions): Promise<ContainerFixture> {
    const dir = await mkdtemp(join(tmpdir(), 'gantry-shim-'));
    const id = `shimtest-${randomBytes(6).toString('hex')}`;
    const rootfs = join(dir, 'bundle/rootfs');
    for (const folder of ['bin', 'proc', 'dev', 'tmp', 'sys']) {
      await mkdir(join(rootfs, folder), { recursive: true });
    }
    await mkdir(join(dir, 'run'));
    await mkdir(join(dir, 'state'));
    await copyFile(BUSYBOX_PATH, join(rootfs, 'bin/busybox'));
    const applets = 'sh cat echo sleep stty tty head tail dd yes kill wc id seq usleep md5sum true';
    for (const applet of applets.split(' ')) {
      await symlink('busybox', join(rootfs, 'bin', applet));
    }
    const cgroupsPath = `/gantry-shim-test/${id}`;
    const isV2 = (await readdir(CGROUP_ROOT)).includes('cgroup.controllers');
    const groups = isV2 ? ['.'] : await readdir(CGROUP_ROOT);
    await writeFile(
      join(dir, 'bundle/config.json'),
      JSON.stringify(specOf(options, rootfs, cgroupsPath)),
    );
    return new ContainerFixture(dir, {
      containerId: id,
      bundleDir: join(dir, 'bundle'),
      runDir: join(dir, 'run'),
      runtime: { path: '/usr/sbin/runc', args: ['--root', join(dir, 'runc')] },
      hasTty: options.hasTty ?? false,
      hasStdin: false,
      isStdinOnce: false,
      exitRecordPath: join(dir, 'state/exit.json'),
      oomFile: isV2
        ? join(CGROUP_ROOT, cgroupsPath, 'memory.events')
        : join(CGROUP_ROOT, 'memory', cgroupsPath, 'memory.oom_control'),
      cgroupDirs: groups.map((group) => join(CGROUP_ROOT, group, cgroupsPath)),
      runtimeStateDir: join(dir, 'runc', id),
      ...(options.hasLog === false ? {} : { log: { path: join(dir, 'state/c-json.log') } }),
      ...options.config,
    });
  }

  /** Process file of an exec session running `/bin/sh -c script`. */
  async processFile(script: string, hasTty = false, size?: ConsoleSize): Promise<string> {
    const path = join(this.dir, `process-${randomBytes(4).toString('hex')}.json`);
    const process = {
      terminal: hasTty,
      ...consoleSizeOf(size),
      user: { uid: 0, gid: 0 },
      args: ['/bin/sh', '-c', script],
      env: ['PATH=/bin', 'TERM=xterm'],
      cwd: '/',
    };
    await writeFile(path, JSON.stringify(process));
    return path;
  }

  /** Entries of the log, oldest file first. */
  async readLog(): Promise<{ log: string; stream: string; time: string; attrs?: unknown }[]> {
    const dir = join(this.dir, 'state');
    const names = (await listIfThere(dir)).filter((name) => name.startsWith('c-json.log'));
    const entries: string[] = [];
    for (const name of names.sort().reverse()) {
      const text = await readFile(join(dir, name), 'utf8');
      // What follows the last newline is being written.
      for (const line of text.split('\n').slice(0, -1)) {
        entries.push(line);
      }
    }
    return entries.map((line) => JSON.parse(line) as { log: string; stream: string; time: string });
  }

  /** All that was logged of a stream. */
  async loggedText(stream: 'stdout' | 'stderr'): Promise<string> {
    const entries = await this.readLog();
    return entries
      .filter((entry) => entry.stream === stream)
      .map((entry) => entry.log)
      .join('');
  }

  /** Cgroup folders that are still there. */
  async leftCgroups(): Promise<string[]> {
    const left: string[] = [];
    for (const dir of this.config.cgroupDirs ?? []) {
      const files = await listIfThere(dir);
      if (files.length > 0) {
        left.push(dir);
      }
    }
    return left;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const client = await connectShim(this.config.runDir).catch(() => undefined);
    if (client !== undefined) {
      await client.shutdown().catch(() => {});
      await client[Symbol.asyncDispose]();
    }
    await run(this.config.runtime.path, [
      ...this.config.runtime.args,
      'delete',
      '--force',
      this.config.containerId,
    ]);
    for (const dir of this.config.cgroupDirs ?? []) {
      // The folder above is shared with the other tests' containers: the last one takes it along.
      await rmdir(dirname(dir)).catch(() => {});
    }
    await rm(this.dir, { recursive: true, force: true });
  }
}

/** Everything a session delivers, by stream. */
export async function collect(session: AttachSession): Promise<{ stdout: string; stderr: string }> {
  const parts: Record<OutputChunk['stream'], Uint8Array[]> = { stdout: [], stderr: [] };
  for await (const chunk of session.output) {
    parts[chunk.stream].push(chunk.data);
  }
  return {
    stdout: Buffer.concat(parts.stdout).toString('utf8'),
    stderr: Buffer.concat(parts.stderr).toString('utf8'),
  };
}

/** Reads a session until its standard output so far holds `needle`; what came up to there. */
export async function readUntil(
  output: AsyncIterator<OutputChunk>,
  needle: string,
): Promise<string> {
  let text = '';
  while (!text.includes(needle)) {
    const next = await output.next();
    if (next.done === true) {
      throw new Error(`output ended without ${JSON.stringify(needle)}: ${JSON.stringify(text)}`);
    }
    text += Buffer.from(next.value.data).toString('utf8');
  }
  return text;
}

/** What most sessions want. */
export const ALL_STREAMS = { wantsStdin: false, wantsStdout: true, wantsStderr: true } as const;

/** Launches and expects success. */
export async function start(
  config: ShimConfig,
  options: Partial<LaunchOptions> = {},
): Promise<ShimClient> {
  const result = await launchShim(config, { shimPath: SHIM_PATH, ...options });
  if (result.kind !== 'started') {
    throw new Error(result.runtimeMessage);
  }
  return result.client;
}

/** Waits for a condition; fails after a minute. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > deadline) {
      throw new Error('the condition did not come true within a minute');
    }
    await delay(20);
  }
}
