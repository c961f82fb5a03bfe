import { z } from 'zod';
import { NotFoundError } from '../../base/errors.ts';
import type { Digest } from '../../snapshots/contract.ts';
import { decodeWith, digestOf, parseJson } from '../image-config.ts';
import { type ImageReference, isDigest } from '../reference.ts';
import { protocolError, RegistryError } from './errors.ts';
import { bodyChunks, type HttpAnswer, readBody } from './http.ts';
import { MANIFEST_ACCEPT } from './manifest.ts';
import type { RegistrySession } from './session.ts';

/** Docker's own limit for manifests. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
const MAX_TAGS_BYTES = 8 * 1024 * 1024;
const MAX_TAG_PAGES = 1000;

const tagsSchema = z.object({
  tags: z
    .array(z.string())
    .nullish()
    .transform((value) => value ?? []),
});

/** A manifest as a registry sent it, digest checked. */
export interface FetchedManifest {
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly contentType: string | undefined;
}

/** A blob's bytes from `offset` on. */
export interface BlobStream {
  /** 0 when the registry does not do ranges. */
  readonly offset: number;
  /** Undefined when the registry does not say. */
  readonly totalBytes: number | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Requests about one repository of one endpoint (OCI distribution specification). */
export class RegistryRepository {
  readonly session: RegistrySession;
  readonly reference: ImageReference;
  readonly #scopes: readonly string[];

  constructor(
    session: RegistrySession,
    reference: ImageReference,
    actions: 'pull' | 'pull,push' = 'pull',
  ) {
    this.session = session;
    this.reference = reference;
    this.#scopes = [`repository:${reference.path}:${actions}`];
  }

  /** @throws RegistryError  MANIFEST_UNKNOWN and others;  SystemError  the bytes do not have the digest asked for */
  async getManifest(
    tagOrDigest: string,
    signal: AbortSignal | undefined,
    sizeBytes?: number,
  ): Promise<FetchedManifest> {
    const answer = await this.session.send({
      method: 'GET',
      target: `${this.#base()}/manifests/${tagOrDigest}`,
      scopes: this.#scopes,
      headers: { Accept: MANIFEST_ACCEPT },
      signal,
    });
    this.#expectStatus(answer, [200]);
    const bytes = await readBody(answer, MAX_MANIFEST_BYTES, signal);
    const digest = digestOf(bytes);
    if (isDigest(tagOrDigest) && digest !== tagOrDigest) {
      throw protocolError(
        `manifest verification failed for digest ${tagOrDigest}: the registry sent ${digest}`,
      );
    }
    if (sizeBytes !== undefined && sizeBytes !== bytes.length) {
      throw protocolError(
        `manifest ${tagOrDigest} has ${bytes.length} bytes instead of ${sizeBytes}`,
      );
    }
    return { bytes, digest, contentType: answer.headers['content-type'] };
  }

  /** Tags in the registry's order. */
  async listTags(signal: AbortSignal | undefined): Promise<string[]> {
    const tags: string[] = [];
    let target: string | URL = `${this.#base()}/tags/list`;
    for (let page = 0; page < MAX_TAG_PAGES; page += 1) {
      const answer = await this.session.send({
        method: 'GET',
        target,
        scopes: this.#scopes,
        signal,
      });
      this.#expectStatus(answer, [200]);
      const body = await readBody(answer, MAX_TAGS_BYTES, signal);
      tags.push(...decodeWith(tagsSchema, parseJson(body, 'tag list'), 'tag list').tags);
      const next = /<([^>]+)>\s*;\s*rel="?next"?/i.exec(String(answer.headers['link'] ?? ''))?.[1];
      if (next === undefined) {
        return tags;
      }
      target = new URL(next, answer.url);
      if (target.host !== this.session.endpoint.baseUrl.host) {
        throw protocolError('tag list continues on another host');
      }
    }
    throw protocolError(`tag list has more than ${MAX_TAG_PAGES} pages`);
  }

  /** Opens a blob; the caller checks digest and size. */
  async openBlob(
    digest: Digest,
    offset: number,
    signal: AbortSignal | undefined,
  ): Promise<BlobStream> {
    const answer = await this.session.send({
      method: 'GET',
      target: `${this.#base()}/blobs/${digest}`,
      scopes: this.#scopes,
      headers: {
        'Accept-Encoding': 'identity',
        ...(offset > 0 ? { Range: `bytes=${offset}-` } : {}),
      },
      expected: offset > 0 ? [416] : [],
      signal,
    });
    if (answer.status === 416) {
      answer.body.resume();
      // More bytes here than there are: start over.
      return await this.openBlob(digest, 0, signal);
    }
    this.#expectStatus(answer, [200, 206]);
    const length = Number(answer.headers['content-length'] ?? Number.NaN);
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(answer.headers['content-range'] ?? '');
    const chunks = bodyChunks(answer, signal);
    if (answer.status === 206 && offset > 0 && Number(range?.[1]) === offset) {
      const total = Number(range?.[2]);
      return { offset, totalBytes: Number.isNaN(total) ? undefined : total, chunks };
    }
    if (answer.status === 206) {
      answer.body.destroy();
      throw protocolError(`${answer.url.host} answers with a range that was not asked for`);
    }
    return { offset: 0, totalBytes: Number.isNaN(length) ? undefined : length, chunks };
  }

  /** Size of a blob that the repository has; undefined when it has not. */
  async statBlob(
    digest: Digest,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly sizeBytes: number } | undefined> {
    const answer = await this.session.send({
      method: 'HEAD',
      target: `${this.#base()}/blobs/${digest}`,
      scopes: this.#scopes,
      expected: [404],
      signal,
    });
    answer.body.resume();
    return answer.status === 200
      ? { sizeBytes: Number(answer.headers['content-length'] ?? '0') }
      : undefined;
  }

  /**
   * Asks the registry to take a blob from another of its repositories.
   *
   * @returns 'mounted', or where to upload instead
   */
  async mountBlob(
    digest: Digest,
    fromPath: string,
    signal: AbortSignal | undefined,
  ): Promise<'mounted' | URL> {
    const query = `mount=${encodeURIComponent(digest)}&from=${encodeURIComponent(fromPath)}`;
    const answer = await this.session.send({
      method: 'POST',
      target: `${this.#base()}/blobs/uploads/?${query}`,
      scopes: [...this.#scopes, `repository:${fromPath}:pull`],
      body: () => new Uint8Array(),
      signal,
    });
    answer.body.resume();
    if (answer.status === 201) {
      return 'mounted';
    }
    this.#expectStatus(answer, [202]);
    return this.#location(answer);
  }

  /** Starts an upload. @returns where to send it */
  async startUpload(signal: AbortSignal | undefined): Promise<URL> {
    const answer = await this.session.send({
      method: 'POST',
      target: `${this.#base()}/blobs/uploads/`,
      scopes: this.#scopes,
      body: () => new Uint8Array(),
      signal,
    });
    answer.body.resume();
    this.#expectStatus(answer, [202]);
    return this.#location(answer);
  }

  /** Sends bytes from `offset` to the end of the blob. @returns where to finish */
  async uploadChunks(
    location: URL,
    options: {
      readonly offset: number;
      readonly sizeBytes: number;
      readonly body: () => AsyncIterable<Uint8Array>;
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<URL> {
    const { offset, sizeBytes } = options;
    const answer = await this.session.send({
      method: 'PATCH',
      target: location,
      scopes: this.#scopes,
      headers: {
        'Content-Type': 'application/octet-stream',
        'Content-Length': sizeBytes - offset,
        ...(offset > 0 ? { 'Content-Range': `${offset}-${sizeBytes - 1}` } : {}),
      },
      body: options.body,
      signal: options.signal,
    });
    answer.body.resume();
    this.#expectStatus(answer, [202, 204]);
    return this.#location(answer);
  }

  /** How far a broken upload got. @returns undefined when the registry has forgotten it */
  async uploadState(
    location: URL,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly offset: number; readonly location: URL } | undefined> {
    const answer = await this.session.send({
      method: 'GET',
      target: location,
      scopes: this.#scopes,
      expected: [400, 404, 405, 416],
      signal,
    });
    answer.body.resume();
    const end = /^(?:bytes=)?0-(\d+)$/.exec(answer.headers['range'] ?? '')?.[1];
    if (answer.status !== 204 || end === undefined) {
      return undefined;
    }
    // An empty upload is told as 0-0: sending its first byte again does no harm.
    return { offset: end === '0' ? 0 : Number(end) + 1, location: this.#location(answer) };
  }

  /** Closes an upload; the registry checks the digest. */
  async finishUpload(
    location: URL,
    digest: Digest,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const target = new URL(location);
    target.searchParams.set('digest', digest);
    const answer = await this.session.send({
      method: 'PUT',
      target,
      scopes: this.#scopes,
      headers: { 'Content-Type': 'application/octet-stream' },
      body: () => new Uint8Array(),
      signal,
    });
    answer.body.resume();
    this.#expectStatus(answer, [201, 204]);
  }

  async putManifest(
    tagOrDigest: string,
    manifest: { readonly bytes: Uint8Array; readonly mediaType: string },
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const answer = await this.session.send({
      method: 'PUT',
      target: `${this.#base()}/manifests/${tagOrDigest}`,
      scopes: this.#scopes,
      headers: { 'Content-Type': manifest.mediaType },
      body: () => manifest.bytes,
      signal,
    });
    answer.body.resume();
    this.#expectStatus(answer, [201, 200, 202]);
  }

  #base(): string {
    const prefix = this.session.endpoint.baseUrl.pathname.replace(/\/+$/, '');
    return `${prefix}/v2/${this.reference.path}`;
  }

  #location(answer: HttpAnswer): URL {
    const header = answer.headers.location;
    if (header === undefined) {
      throw protocolError(`${answer.url.host} does not say where to upload`);
    }
    const url = new URL(header, answer.url);
    if (url.protocol !== 'http:' && url.protocol !== 'https:') {
      throw protocolError(`${answer.url.host} wants an upload to scheme ${url.protocol}`);
    }
    return url;
  }

  #expectStatus(answer: HttpAnswer, statuses: readonly number[]): void {
    if (!statuses.includes(answer.status)) {
      answer.body.destroy();
      throw new RegistryError(`received unexpected HTTP status: ${answer.status}`, {
        registryCode: '',
        status: answer.status,
      });
    }
  }
}

/**
 * Docker's words for what went wrong with a pull.
 *
 * @param error  anything a {@link RegistryRepository} threw
 */
export function translatePullError(error: unknown, reference: ImageReference): unknown {
  if (!(error instanceof RegistryError)) {
    return error;
  }
  const options = { cause: error };
  switch (error.registryCode) {
    case 'DENIED':
      return new NotFoundError(
        `pull access denied for ${reference.familiarName}, repository does not exist or may require 'docker login': ${error.message}`,
        options,
      );
    case 'MANIFEST_UNKNOWN':
      return new NotFoundError(
        `manifest for ${reference.familiar} not found: ${error.message}`,
        options,
      );
    case 'NAME_UNKNOWN':
      return new NotFoundError(
        `repository ${reference.familiarName} not found: ${error.message}`,
        options,
      );
    default:
      return error;
  }
}
