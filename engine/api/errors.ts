import type { ErrorCode } from '../base/errors.ts';

/** Status of each error code; the one place where they meet. */
export const STATUS_OF_CODE: Readonly<Record<ErrorCode, number>> = {
  'invalid-parameter': 400,
  unauthorized: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  'not-implemented': 501,
  unavailable: 503,
  system: 500,
};

/** Body of every error answer. */
export interface ErrorBody {
  readonly message: string;
}

/** What every cluster endpoint says on a node outside a cluster. */
export const NOT_A_SWARM_MANAGER =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

/** What leaving or unlocking a cluster says on such a node. */
export const NOT_IN_A_SWARM = 'This node is not part of a swarm';
