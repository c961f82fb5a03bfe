import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  encodeLog,
  type FakeContainer,
  type FakeImage,
  type FakeVolume,
  inspected,
  listed,
} from './fake-objects.ts';

/** A program behind an exec session; called with the raw socket once it is started. */
export type FakeProgram = (socket: Socket, exec: FakeExec) => void;

/** An exec session of the fake. */
export interface FakeExec {
  readonly id: string;
  readonly containerId: string;
  readonly command: string[];
  running: boolean;
  exitCode: number | undefined;
  readonly sizes: string[];
}

type Route = (context: {
  request: IncomingMessage;
  response: ServerResponse;
  match: RegExpExecArray;
  query: URLSearchParams;
  body: unknown;
}) => void;

const ZERO_TIME = '0001-01-01T00:00:00Z';

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

/**
 * An engine for tests: a real HTTP server on a real socket, with its state in plain fields. Only what the host uses.
 * `stop` and `start` stand for an engine that is killed and comes back with what it had.
 */
export class FakeEngine implements AsyncDisposable {
  readonly containers = new Map<string, FakeContainer>();
  readonly images = new Map<string, FakeImage>();
  readonly volumes = new Map<string, FakeVolume>();
  readonly networks = new Map<string, { Id: string; Name: string; Driver: string }>();
  readonly execs = new Map<string, FakeExec>();
  /** `METHOD /path` of every request, without the version. */
  readonly requests: string[] = [];
  /** Called before a deletion is looked at: for races. */
  beforeDelete: (path: string) => void = () => {};
  program: FakeProgram = (socket) => socket.end();
  /** Lines of a pull, one per call of the generator. */
  pull: () => AsyncIterable<unknown> = async function* done() {};
  readonly #folder: string;
  #server: Server | undefined;
  readonly #open = new Set<Socket>();
  readonly #underWay = new Map<ServerResponse, string>();
  readonly #eventStreams = new Set<ServerResponse>();
  readonly #logStreams = new Set<{ response: ServerResponse; id: string; isFramed: boolean }>();

  private constructor(folder: string) {
    this.#folder = folder;
    for (const name of ['bridge', 'host', 'none']) {
      this.networks.set(name, { Id: randomBytes(32).toString('hex'), Name: name, Driver: name });
    }
  }

  /** Starts one in a temp folder of its own. */
  static async open(): Promise<FakeEngine> {
    const engine = new FakeEngine(await mkdtemp(join(tmpdir(), 'gantry-fake-')));
    await engine.start();
    return engine;
  }

  /** Address of its socket. */
  get url(): string {
    return `unix://${join(this.#folder, 'engine.sock')}`;
  }

  /** Requests for `path` whose answer is not over. */
  openRequestCount(path: string): number {
    return [...this.#underWay.values()].filter((open) => open === path).length;
  }

  /** Event streams that are open. */
  get eventStreamCount(): number {
    return this.#eventStreams.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Listens (again). */
  async start(): Promise<void> {
    const server = createServer((request, response) => {
      void this.#answer(request, response);
    });
    server.on('connection', (socket) => {
      this.#open.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => this.#open.delete(socket));
    });
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      this.#upgrade(request, socket, head);
    });
    this.#server = server;
    const path = join(this.#folder, 'engine.sock');
    await rm(path, { force: true });
    await new Promise<void>((resolve) => server.listen(path, resolve));
  }

  /** Dies: every connection breaks. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#open) {
      socket.destroy();
    }
    this.#eventStreams.clear();
    this.#logStreams.clear();
    await new Promise<void>((resolve) => {
      if (server === undefined) {
        resolve();
      } else {
        server.close(() => resolve());
      }
    });
  }

  /** Adds a running container; no event. */
  addContainer(fields: Partial<FakeContainer> = {}): FakeContainer {
    const id = fields.id ?? randomBytes(32).toString('hex');
    const container: FakeContainer = {
      id,
      name: `c-${id.slice(0, 6)}`,
      imageId: 'sha256:none',
      image: 'busybox',
      state: 'running',
      startedAt: '2026-01-02T03:04:05.123456789Z',
      finishedAt: ZERO_TIME,
      exitCode: 0,
      hasTty: false,
      labels: {},
      mounts: [],
      networks: {},
      ports: [],
      log: [],
      cpuNs: 0,
      ...fields,
    };
    this.containers.set(id, container);
    return container;
  }

  /** Adds an image; no event. */
  addImage(fields: Partial<FakeImage> = {}): FakeImage {
    const image: FakeImage = {
      Id: `sha256:${randomBytes(32).toString('hex')}`,
      RepoTags: [],
      RepoDigests: [],
      Created: 1_700_000_000,
      Size: 1000,
      SharedSize: 0,
      Containers: 0,
      Labels: {},
      ...fields,
    };
    this.images.set(image.Id, image);
    return image;
  }

  /** Adds a volume; no event. */
  addVolume(name: string, fields: Partial<FakeVolume> = {}): FakeVolume {
    const volume: FakeVolume = {
      Name: name,
      Driver: 'local',
      Mountpoint: `/volumes/${name}`,
      CreatedAt: '2026-01-01T00:00:00Z',
      Labels: {},
      Scope: 'local',
      size: 500,
      ...fields,
    };
    this.volumes.set(name, volume);
    return volume;
  }

  /** Tells everybody. */
  emit(type: string, action: string, id: string, attributes: Record<string, string> = {}): void {
    const nanos = Date.now() * 1e6;
    const event = {
      Type: type,
      Action: action,
      Actor: { ID: id, Attributes: attributes },
      time: Math.floor(nanos / 1e9),
      timeNano: nanos,
    };
    for (const response of this.#eventStreams) {
      response.write(`${JSON.stringify(event)}\n`);
    }
  }

  /** The container writes; whoever follows gets it. */
  writeLog(id: string, text: string, options: { isStderr?: boolean; stamp?: string } = {}): void {
    const entry = {
      stamp: options.stamp ?? new Date().toISOString().replace('Z', '000000Z'),
      isStderr: options.isStderr ?? false,
      text,
    };
    this.containers.get(id)?.log.push(entry);
    for (const stream of this.#logStreams) {
      if (stream.id === id) {
        stream.response.write(encodeLog(entry, stream.isFramed));
      }
    }
  }

  /** Ends the followers of a container's log, as its stop does. */
  endLog(id: string): void {
    for (const stream of this.#logStreams) {
      if (stream.id === id) {
        this.#logStreams.delete(stream);
        stream.response.end();
      }
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://engine');
    const path = url.pathname.replace(/^\/v\d+\.\d+/, '');
    this.requests.push(`${request.method} ${path}`);
    this.#underWay.set(response, path);
    response.once('close', () => this.#underWay.delete(response));
    const parts: Buffer[] = [];
    for await (const part of request) {
      parts.push(part as Buffer);
    }
    const text = Buffer.concat(parts).toString();
    const isJson = request.headers['content-type'] === 'application/json';
    const body: unknown = isJson && text !== '' ? JSON.parse(text) : text;
    for (const [method, pattern, route] of this.#routes) {
      const match = method === request.method ? pattern.exec(path) : null;
      if (match !== null) {
        route({ request, response, match, query: url.searchParams, body });
        return;
      }
    }
    json(response, 404, { message: `page not found: ${path}` });
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    this.#open.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#open.delete(socket));
    const path = (request.url ?? '').replace(/^\/v\d+\.\d+/, '').split('?')[0] ?? '';
    this.requests.push(`${request.method} ${path}`);
    const length = Number(request.headers['content-length'] ?? 0);
    // The body comes behind the head, in one piece with it or not.
    let seen = head.length;
    const execId = /^\/exec\/([^/]+)\/start$/.exec(path)?.[1];
    if (execId !== undefined && !this.execs.has(execId)) {
      const text = JSON.stringify({ message: 'No such exec instance' });
      socket.end(`HTTP/1.1 404 Not Found\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
      return;
    }
    const begin = (): void => {
      socket.write(
        'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n',
      );
      const exec = this.execs.get(execId ?? '');
      if (exec === undefined) {
        this.program(socket, {
          id: '',
          containerId: path.split('/')[2] ?? '',
          command: ['attach'],
          running: true,
          exitCode: undefined,
          sizes: [],
        });
      } else {
        exec.running = true;
        this.program(socket, exec);
      }
    };
    if (seen >= length) {
      begin();
      return;
    }
    const onData = (chunk: Buffer): void => {
      seen += chunk.length;
      if (seen >= length) {
        socket.off('data', onData);
        socket.pause();
        begin();
        socket.resume();
      }
    };
    socket.on('data', onData);
  }

  readonly #routes: readonly (readonly [string, RegExp, Route])[] = [
    ['GET', /^\/_ping$/, ({ response }) => response.end('OK')],
    [
      'GET',
      /^\/version$/,
      ({ response }) =>
        json(response, 200, {
          Platform: { Name: 'Fake' },
          Version: '1.0',
          ApiVersion: '1.44',
          Os: 'linux',
          Arch: 'amd64',
          KernelVersion: '6.1',
        }),
    ],
    [
      'GET',
      /^\/info$/,
      ({ response }) => json(response, 200, { Name: 'machine', NCPU: 2, MemTotal: 1e9 }),
    ],
    [
      'GET',
      /^\/events$/,
      ({ request, response }) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.flushHeaders();
        this.#eventStreams.add(response);
        request.socket.once('close', () => this.#eventStreams.delete(response));
      },
    ],
    [
      'GET',
      /^\/containers\/json$/,
      ({ response }) => json(response, 200, [...this.containers.values()].map(listed)),
    ],
    [
      'GET',
      /^\/containers\/([^/]+)\/json$/,
      ({ response, match }) =>
        this.#withContainer(response, match, (it) => json(response, 200, inspected(it))),
    ],
    [
      'GET',
      /^\/containers\/([^/]+)\/logs$/,
      ({ request, response, match, query }) =>
        this.#withContainer(response, match, (it) => {
          const since = Number(query.get('since') ?? 0) * 1000;
          const tail = query.get('tail') ?? 'all';
          const wanted = it.log.filter((entry) => Date.parse(entry.stamp) >= Math.floor(since));
          const isFramed = !it.hasTty;
          response.writeHead(200, { 'content-type': 'application/octet-stream' });
          response.flushHeaders();
          for (const entry of tail === 'all' ? wanted : wanted.slice(-Number(tail))) {
            response.write(encodeLog(entry, isFramed));
          }
          if (it.state !== 'running') {
            response.end();
            return;
          }
          const stream = { response, id: it.id, isFramed };
          this.#logStreams.add(stream);
          request.socket.once('close', () => this.#logStreams.delete(stream));
        }),
    ],
    [
      'GET',
      /^\/containers\/([^/]+)\/stats$/,
      ({ response, match }) =>
        this.#withContainer(response, match, (it) => {
          it.cpuNs += 5e8;
          json(response, 200, {
            read: new Date().toISOString(),
            cpu_stats: {
              cpu_usage: { total_usage: it.cpuNs },
              system_cpu_usage: it.cpuNs * 4,
              online_cpus: 2,
            },
            memory_stats: { usage: 1000, limit: 4000, stats: { inactive_file: 300 } },
            pids_stats: { current: 3 },
            networks: { eth0: { rx_bytes: 10, tx_bytes: 20 } },
          });
        }),
    ],
    [
      'POST',
      /^\/containers\/([^/]+)\/(start|stop|restart|kill|pause|unpause)$/,
      ({ response, match }) =>
        this.#withContainer(response, match, (it) => {
          it.state = match[2] === 'stop' || match[2] === 'kill' ? 'exited' : 'running';
          response.writeHead(204).end();
          this.emit('container', match[2] ?? '', it.id);
        }),
    ],
    [
      'DELETE',
      /^\/containers\/([^/]+)$/,
      ({ response, match, query }) => {
        this.beforeDelete(match[0]);
        this.#withContainer(response, match, (it) => {
          if (it.state === 'running' && query.get('force') !== 'true') {
            json(response, 409, {
              message: `cannot remove container "/${it.name}": container is running`,
            });
            return;
          }
          this.containers.delete(it.id);
          response.writeHead(204).end();
          this.emit('container', 'destroy', it.id);
        });
      },
    ],
    [
      'POST',
      /^\/containers\/([^/]+)\/exec$/,
      ({ response, match, body }) => {
        const id = randomBytes(8).toString('hex');
        const { Cmd: command } = body as { Cmd: string[] };
        this.execs.set(id, {
          id,
          containerId: match[1] ?? '',
          command,
          running: false,
          exitCode: undefined,
          sizes: [],
        });
        json(response, 201, { Id: id });
      },
    ],
    [
      'GET',
      /^\/exec\/([^/]+)\/json$/,
      ({ response, match }) => {
        const exec = this.execs.get(match[1] ?? '');
        if (exec === undefined) {
          json(response, 404, { message: 'No such exec instance' });
        } else {
          json(response, 200, { Running: exec.running, ExitCode: exec.exitCode ?? null, Pid: 0 });
        }
      },
    ],
    [
      'POST',
      /^\/exec\/([^/]+)\/resize$/,
      ({ response, match, query }) => {
        this.execs.get(match[1] ?? '')?.sizes.push(`${query.get('w')}x${query.get('h')}`);
        response.writeHead(200).end();
      },
    ],
    ['GET', /^\/images\/json$/, ({ response }) => json(response, 200, [...this.images.values()])],
    [
      'GET',
      /^\/images\/(.+)\/json$/,
      ({ response, match }) => {
        const image = this.#image(match[1] ?? '');
        if (image === undefined) {
          json(response, 404, { message: `No such image: ${match[1]}` });
        } else {
          json(response, 200, { ...image, Created: new Date(image.Created * 1000).toISOString() });
        }
      },
    ],
    [
      'POST',
      /^\/images\/create$/,
      ({ response }) => {
        void this.#streamPull(response);
      },
    ],
    [
      'POST',
      /^\/images\/(.+)\/tag$/,
      ({ response, match, query }) => {
        this.#image(match[1] ?? '')?.RepoTags.push(`${query.get('repo')}:${query.get('tag')}`);
        response.writeHead(201).end();
      },
    ],
    [
      'DELETE',
      /^\/images\/(.+)$/,
      ({ response, match }) => {
        this.beforeDelete(match[0]);
        this.#deleteImage(response, decodeURIComponent(match[1] ?? ''));
      },
    ],
    [
      'GET',
      /^\/volumes$/,
      ({ response }) => json(response, 200, { Volumes: [...this.volumes.values()] }),
    ],
    [
      'GET',
      /^\/volumes\/([^/]+)$/,
      ({ response, match }) => {
        const volume = this.volumes.get(match[1] ?? '');
        json(response, volume === undefined ? 404 : 200, volume ?? { message: 'no such volume' });
      },
    ],
    [
      'DELETE',
      /^\/volumes\/([^/]+)$/,
      ({ response, match }) => {
        this.beforeDelete(match[0]);
        const name = match[1] ?? '';
        if (this.#volumeUsers(name) > 0) {
          json(response, 409, { message: `remove ${name}: volume is in use` });
        } else if (this.volumes.delete(name)) {
          response.writeHead(204).end();
        } else {
          json(response, 404, { message: `get ${name}: no such volume` });
        }
      },
    ],
    ['GET', /^\/networks$/, ({ response }) => json(response, 200, [...this.networks.values()])],
    [
      'DELETE',
      /^\/networks\/([^/]+)$/,
      ({ response, match }) => {
        const found = [...this.networks.values()].find((network) => network.Id === match[1]);
        this.networks.delete(found?.Name ?? '');
        response.writeHead(204).end();
      },
    ],
    [
      'GET',
      /^\/system\/df$/,
      ({ response }) =>
        json(response, 200, {
          LayersSize: [...this.images.values()].reduce((sum, image) => sum + image.Size, 0),
          Images: [...this.images.values()],
          Containers: [...this.containers.values()].map((it) => ({ ...listed(it), SizeRw: 100 })),
          Volumes: [...this.volumes.values()].map((volume) => ({
            ...volume,
            UsageData: { Size: volume.size, RefCount: this.#volumeUsers(volume.Name) },
          })),
          BuildCache: [],
        }),
    ],
  ];

  #volumeUsers(name: string): number {
    return [...this.containers.values()].filter((it) =>
      it.mounts.some((mount) => mount.Name === name),
    ).length;
  }

  #image(reference: string): FakeImage | undefined {
    return (
      this.images.get(reference) ??
      [...this.images.values()].find((image) => image.RepoTags.includes(reference))
    );
  }

  #deleteImage(response: ServerResponse, reference: string): void {
    const image = this.#image(reference);
    if (image === undefined) {
      json(response, 404, { message: `No such image: ${reference}` });
      return;
    }
    const isTag = image.RepoTags.includes(reference);
    const isLast = image.RepoTags.length <= 1;
    const isUsed = [...this.containers.values()].some((it) => it.imageId === image.Id);
    if ((isLast && isUsed) || (!isTag && !isLast)) {
      json(response, 409, { message: `conflict: unable to delete ${reference}` });
    } else if (isLast) {
      this.images.delete(image.Id);
      json(response, 200, [{ Deleted: image.Id }]);
    } else {
      image.RepoTags = image.RepoTags.filter((tag) => tag !== reference);
      json(response, 200, [{ Untagged: reference }]);
    }
  }

  async #streamPull(response: ServerResponse): Promise<void> {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for await (const line of this.pull()) {
      response.write(`${JSON.stringify(line)}\r\n`);
    }
    response.end();
  }

  #withContainer(
    response: ServerResponse,
    match: RegExpExecArray,
    use: (container: FakeContainer) => void,
  ): void {
    const key = match[1] ?? '';
    const found =
      this.containers.get(key) ?? [...this.containers.values()].find((it) => it.name === key);
    if (found === undefined) {
      json(response, 404, { message: `No such container: ${key}` });
    } else {
      use(found);
    }
  }
}
