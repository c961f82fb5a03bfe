import { z } from 'zod';
import { pathSegment } from '../../engine/api/client/client.ts';
import { changesSchema, topSchema } from '../../engine/api/client/responses.ts';
import type { Handlers } from './bridge-server.ts';
import { actOn, actOnMany, actOnProject, runContainer } from './container-actions.ts';
import type { HostParts } from './host-parts.ts';

const rawSchema = z.record(z.string(), z.unknown());
const updatedSchema = z.object({ Warnings: z.array(z.string()).nullish() });
const CHANGE_KINDS = ['modified', 'added', 'deleted'] as const;
const NANOSECONDS = 1_000_000_000;

type ContainerHandlers = Pick<
  Handlers,
  Extract<keyof Handlers, `containers.${string}` | `projects.${string}`>
>;

/** Handlers of `containers.*` and `projects.*`. */
export function containerHandlers(parts: HostParts): ContainerHandlers {
  const { link, stores, sampler, downloads } = parts;
  const pathOf = (id: string): string => `/containers/${pathSegment(id)}`;
  return {
    'containers.list': (_params, context) => stores.containers.serve(context),
    'containers.inspect': async ({ id }, { signal }) => ({
      raw: await link.client.get(`${pathOf(id)}/json`, rawSchema, { signal }),
    }),
    'containers.create': (spec, { signal }) => runContainer(link, spec, signal),
    'containers.start': async ({ id }) => {
      await actOn(link, id, { action: 'start' });
      return {};
    },
    'containers.stop': async ({ id, timeoutSec }) => {
      await actOn(link, id, { action: 'stop', timeoutSec });
      return {};
    },
    'containers.restart': async ({ id, timeoutSec }) => {
      await actOn(link, id, { action: 'restart', timeoutSec });
      return {};
    },
    'containers.kill': async ({ id, signal }) => {
      await actOn(link, id, { action: 'kill', signal });
      return {};
    },
    'containers.pause': async ({ id }) => {
      await actOn(link, id, { action: 'pause' });
      return {};
    },
    'containers.unpause': async ({ id }) => {
      await actOn(link, id, { action: 'unpause' });
      return {};
    },
    'containers.remove': async ({ id, force, volumes }) => {
      await actOn(link, id, { action: 'remove', force, volumes });
      return {};
    },
    'containers.rename': async ({ id, name }) => {
      await link.client.run('POST', `${pathOf(id)}/rename`, { query: { name } });
      return {};
    },
    'containers.update': async (params) => {
      const { restart } = params;
      const answer = await link.client.post(`${pathOf(params.id)}/update`, updatedSchema, {
        json: {
          ...(params.memoryBytes === undefined
            ? {}
            : { Memory: params.memoryBytes, MemorySwap: params.memoryBytes * 2 }),
          ...(params.cpus === undefined ? {} : { NanoCpus: Math.round(params.cpus * NANOSECONDS) }),
          ...(params.pidsLimit === undefined ? {} : { PidsLimit: params.pidsLimit }),
          ...(restart === undefined
            ? {}
            : {
                RestartPolicy: {
                  Name: restart.policy,
                  MaximumRetryCount: restart.maxRetries ?? 0,
                },
              }),
        },
      });
      return { warnings: answer.Warnings ?? [] };
    },
    'containers.bulk': async ({ ids, ...action }) => {
      const targets = ids.map((id) => ({
        id,
        name: stores.containers.items.get(id)?.name ?? id.slice(0, 12),
      }));
      return { results: await actOnMany(link, targets, action) };
    },
    'projects.action': async ({ project, action, volumes }) => {
      const members = [...stores.containers.items.values()].filter(
        (container) => container.project?.name === project,
      );
      return { results: await actOnProject(link, members, { action, volumes }) };
    },
    'containers.top': async ({ id }, { signal }) => {
      const top = await link.client.get(`${pathOf(id)}/top`, topSchema, { signal });
      return { titles: top.Titles, processes: top.Processes };
    },
    'containers.changes': async ({ id }, { signal }) => {
      const changes = await link.client.get(`${pathOf(id)}/changes`, changesSchema, { signal });
      return {
        changes: changes
          .filter((change) => change.Path !== '')
          .map((change) => ({
            path: change.Path,
            kind: CHANGE_KINDS[change.Kind] ?? 'modified',
          })),
      };
    },
    'containers.stats': (params, context) => sampler.serve(params, context),
    'containers.statsHistory': ({ id }) => Promise.resolve({ samples: sampler.history(id) }),
    'containers.export': ({ id }) =>
      Promise.resolve({
        path: downloads.offer({
          fileName: `${stores.containers.items.get(id)?.name ?? id}.tar`,
          mimeType: 'application/x-tar',
          open: (signal) => parts.engineBytes(`${pathOf(id)}/export`, {}, signal),
        }),
      }),
  };
}
