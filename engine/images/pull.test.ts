import { randomBytes } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NotFoundError } from '../base/errors.ts';
import type { Digest } from '../snapshots/contract.ts';
import { digestOf } from './image-config.ts';
import { parsePlatform } from './platform.ts';
import { parseReference } from './reference.ts';
import { MEDIA } from './registry/manifest.ts';
import type { RegistryAuth } from './registry-auth.ts';
import { FakeRegistry, fail } from './testing/fake-registry.ts';
import type { FakeSnapshotter } from './testing/fake-snapshotter.ts';
import { ImageHarness, type SampleImage, sampleImage, tarOf } from './testing/image-harness.ts';

let registry: FakeRegistry;
let harness: ImageHarness;

beforeEach(async () => {
  registry = await FakeRegistry.open();
  harness = await ImageHarness.open();
});

afterEach(async () => {
  await harness[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

const CREDENTIALS: RegistryAuth = {
  username: 'ann',
  password: 'secret',
  identityToken: '',
  registryToken: '',
  serverAddress: '',
};

async function pull(
  ref: string,
  options: Parameters<ImageHarness['service']['pull']>[1] = {},
): Promise<void> {
  await harness.service.pull(parseReference(`${registry.host}/${ref}`), {
    onProgress: harness.onProgress,
    ...options,
  });
}

function layerDigest(image: SampleImage, index: number): Digest {
  const digests = [...image.blobs.keys()].slice(1);
  return digests[index] ?? image.id;
}

/** A layer of this many random bytes: it does not pack. */
function bigLayer(sizeBytes: number): Buffer {
  return tarOf({ data: randomBytes(sizeBytes) });
}

async function expectNothingLeft(): Promise<void> {
  expect(await harness.service.list({ filters: new Map() })).toEqual([]);
  expect(await harness.snapshots.listLayers()).toEqual([]);
}

describe('pull', () => {
  it('brings an image with its names, layers and blobs, and says so in Docker words', async () => {
    const image = sampleImage();
    const digest = registry.add('app', 'latest', image);
    await pull('app');
    const found = await harness.service.resolve(`${registry.host}/app`);
    expect(found.id).toBe(image.id);
    expect(found.references).toEqual([`${registry.host}/app:latest`]);
    expect(found.repoDigests).toEqual([`${registry.host}/app@${digest}`]);
    expect(found.descriptor?.digest).toBe(digest);
    const [first, second] = [layerDigest(image, 0), layerDigest(image, 1)].map((d) =>
      d.slice(7, 19),
    );
    const lines = harness.lines();
    expect(lines[0]).toBe('latest: Pulling from app');
    for (const id of [first, second]) {
      const own = lines.filter((line) => line.startsWith(`${id}: `));
      expect(own[0]).toBe(`${id}: Pulling fs layer`);
      expect(own).toContain(`${id}: Verifying Checksum`);
      expect(own).toContain(`${id}: Download complete`);
      expect(own.at(-1)).toBe(`${id}: Pull complete`);
    }
    expect(lines.slice(-2)).toEqual([
      `Digest: ${digest}`,
      `Status: Downloaded newer image for ${registry.host}/app:latest`,
    ]);
    expect(harness.events).toEqual([
      {
        type: 'image',
        action: 'pull',
        id: `${registry.host}/app:latest`,
        attributes: { name: `${registry.host}/app`, color: 'red' },
      },
    ]);
  });

  it('fetches no layer twice and says that an image is up to date', async () => {
    const image = sampleImage();
    registry.add('app', 'latest', image);
    await pull('app');
    await pull('app');
    expect(harness.lines().at(-1)).toBe(
      `Status: Image is up to date for ${registry.host}/app:latest`,
    );
    expect(registry.countOf(layerDigest(image, 0))).toBe(1);
  });

  it('reuses the layers of another image', async () => {
    const base = tarOf({ base: 'base' });
    const first = sampleImage({ layers: [base] });
    const second = sampleImage({ layers: [base, tarOf({ more: 'more' })] });
    registry.add('one', 'latest', first);
    registry.add('two', 'latest', second);
    await pull('one');
    await pull('two');
    expect(harness.lines()).toContain(`${layerDigest(second, 0).slice(7, 19)}: Already exists`);
    expect(registry.countOf(layerDigest(second, 0))).toBe(1);
  });

  it('pulls by digest', async () => {
    const image = sampleImage();
    const digest = registry.add('app', 'latest', image);
    await pull(`app@${digest}`);
    const found = await harness.service.resolve(`${registry.host}/app@${digest}`);
    expect(found.id).toBe(image.id);
    expect(found.references).toEqual([]);
    expect(harness.lines()[0]).toBe(`${registry.host}/app@${digest}: Pulling from app`);
  });

  it('pulls all tags', async () => {
    registry.add('app', 'v1', sampleImage());
    registry.add('app', 'v2', sampleImage({ layers: [tarOf({ two: '2' })] }));
    await pull('app', { hasAllTags: true });
    const all = await harness.service.list({ filters: new Map() });
    expect(all.flatMap((image) => image.RepoTags).toSorted()).toEqual([
      `${registry.host}/app:v1`,
      `${registry.host}/app:v2`,
    ]);
  });

  it('takes OCI images with zstd and plain layers', async () => {
    const zstd = sampleImage({
      isDocker: false,
      pack: (tar) => zstdCompressSync(tar),
      layerType: MEDIA.ociLayerZstd,
    });
    const plain = sampleImage({
      isDocker: false,
      layers: [tarOf({ plain: 'yes' })],
      pack: (tar) => tar,
      layerType: MEDIA.ociLayer,
    });
    registry.add('zstd', 'latest', zstd);
    registry.add('plain', 'latest', plain);
    await pull('zstd');
    await pull('plain');
    expect(harness.service.get(zstd.id)?.layers).toHaveLength(2);
    expect(harness.service.get(plain.id)?.layers).toHaveLength(1);
  });

  it('chooses the platform of a manifest list, with variant', async () => {
    const images = [
      sampleImage({ architecture: 'amd64', layers: [tarOf({ a: 'amd64' })] }),
      sampleImage({ architecture: 'arm', variant: 'v6', layers: [tarOf({ a: 'v6' })] }),
      sampleImage({ architecture: 'arm', variant: 'v7', layers: [tarOf({ a: 'v7' })] }),
    ] as const;
    const platforms = [
      { os: 'linux', architecture: 'amd64' },
      { os: 'linux', architecture: 'arm', variant: 'v6' },
      { os: 'linux', architecture: 'arm', variant: 'v7' },
    ];
    for (const image of images) {
      registry.add('multi', 'part', image);
    }
    const list = {
      schemaVersion: 2,
      mediaType: MEDIA.ociIndex,
      manifests: [
        {
          mediaType: MEDIA.ociManifest,
          digest: digestOf(Buffer.from('attestation')),
          size: 3,
          platform: { os: 'unknown', architecture: 'unknown' },
        },
        ...images.map((image, index) => ({
          mediaType: image.manifest.mediaType,
          digest: image.manifest.digest,
          size: image.manifest.bytes.length,
          platform: platforms[index],
        })),
      ],
    };
    const digest = registry.addManifest(
      'multi',
      'latest',
      Buffer.from(JSON.stringify(list)),
      MEDIA.ociIndex,
    );
    await pull('multi', { platform: parsePlatform('linux/arm/v7') });
    expect((await harness.service.resolve(`${registry.host}/multi`)).id).toBe(images[2].id);
    await pull('multi', { platform: parsePlatform('linux/arm/v6') });
    expect((await harness.service.resolve(`${registry.host}/multi`)).id).toBe(images[1].id);
    await pull('multi', { platform: parsePlatform('linux/amd64') });
    const found = await harness.service.resolve(`${registry.host}/multi`);
    expect(found.id).toBe(images[0].id);
    expect(found.repoDigests).toContain(`${registry.host}/multi@${digest}`);
    await expect(pull('multi', { platform: parsePlatform('linux/s390x') })).rejects.toThrow(
      'no matching manifest for linux/s390x in the manifest list entries',
    );
  });

  it('warns when a single image is for another platform', async () => {
    registry.add('app', 'latest', sampleImage({ architecture: 's390x' }));
    await pull('app', { platform: parsePlatform('linux/amd64') });
    expect(harness.lines().some((line) => line.startsWith('WARNING: image with reference'))).toBe(
      true,
    );
  });

  it('downloads a layer once for two pulls at the same time', async () => {
    const image = sampleImage({ layers: [bigLayer(2_000_000)] });
    registry.add('one', 'latest', image);
    registry.add('two', 'latest', image);
    const { promise, resolve } = Promise.withResolvers<void>();
    registry.intercept = async (request) => {
      if (request.url?.includes('/blobs/') === true) {
        await promise;
      }
      return false;
    };
    const pulls = [pull('one'), pull('two')];
    await expect.poll(() => registry.requests.length, { timeout: 30_000 }).toBeGreaterThan(2);
    resolve();
    await Promise.all(pulls);
    expect(registry.countOf(layerDigest(image, 0))).toBe(1);
    expect((harness.snapshots as FakeSnapshotter).appliedCount).toBe(1);
  });
});

describe('pull errors', () => {
  it('tells a missing tag as Docker does', async () => {
    registry.add('app', 'latest', sampleImage());
    const error = await pull('app:nope').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(NotFoundError);
    expect((error as Error).message).toBe(
      `manifest for ${registry.host}/app:nope not found: manifest unknown: manifest unknown`,
    );
  });

  it('tells a denied repository as Docker does', async () => {
    registry.intercept = (_request, response) => {
      fail(response, 403, 'DENIED', 'requested access to the resource is denied');
      return true;
    };
    await expect(pull('app')).rejects.toThrow(
      `pull access denied for ${registry.host}/app, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`,
    );
  });

  it('names a registry that is not there', async () => {
    const { host } = registry;
    await registry[Symbol.asyncDispose]();
    await expect(harness.service.pull(parseReference(`${host}/app:latest`), {})).rejects.toThrow(
      'connection refused',
    );
    registry = await FakeRegistry.open();
  });

  it('refuses schema 1, documents that are image and index at once, and what is no image', async () => {
    registry.addManifest(
      'old',
      'latest',
      Buffer.from(JSON.stringify({ schemaVersion: 1, fsLayers: [] })),
      MEDIA.schema1Signed,
    );
    await expect(pull('old')).rejects.toThrow('schema 1 support has been removed');
    const both = { schemaVersion: 2, manifests: [], layers: [] };
    registry.addManifest('both', 'latest', Buffer.from(JSON.stringify(both)), MEDIA.ociIndex);
    await expect(pull('both')).rejects.toThrow('ambiguous');
    const chart = JSON.parse(Buffer.from(sampleImage().manifest.bytes).toString()) as {
      config: { mediaType: string };
    };
    chart.config.mediaType = 'application/vnd.cncf.helm.config.v1+json';
    registry.addManifest('chart', 'latest', Buffer.from(JSON.stringify(chart)), MEDIA.ociManifest);
    await expect(pull('chart')).rejects.toThrow('Encountered remote');
    await expectNothingLeft();
  });
});

describe('a lying registry', () => {
  it('that sends other bytes than the digest says leaves nothing behind', async () => {
    const image = sampleImage();
    registry.add('app', 'latest', image);
    const digest = layerDigest(image, 1);
    const blob = registry.blobs.get(digest) ?? Buffer.alloc(0);
    registry.blobs.set(digest, Buffer.alloc(blob.length, 1));
    await expect(pull('app')).rejects.toThrow(
      `filesystem layer verification failed for digest ${digest}`,
    );
    await expectNothingLeft();
  });

  it('whose layer has another diff id than the config says is refused', async () => {
    const image = sampleImage();
    const other = sampleImage({ layers: [tarOf({ x: '1' }), tarOf({ x: '2' })] });
    const manifest = JSON.parse(Buffer.from(image.manifest.bytes).toString()) as {
      config: { digest: string; size: number };
    };
    manifest.config.digest = other.id;
    manifest.config.size = other.configBytes.length;
    registry.add('app', 'part', image);
    registry.add('app', 'other', other);
    registry.addManifest(
      'app',
      'latest',
      Buffer.from(JSON.stringify(manifest)),
      MEDIA.dockerManifest,
    );
    await expect(pull('app')).rejects.toThrow('failed to register layer');
    await expectNothingLeft();
  });

  it('that sends more or less than it says is refused', async () => {
    const image = sampleImage();
    registry.add('app', 'latest', image);
    const digest = layerDigest(image, 0);
    registry.intercept = (request, response) => {
      if (request.url?.endsWith(digest) !== true) {
        return false;
      }
      response.writeHead(200);
      const flood = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) {
          // Until the reader hangs up.
        }
        if (!response.destroyed) {
          response.once('drain', flood);
        }
      };
      flood();
      return true;
    };
    await expect(pull('app')).rejects.toThrow('does not end after');
    registry.intercept = (request, response) => {
      if (request.url?.endsWith(digest) !== true) {
        return false;
      }
      response.writeHead(200, { 'Content-Length': 1 }).end('x');
      return true;
    };
    await expect(pull('app')).rejects.toThrow('its manifest says');
    await expectNothingLeft();
  });

  it('with a huge manifest, a wrong manifest or a redirect to a file is refused', async () => {
    registry.intercept = (request, response) => {
      if (request.url?.includes('/manifests/') !== true) {
        return false;
      }
      response.writeHead(200, { 'Content-Type': MEDIA.ociManifest });
      response.end(Buffer.alloc(5 * 1024 * 1024, 0x20));
      return true;
    };
    await expect(pull('app')).rejects.toThrow('where few belong');
    registry.intercept = (_request, response) => {
      response.writeHead(307, { Location: 'file:///etc/passwd' }).end();
      return true;
    };
    await expect(pull('app')).rejects.toThrow('redirects to unsupported scheme file:');
    registry.intercept = undefined;
    const image = sampleImage();
    const digest = registry.add('app', 'latest', image);
    const wrong = { bytes: Buffer.from('{"schemaVersion":2}'), mediaType: MEDIA.ociManifest };
    registry.manifests.set(`app/${digest}`, wrong);
    await expect(pull(`app@${digest}`)).rejects.toThrow('manifest verification failed');
    await expectNothingLeft();
  });

  it('that redirects for ever is given up', async () => {
    registry.intercept = (request, response) => {
      response.writeHead(302, { Location: request.url ?? '/' }).end();
      return true;
    };
    await expect(pull('app')).rejects.toThrow('redirects more than');
  });
});

describe('a broken connection', () => {
  it('is resumed where it broke', async () => {
    const image = sampleImage({ layers: [bigLayer(3_000_000)] });
    registry.add('app', 'latest', image);
    const digest = layerDigest(image, 0);
    const blob = registry.blobs.get(digest) ?? Buffer.alloc(0);
    const ranges: string[] = [];
    registry.intercept = (request, response) => {
      if (request.url?.endsWith(digest) !== true || request.method !== 'GET') {
        return false;
      }
      ranges.push(request.headers.range ?? 'all');
      if (ranges.length > 2) {
        return false;
      }
      const start = Number(/(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? '0');
      response.writeHead(start > 0 ? 206 : 200, {
        'Content-Length': blob.length - start,
        ...(start > 0
          ? { 'Content-Range': `bytes ${start}-${blob.length - 1}/${blob.length}` }
          : {}),
      });
      response.write(blob.subarray(start, start + 1_000_000), () => response.destroy());
      return true;
    };
    await pull('app');
    expect(ranges[0]).toBe('all');
    expect(ranges[1]).toMatch(/^bytes=[1-9]\d*-$/);
    expect(ranges).toHaveLength(3);
    expect(harness.lines().some((line) => line.endsWith(': Retrying in 1 second'))).toBe(true);
    expect(harness.service.get(image.id)).toBeDefined();
  });

  it('is started over when the registry does not do ranges', async () => {
    const image = sampleImage({ layers: [bigLayer(2_000_000)] });
    registry.add('app', 'latest', image);
    const digest = layerDigest(image, 0);
    const blob = registry.blobs.get(digest) ?? Buffer.alloc(0);
    let count = 0;
    registry.intercept = (request, response) => {
      if (request.url?.endsWith(digest) !== true || request.method !== 'GET') {
        return false;
      }
      count += 1;
      response.writeHead(200, { 'Content-Length': blob.length });
      if (count === 1) {
        response.write(blob.subarray(0, 1_000_000), () => response.destroy());
      } else {
        response.end(blob);
      }
      return true;
    };
    await pull('app');
    expect(count).toBe(2);
    expect(harness.service.get(image.id)).toBeDefined();
  });

  it('that never gets better is given up after some attempts', async () => {
    const image = sampleImage();
    registry.add('app', 'latest', image);
    const digest = layerDigest(image, 0);
    let count = 0;
    registry.intercept = (request, response) => {
      if (request.url?.endsWith(digest) !== true) {
        return false;
      }
      count += 1;
      response.destroy();
      return true;
    };
    await expect(pull('app')).rejects.toThrow('connection reset by peer');
    expect(count).toBe(5);
    await expectNothingLeft();
  });

  it('that stalls is given up', async () => {
    registry.intercept = (request) => request.url?.includes('/manifests/') === true;
    await using impatient = await ImageHarness.open({ stallTimeoutMs: 200 });
    const reference = parseReference(`${registry.host}/app`);
    await expect(impatient.service.pull(reference, {})).rejects.toThrow('i/o timeout');
  });
});

describe('cancel', () => {
  it('ends a pull at once and leaves nothing behind; the next one resumes', async () => {
    const image = sampleImage({ layers: [tarOf({ small: 's' }), bigLayer(3_000_000)] });
    registry.add('app', 'latest', image);
    const digest = layerDigest(image, 1);
    const blob = registry.blobs.get(digest) ?? Buffer.alloc(0);
    const controller = new AbortController();
    registry.intercept = (request, response) => {
      if (request.url?.endsWith(digest) !== true) {
        return false;
      }
      response.writeHead(200, { 'Content-Length': blob.length });
      response.write(blob.subarray(0, 2_000_000));
      return true;
    };
    const pulling = pull('app', { signal: controller.signal });
    const started = `${digest.slice(7, 19)}: Downloading`;
    await expect.poll(() => harness.lines().includes(started), { timeout: 30_000 }).toBe(true);
    controller.abort();
    await expect(pulling).rejects.toThrow('aborted');
    await expectNothingLeft();
    const ranges: string[] = [];
    registry.intercept = (request) => {
      if (request.url?.endsWith(digest) === true) {
        ranges.push(request.headers.range ?? 'all');
      }
      return false;
    };
    await pull('app');
    expect(harness.service.get(image.id)).toBeDefined();
    expect(ranges).toHaveLength(1);
  });

  it('does not wait for another pull of the same layer, which goes on', async () => {
    const image = sampleImage();
    registry.add('app', 'latest', image);
    const { promise, resolve } = Promise.withResolvers<void>();
    (harness.snapshots as FakeSnapshotter).gate = promise;
    const first = pull('app');
    const controller = new AbortController();
    const second = pull('app', { signal: controller.signal });
    const applying = (): number => (harness.snapshots as FakeSnapshotter).startedCount;
    await expect.poll(applying, { timeout: 30_000 }).toBe(1);
    const starts = (): number =>
      harness.lines().filter((line) => line.includes('Pulling from')).length;
    await expect.poll(starts, { timeout: 30_000 }).toBe(2);
    controller.abort();
    await expect(second).rejects.toThrow('aborted');
    resolve();
    await first;
    expect(harness.service.get(image.id)).toBeDefined();
  });
});

describe('authentication', () => {
  it('gets an anonymous token for the scope and uses it again', async () => {
    registry.tokenUser = { username: '', password: '' };
    registry.add('app', 'latest', sampleImage());
    await pull('app');
    expect(registry.tokenRequests).toHaveLength(1);
    expect(registry.tokenRequests[0]?.scope).toEqual(['repository:app:pull']);
    expect(registry.tokenRequests[0]?.authorization).toBe('');
  });

  it('sends credentials to the token server, and gets a new token when one ends early', async () => {
    registry.tokenUser = CREDENTIALS;
    const image = sampleImage();
    registry.add('app', 'latest', image);
    let hasDropped = false;
    registry.intercept = (request) => {
      if (request.url?.includes('/blobs/') === true && !hasDropped) {
        hasDropped = true;
        registry.tokens.clear();
      }
      return false;
    };
    await pull('app', { auth: CREDENTIALS });
    expect(registry.tokenRequests.length).toBeGreaterThanOrEqual(2);
    expect(harness.service.get(image.id)).toBeDefined();
  });

  it('uses an identity token as OAuth refresh token', async () => {
    registry.tokenUser = CREDENTIALS;
    registry.add('app', 'latest', sampleImage());
    const auth = { ...CREDENTIALS, username: '', password: '', identityToken: 'refresh-me' };
    await pull('app', { auth });
    expect(registry.tokenRequests[0]?.body).toContain('grant_type=refresh_token');
  });

  it('does basic authentication and says when credentials are missing or wrong', async () => {
    registry.basicUser = CREDENTIALS;
    registry.add('app', 'latest', sampleImage());
    await expect(pull('app')).rejects.toThrow('no basic auth credentials');
    await expect(pull('app', { auth: { ...CREDENTIALS, password: 'no' } })).rejects.toThrow(
      'unauthorized: authentication required',
    );
    await pull('app', { auth: CREDENTIALS });
  });

  it('checks credentials', async () => {
    registry.basicUser = CREDENTIALS;
    const auth = { ...CREDENTIALS, serverAddress: `http://${registry.host}` };
    expect(await harness.service.checkAuth(auth)).toEqual({
      Status: 'Login Succeeded',
      IdentityToken: '',
    });
    await expect(harness.service.checkAuth({ ...auth, password: 'no' })).rejects.toThrow(
      '401 Unauthorized',
    );
  });
});

describe('mirrors', () => {
  it('serve Docker Hub images', async () => {
    harness.mirrors.push(`http://${registry.host}`);
    const image = sampleImage();
    registry.add('library/app', 'latest', image);
    await harness.service.pull(parseReference('app'), {});
    expect((await harness.service.resolve('app')).id).toBe(image.id);
  });
});

describe('distributionInspect', () => {
  it('tells descriptor and platforms', async () => {
    const image = sampleImage();
    const digest = registry.add('app', 'latest', image);
    const reference = parseReference(`${registry.host}/app`);
    expect(await harness.service.distributionInspect(reference)).toEqual({
      Descriptor: {
        mediaType: image.manifest.mediaType,
        digest,
        size: image.manifest.bytes.length,
      },
      Platforms: [{ architecture: 'amd64', os: 'linux' }],
    });
  });
});
