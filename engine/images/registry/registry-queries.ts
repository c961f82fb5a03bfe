import { z } from 'zod';
import { NotImplementedError, SystemError, UnauthorizedError } from '../../base/errors.ts';
import type {
  AuthCheckResult,
  DistributionInspect,
  ImageFilters,
  PlatformWire,
  PullOptions,
  SearchResult,
} from '../contract.ts';
import { booleanFilter, checkFilterNames } from '../filters.ts';
import { decodeImageConfig, decodeWith, parseJson } from '../image-config.ts';
import type { ImageReference } from '../reference.ts';
import { withDefaultTag } from '../reference.ts';
import type { RegistryAuth } from '../registry-auth.ts';
import { endpointsOf, type RegistryConfig } from './endpoints.ts';
import { RegistryError, TransportError } from './errors.ts';
import { type RegistryHttp, readBody } from './http.ts';
import { decodeManifest } from './manifest.ts';
import type { RegistryRepository } from './repository.ts';
import { RegistrySession } from './session.ts';

const MAX_SEARCH_BYTES = 4 * 1024 * 1024;
const MAX_CONFIG_BYTES = 8 * 1024 * 1024;
const HUB_INDEX = 'index.docker.io';
const DEFAULT_LIMIT = 25;
const MAX_LIMIT = 100;

const searchSchema = z.object({
  results: z.array(
    z.object({
      name: z.string().default(''),
      description: z
        .string()
        .nullish()
        .transform((value) => value ?? ''),
      is_official: z.boolean().default(false),
      is_automated: z.boolean().default(false),
      star_count: z.number().default(0),
    }),
  ),
});

/** Questions to registries that change nothing here. */
export class RegistryQueries {
  readonly #http: RegistryHttp;
  readonly #getConfig: () => RegistryConfig;

  constructor(options: {
    readonly http: RegistryHttp;
    readonly getRegistryConfig: () => RegistryConfig;
  }) {
    this.#http = options.http;
    this.#getConfig = options.getRegistryConfig;
  }

  /** See `ImageService.distributionInspect`. */
  async distributionInspect(
    repository: RegistryRepository,
    reference: ImageReference,
    signal: AbortSignal | undefined,
  ): Promise<DistributionInspect> {
    const target = withDefaultTag(reference);
    const fetched = await repository.getManifest(target.digest ?? target.tag ?? '', signal);
    const manifest = decodeManifest(fetched.bytes, fetched.contentType);
    let platforms: PlatformWire[];
    if (manifest.kind === 'index') {
      platforms = manifest.manifests.flatMap((entry) => entry.platform ?? []);
    } else {
      const stream = await repository.openBlob(manifest.config.digest, 0, signal);
      const parts: Uint8Array[] = [];
      let size = 0;
      for await (const chunk of stream.chunks) {
        size += chunk.length;
        if (size > MAX_CONFIG_BYTES) {
          throw new SystemError('image config is too large');
        }
        parts.push(chunk);
      }
      const config = decodeImageConfig(Buffer.concat(parts));
      const { architecture, os, variant } = config;
      platforms = [{ architecture, os, ...(variant === undefined ? {} : { variant }) }];
    }
    return {
      Descriptor: {
        mediaType: manifest.mediaType,
        digest: fetched.digest,
        size: fetched.bytes.length,
      },
      Platforms: platforms,
    };
  }

  /** See `ImageService.checkAuth`. */
  async checkAuth(auth: RegistryAuth, signal: AbortSignal | undefined): Promise<AuthCheckResult> {
    const host = hostOfServer(auth.serverAddress);
    const domain = host === '' || host === HUB_INDEX ? 'docker.io' : host;
    let lastError: unknown;
    for (const endpoint of await endpointsOf(domain, this.#getConfig(), true)) {
      const session = new RegistrySession({ endpoint, http: this.#http, auth });
      try {
        await session.check(signal);
        return { Status: 'Login Succeeded', IdentityToken: session.identityToken };
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof RegistryError && (error.status === 401 || error.status === 403)) {
          throw new UnauthorizedError(
            `login attempt to ${endpoint.baseUrl.href}v2/ failed with status: ${error.status === 401 ? '401 Unauthorized' : '403 Forbidden'}`,
            { cause: error },
          );
        }
        lastError = error;
        if (!(error instanceof TransportError)) {
          break;
        }
      }
    }
    throw lastError;
  }

  /** See `ImageService.search`. */
  async search(
    term: string,
    options: {
      readonly limit?: number | undefined;
      readonly filters?: ImageFilters | undefined;
      readonly auth?: RegistryAuth | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<SearchResult[]> {
    const filters: ImageFilters = options.filters ?? new Map();
    checkFilterNames(filters, ['is-official', 'is-automated', 'stars']);
    const isOfficial = booleanFilter(filters, 'is-official');
    const isAutomated = booleanFilter(filters, 'is-automated');
    const minStars = Math.max(0, ...(filters.get('stars') ?? []).map(Number));
    const limit = Math.min(Math.max(options.limit ?? DEFAULT_LIMIT, 1), MAX_LIMIT);
    const slash = term.indexOf('/');
    const first = slash < 0 ? '' : term.slice(0, slash);
    const hasHost = /[.:]/.test(first) || first === 'localhost';
    const domain = hasHost ? first : HUB_INDEX;
    const query = new URLSearchParams({
      q: hasHost ? term.slice(slash + 1) : term,
      n: String(limit),
    });
    const results = await this.#searchIn(domain, query, options);
    return results
      .filter(
        (result) =>
          (isOfficial === undefined || result.is_official === isOfficial) &&
          (isAutomated === undefined || result.is_automated === isAutomated) &&
          result.star_count >= minStars,
      )
      .slice(0, limit);
  }

  async #searchIn(
    domain: string,
    query: URLSearchParams,
    options: Pick<PullOptions, 'auth' | 'signal'>,
  ): Promise<readonly SearchResult[]> {
    let lastError: unknown;
    for (const endpoint of await endpointsOf(domain, this.#getConfig(), true)) {
      const session = new RegistrySession({ endpoint, http: this.#http, auth: options.auth });
      try {
        const answer = await session.send({
          method: 'GET',
          target: `/v1/search?${query.toString()}`,
          scopes: [],
          signal: options.signal,
        });
        const body = await readBody(answer, MAX_SEARCH_BYTES, options.signal);
        return decodeWith(searchSchema, parseJson(body, 'search answer'), 'search answer').results;
      } catch (error) {
        options.signal?.throwIfAborted();
        if (error instanceof RegistryError && error.status === 404) {
          throw new NotImplementedError(`registry ${domain} does not support searching`, {
            cause: error,
          });
        }
        lastError = error;
        if (!(error instanceof TransportError)) {
          break;
        }
      }
    }
    throw lastError;
  }
}

function hostOfServer(address: string): string {
  return address.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
}
