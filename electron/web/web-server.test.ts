import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { silentLogger } from '../../engine/base/logger.ts';
import { Bridge } from '../contract/connection.ts';
import {
  type PageWindow,
  pageConnect,
  TOKEN_PROTOCOL_PREFIX,
  WEB_SOCKET_PROTOCOL,
} from '../contract/page.ts';
import type { Transport } from '../contract/transport.ts';
import { openPage, type TestPage } from '../host/testing/page.ts';
import { isLoopback, WebServer } from './web-server.ts';

let folder = '';
let page: TestPage;
let server: WebServer;
/** The host's ends of all bridges. */
let transports: Transport[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-web-'));
  const root = join(folder, 'page');
  await mkdir(join(root, 'assets'), { recursive: true });
  await writeFile(join(root, 'index.html'), '<!doctype html><title>Gantry</title>');
  await writeFile(join(root, 'assets', 'app-1234.js'), 'export {};');
  await writeFile(join(root, '.hidden'), 'secret');
  await writeFile(join(folder, 'secret.txt'), 'secret');
  await symlink(join(folder, 'secret.txt'), join(root, 'link.txt'));
  page = await openPage();
  transports = [];
  const host = {
    downloads: page.host.downloads,
    serve: (transport: Transport) => {
      transports.push(transport);
      return page.host.serve(transport);
    },
  };
  server = await WebServer.listen({ host, pageRoot: root, port: 0, log: silentLogger });
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await page[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
}

/** A request with exactly these headers and this path, as a browser would never send it. */
function get(
  path: string,
  options: { headers?: Record<string, string>; method?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port: server.port,
        path,
        method: options.method ?? 'GET',
        headers: options.headers ?? {},
        agent: false,
      },
      (incoming) => {
        const parts: Buffer[] = [];
        incoming.on('data', (part: Buffer) => parts.push(part));
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body: Buffer.concat(parts).toString(),
          }),
        );
        incoming.on('error', reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end();
  });
}

/** How an attempt to open the bridge ends: the greeting, an HTTP status, or a close code. */
function tryBridge(options: {
  token?: string;
  origin?: string | undefined;
  host?: string;
  path?: string;
}): Promise<string> {
  const own = `http://127.0.0.1:${server.port}`;
  const protocols = [
    WEB_SOCKET_PROTOCOL,
    ...(options.token === undefined ? [] : [`${TOKEN_PROTOCOL_PREFIX}${options.token}`]),
  ];
  const origin = 'origin' in options ? options.origin : own;
  const socket = new WebSocket(
    `ws://127.0.0.1:${server.port}${options.path ?? '/bridge'}`,
    protocols,
    {
      headers: {
        ...(origin === undefined ? {} : { origin }),
        ...(options.host === undefined ? {} : { host: options.host }),
      },
    },
  );
  return new Promise((resolve) => {
    socket.on('message', () => {
      resolve('greeted');
      socket.terminate();
    });
    socket.on('unexpected-response', (_request, response) => {
      resolve(`status ${response.statusCode}`);
      socket.terminate();
    });
    socket.on('close', (code) => resolve(`closed ${code}`));
    socket.on('error', () => {});
  });
}

describe('files', () => {
  it('are served with their type and a strict policy', async () => {
    const index = await get('/');
    expect(index).toMatchObject({ status: 200, body: '<!doctype html><title>Gantry</title>' });
    expect(index.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(index.headers['cache-control']).toBe('no-cache');
    const policy = String(index.headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).not.toContain('unsafe-eval');
    expect(policy).toContain("frame-ancestors 'none'");
    expect(index.headers['x-content-type-options']).toBe('nosniff');
    expect(index.headers['access-control-allow-origin']).toBeUndefined();
    const script = await get('/assets/app-1234.js');
    expect(script.headers['content-type']).toBe('text/javascript; charset=utf-8');
    expect(script.headers['cache-control']).toContain('immutable');
  });

  it('outside of the page’s folder are not reachable', async () => {
    const paths = [
      '/../secret.txt',
      '/%2e%2e/secret.txt',
      '/..%2fsecret.txt',
      '/assets/../../secret.txt',
      '/assets/..%5c..%5csecret.txt',
      '//etc/passwd',
      '/etc/passwd',
      '/link.txt',
      '/.hidden',
      '/index.html%00',
      '/assets',
      '/%',
    ];
    for (const path of paths) {
      const answer = await get(path);
      expect(answer.status, path).toBe(404);
      expect(answer.body, path).not.toContain('secret');
    }
  });

  it('are read, never changed', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      expect((await get('/', { method })).status, method).toBe(405);
    }
    expect(await get('/', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' });
  });
});

describe('strangers', () => {
  it('are refused when they call us by another name', async () => {
    for (const host of [
      'evil.example',
      `evil.example:${server.port}`,
      `127.0.0.1.evil.example:${server.port}`,
      '127.0.0.1',
    ]) {
      expect((await get('/', { headers: { host } })).status, host).toBeGreaterThanOrEqual(400);
    }
    expect((await get('/', { headers: { host: `localhost:${server.port}` } })).status).toBe(200);
  });

  it('are refused when they come from another origin', async () => {
    for (const origin of [
      'http://evil.example',
      'null',
      `https://127.0.0.1:${server.port}`,
      'http://127.0.0.1:1',
    ]) {
      expect((await get('/', { headers: { origin } })).status, origin).toBe(403);
    }
  });

  it('get no bridge', async () => {
    const { token } = server;
    expect(await tryBridge({ token })).toBe('greeted');
    expect(await tryBridge({})).toBe('closed 4401');
    expect(await tryBridge({ token: '' })).toBe('closed 4401');
    expect(await tryBridge({ token: `${token}x` })).toBe('closed 4401');
    expect(await tryBridge({ token: token.toUpperCase() })).toBe('closed 4401');
    expect(await tryBridge({ token, origin: 'http://evil.example' })).toBe('status 403');
    expect(await tryBridge({ token, origin: undefined })).toBe('status 403');
    expect(await tryBridge({ token, host: `evil.example:${server.port}` })).toBe('status 403');
    expect(await tryBridge({ token, path: '/elsewhere' })).toBe('status 404');
    expect(await tryBridge({ path: `/bridge?token=${token}` })).toBe('closed 4401');
  });

  it('cannot listen in from other machines', async () => {
    for (const address of ['0.0.0.0', '::', '192.168.0.1', 'localhost.evil.example']) {
      expect(isLoopback(address), address).toBe(false);
      const listening = WebServer.listen({
        host: page.host,
        pageRoot: folder,
        port: 0,
        address,
        log: silentLogger,
      });
      await expect(listening, address).rejects.toThrow(/loopback/);
    }
    expect(isLoopback('127.0.0.1')).toBe(true);
    expect(isLoopback('::1')).toBe(true);
  });
});

/** A window as far as the bridge looks at it. */
function fakeWindow(
  url: string,
): PageWindow & { readonly replaced: string[]; readonly stored: Map<string, string> } {
  const { hash, host } = new URL(url);
  const replaced: string[] = [];
  const stored = new Map<string, string>();
  const origin = `http://${host}`;
  class PageSocket extends WebSocket {
    constructor(address: string, protocols: string[]) {
      super(address, protocols, { origin });
    }
  }
  return {
    replaced,
    stored,
    location: { hash, host },
    history: { replaceState: (_data, _unused, to) => replaced.push(to) },
    sessionStorage: {
      getItem: (key) => stored.get(key) ?? null,
      setItem: (key, value) => stored.set(key, value),
    },
    crypto,
    WebSocket: PageSocket,
    addEventListener: () => {},
    removeEventListener: () => {},
  };
}

describe('page', () => {
  it('connects with the printed address and removes the token from it', async () => {
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/#token=[A-Za-z0-9_-]{43}$/);
    const window = fakeWindow(server.url);
    const bridge = new Bridge(pageConnect(window));
    const { theme } = await bridge.call('settings.get', {});
    expect(theme).toBe('system');
    expect(window.replaced).toEqual(['#/']);
    expect([...window.stored.values()]).toEqual([server.token]);
    bridge.close();
  });

  it('is told for good when its token is wrong or missing', async () => {
    for (const hash of ['', '#token=wrong']) {
      const bridge = new Bridge(pageConnect(fakeWindow(`http://127.0.0.1:${server.port}/${hash}`)));
      await expect(bridge.call('settings.get', {})).rejects.toMatchObject({ code: 'disconnected' });
      expect(bridge.getStatus()).toMatchObject({ status: 'disconnected', isFinal: true });
      bridge.close();
    }
  });

  it('subscribes again after the connection was lost', async () => {
    const bridge = new Bridge(pageConnect(fakeWindow(server.url)));
    const seen: string[] = [];
    const twice = Promise.withResolvers<void>();
    const stop = bridge.subscribe(
      'app.state',
      {},
      {
        onItem: () => {
          seen.push('state');
          if (seen.includes('restart')) {
            twice.resolve();
          }
        },
        onRestart: () => seen.push('restart'),
      },
    );
    await bridge.call('settings.get', {});
    for (const transport of transports) {
      transport.close();
    }
    await twice.promise;
    stop();
    bridge.close();
  });
});

describe('downloads', () => {
  it('go to whoever has the ticket, once', async () => {
    const path = page.host.downloads.offer({
      fileName: 'we"ird\r\nname.tar',
      mimeType: 'application/x-tar',
      open: async function* bytes() {
        yield Buffer.from('content');
      },
    });
    expect((await get(path, { method: 'HEAD' })).status).toBe(404);
    const answer = await get(path);
    expect(answer).toMatchObject({ status: 200, body: 'content' });
    expect(answer.headers['content-disposition']).toBe('attachment; filename="we_ird__name.tar"');
    expect((await get(path)).status).toBe(404);
    expect((await get('/download/guess')).status).toBe(404);
  });

  it('break off visibly when the source fails', async () => {
    const path = page.host.downloads.offer({
      fileName: 'x.tar',
      mimeType: 'application/x-tar',
      open: async function* bytes() {
        yield Buffer.from('half');
        throw new Error('the engine went away');
      },
    });
    await expect(get(path)).rejects.toThrow();
  });
});
