import { request } from 'node:http';
import { join } from 'node:path';
import type { Docker } from '../fixtures/docker.ts';
import { startEngine, type TestEngine } from '../fixtures/engine.ts';
import type { BenchPlace } from './isolation.ts';
import { findPids, type ProcessFacts } from './processes.ts';

/** What figures measure. It is never disposed of: the namespaces that the bench runs in take everything along. */
export interface BenchEngine {
  readonly name: 'Gantry' | 'dockerd';
  readonly version: string;
  readonly socketPath: string;
  /** A folder for files of the figures. */
  readonly folder: string;
  readonly docker: Docker;
  /** Processes of the engine itself, without what exists per container. */
  daemonPids(): Promise<readonly number[]>;
  /** Processes that exist per running container, without the container's own. */
  supervisorPids(): Promise<readonly number[]>;
  /** Ends the engine, containers keep running. */
  stop(): Promise<void>;
  /** Starts it again and resolves when it answers. */
  start(): Promise<void>;
}

/** Answer of one request. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

/**
 * One API request.
 *
 * @throws Error  status 400 or above, with the engine's message
 */
export async function call(
  engine: Pick<BenchEngine, 'socketPath'>,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const headers =
    text === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  return await new Promise<Answer>((resolve, reject) => {
    const outgoing = request(
      { socketPath: engine.socketPath, method, path, headers },
      (incoming) => {
        const parts: Buffer[] = [];
        incoming.on('data', (part: Buffer) => parts.push(part));
        incoming.once('error', reject);
        incoming.once('end', () => {
          const answer = {
            status: incoming.statusCode ?? 0,
            text: Buffer.concat(parts).toString('utf8'),
          };
          if (answer.status >= 400) {
            reject(new Error(`${method} ${path}: ${answer.status} ${answer.text}`));
          } else {
            resolve(answer);
          }
        });
      },
    );
    outgoing.once('error', reject);
    outgoing.end(text);
  });
}

class GantryUnderTest implements BenchEngine {
  readonly name = 'Gantry';
  readonly version: string;
  readonly socketPath: string;
  readonly folder: string;
  readonly docker: Docker;
  readonly #engine: TestEngine;
  readonly #execRoot: string;

  constructor(engine: TestEngine, version: string, execRoot: string) {
    this.#engine = engine;
    this.#execRoot = execRoot;
    this.version = version;
    this.socketPath = engine.socketPath;
    this.folder = engine.folder;
    this.docker = engine.docker;
  }

  #isShim(facts: ProcessFacts): boolean {
    return (
      facts.args[0]?.endsWith('gantry-shim') === true &&
      facts.args.some((argument) => argument.startsWith(this.#execRoot))
    );
  }

  async daemonPids(): Promise<readonly number[]> {
    return await findPids(
      (facts, ancestors) =>
        !this.#isShim(facts) &&
        (facts.pid === this.#engine.pid ||
          ancestors.some((parent) => parent.pid === this.#engine.pid)) &&
        !ancestors.some((parent) => this.#isShim(parent)),
    );
  }

  async supervisorPids(): Promise<readonly number[]> {
    return await findPids((facts) => this.#isShim(facts));
  }

  async stop(): Promise<void> {
    await this.#engine.stop();
  }

  async start(): Promise<void> {
    await this.#engine.start();
  }
}

/** A fresh Gantry engine with `busybox:latest`, as a user runs it. */
export async function startGantry(place: BenchPlace): Promise<BenchEngine> {
  const execRoot = join(place.runFolder, 'gantry');
  const engine = await startEngine({ flags: ['--log-level', 'info', '--exec-root', execRoot] });
  const version = JSON.parse((await engine.api('GET', '/version')).text) as { Version: string };
  return new GantryUnderTest(engine, version.Version, execRoot);
}
