import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PLAIN_ENV } from '../../base/node/run.ts';

/** Debian's package docker-registry. */
export const REGISTRY_PROGRAM = '/usr/bin/docker-registry';

const START_ATTEMPTS = 10;
const START_TIMEOUT_MS = 30_000;
const POLL_MS = 50;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function isAnswering(host: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const request = get(`http://${host}/v2/`, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('error', () => resolve(false));
  });
}

/** Debian's registry as a process of its own, on loopback. */
export class RealRegistry implements AsyncDisposable {
  readonly host: string;
  readonly #child: ChildProcess;
  readonly #root: string;

  private constructor(host: string, child: ChildProcess, root: string) {
    this.host = host;
    this.#child = child;
    this.#root = root;
  }

  static async open(): Promise<RealRegistry> {
    const root = await mkdtemp(join(tmpdir(), 'registry-'));
    await mkdir(join(root, 'data'));
    for (let attempt = 0; attempt < START_ATTEMPTS; attempt += 1) {
      const host = `127.0.0.1:${await freePort()}`;
      const config = join(root, 'config.yml');
      await writeFile(
        config,
        `version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: ${join(root, 'data')} }, delete: { enabled: true } }
http: { addr: '${host}' }
`,
      );
      const child = spawn(REGISTRY_PROGRAM, ['serve', config], {
        stdio: 'ignore',
        env: { ...PLAIN_ENV },
      });
      const registry = new RealRegistry(host, child, root);
      const endMs = performance.now() + START_TIMEOUT_MS;
      while (child.exitCode === null && performance.now() < endMs) {
        if (await isAnswering(host)) {
          return registry;
        }
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
      // Somebody else took the port in between.
      child.kill('SIGKILL');
    }
    throw new Error('the registry does not start');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) {
      const ended = new Promise((resolve) => this.#child.once('exit', resolve));
      this.#child.kill('SIGKILL');
      await ended;
    }
    await rm(this.#root, { recursive: true, force: true });
  }
}
