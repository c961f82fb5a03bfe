import { InvalidParameterError, NotImplementedError } from '../../base/errors.ts';
import type { Exchange } from '../exchange.ts';
import { type Route, route } from '../router.ts';

/** Classic builder; clients that know BuildKit only use it when told so here. */
const BUILDER_VERSION = '1';

function ping(exchange: Exchange): void {
  exchange.setHeader('Cache-Control', 'no-cache, no-store, must-revalidate');
  exchange.setHeader('Pragma', 'no-cache');
  exchange.setHeader('Builder-Version', BUILDER_VERSION);
  exchange.setHeader('Swarm', 'inactive');
  if (exchange.method === 'HEAD') {
    exchange.text(200, '');
  } else {
    exchange.text(200, 'OK');
  }
}

function noBuildKit(): never {
  throw new NotImplementedError('BuildKit sessions are not supported by this engine');
}

function noSession(exchange: Exchange): never {
  const protocol = exchange.header('upgrade');
  if (protocol === undefined) {
    throw new InvalidParameterError('no upgrade proto in request');
  }
  if (protocol !== 'h2c') {
    throw new InvalidParameterError(`protocol ${protocol} not supported`);
  }
  noBuildKit();
}

/** Whether anybody is there, and what is not spoken. */
export function pingRoutes(): Route[] {
  return [
    route('GET /_ping', ping),
    route('HEAD /_ping', ping),
    route('POST /session', noSession),
    route('POST /grpc', noBuildKit),
  ];
}
