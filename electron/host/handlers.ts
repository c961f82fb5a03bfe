import { z } from 'zod';
import { pathSegment } from '../../engine/api/client/client.ts';
import {
  historyItemSchema,
  imageDeleteSchema,
  imageInspectSchema,
} from '../../engine/api/client/responses.ts';
import type { AppState, EngineEvent } from '../contract/app-channels.ts';
import type { Handlers, StreamContext } from './bridge-server.ts';
import { containerHandlers } from './container-handlers.ts';
import { diskUsage } from './disk-usage.ts';
import type { HostParts } from './host-parts.ts';
import { pause, Wakeup } from './pause.ts';
import { previewPrune, prune } from './prune.ts';
import { storageHandlers } from './storage-handlers.ts';
import { loadImages, pullImage, pushImage } from './transfers.ts';

const rawSchema = z.record(z.string(), z.unknown());
/** Events are gathered this long. */
const EVENT_INTERVAL_MS = 50;
/** Events a slow page may be behind before the oldest are dropped. */
const MAX_EVENTS_BEHIND = 2000;

function stateOf(parts: HostParts): AppState {
  const { link, settings, shell, appVersion } = parts;
  const { url, name, isLocal } = link.endpoint;
  return {
    engine: link.status,
    endpoint: { url, name, isLocal },
    host: { platform: process.platform, shell, appVersion },
    settings: settings.value,
  };
}

async function serveState(
  parts: HostParts,
  context: StreamContext<AppState, never>,
): Promise<void> {
  const { signal } = context;
  const wakeup = new Wakeup();
  using status = parts.link.onStatus(() => wakeup.wake());
  using settings = parts.settings.onChange(() => wakeup.wake());
  void status;
  void settings;
  let sent = '';
  while (!signal.aborted) {
    const state = stateOf(parts);
    const text = JSON.stringify(state);
    if (text === sent) {
      await wakeup.wait(signal);
    } else {
      sent = text;
      await context.send(state);
    }
  }
}

async function serveEvents(
  parts: HostParts,
  context: StreamContext<{ events: EngineEvent[] }, never>,
): Promise<void> {
  const { signal } = context;
  const wakeup = new Wakeup();
  let waiting: EngineEvent[] = [...parts.link.recentEvents];
  using registration = parts.link.listen({
    onEvent: (event) => {
      waiting.push(event);
      if (waiting.length > MAX_EVENTS_BEHIND) {
        waiting.shift();
      }
      wakeup.wake();
    },
  });
  void registration;
  while (!signal.aborted) {
    if (waiting.length === 0) {
      await wakeup.wait(signal);
    } else {
      const events = waiting;
      waiting = [];
      await context.send({ events });
      await pause(EVENT_INTERVAL_MS, signal);
    }
  }
}

function portOf(key: string): { port: number; protocol: 'tcp' | 'udp' | 'sctp' } {
  const [port, protocol] = key.split('/');
  return {
    port: Number(port),
    protocol: protocol === 'udp' || protocol === 'sctp' ? protocol : 'tcp',
  };
}

type ImageHandlers = Pick<Handlers, Extract<keyof Handlers, `images.${string}`>>;

function imageHandlers(parts: HostParts): ImageHandlers {
  const { link, stores, downloads } = parts;
  const pathOf = (id: string): string => `/images/${pathSegment(id)}`;
  return {
    'images.list': (_params, context) => stores.images.serve(context),
    'images.inspect': async ({ id }, { signal }) => {
      const raw = await link.client.get(`${pathOf(id)}/json`, rawSchema, { signal });
      const { Config: config } = imageInspectSchema.parse(raw);
      return {
        raw,
        defaults: {
          exposedPorts: Object.keys(config?.ExposedPorts ?? {}).map(portOf),
          volumes: Object.keys(config?.Volumes ?? {}),
          env: config?.Env ?? [],
          command: config?.Cmd ?? [],
          entrypoint: config?.Entrypoint ?? [],
          workdir: config?.WorkingDir ?? '',
          user: config?.User ?? '',
        },
      };
    },
    'images.history': async ({ id }, { signal }) => {
      const layers = await link.client.get(`${pathOf(id)}/history`, z.array(historyItemSchema), {
        signal,
      });
      return {
        layers: layers.map((layer) => ({
          id: layer.Id,
          createdAtMs: layer.Created * 1000,
          createdBy: layer.CreatedBy,
          sizeBytes: layer.Size,
          comment: layer.Comment,
          tags: layer.Tags,
        })),
      };
    },
    'images.pull': (params, context) => pullImage(link, params, context),
    'images.push': (params, context) => pushImage(link, params, context),
    'images.load': (_params, context) => loadImages(link, context),
    'images.save': ({ references }) => {
      const name = references.length === 1 ? (references[0] ?? 'image') : 'images';
      return Promise.resolve({
        path: downloads.offer({
          fileName: `${name.replace(/[/:@]/g, '_')}.tar`,
          mimeType: 'application/x-tar',
          open: (signal) =>
            references.length === 1
              ? parts.engineBytes(`${pathOf(references[0] ?? '')}/get`, {}, signal)
              : parts.engineBytes('/images/get', { names: references }, signal),
        }),
      });
    },
    'images.tag': async ({ id, repository, tag }) => {
      await link.client.run('POST', `${pathOf(id)}/tag`, { query: { repo: repository, tag } });
      return {};
    },
    'images.remove': async ({ id, force }) => {
      const removed = await link.client.delete(pathOf(id), imageDeleteSchema, { query: { force } });
      return {
        untagged: removed.map((item) => item.Untagged).filter((name) => name !== ''),
        deleted: removed.map((item) => item.Deleted).filter((name) => name !== ''),
      };
    },
  };
}

type LogHandlers = Pick<Handlers, Extract<keyof Handlers, `logs.${string}` | `terminal.${string}`>>;

function logHandlers(parts: HostParts): LogHandlers {
  const { logs, terminals, downloads } = parts;
  return {
    'logs.open': (params, context) => logs.open(params, context),
    // Asynchronous so that a log that is gone is a rejection, not a throw.
    'logs.window': async (params) => await Promise.resolve(logs.window(params)),
    'logs.search': (params, context) => logs.search(params, context),
    'logs.export': async (params) => {
      logs.assertOpen(params.logId);
      const path = downloads.offer({
        fileName: 'container.log',
        mimeType: 'text/plain; charset=utf-8',
        open: () => logs.export(params),
      });
      return await Promise.resolve({ path });
    },
    'terminal.open': (params) => terminals.open(params),
    'terminal.attach': (params, context) => terminals.attach(params, context),
    'terminal.list': ({ containerId }) =>
      Promise.resolve({ sessions: terminals.list(containerId) }),
    'terminal.close': async ({ sessionId }) => {
      await terminals.close(sessionId);
      return {};
    },
  };
}

/** Every handler of the channel map. */
export function createHandlers(parts: HostParts): Handlers {
  const { link, settings, ports } = parts;
  return {
    ...containerHandlers(parts),
    ...imageHandlers(parts),
    ...logHandlers(parts),
    ...storageHandlers(parts),
    'app.state': (_params, context) => serveState(parts, context),
    'app.openExternal': async ({ url }) => {
      await parts.openExternal?.(new URL(url).href);
      return { opened: parts.openExternal !== undefined };
    },
    'app.reconnect': () => {
      link.retryNow();
      return Promise.resolve({});
    },
    'settings.get': () => Promise.resolve(settings.value),
    'settings.set': (patch) => settings.update(patch),
    'events.watch': (_params, context) => serveEvents(parts, context),
    'disk.usage': (_params, { signal }) => diskUsage(link, signal),
    'disk.preview': (params, { signal }) => previewPrune(link, params, signal),
    'disk.prune': ({ items }, context) => prune(link, items, context),
    'ports.suggest': async (params) => ({ ports: await ports.suggest(params) }),
    'ports.check': (params) => ports.check(params),
  };
}
