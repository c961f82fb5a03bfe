/** For tests: a service with names and subnets of its own, and programs that run inside its sandboxes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { newId } from '../base/ids.ts';
import { silentLogger } from '../base/logger.ts';
import { run } from '../base/node/run.ts';
import type { EventInput } from '../events/contract.ts';
import { overlaps, parsePrefix } from './addresses.ts';
import { type NetworkConfig, networkConfig } from './config.ts';
import type { EndpointSettings, PortBinding, Sandbox, SandboxRequest } from './contract.ts';
import { parseOnLinkRoutes } from './host.ts';
import { LinuxNetworkService } from './network-service.ts';

function freeBlock(): string {
  const routes = parseOnLinkRoutes(readFileSync('/proc/net/route', 'utf8'));
  for (;;) {
    const block = `10.${1 + Math.floor(Math.random() * 254)}`;
    const prefix = parsePrefix(`${block}.0.0/16`);
    if (prefix !== undefined && !routes.some((route) => overlaps(route, prefix))) {
      return block;
    }
  }
}

/** A service on kernel objects and folders that nobody else has; everything is removed in the end. */
export class NetworkFixture implements AsyncDisposable {
  readonly hash = randomBytes(3).toString('hex');
  /** First two numbers of its subnets; nothing on this machine uses them. */
  readonly block = freeBlock();
  readonly events: EventInput[] = [];
  service: LinuxNetworkService;
  readonly #folder: string;
  readonly #more: Partial<NetworkConfig>;
  readonly #requests = new Map<string, SandboxRequest>();

  private constructor(folder: string, more: Partial<NetworkConfig>) {
    this.#folder = folder;
    this.#more = more;
    this.service = this.#newService();
  }

  /** A started service. */
  static async open(more: Partial<NetworkConfig> = {}): Promise<NetworkFixture> {
    const fixture = new NetworkFixture(await mkdtemp(join(tmpdir(), 'network-')), more);
    try {
      await fixture.service.start();
      await fixture.service.reconcile([]);
      return fixture;
    } catch (error) {
      await fixture.service[Symbol.asyncDispose]();
      await rm(fixture.#folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Device of the default bridge. */
  get bridge(): string {
    return `gt${this.hash}`;
  }

  /** Requests of the sandboxes that are open. */
  get running(): SandboxRequest[] {
    return [...this.#requests.values()];
  }

  /** Ends the service as a stopped engine does: sandboxes stay. */
  async stop(): Promise<void> {
    await this.service[Symbol.asyncDispose]();
  }

  /** Starts a new service on the same state. */
  async restart(): Promise<void> {
    this.service = this.#newService();
    await this.service.start();
    await this.service.reconcile(this.running);
  }

  /** Opens a sandbox. */
  async open(
    name: string,
    networks: Readonly<Record<string, EndpointSettings>>,
    more: Partial<SandboxRequest> = {},
  ): Promise<Sandbox> {
    const request: SandboxRequest = {
      containerId: newId(),
      containerName: name,
      hostname: name,
      domainName: '',
      endpoints: new Map(Object.entries(networks)),
      ports: [],
      dns: { servers: [], search: [], options: [] },
      extraHosts: [],
      links: [],
      sysctls: {},
      ...more,
    };
    const sandbox = await this.service.openSandbox(request);
    this.#requests.set(request.containerId, request);
    return sandbox;
  }

  /** Closes a sandbox. */
  async close(sandbox: Sandbox): Promise<void> {
    this.#requests.delete(sandbox.containerId);
    await this.service.closeSandbox(sandbox.containerId);
  }

  /** Forgets a sandbox as if its container had ended while no engine was running. */
  forget(sandbox: Sandbox): void {
    this.#requests.delete(sandbox.containerId);
  }

  /** What of this engine is in the kernel: tables, rules elsewhere, interfaces, namespaces, routing rules. */
  async traces(): Promise<string[]> {
    const [rules, links, namespaces, routing] = await Promise.all([
      run('nft', ['list', 'ruleset']),
      run('ip', ['-json', 'link', 'show']),
      run('ip', ['netns', 'list']),
      run('ip', ['rule', 'list']),
    ]);
    // Names only: states of interfaces change by themselves.
    const devices = JSON.parse(links.stdout) as { ifname: string; ifalias?: string }[];
    const lines = [rules, namespaces, routing].flatMap((result) => result.stdout.split('\n'));
    const table = String(0x47_00_00_00 + Number.parseInt(this.hash, 16));
    return [
      ...lines,
      ...devices.map(({ ifname, ifalias }) => `link ${ifname} ${ifalias ?? ''}`),
    ].filter((line) => line.includes(this.hash) || line.includes(table));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service[Symbol.asyncDispose]();
    const last = this.#newService();
    try {
      await last.start();
      await last.teardown();
    } finally {
      await last[Symbol.asyncDispose]();
      await rm(this.#folder, { recursive: true, force: true });
    }
  }

  #newService(): LinuxNetworkService {
    return new LinuxNetworkService(
      networkConfig({
        dataRoot: join(this.#folder, 'data'),
        execRoot: join(this.#folder, 'exec'),
        hash: this.hash,
        bridgeName: this.bridge,
        addressPools: [{ base: `${this.block}.0.0/16`, size: 24 }],
        events: {
          publish: (event) => void this.events.push(event),
          subscribe: () => {
            throw new Error('not used');
          },
          listenerCount: 0,
        },
        // Nothing answers there: no query leaves the machine.
        dns: { servers: ['127.0.0.1'], search: [], options: [] },
        log: silentLogger,
        ...this.#more,
      }),
    );
  }
}

/** Port settings of one published port. */
export function published(
  containerPort: number,
  hostPort: number,
  more: Partial<PortBinding> = {},
): PortBinding {
  return { containerPort, hostPort, protocol: 'tcp', hostIp: '', ...more };
}

function namespaceOf(sandbox: Sandbox | undefined): string[] {
  return sandbox === undefined
    ? []
    : ['ip', 'netns', 'exec', sandbox.netnsPath.split('/').at(-1) ?? ''];
}

/** Runs a program inside a sandbox and gives what it printed; exit codes are ignored. */
export async function inside(sandbox: Sandbox, command: readonly string[]): Promise<string> {
  const [file = '', ...args] = [...namespaceOf(sandbox), ...command];
  const result = await run(file, args, { timeoutMs: 60_000 });
  return result.stdout + result.stderr;
}

const SERVER = `
const net = require('net'), dgram = require('dgram');
const [port, name] = [Number(process.argv[1]), process.argv[2]];
const answer = (remote) => name + ' saw ' + remote.replace('::ffff:', '');
const udp = dgram.createSocket('udp6');
udp.on('message', (m, r) => udp.send(answer(r.address), r.port, r.address));
udp.bind(port, '::', () => net.createServer((s) => { s.on('error', () => {}); s.end(answer(s.remoteAddress)); }).listen(port, '::', () => console.log('ready')));
`;

const CLIENT = `
const net = require('net'), dgram = require('dgram'), dns = require('dns');
const [kind, host, port] = process.argv.slice(1);
const end = (text) => { console.log(text); process.exit(0); };
setTimeout(() => end('timeout'), Number(process.argv[4]));
if (kind === 'tcp') {
  let text = '';
  net.connect(Number(port), host).on('data', (d) => (text += d)).on('end', () => end(text)).on('error', (e) => end(e.code));
} else if (kind === 'udp') {
  const s = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4');
  s.on('message', (m) => end(String(m))).on('error', (e) => end(e.code));
  s.connect(Number(port), host, () => { const again = () => { s.send('hello', () => {}); setTimeout(again, 500); }; again(); });
} else {
  const r = new dns.promises.Resolver({ timeout: 3000, tries: 4 });
  r.setServers([port]);
  const ask = kind === 'PTR' ? r.reverse(host) : r.resolve(host, kind);
  ask.then((a) => end(a.sort().join(',')), (e) => end(e.code));
}
`;

/** Waits until a program has printed a line that matches. */
async function ready(child: ChildProcess, text: string): Promise<void> {
  const { stdout } = child;
  if (stdout === null) {
    throw new Error('the program has no output');
  }
  for await (const line of createInterface({ input: stdout })) {
    if (line.includes(text)) {
      return;
    }
  }
  throw new Error('the program ended before it was ready');
}

/** A server in a sandbox (or on the host) that answers TCP and UDP on a port with `NAME saw CLIENT ADDRESS`. */
export async function serve(
  sandbox: Sandbox | undefined,
  port: number,
  name: string,
): Promise<Disposable> {
  const [file = '', ...args]: string[] = [
    ...namespaceOf(sandbox),
    process.execPath,
    '-e',
    SERVER,
    String(port),
    name,
  ];
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await ready(child, 'ready');
  return {
    [Symbol.dispose]: () => {
      child.kill('SIGKILL');
    },
  };
}

/** What a client in a sandbox (or on the host) gets: the answer, an error code, or `timeout`. */
export async function ask(
  sandbox: Sandbox | undefined,
  kind: 'tcp' | 'udp' | 'A' | 'AAAA' | 'PTR',
  target: { readonly host: string; readonly port?: number; readonly timeoutMs?: number },
): Promise<string> {
  const where = kind === 'tcp' || kind === 'udp' ? String(target.port) : '127.0.0.11';
  const command = [
    process.execPath,
    '-e',
    CLIENT,
    kind,
    target.host,
    where,
    String(target.timeoutMs ?? 30_000),
  ];
  const [file = '', ...args] = [...namespaceOf(sandbox), ...command];
  const result = await run(file, args, { timeoutMs: 90_000 });
  return (result.stdout + result.stderr).trim();
}

/** Tries until the answer is as expected; gives the last one. */
export async function eventually(
  expected: string,
  attempt: () => Promise<string>,
): Promise<string> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const answer = await attempt();
    if (answer === expected || Date.now() > deadline) {
      return answer;
    }
  }
}
