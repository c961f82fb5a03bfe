import type { ApiTransport } from '../../engine/api/client/transport.ts';
import type { Logger } from '../../engine/base/logger.ts';
import type { Transport } from '../contract/transport.ts';
import { BridgeSession, type Handlers } from './bridge-server.ts';
import { Downloads } from './downloads.ts';
import type { Endpoint } from './endpoint.ts';
import { EngineLink } from './engine-link.ts';
import { createHandlers } from './handlers.ts';
import type { HostParts } from './host-parts.ts';
import { LogStore } from './log-store.ts';
import { NodeTransport } from './node-transport.ts';
import { Ports } from './ports.ts';
import { SettingsFile } from './settings-file.ts';
import { StatsSampler } from './stats-sampler.ts';
import { Stores } from './stores.ts';
import { Terminals } from './terminals.ts';

/** What a host is made of. */
export interface HostOptions {
  readonly endpoint: Endpoint;
  readonly settingsPath: string;
  readonly shell: 'electron' | 'browser';
  readonly appVersion: string;
  readonly log: Logger;
  /** Opens an http or https address outside; absent where only the page can. */
  readonly openExternal?: (url: string) => Promise<void>;
  /** For tests; default: `node:http` to the endpoint. */
  readonly transport?: ApiTransport;
  /** For tests; default: one second. */
  readonly statsIntervalMs?: number;
}

/** The application without a window: everything a page can ask for, over any number of connections. */
export class Host implements AsyncDisposable {
  readonly #parts: HostParts;
  readonly #handlers: Handlers;
  readonly #log: Logger;
  readonly #sessions = new Set<BridgeSession>();

  private constructor(parts: HostParts, log: Logger) {
    this.#parts = parts;
    this.#log = log;
    this.#handlers = createHandlers(parts);
  }

  /** Reads the settings and begins to connect to the engine; does not wait for it. */
  static async open(options: HostOptions): Promise<Host> {
    const { endpoint, log } = options;
    const settings = await SettingsFile.open(options.settingsPath, log);
    const transport = options.transport ?? new NodeTransport(endpoint);
    const link = new EngineLink({ endpoint, transport, log });
    const stores = new Stores(link, log);
    const isRunning = (id: string): boolean => {
      const state = stores.containers.items.get(id)?.state;
      return state === 'running' || state === 'paused';
    };
    const parts: HostParts = {
      link,
      stores,
      settings,
      logs: new LogStore({ link, log }),
      sampler: new StatsSampler({
        link,
        isRunning,
        ...(options.statsIntervalMs === undefined ? {} : { intervalMs: options.statsIntervalMs }),
      }),
      terminals: new Terminals(link, log),
      downloads: new Downloads(),
      ports: new Ports({
        containers: () => stores.containers.items.values(),
        isLocal: endpoint.isLocal,
      }),
      shell: options.shell,
      appVersion: options.appVersion,
      openExternal: options.openExternal,
      async *engineBytes(path, query, signal) {
        const response = await link.client.bytes('GET', path, { query, signal });
        yield* response.body;
      },
    };
    return new Host(parts, log.child({ component: 'bridge' }));
  }

  /** Downloads that pages were offered; the adapter serves them. */
  get downloads(): Downloads {
    return this.#parts.downloads;
  }

  /** Connections in use. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** Serves one page until its transport closes. */
  serve(transport: Transport): BridgeSession {
    const session = new BridgeSession(transport, this.#handlers, this.#log);
    this.#sessions.add(session);
    void session.closed.then(() => this.#sessions.delete(session));
    return session;
  }

  /** Ends all connections, terminals and logs. Containers and the engine go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) {
      session.close();
    }
    const { stores, logs, sampler, terminals, downloads, link } = this.#parts;
    for (const part of [terminals, logs, sampler, downloads, stores]) {
      part[Symbol.dispose]();
    }
    await link[Symbol.asyncDispose]();
  }
}
