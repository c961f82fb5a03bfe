import { NOT_A_SWARM_MANAGER, NOT_IN_A_SWARM } from '../../api/errors.ts';
import { NotImplementedError, UnavailableError } from '../../base/errors.ts';
import { type Handler, type Route, route } from '../router.ts';

const notManager: Handler = () => {
  throw new UnavailableError(NOT_A_SWARM_MANAGER);
};
const notMember: Handler = () => {
  throw new UnavailableError(NOT_IN_A_SWARM);
};
const noCluster: Handler = () => {
  throw new NotImplementedError('swarm mode is not supported by this engine');
};

const MANAGER_ENDPOINTS = [
  'GET /swarm',
  'GET /swarm/unlockkey',
  'POST /swarm/update',
  'GET /services',
  'POST /services/create',
  'GET /services/{id}',
  'DELETE /services/{id}',
  'POST /services/{id}/update',
  'GET /services/{id}/logs',
  'GET /nodes',
  'GET /nodes/{id}',
  'DELETE /nodes/{id}',
  'POST /nodes/{id}/update',
  'GET /tasks',
  'GET /tasks/{id}',
  'GET /tasks/{id}/logs',
  'GET /secrets',
  'POST /secrets/create',
  'GET /secrets/{id}',
  'DELETE /secrets/{id}',
  'POST /secrets/{id}/update',
  'GET /configs',
  'POST /configs/create',
  'GET /configs/{id}',
  'DELETE /configs/{id}',
  'POST /configs/{id}/update',
];

/** Cluster endpoints as they answer on a node outside a cluster. */
export function swarmRoutes(): Route[] {
  return [
    route('POST /swarm/init', noCluster),
    route('POST /swarm/join', noCluster),
    route('POST /swarm/leave', notMember),
    route('POST /swarm/unlock', notMember),
    ...MANAGER_ENDPOINTS.map((line) => route(line, notManager)),
  ];
}
