import { z } from 'zod';
import { pathSegment } from '../../engine/api/client/client.ts';
import { volumeSchema } from '../../engine/api/client/responses.ts';
import type { Handlers } from './bridge-server.ts';
import type { HostParts } from './host-parts.ts';

const rawSchema = z.record(z.string(), z.unknown());
const networkCreatedSchema = z.object({ Id: z.string(), Warning: z.string().nullish() });

type StorageHandlers = Pick<
  Handlers,
  Extract<keyof Handlers, `volumes.${string}` | `networks.${string}`>
>;

function nonEmpty(fields: Record<string, string | undefined>): Record<string, string> {
  const entries = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [[name, value] as const],
  );
  return Object.fromEntries(entries);
}

/** Handlers of `volumes.*` and `networks.*`. */
export function storageHandlers({ link, stores }: HostParts): StorageHandlers {
  const volumePath = (id: string): string => `/volumes/${pathSegment(id)}`;
  const networkPath = (id: string): string => `/networks/${pathSegment(id)}`;
  return {
    'volumes.list': (_params, context) => stores.volumes.serve(context),
    'volumes.create': async (params) => {
      const volume = await link.client.post('/volumes/create', volumeSchema, {
        json: {
          ...nonEmpty({ Name: params.name, Driver: params.driver }),
          DriverOpts: params.options ?? {},
          Labels: params.labels ?? {},
        },
      });
      return { id: volume.Name };
    },
    'volumes.inspect': async ({ id }, { signal }) => ({
      raw: await link.client.get(volumePath(id), rawSchema, { signal }),
    }),
    'volumes.remove': async ({ id, force }) => {
      await link.client.run('DELETE', volumePath(id), { query: { force } });
      return {};
    },
    'networks.list': (_params, context) => stores.networks.serve(context),
    'networks.create': async (params) => {
      const pool = nonEmpty({
        Subnet: params.subnet,
        Gateway: params.gateway,
        IPRange: params.ipRange,
      });
      const created = await link.client.post('/networks/create', networkCreatedSchema, {
        json: {
          Name: params.name,
          Driver: params.driver ?? 'bridge',
          CheckDuplicate: true,
          Internal: params.internal ?? false,
          Attachable: params.attachable ?? false,
          EnableIPv6: params.enableIpv6 ?? false,
          Options: params.options ?? {},
          Labels: params.labels ?? {},
          ...(Object.keys(pool).length === 0 ? {} : { IPAM: { Config: [pool] } }),
        },
      });
      return { id: created.Id, warning: created.Warning ?? '' };
    },
    'networks.inspect': async ({ id }, { signal }) => ({
      raw: await link.client.get(networkPath(id), rawSchema, { signal }),
    }),
    'networks.remove': async ({ id }) => {
      await link.client.run('DELETE', networkPath(id));
      return {};
    },
    'networks.connect': async ({ id, containerId, aliases, ipv4 }) => {
      await link.client.run('POST', `${networkPath(id)}/connect`, {
        json: {
          Container: containerId,
          EndpointConfig: {
            ...(aliases === undefined ? {} : { Aliases: aliases }),
            ...(ipv4 === undefined || ipv4 === '' ? {} : { IPAMConfig: { IPv4Address: ipv4 } }),
          },
        },
      });
      stores.refreshContainer(containerId);
      return {};
    },
    'networks.disconnect': async ({ id, containerId, force }) => {
      await link.client.run('POST', `${networkPath(id)}/disconnect`, {
        json: { Container: containerId, Force: force },
      });
      stores.refreshContainer(containerId);
      return {};
    },
  };
}
