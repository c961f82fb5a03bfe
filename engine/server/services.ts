import type { BuildService } from '../build/contract.ts';
import type { ContainerService } from '../containers/contract.ts';
import type { EventLog } from '../events/contract.ts';
import type { ImageService } from '../images/contract.ts';
import type { NetworkService } from '../network/contract.ts';
import type { SystemService } from '../system/contract.ts';
import type { VolumeService } from '../volumes/contract.ts';

/** Everything the routes call; composed by the daemon. */
export interface Services {
  readonly containers: ContainerService;
  readonly images: ImageService;
  readonly networks: NetworkService;
  readonly volumes: VolumeService;
  readonly events: EventLog;
  readonly build: BuildService;
  readonly system: SystemService;
}
