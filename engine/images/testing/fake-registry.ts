import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Digest } from '../../snapshots/contract.ts';
import { digestOf } from '../image-config.ts';
import type { SampleImage } from './image-harness.ts';

/** Lets a test answer a request itself; true when it did. */
export type Intercept = (
  request: IncomingMessage,
  response: ServerResponse,
) => boolean | Promise<boolean>;

/** A small registry on loopback: the distribution protocol with token or basic authentication, and faults on demand. */
export class FakeRegistry implements AsyncDisposable {
  readonly #server: Server;
  readonly blobs = new Map<string, Buffer>();
  /** `path/tag` and `path/digest` -> manifest. */
  readonly manifests = new Map<string, { bytes: Buffer; mediaType: string }>();
  readonly #uploads = new Map<string, Buffer[]>();
  /** `METHOD url` of all requests. */
  readonly requests: string[] = [];
  intercept: Intercept | undefined;
  /** Bearer tokens are wanted when set; this user gets them. */
  tokenUser: { readonly username: string; readonly password: string } | undefined;
  basicUser: { readonly username: string; readonly password: string } | undefined;
  /** Tokens handed out; removing one makes it invalid. */
  readonly tokens = new Set<string>();
  tokenRequests: { readonly scope: string[]; readonly authorization: string; body: string }[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(): Promise<FakeRegistry> {
    const server = createServer();
    const registry = new FakeRegistry(server);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      registry.#serve(request, response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return registry;
  }

  /** `127.0.0.1:port`. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Puts an image there. */
  add(path: string, tag: string, image: SampleImage): Digest {
    for (const [digest, bytes] of image.blobs) {
      this.blobs.set(digest, bytes);
    }
    return this.addManifest(path, tag, image.manifest.bytes, image.manifest.mediaType);
  }

  addManifest(path: string, tag: string, bytes: Uint8Array, mediaType: string): Digest {
    const digest = digestOf(bytes);
    const manifest = { bytes: Buffer.from(bytes), mediaType };
    this.manifests.set(`${path}/${tag}`, manifest);
    this.manifests.set(`${path}/${digest}`, manifest);
    return digest;
  }

  /** How often a blob was asked for. */
  countOf(digest: Digest): number {
    return this.requests.filter((line) => line.startsWith('GET') && line.endsWith(digest)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', `http://${this.host}`);
    this.requests.push(`${request.method} ${url.pathname}`);
    if ((await this.intercept?.(request, response)) === true) {
      return;
    }
    if (url.pathname === '/token') {
      await this.#token(request, response, url);
    } else if (this.#isAllowed(request, response, url)) {
      await this.#api(request, response, url);
    }
  }

  #isAllowed(request: IncomingMessage, response: ServerResponse, url: URL): boolean {
    const given = request.headers.authorization ?? '';
    if (this.tokenUser !== undefined && !this.tokens.has(given.replace('Bearer ', ''))) {
      const path = /^\/v2\/(.+)\/(?:blobs|manifests|tags)\//.exec(url.pathname)?.[1];
      const actions = request.method === 'GET' || request.method === 'HEAD' ? 'pull' : 'pull,push';
      const scope = path === undefined ? '' : `,scope="repository:${path}:${actions}"`;
      response.setHeader(
        'WWW-Authenticate',
        `Bearer realm="http://${this.host}/token",service="test"${scope}`,
      );
      fail(response, 401, 'UNAUTHORIZED', 'authentication required');
      return false;
    }
    const { basicUser } = this;
    if (basicUser !== undefined && given !== basicOf(basicUser)) {
      response.setHeader('WWW-Authenticate', 'Basic realm="test"');
      fail(response, 401, 'UNAUTHORIZED', 'authentication required');
      return false;
    }
    return true;
  }

  async #token(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const authorization = request.headers.authorization ?? '';
    const body = (await bodyOf(request)).toString();
    this.tokenRequests.push({ scope: url.searchParams.getAll('scope'), authorization, body });
    const wanted = this.tokenUser;
    const isAnonymous = wanted?.username === '';
    const isRefresh = new URLSearchParams(body).get('refresh_token') === 'refresh-me';
    if (wanted !== undefined && !isAnonymous && !isRefresh && authorization !== basicOf(wanted)) {
      fail(response, 401, 'UNAUTHORIZED', 'incorrect username or password');
      return;
    }
    const token = `token-${this.tokenRequests.length}`;
    this.tokens.add(token);
    response.end(JSON.stringify({ token, expires_in: 300 }));
  }

  async #api(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const [, path = '', kind, rest = ''] =
      /^\/v2\/(.+)\/(manifests|blobs|tags)\/(.*)$/.exec(url.pathname) ?? [];
    if (url.pathname === '/v2/') {
      response.end('{}');
    } else if (kind === 'manifests') {
      await this.#manifest(request, response, path, rest);
    } else if (kind === 'tags') {
      const tags = [...this.manifests.keys()]
        .filter((key) => key.startsWith(`${path}/`) && !key.includes('sha256:'))
        .map((key) => key.slice(path.length + 1));
      response.end(JSON.stringify({ name: path, tags }));
    } else if (kind === 'blobs' && rest.startsWith('uploads/')) {
      await this.#upload(request, response, url, path);
    } else if (kind === 'blobs') {
      this.#blob(request, response, rest);
    } else {
      fail(response, 404, 'NAME_UNKNOWN', 'repository name not known to registry');
    }
  }

  async #manifest(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    ref: string,
  ): Promise<void> {
    if (request.method === 'PUT') {
      const digest = this.addManifest(
        path,
        ref,
        await bodyOf(request),
        request.headers['content-type'] ?? '',
      );
      response.writeHead(201, { 'Docker-Content-Digest': digest }).end();
      return;
    }
    const manifest = this.manifests.get(`${path}/${ref}`);
    if (manifest === undefined) {
      fail(response, 404, 'MANIFEST_UNKNOWN', 'manifest unknown');
      return;
    }
    response.writeHead(200, {
      'Content-Type': manifest.mediaType,
      'Docker-Content-Digest': digestOf(manifest.bytes),
    });
    response.end(manifest.bytes);
  }

  #blob(request: IncomingMessage, response: ServerResponse, digest: string): void {
    const blob = this.blobs.get(digest);
    if (blob === undefined) {
      fail(response, 404, 'BLOB_UNKNOWN', 'blob unknown to registry');
      return;
    }
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? '0');
    if (start > 0) {
      response.writeHead(206, {
        'Content-Length': blob.length - start,
        'Content-Range': `bytes ${start}-${blob.length - 1}/${blob.length}`,
      });
    } else {
      response.writeHead(200, { 'Content-Length': blob.length });
    }
    response.end(request.method === 'HEAD' ? undefined : blob.subarray(start));
  }

  async #upload(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    path: string,
  ): Promise<void> {
    if (request.method === 'POST') {
      const mount = url.searchParams.get('mount') ?? '';
      if (this.blobs.has(mount) && url.searchParams.has('from')) {
        response.writeHead(201, { Location: `/v2/${path}/blobs/${mount}` }).end();
        return;
      }
      const location = `/v2/${path}/blobs/uploads/${crypto.randomUUID()}`;
      this.#uploads.set(location, []);
      response.writeHead(202, { Location: location }).end();
      return;
    }
    const parts = this.#uploads.get(url.pathname);
    if (parts === undefined) {
      fail(response, 404, 'BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry');
      return;
    }
    if (request.method === 'PATCH') {
      try {
        for await (const chunk of request) {
          parts.push(chunk as Buffer);
        }
      } catch {
        // A broken upload keeps what came.
        return;
      }
      response.writeHead(202, { Location: url.pathname }).end();
    } else if (request.method === 'GET') {
      const size = Buffer.concat(parts).length;
      const range = `0-${Math.max(0, size - 1)}`;
      response.writeHead(204, { Location: url.pathname, Range: range }).end();
    } else {
      const blob = Buffer.concat(parts);
      const digest = url.searchParams.get('digest') ?? '';
      if (digestOf(blob) !== digest) {
        fail(response, 400, 'DIGEST_INVALID', 'provided digest did not match uploaded content');
        return;
      }
      this.blobs.set(digest, blob);
      response.writeHead(201, { Location: `/v2/${path}/blobs/${digest}` }).end();
    }
  }
}

function basicOf(user: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${user.username}:${user.password}`).toString('base64')}`;
}

/** Answers with an error of the distribution specification. */
export function fail(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
): void {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of request) {
    parts.push(chunk as Buffer);
  }
  return Buffer.concat(parts);
}
