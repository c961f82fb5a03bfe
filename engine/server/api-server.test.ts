import { spawn } from 'node:child_process';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeFrame } from '../api/stream-framing.ts';
import { NotFoundError, SystemError } from '../base/errors.ts';
import { silentLogger } from '../base/logger.ts';
import { ApiServer } from './api-server.ts';
import { fakeInspect, fakeServices } from './testing/fake-services.ts';
import { TEST_CERTIFICATES } from './testing/test-certificates.ts';
import { TestServer } from './testing/test-server.ts';

describe('ping', () => {
  it('answers GET and HEAD with what clients negotiate by', async () => {
    await using server = await TestServer.open(fakeServices());
    const got = await server.ask({ path: '/_ping' });
    expect(got.text).toBe('OK');
    expect(got.headers).toMatchObject({
      'api-version': '1.51',
      'docker-experimental': 'false',
      ostype: 'linux',
      'builder-version': '1',
      swarm: 'inactive',
      'cache-control': 'no-cache, no-store, must-revalidate',
      pragma: 'no-cache',
      server: 'Gantry/0.0.0 (linux)',
    });
    const head = await server.ask({ method: 'HEAD', path: '/v1.24/_ping' });
    expect([head.status, head.text, head.headers['content-length']]).toEqual([200, '', '0']);
  });
});

describe('versions', () => {
  it.each([
    ['/v1.99/_ping', 'client version 1.99 is too new. Maximum supported API version is 1.51'],
    ['/v1.52/info', 'client version 1.52 is too new. Maximum supported API version is 1.51'],
  ])('%s is refused', async (path, message) => {
    await using server = await TestServer.open(fakeServices());
    const got = await server.ask({ path });
    expect(got.status).toBe(400);
    expect(JSON.parse(got.text)).toEqual({ message });
  });

  it('tells clients before 1.24 in plain text', async () => {
    await using server = await TestServer.open(fakeServices());
    const got = await server.ask({ path: '/v1.12/containers/json' });
    expect(got.status).toBe(400);
    expect(got.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(got.text).toBe(
      'client version 1.12 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version\n',
    );
  });

  it('makes answers fit the version', async () => {
    await using server = await TestServer.open(
      fakeServices({
        containers: { inspect: async (id) => await Promise.resolve(fakeInspect(id)) },
      }),
    );
    const path = `/containers/${'a'.repeat(64)}/json`;
    expect(await server.json({ path: `/v1.44${path}` })).toEqual({
      Id: 'a'.repeat(64),
      Config: { Hostname: 'host' },
      NetworkSettings: {
        Networks: { bridge: {}, own: { Aliases: ['x', 'aaaaaaaaaaaa', 'host'] } },
      },
    });
    expect(await server.json({ path })).toEqual(fakeInspect('a'.repeat(64)));
  });
});

describe('errors', () => {
  it.each([
    ['GET', '/nosuch', 404, 'page not found'],
    ['GET', '/v1.40/', 404, 'page not found'],
    ['DELETE', '/_ping', 404, 'page not found'],
    ['GET', '/containers/%zz/json', 400, 'malformed URL path'],
    ['GET', '/containers/json?filters=%zz', 400, 'invalid URL escape "%zz"'],
    ['GET', '/volumes/nosuch', 404, 'get nosuch: no such volume'],
    ['GET', '/events?filters=x', 400, 'invalid filter'],
    ['GET', '/events?since=x', 400, 'invalid value for "since"'],
    ['GET', '/volumes?filters={"x":["y"]}', 400, "invalid filter 'x'"],
    ['GET', '/swarm', 503, 'This node is not a swarm manager. Use "docker swarm init" or'],
    ['POST', '/swarm/leave', 503, 'This node is not part of a swarm'],
    ['POST', '/swarm/init', 501, 'swarm mode is not supported'],
    ['PUT', '/volumes/x', 503, 'volume update only valid for cluster volumes'],
    ['POST', '/session', 400, 'no upgrade proto in request'],
    ['POST', '/grpc', 501, 'BuildKit sessions are not supported'],
    ['GET', '/plugins/x/json', 404, 'plugin "x" not found'],
    ['POST', '/build/cancel', 400, 'build ID not provided'],
    [
      'POST',
      '/containers/x/resize?h=-1&w=5',
      400,
      'invalid resize height "-1": value out of range',
    ],
    ['POST', '/containers/x/resize?h=1', 400, 'invalid resize width "": invalid syntax'],
    ['POST', '/containers/x/wait?condition=y', 400, 'invalid condition: "y"'],
    ['GET', '/containers/x/logs', 400, 'Bad parameters: you must choose at least one stream'],
    ['GET', '/containers/x/archive', 400, 'bad parameter: path cannot be empty'],
    ['POST', '/containers/x/kill', 404, 'cannot kill container: x: no such thing: kill'],
    [
      'GET',
      '/images/x/json?platform={"os":"linux"}',
      400,
      'both OS and Architecture must be provided',
    ],
    ['GET', '/system/df?type=x', 400, 'unknown object type: x'],
    ['GET', '/containers/json?limit=x', 400, 'strconv.Atoi: parsing "x": invalid syntax'],
  ])('%s %s is %i', async (method, path, status, message) => {
    await using server = await TestServer.open(fakeServices());
    const got = await server.ask({ method, path });
    expect(got.status).toBe(status);
    expect(got.headers['content-type']).toBe('application/json');
    expect((JSON.parse(got.text) as { message: string }).message).toContain(message);
    expect(server.logLines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
  });

  it('answers 500 for what nobody foresaw, and logs it', async () => {
    const fail = (): never => {
      throw new TypeError('x is not a function');
    };
    await using server = await TestServer.open(fakeServices({ volumes: { list: fail } }));
    const got = await server.ask({ path: '/volumes' });
    expect([got.status, JSON.parse(got.text)]).toEqual([500, { message: 'x is not a function' }]);
    expect(server.logLines.join('')).toContain('unforeseen error');
  });

  it('breaks the connection when a stream fails half way', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('part');
      await Promise.resolve();
      throw new SystemError('disk died');
    }
    await using server = await TestServer.open(
      fakeServices({ containers: { export: async () => await Promise.resolve(failing()) } }),
    );
    await expect(server.ask({ path: '/containers/x/export' })).rejects.toThrow();
  });
});

describe('JSON bodies', () => {
  const ENDPOINTS = [
    '/containers/create',
    '/commit',
    '/containers/foobar/exec',
    '/containers/foobar/update',
    '/exec/foobar/start',
    '/networks/create',
    '/networks/x/connect',
    '/networks/x/disconnect',
    '/volumes/create',
    '/plugins/foobar/set',
    '/plugins/foobar/upgrade',
    '/plugins/pull',
  ];

  it.each(ENDPOINTS)('%s refuses what is not JSON in Docker’s words', async (path) => {
    await using server = await TestServer.open(fakeServices());
    const say = async (body: string, type: string): Promise<[number, string]> => {
      const got = await server.ask({
        method: 'POST',
        path,
        body,
        headers: { 'Content-Type': type },
      });
      return [got.status, got.text];
    };
    const [plain, plainText] = await say('{}', 'text/plain');
    expect(plain).toBe(400);
    expect(plainText).toContain(
      "unsupported Content-Type header (text/plain): must be 'application/json'",
    );
    const [invalid, invalidText] = await say('{invalid json', 'application/json');
    expect(invalid).toBe(400);
    expect(invalidText).toContain(
      "invalid JSON: invalid character 'i' looking for beginning of object key string",
    );
    const [trailing, trailingText] = await say('{} trailing content', 'application/json');
    expect(trailing).toBe(400);
    expect(trailingText).toContain('unexpected content after JSON');
    const [empty] = await say('', 'application/json; charset=utf-8');
    expect(empty).toBeLessThan(500);
  });

  it('names the field of a wrong type', async () => {
    await using server = await TestServer.open(fakeServices());
    const body = { Image: 'x', HostConfig: { Memory: 'much' } };
    expect(await server.json({ method: 'POST', path: '/containers/create', body })).toEqual({
      message: 'invalid JSON: HostConfig.Memory: expected number, got string',
    });
  });
});

describe('containers/create', () => {
  const create = async (path: string, body: unknown): Promise<[unknown, unknown]> => {
    let seen: unknown;
    await using server = await TestServer.open(
      fakeServices({
        containers: {
          create: async (request) => {
            const { signal: _signal, ...rest } = request;
            seen = { ...rest, endpoints: Object.fromEntries(request.endpoints) };
            return await Promise.resolve({ id: 'new', warnings: ['w'] });
          },
        },
      }),
    );
    return [await server.json({ method: 'POST', path, body }), seen];
  };

  it('hands on name, configuration and the default network', async () => {
    const [answer, seen] = await create('/v1.44/containers/create?name=web&platform=linux/arm64', {
      Image: 'busybox',
      Cmd: 'ls',
      HostConfig: { PidsLimit: -1, NetworkMode: 'default' },
      NetworkingConfig: { EndpointsConfig: { default: { Aliases: ['a'], GwPriority: 3 } } },
    });
    expect(answer).toEqual({ Id: 'new', Warnings: ['w'] });
    expect(seen).toEqual({
      name: 'web',
      platform: 'linux/arm64',
      isReadOnlyNonRecursive: false,
      config: { Image: 'busybox', Cmd: ['ls'] },
      hostConfig: { NetworkMode: 'bridge' },
      endpoints: { bridge: { Aliases: ['a'] } },
    });
  });

  it('moves container-wide settings to the endpoint', async () => {
    const [answer, seen] = await create('/v1.47/containers/create', {
      Image: 'x',
      MacAddress: '02:42:ac:11:00:02',
      HostConfig: { Sysctls: { 'net.ipv6.conf.eth0.forwarding': '1', 'net.core.x': '2' } },
    });
    expect(answer).toMatchObject({
      Warnings: [
        'w',
        'The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.',
        expect.stringContaining('Migrated sysctl "net.ipv6.conf.eth0.forwarding"') as string,
      ],
    });
    expect(seen).toMatchObject({
      hostConfig: { Sysctls: { 'net.core.x': '2' } },
      endpoints: {
        bridge: {
          MacAddress: '02:42:ac:11:00:02',
          DriverOpts: {
            'com.docker.network.endpoint.sysctls': 'net.ipv6.conf.IFNAME.forwarding=1',
          },
        },
      },
    });
  });

  it.each([
    ['1.51', {}, 'config cannot be empty in order to create a container'],
    [
      '1.43',
      { Image: 'x', NetworkingConfig: { EndpointsConfig: { a: {}, b: {} } } },
      'Container cannot be created with multiple network endpoints: a, b',
    ],
    [
      '1.51',
      { Image: 'x', HostConfig: { Mounts: [{ Type: 'bind', TmpfsOptions: {} }] } },
      'TmpfsOptions must not be specified on mount type "bind"',
    ],
    [
      '1.47',
      { Image: 'x', HostConfig: { Mounts: [{ Type: 'image' }] } },
      'Mount type "Image" needs API v1.48 or newer',
    ],
  ])('v%s refuses %j', async (version, body, message) => {
    const [answer, seen] = await create(`/v${version}/containers/create`, body);
    expect(answer).toEqual({ message });
    expect(seen).toBeUndefined();
  });
});

describe('streams', () => {
  it('prints event times as whole numbers', async () => {
    const services = fakeServices();
    await using server = await TestServer.open(services);
    services.events.publish({ type: 'volume', action: 'create', id: 'v' });
    const until = (Date.now() / 1000 + 0.1).toFixed(3);
    const got = await server.ask({ path: `/events?since=1&until=${until}` });
    expect(got.text).toMatch(/"timeNano":\d{19}\}\n$/);
    expect(got.headers['content-type']).toBe('application/json');
  });

  it('frames logs, with time stamps and details', async () => {
    async function* batches() {
      yield [
        { stream: 'stdout', timeNs: 1_000_000_001n, data: Buffer.from('out\n') },
        {
          stream: 'stderr',
          timeNs: 2_000_000_000n,
          data: Buffer.from('err\n'),
          attributes: { b: '1 2', a: 'x' },
        },
      ] as const;
      await Promise.resolve();
    }
    await using server = await TestServer.open(
      fakeServices({
        containers: {
          logs: async () => await Promise.resolve({ hasTty: false, batches: batches() }),
        },
      }),
    );
    const got = await server.ask({
      path: '/containers/x/logs?stdout=1&stderr=1&timestamps=1&details=1',
    });
    expect(got.headers['content-type']).toBe('application/vnd.docker.multiplexed-stream');
    expect(got.text).toBe(
      Buffer.concat([
        encodeFrame('stdout', Buffer.from('1970-01-01T00:00:01.000000001Z  out\n')),
        encodeFrame('stderr', Buffer.from('1970-01-01T00:00:02.000000000Z a=x,b=1+2 err\n')),
      ]).toString(),
    );
    const old = await server.ask({ path: '/v1.41/containers/x/logs?stdout=1' });
    expect(old.headers['content-type']).toBe('application/vnd.docker.raw-stream');
  });

  it('answers wait at once and completes it later', async () => {
    const ended = Promise.withResolvers<{ statusCode: number; error: undefined }>();
    await using server = await TestServer.open(
      fakeServices({
        containers: { wait: async () => await Promise.resolve({ result: ended.promise }) },
      }),
    );
    using client = await server.raw('POST /v1.51/containers/x/wait HTTP/1.1\r\nHost: d\r\n\r\n');
    const { head } = await client.head();
    expect(head).toContain('200 OK');
    ended.resolve({ statusCode: 7, error: undefined });
    await client.until((received) => received.includes('{"StatusCode":7}\n'));
  });

  it('tells the service when the client is gone', async () => {
    const seen = Promise.withResolvers<AbortSignal>();
    const gone = Promise.withResolvers<void>();
    await using server = await TestServer.open(
      fakeServices({
        containers: {
          wait: async (_ref, { signal }) => {
            if (signal !== undefined) {
              signal.addEventListener('abort', () => gone.resolve());
              seen.resolve(signal);
            }
            return await Promise.resolve({ result: new Promise(() => {}) });
          },
        },
      }),
    );
    using client = await server.raw('POST /containers/x/wait HTTP/1.1\r\nHost: d\r\n\r\n');
    expect((await seen.promise).aborted).toBe(false);
    client.socket.destroy();
    await gone.promise;
  });

  it('gives an error before the first line of progress a status, later ones a line', async () => {
    const services = fakeServices({
      images: {
        pull: async (reference, { onProgress }) => {
          if (reference.familiarName === 'early') {
            throw new NotFoundError('manifest unknown');
          }
          onProgress?.({ status: 'Pulling', id: 'a' });
          await Promise.resolve();
          throw new SystemError('registry died');
        },
      },
    });
    await using server = await TestServer.open(services);
    const early = await server.ask({
      method: 'POST',
      path: '/images/create?fromImage=early&tag=1',
    });
    expect([early.status, early.text]).toEqual([404, '{"message":"manifest unknown"}\n']);
    const late = await server.ask({ method: 'POST', path: '/images/create?fromImage=late&tag=1' });
    expect([late.status, late.text]).toEqual([
      200,
      '{"status":"Pulling","id":"a"}\n{"errorDetail":{"message":"registry died"},"error":"registry died"}\n',
    ]);
  });
});

describe('listening', () => {
  const openServer = (): ApiServer =>
    new ApiServer({ routes: [], engineVersion: '0', log: silentLogger });

  it('lets owner and group connect, and removes the socket at the end', async () => {
    const server = await TestServer.open(fakeServices());
    const { socketPath } = server;
    expect((await stat(socketPath)).mode & 0o777).toBe(0o660);
    await server[Symbol.asyncDispose]();
    await expect(stat(socketPath)).rejects.toThrow('ENOENT');
  });

  it('refuses a socket that somebody answers on, and a file that is none', async () => {
    await using first = await TestServer.open(fakeServices());
    await using second = openServer();
    await expect(second.listenUnix(first.socketPath)).rejects.toThrow(
      'another engine is listening',
    );
    expect((await first.ask({ path: '/_ping' })).text).toBe('OK');
    const file = `${first.socketPath}.file`;
    await writeFile(file, '');
    await expect(second.listenUnix(file)).rejects.toThrow('exists and is not a socket');
    await expect(
      second.listenUnix(`${first.socketPath}.2`, { group: 'no-such-group-here' }),
    ).rejects.toThrow('group no-such-group-here not found');
  });

  it('replaces a socket that a killed engine left behind', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gantry-stale-'));
    const path = join(folder, 'api.sock');
    try {
      const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.stdout.write('x'))`;
      const child = spawn(process.execPath, ['-e', script], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      await new Promise((resolve) => child.stdout.once('data', resolve));
      const closed = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGKILL');
      await closed;
      await using server = openServer();
      await server.listenUnix(path);
      const probe = createServer();
      await expect(
        new Promise((_resolve, reject) => {
          probe.once('error', reject);
          probe.listen(path);
        }),
      ).rejects.toThrow('EADDRINUSE');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('asks TLS clients for a certificate', async () => {
    await using server = openServer();
    const { ca, server: own, client } = TEST_CERTIFICATES;
    const port = await server.listenTcp('127.0.0.1', 0, { tls: { ...own, clientCa: ca } });
    const ask = async (options: { cert?: string; key?: string }): Promise<number> =>
      await new Promise((resolve, reject) => {
        const request = httpsRequest(
          { host: '127.0.0.1', port, path: '/_ping', ca, agent: false, ...options },
          (response) => {
            response.resume();
            resolve(response.statusCode ?? 0);
          },
        );
        request.on('error', reject);
        request.end();
      });
    expect(await ask(client)).toBe(404);
    await expect(ask({})).rejects.toThrow();
  });

  it('listens on TCP', async () => {
    await using server = openServer();
    const port = await server.listenTcp('127.0.0.1', 0);
    const answer = await fetch(`http://127.0.0.1:${port}/_ping`);
    expect(answer.status).toBe(404);
  });
});
