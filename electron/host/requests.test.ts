import { describe, expect, it } from 'vitest';
import { progressSchema } from '../../engine/api/client/responses.ts';
import { ConflictError, SystemError } from '../../engine/base/errors.ts';
import { externalUrlSchema } from '../contract/app-channels.ts';
import { runSpecSchema } from '../contract/run-spec.ts';
import { containerId, objectRef } from '../contract/shared.ts';
import { dependencyWaves, explainCreateError } from './container-actions.ts';
import { createBody } from './run-request.ts';
import { openPage } from './testing/page.ts';
import { layerOf, registryAuthHeader, splitReference } from './transfers.ts';

describe('createBody', () => {
  it('says nothing that was not asked for', () => {
    expect(createBody(runSpecSchema.parse({ image: 'busybox' }))).toEqual({
      Image: 'busybox',
      ExposedPorts: {},
      HostConfig: { PortBindings: {} },
    });
  });

  it('carries every kind of field in the engine’s units', () => {
    const spec = runSpecSchema.parse({
      image: 'busybox',
      command: ['sh', '-c', 'x'],
      env: [{ name: 'A', value: 'b=c' }],
      tty: true,
      ports: [
        { containerPort: 80, hostPort: 8080, hostIp: '127.0.0.1', protocol: 'tcp' },
        { containerPort: 80, protocol: 'tcp' },
      ],
      mounts: [
        { type: 'bind', source: '/a', target: '/b', isReadOnly: true },
        { type: 'volume', target: '/v' },
        { type: 'tmpfs', target: '/t', sizeBytes: 5 },
      ],
      network: { mode: 'app', aliases: ['db'], ipv4: '10.0.0.2' },
      restart: { policy: 'on-failure', maxRetries: 3 },
      cpus: 1.5,
      memoryBytes: 1000,
      healthcheck: { command: 'true', intervalSec: 2 },
    });
    expect(createBody(spec)).toMatchObject({
      Cmd: ['sh', '-c', 'x'],
      Env: ['A=b=c'],
      Tty: true,
      ExposedPorts: { '80/tcp': {} },
      Healthcheck: { Test: ['CMD-SHELL', 'true'], Interval: 2_000_000_000 },
      HostConfig: {
        NanoCpus: 1_500_000_000,
        Memory: 1000,
        NetworkMode: 'app',
        RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 3 },
        PortBindings: {
          '80/tcp': [
            { HostIp: '127.0.0.1', HostPort: '8080' },
            { HostIp: '', HostPort: '' },
          ],
        },
        Mounts: [
          { Type: 'bind', Source: '/a', Target: '/b', ReadOnly: true },
          { Type: 'volume', Target: '/v' },
          { Type: 'tmpfs', Target: '/t', TmpfsOptions: { SizeBytes: 5 } },
        ],
      },
      NetworkingConfig: {
        EndpointsConfig: { app: { Aliases: ['db'], IPAMConfig: { IPv4Address: '10.0.0.2' } } },
      },
    });
  });
});

describe('references', () => {
  it('cannot leave their place in a path', () => {
    for (const text of ['../x', 'a/../b', 'a?x', 'a#b', 'a b', 'a%2fb', '', 'a\\b', 'a\nb']) {
      expect(objectRef.safeParse(text).success, text).toBe(false);
    }
    for (const text of ['..', '.x', 'a/b', 'a?']) {
      expect(containerId.safeParse(text).success, text).toBe(false);
    }
    expect(objectRef.safeParse('host:5000/a/b@sha256:00').success).toBe(true);
  });

  it('are split at the tag, not at a port', () => {
    expect(splitReference('host:5000/a')).toEqual({ name: 'host:5000/a', tag: 'latest' });
    expect(splitReference('a:1')).toEqual({ name: 'a', tag: '1' });
    expect(splitReference('a@sha256:00')).toEqual({ name: 'a', tag: 'sha256:00' });
  });
});

describe('addresses to open', () => {
  it('are http or https only', () => {
    expect(externalUrlSchema.safeParse('https://example.org/x').success).toBe(true);
    for (const text of ['javascript:alert(1)', 'file:///etc/passwd', 'x', 'vscode://x']) {
      expect(externalUrlSchema.safeParse(text).success, text).toBe(false);
    }
  });
});

describe('explainCreateError', () => {
  it('tells ports and names apart from the rest', () => {
    const port = new SystemError(
      'driver failed: Bind for 0.0.0.0:80 failed: port is already allocated',
    );
    const name = new ConflictError(
      'Conflict. The container name "/x" is already in use by container "1"',
    );
    expect(explainCreateError(port)).toMatchObject({ code: 'port-in-use' });
    expect(explainCreateError(name)).toMatchObject({ code: 'name-in-use' });
    const other = new ConflictError('something else');
    expect(explainCreateError(other)).toBe(other);
  });
});

describe('dependencyWaves', () => {
  it('ends with a cycle in one wave', () => {
    const container = (service: string, dependsOn: string) =>
      ({
        id: service,
        project: { name: 'p', service },
        labels: { 'com.docker.compose.depends_on': dependsOn },
      }) as never;
    const waves = dependencyWaves([container('a', 'b'), container('b', 'a'), container('c', '')]);
    expect(waves.map((wave) => wave.map((it) => it.id))).toEqual([['c'], ['a', 'b']]);
  });
});

describe('pull', () => {
  it('reads the engine’s words', () => {
    const line = progressSchema.parse({
      id: 'abc',
      status: 'Downloading',
      progressDetail: { current: 5, total: 10 },
    });
    expect(layerOf(line)).toEqual({
      id: 'abc',
      phase: 'downloading',
      status: 'Downloading',
      currentBytes: 5,
      totalBytes: 10,
    });
    expect(
      layerOf(progressSchema.parse({ id: 'latest', status: 'Pulling from x' })),
    ).toBeUndefined();
  });

  it('forwards layers and the end', async () => {
    await using page = await openPage((engine) => {
      engine.pull = async function* lines() {
        yield { status: 'Pulling from library/x', id: 'latest' };
        yield { id: 'l1', status: 'Pulling fs layer', progressDetail: {} };
        yield { id: 'l1', status: 'Downloading', progressDetail: { current: 1, total: 9 } };
        yield { id: 'l1', status: 'Pull complete', progressDetail: {} };
        yield { status: 'Digest: sha256:00' };
      };
    });
    const items = await Array.fromAsync(page.client.open('images.pull', { reference: 'x' }));
    expect(items.at(-1)).toEqual({ type: 'done', reference: 'x:latest', digest: 'sha256:00' });
    const layers = items.flatMap((item) =>
      !(item instanceof Uint8Array) && item.type === 'layers' ? item.layers : [],
    );
    expect(layers.at(-1)).toMatchObject({ id: 'l1', phase: 'complete' });
  });

  it('ends with the registry’s error and a hint', async () => {
    await using page = await openPage((engine) => {
      engine.pull = async function* lines() {
        yield { errorDetail: { message: 'manifest unknown' }, error: 'manifest unknown' };
      };
    });
    const stream = page.client.open('images.pull', { reference: 'x' });
    await expect(stream.next()).rejects.toMatchObject({
      code: 'not-found',
      message: 'manifest unknown',
    });
  });

  it('drops the connection to the engine when it is cancelled', async () => {
    const cancelled = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    await using page = await openPage((engine) => {
      engine.pull = async function* lines() {
        yield { status: 'Pulling' };
        begun.resolve();
        await cancelled.promise;
      };
    });
    const stream = page.client.open('images.pull', { reference: 'x' });
    await begun.promise;
    await stream.next();
    stream.close();
    await expect
      .poll(() => page.engine.openRequestCount('/images/create'), { timeout: 30_000 })
      .toBe(0);
    cancelled.resolve();
  });

  it('sends credentials in the header only', () => {
    const header = registryAuthHeader({ username: 'u', password: 'p' })['x-registry-auth'] ?? '';
    expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toEqual({
      username: 'u',
      password: 'p',
      serveraddress: '',
    });
  });
});
