import { z } from 'zod';
import { readJsonLines } from '../../engine/api/client/bytes.ts';
import { ApiClient } from '../../engine/api/client/client.ts';
import {
  type ApiEvent,
  eventSchema,
  infoSchema,
  versionSchema,
} from '../../engine/api/client/responses.ts';
import type { ApiTransport } from '../../engine/api/client/transport.ts';
import { delay } from '../../engine/base/async.ts';
import { isAbortError, messageOf } from '../../engine/base/errors.ts';
import type { Logger } from '../../engine/base/logger.ts';
import type { EngineEvent, EngineInfo, EngineStatus } from '../contract/app-channels.ts';
import type { Endpoint } from './endpoint.ts';

/** Who wants to know about the engine. Called in order of registration; must not throw. */
export interface EngineListener {
  /** The engine answers and its events are being read: whatever was known before may be outdated. */
  onConnected?(): void;
  /** The engine went away. */
  onDisconnected?(reason: string): void;
  onEvent?(event: EngineEvent): void;
}

/** Delays between attempts, ms: quick first, since a restarted engine is back within a second. */
const RETRY_DELAYS_MS = [100, 200, 400, 800, 1500, 3000];
/** Oldest and newest API this host speaks; the engine's own maximum is used when it is lower. */
const NEWEST_API = [1, 51] as const;
/** A probe that takes longer counts as no answer. */
const PROBE_TIMEOUT_MS = 10_000;
/** Events kept for pages that come later. */
const MAX_RECENT_EVENTS = 500;

/**
 * The connection to one engine: probes it, reads its one event stream, and reconnects with back-off for ever.
 * While the event stream is open the engine counts as connected; its end is how a loss is noticed at once.
 */
export class EngineLink implements AsyncDisposable {
  readonly endpoint: Endpoint;
  readonly #transport: ApiTransport;
  readonly #log: Logger;
  readonly #listeners = new Set<EngineListener>();
  readonly #statusListeners = new Set<(status: EngineStatus) => void>();
  readonly #life = new AbortController();
  readonly #recent: EngineEvent[] = [];
  readonly #loop: Promise<void>;
  #status: EngineStatus = { status: 'connecting' };
  #client: ApiClient;
  #retryNow: (() => void) | undefined;

  constructor(options: { endpoint: Endpoint; transport: ApiTransport; log: Logger }) {
    this.endpoint = options.endpoint;
    this.#transport = options.transport;
    this.#log = options.log.child({ component: 'engine-link' });
    this.#client = new ApiClient(options.transport);
    // Listeners that are registered right after construction must not miss the first connection.
    this.#loop = Promise.resolve().then(() => this.#run());
  }

  /** Present status. */
  get status(): EngineStatus {
    return this.#status;
  }

  /** The client to call the engine with; speaks the version negotiated last. */
  get client(): ApiClient {
    return this.#client;
  }

  /** The last events, oldest first. */
  get recentEvents(): readonly EngineEvent[] {
    return this.#recent;
  }

  /** Registers; when connected already, `onConnected` is called at once. */
  listen(listener: EngineListener): Disposable {
    this.#listeners.add(listener);
    if (this.#status.status === 'connected') {
      listener.onConnected?.();
    }
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /** Calls `listener` after each change of status. */
  onStatus(listener: (status: EngineStatus) => void): Disposable {
    this.#statusListeners.add(listener);
    return { [Symbol.dispose]: () => this.#statusListeners.delete(listener) };
  }

  /** Ends a running back-off. */
  retryNow(): void {
    this.#retryNow?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#life.abort(new DOMException('the host stops', 'AbortError'));
    this.#retryNow?.();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#life;
    let attempt = 0;
    while (!signal.aborted) {
      try {
        await this.#connectAndFollow(() => {
          attempt = 0;
        });
        this.#lost('the engine closed the connection');
      } catch (error) {
        if (signal.aborted) {
          return;
        }
        this.#lost(messageOf(error));
      }
      await this.#backOff(RETRY_DELAYS_MS[Math.min(attempt, RETRY_DELAYS_MS.length - 1)] ?? 3000);
      attempt += 1;
    }
  }

  async #connectAndFollow(onConnected: () => void): Promise<void> {
    const info = await this.#probe();
    const follow = new AbortController();
    const signal = AbortSignal.any([this.#life.signal, follow.signal]);
    try {
      // The stream is opened before lists are read, so nothing can happen unseen in between.
      const response = await this.#client.bytes('GET', '/events', { signal });
      const events = readEvents(response.body);
      onConnected();
      this.#setStatus({ status: 'connected', info });
      this.#log.info('engine connected', { url: this.endpoint.url, version: info.version });
      for (const listener of this.#listeners) {
        listener.onConnected?.();
      }
      for await (const event of events) {
        this.#publish(event);
      }
    } finally {
      follow.abort();
    }
  }

  async #probe(): Promise<EngineInfo> {
    const signal = AbortSignal.any([this.#life.signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]);
    const plain = new ApiClient(this.#transport);
    const [version, info] = await Promise.all([
      plain.get('/version', versionSchema, { signal }),
      plain.get('/info', infoSchema, { signal }),
    ]);
    this.#client = new ApiClient(this.#transport, `/v${lowerVersion(version.ApiVersion)}`);
    return {
      product: version.Platform?.Name || 'Docker Engine',
      version: version.Version,
      apiVersion: version.ApiVersion,
      os: version.Os,
      arch: version.Arch,
      kernel: version.KernelVersion,
      hostName: info.Name,
      cpuCount: info.NCPU,
      memoryBytes: info.MemTotal,
      storageDriver: info.Driver,
      cgroupVersion: info.CgroupVersion,
      defaultRuntime: info.DefaultRuntime,
      rootDir: info.DockerRootDir,
    };
  }

  #publish(event: EngineEvent): void {
    this.#recent.push(event);
    if (this.#recent.length > MAX_RECENT_EVENTS) {
      this.#recent.shift();
    }
    for (const listener of this.#listeners) {
      listener.onEvent?.(event);
    }
  }

  #lost(reason: string): void {
    const wasConnected = this.#status.status === 'connected';
    const sinceMs = this.#status.status === 'unreachable' ? this.#status.sinceMs : Date.now();
    this.#setStatus({ status: 'unreachable', reason, hint: hintFor(reason), sinceMs });
    if (wasConnected) {
      this.#log.warn('engine lost', { reason });
    }
    for (const listener of this.#listeners) {
      listener.onDisconnected?.(reason);
    }
  }

  #setStatus(status: EngineStatus): void {
    const isSame =
      status.status === 'unreachable' &&
      this.#status.status === 'unreachable' &&
      this.#status.reason === status.reason;
    if (isSame) {
      return;
    }
    this.#status = status;
    for (const listener of this.#statusListeners) {
      listener(status);
    }
  }

  async #backOff(delayMs: number): Promise<void> {
    const early = new AbortController();
    this.#retryNow = () => early.abort();
    try {
      await delay(delayMs, early.signal);
    } catch (error) {
      if (!isAbortError(error)) {
        throw error;
      }
    } finally {
      this.#retryNow = undefined;
    }
  }
}

async function* readEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<EngineEvent> {
  for await (const value of readJsonLines(body)) {
    const parsed = eventSchema.safeParse(value);
    if (parsed.success) {
      yield normaliseEvent(parsed.data);
    }
  }
}

function normaliseEvent(event: ApiEvent): EngineEvent {
  return {
    timeMs: event.timeNano > 0 ? Math.floor(event.timeNano / 1e6) : event.time * 1000,
    type: event.Type,
    action: event.Action,
    id: event.Actor?.ID ?? '',
    attributes: event.Actor?.Attributes ?? {},
  };
}

const versionPartsSchema = z.tuple([z.coerce.number(), z.coerce.number()]);

/** The lower of the engine's newest version and ours, as `major.minor`. */
function lowerVersion(engineVersion: string): string {
  const parts = versionPartsSchema.safeParse(engineVersion.split('.'));
  const [major, minor] = parts.success ? parts.data : NEWEST_API;
  return major === NEWEST_API[0] && minor < NEWEST_API[1]
    ? `${major}.${minor}`
    : NEWEST_API.join('.');
}

function hintFor(reason: string): string {
  if (reason.startsWith('no permission')) {
    return 'The engine socket belongs to root or to a group. Add yourself to that group, or start as root.';
  }
  if (reason.startsWith('no engine listens')) {
    return 'Start the engine with `npm start`, or `npm run engine` in a terminal of its own.';
  }
  return 'Gantry tries again by itself. Containers keep running meanwhile.';
}
