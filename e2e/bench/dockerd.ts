import { type ChildProcess, spawn } from 'node:child_process';
import { constants, openSync } from 'node:fs';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runOrThrow } from '../../engine/base/node/run.ts';
import { type Docker, dockerFor } from '../fixtures/docker.ts';
import { busyboxArchive } from '../fixtures/images.ts';
import { waitFor } from '../fixtures/wait.ts';
import { type BenchEngine, call } from './engine-under-test.ts';
import type { BenchPlace } from './isolation.ts';
import { findPids } from './processes.ts';

const BRIDGE = 'gbench0';
/** Room for a thousand containers, apart from the pools of test engines. */
const BRIDGE_ADDRESS = '172.31.240.1/20';

async function onPath(program: string): Promise<boolean> {
  for (const folder of (process.env['PATH'] ?? '').split(':')) {
    try {
      await access(join(folder, program), constants.X_OK);
      return true;
    } catch {
      // Not in this folder.
    }
  }
  return false;
}

/** Whether dockerd and the containerd it needs are on PATH. */
export async function hasDockerd(): Promise<boolean> {
  return (await onPath('dockerd')) && (await onPath('containerd'));
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) {
    return;
  }
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  child.kill('SIGTERM');
  await gone;
}

class Dockerd implements BenchEngine {
  readonly name = 'dockerd';
  version = '';
  readonly folder: string;
  readonly socketPath: string;
  readonly docker: Docker;
  readonly #place: BenchPlace;
  #containerd: ChildProcess | undefined;
  #dockerd: ChildProcess | undefined;

  constructor(place: BenchPlace) {
    this.folder = join(place.folder, 'dockerd');
    this.socketPath = join(this.folder, 'docker.sock');
    this.docker = dockerFor(this.socketPath, this.folder);
    this.#place = place;
  }

  #spawn(program: string, args: readonly string[]): ChildProcess {
    const output = openSync(join(this.folder, `${program}.log`), 'a');
    return spawn(program, [...args], { stdio: ['ignore', output, output] });
  }

  async start(): Promise<void> {
    const inFolder = (name: string): string => join(this.folder, name);
    this.#containerd ??= this.#spawn('containerd', ['--config', inFolder('containerd.toml')]);
    await waitFor(
      'containerd',
      async () => await access(inFolder('containerd.sock')).then(() => true),
    );
    const dockerd = this.#spawn('dockerd', [
      '--host',
      `unix://${this.socketPath}`,
      '--pidfile',
      inFolder('dockerd.pid'),
      '--data-root',
      inFolder('data'),
      '--exec-root',
      join(this.#place.runFolder, 'dockerd'),
      '--containerd',
      inFolder('containerd.sock'),
      '--config-file',
      inFolder('daemon.json'),
      '--bridge',
      BRIDGE,
      '--cgroup-parent',
      this.#place.cgroupParent,
      // Containers live on without the daemon, as they do with Gantry.
      '--live-restore',
      // Needs a capability that not every machine gives root.
      '--oom-score-adjust',
      '0',
    ]);
    this.#dockerd = dockerd;
    await waitFor('dockerd', async () => {
      if (dockerd.exitCode !== null) {
        throw new Error(`dockerd ended:\n${await readFile(inFolder('dockerd.log'), 'utf8')}`);
      }
      return (await call(this, 'GET', '/_ping')).status === 200;
    });
  }

  async prepare(): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    await runOrThrow('ip', ['link', 'add', BRIDGE, 'type', 'bridge']);
    await runOrThrow('ip', ['address', 'add', BRIDGE_ADDRESS, 'dev', BRIDGE]);
    await runOrThrow('ip', ['link', 'set', BRIDGE, 'up']);
    await writeFile(join(this.folder, 'daemon.json'), '{}');
    await writeFile(
      join(this.folder, 'containerd.toml'),
      `version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri"]
root = "${join(this.folder, 'containerd')}"
state = "${join(this.#place.runFolder, 'containerd')}"
[grpc]
address = "${join(this.folder, 'containerd.sock')}"
[ttrpc]
address = "${join(this.folder, 'containerd.ttrpc')}"
`,
    );
    await this.start();
    const version = JSON.parse((await call(this, 'GET', '/version')).text) as { Version: string };
    this.version = version.Version;
    await this.docker.ok(['load', '--input', await busyboxArchive()]);
  }

  async daemonPids(): Promise<readonly number[]> {
    return [this.#dockerd?.pid ?? 0, this.#containerd?.pid ?? 0];
  }

  async supervisorPids(): Promise<readonly number[]> {
    return await findPids(({ args }) =>
      ['containerd-shim-runc-v2', 'docker-proxy'].includes(args[0]?.split('/').pop() ?? ''),
    );
  }

  async stop(): Promise<void> {
    await end(this.#dockerd);
  }
}

/** A fresh dockerd with a containerd and a bridge of its own and `busybox:latest`. Inside the bench's namespaces only. */
export async function startDockerd(place: BenchPlace): Promise<BenchEngine> {
  const dockerd = new Dockerd(place);
  await dockerd.prepare();
  return dockerd;
}
