import { z } from 'zod';
import { boolFilter, validateFilters } from '../../api/filters.ts';
import { InvalidParameterError, NotFoundError, NotImplementedError } from '../../base/errors.ts';
import { parseReference } from '../../images/contract.ts';
import type { Exchange } from '../exchange.ts';
import { type Route, route } from '../router.ts';

function noPlugin(exchange: Exchange): never {
  throw new NotFoundError(`plugin "${exchange.param('name')}" not found`);
}

function noPlugins(): never {
  throw new NotImplementedError('plugins are not supported by this engine');
}

function list(exchange: Exchange): void {
  const filters = exchange.query.filters();
  validateFilters(filters, ['enabled', 'capability']);
  boolFilter(filters, 'enabled', true);
  exchange.json(200, []);
}

const anyBody = z.array(z.unknown());

async function fetchPlugin(exchange: Exchange): Promise<void> {
  if (exchange.bodyLength !== 0) {
    await exchange.readJson(z.preprocess((value) => (Array.isArray(value) ? value : []), anyBody));
  }
  const remote = exchange.query.text('remote');
  if (remote === '') {
    throw new InvalidParameterError('invalid reference format');
  }
  parseReference(remote);
  noPlugins();
}

async function setPlugin(exchange: Exchange): Promise<void> {
  await exchange.readJson(z.preprocess((value) => (Array.isArray(value) ? value : []), anyBody));
  noPlugin(exchange);
}

/** Plugins: there are none. */
export function pluginRoutes(): Route[] {
  return [
    route('GET /plugins', list),
    route('GET /plugins/privileges', noPlugins),
    route('GET /plugins/{name}/json', noPlugin),
    route('DELETE /plugins/{name}', noPlugin),
    route('POST /plugins/{name}/enable', noPlugin),
    route('POST /plugins/{name}/disable', noPlugin),
    route('POST /plugins/pull', fetchPlugin),
    route('POST /plugins/{name}/push', noPlugin),
    route('POST /plugins/{name}/upgrade', fetchPlugin),
    route('POST /plugins/{name}/set', setPlugin),
    route('POST /plugins/create', noPlugins),
  ];
}
