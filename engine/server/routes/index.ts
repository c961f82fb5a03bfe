import type { Route } from '../router.ts';
import type { Services } from '../services.ts';
import { archiveRoutes } from './archive.ts';
import { buildRoutes } from './build.ts';
import { containerStreamRoutes } from './container-streams.ts';
import { containerRoutes } from './containers.ts';
import { execRoutes } from './exec.ts';
import { imageTransferRoutes } from './image-transfer.ts';
import { imageRoutes } from './images.ts';
import { networkRoutes } from './networks.ts';
import { pingRoutes } from './ping.ts';
import { pluginRoutes } from './plugins.ts';
import { swarmRoutes } from './swarm.ts';
import { systemRoutes } from './system.ts';
import { volumeRoutes } from './volumes.ts';

/** Every endpoint of the API. Order matters where patterns overlap: the first that fits answers. */
export function allRoutes(services: Services): Route[] {
  return [
    ...pingRoutes(),
    ...systemRoutes(services),
    ...archiveRoutes(services),
    ...containerStreamRoutes(services),
    ...containerRoutes(services),
    ...execRoutes(services),
    ...imageTransferRoutes(services),
    ...imageRoutes(services),
    ...buildRoutes(services),
    ...networkRoutes(services),
    ...volumeRoutes(services),
    ...pluginRoutes(),
    ...swarmRoutes(),
  ];
}
