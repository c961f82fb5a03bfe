import { isBefore } from '../../api/versions.ts';
import { ForbiddenError, InvalidParameterError, SystemError } from '../../base/errors.ts';
import {
  type ImageReference,
  type Platform,
  parsePlatform,
  parseReference,
  withDigest,
  withTag,
} from '../../images/contract.ts';
import type { Exchange } from '../exchange.ts';
import { type Route, route } from '../router.ts';
import type { Services } from '../services.ts';
import { registryAuth } from './images.ts';
import { platformParameter, repoTag } from './references.ts';
import { ProgressAnswer } from './streaming.ts';

/** `os/arch[/variant]` of the request. */
function textPlatform(exchange: Exchange): Platform | undefined {
  const text = isBefore(exchange.version, '1.32') ? undefined : exchange.query.find('platform');
  return text === undefined ? undefined : parsePlatform(text);
}

/** The parameter `tag` may be a digest. */
function withTagOrDigest(reference: ImageReference, tag: string): ImageReference {
  const digest = /^sha256:[0-9a-f]{64}$/.test(tag) ? parseReference(`x@${tag}`).digest : undefined;
  return digest === undefined ? withTag(reference, tag) : withDigest(reference, digest);
}

async function pull(exchange: Exchange, services: Services): Promise<void> {
  const { query } = exchange;
  const name = query.text('fromImage').replace(/:$/, '');
  const tag = query.find('tag');
  const platform = textPlatform(exchange);
  const plain = parseReference(name);
  const reference = tag === undefined ? plain : withTagOrDigest(plain, tag);
  if (reference.familiarName === 'scratch') {
    throw new ForbiddenError("'scratch' is a reserved name");
  }
  const answer = new ProgressAnswer(exchange);
  await answer.run(() =>
    services.images.pull(reference, {
      platform,
      auth: registryAuth(exchange),
      hasAllTags: reference.tag === undefined && reference.digest === undefined,
      onProgress: answer.sink,
      signal: exchange.signal,
    }),
  );
}

async function download(url: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new InvalidParameterError(`cannot download from ${JSON.stringify(url)}`);
  }
  let response: Response;
  try {
    response = await fetch(url, { signal });
  } catch (cause) {
    throw new SystemError(`cannot download from ${url}`, { cause });
  }
  if (!response.ok || response.body === null) {
    throw new SystemError(
      `failed to GET ${url} with status ${response.status} ${response.statusText}`,
    );
  }
  return response.body;
}

async function importImage(exchange: Exchange, services: Services): Promise<void> {
  const { query, signal } = exchange;
  const { repo, tag } = repoTag(query);
  const plain = repo === undefined ? undefined : parseReference(repo);
  const reference = plain !== undefined && tag !== undefined ? withTag(plain, tag) : plain;
  const source = query.text('fromSrc');
  const platform = textPlatform(exchange);
  const answer = new ProgressAnswer(exchange);
  await answer.run(async () => {
    const url = source.includes('://') ? source : `http://${source}`;
    const tar = source === '-' ? exchange.body() : await download(url, signal);
    if (source !== '-') {
      answer.sink({ status: `Downloading from ${url}` });
    }
    const id = await services.images.importTar(tar, {
      reference,
      changes: query.all('changes'),
      message: query.find('message') ?? `Imported from ${source}`,
      platform,
      signal,
    });
    answer.sink({ status: id });
  });
}

async function push(exchange: Exchange, services: Services): Promise<void> {
  const { query } = exchange;
  const plain = parseReference(exchange.param('name'));
  const tag = query.find('tag');
  const reference = tag === undefined ? plain : withTag(plain, tag);
  const platform = isBefore(exchange.version, '1.46') ? undefined : platformParameter(query);
  const answer = new ProgressAnswer(exchange);
  await answer.run(() =>
    services.images.push(reference, {
      platform,
      auth: registryAuth(exchange),
      hasAllTags: reference.tag === undefined,
      onProgress: answer.sink,
      signal: exchange.signal,
    }),
  );
}

async function load(exchange: Exchange, services: Services): Promise<void> {
  const { query, signal } = exchange;
  const platform = isBefore(exchange.version, '1.48') ? undefined : platformParameter(query);
  const answer = new ProgressAnswer(exchange);
  await answer.run(async () => {
    await services.images.load(exchange.body(), {
      onProgress: answer.sink,
      isQuiet: query.flag('quiet', true),
      platform,
      signal,
    });
  });
}

async function save(
  exchange: Exchange,
  services: Services,
  names: readonly string[],
): Promise<void> {
  const platform = isBefore(exchange.version, '1.48')
    ? undefined
    : platformParameter(exchange.query);
  if (names.length === 0) {
    throw new InvalidParameterError('no image names given');
  }
  const tar = await services.images.save(names, { platform, signal: exchange.signal });
  await exchange.pipe('application/x-tar', tar);
}

/** Images on their way in and out. */
export function imageTransferRoutes(services: Services): Route[] {
  return [
    route('GET /images/get', (exchange) => save(exchange, services, exchange.query.all('names'))),
    route('GET /images/{name}/get', (exchange) =>
      save(exchange, services, [exchange.param('name')]),
    ),
    route('POST /images/load', (exchange) => load(exchange, services)),
    route('POST /images/create', (exchange) =>
      exchange.query.find('fromImage') === undefined
        ? importImage(exchange, services)
        : pull(exchange, services),
    ),
    route('POST /images/{name}/push', (exchange) => push(exchange, services)),
  ];
}
