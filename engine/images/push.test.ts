import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Digest } from '../snapshots/contract.ts';
import { parseReference } from './reference.ts';
import { FakeRegistry, fail } from './testing/fake-registry.ts';
import { ImageHarness, sampleImage, tarOf } from './testing/image-harness.ts';

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

async function pull(ref: string): Promise<void> {
  await harness.service.pull(parseReference(`${registry.host}/${ref}`), {
    onProgress: harness.onProgress,
  });
}

/** A layer of this many random bytes: it does not pack. */
function bigLayer(sizeBytes: number): Buffer {
  return tarOf({ data: randomBytes(sizeBytes) });
}

describe('push', () => {
  it('sends blobs and manifest, remembers the digest, and does nothing twice', async () => {
    const image = sampleImage();
    await harness.add(image, `${registry.host}/app:v1`);
    const reference = parseReference(`${registry.host}/app:v1`);
    await harness.service.push(reference, { onProgress: harness.onProgress });
    const lines = harness.lines();
    expect(lines[0]).toBe(`The push refers to repository [${registry.host}/app]`);
    expect(lines.filter((line) => line.endsWith(': Pushed'))).toHaveLength(2);
    const aux = harness.progress.at(-1)?.aux as { Tag: string; Digest: Digest; Size: number };
    expect(aux.Tag).toBe('v1');
    const found = await harness.service.resolve(`${registry.host}/app:v1`);
    expect(found.repoDigests).toEqual([`${registry.host}/app@${aux.Digest}`]);
    expect(harness.eventLines().at(-1)).toBe(`push ${registry.host}/app:v1`);
    harness.progress.length = 0;
    await harness.service.push(reference, { onProgress: harness.onProgress });
    expect(harness.lines().filter((line) => line.endsWith(': Layer already exists'))).toHaveLength(
      2,
    );
    // What was pushed can be pulled elsewhere and is the same image.
    await using other = await ImageHarness.open();
    await other.service.pull(reference, {});
    expect((await other.service.resolve(`${registry.host}/app:v1`)).id).toBe(image.id);
  });

  it('keeps the manifest of a pulled image', async () => {
    const digest = registry.add('app', 'latest', sampleImage());
    await pull('app');
    await harness.service.tag(`${registry.host}/app`, { repo: `${registry.host}/copy`, tag: '' });
    await harness.service.push(parseReference(`${registry.host}/copy:latest`), {
      onProgress: harness.onProgress,
    });
    expect(registry.manifests.has(`copy/${digest}`)).toBe(true);
  });

  it('mounts blobs from another repository', async () => {
    const image = sampleImage();
    registry.add('app', 'latest', image);
    await pull('app');
    await harness.service.tag(`${registry.host}/app`, { repo: `${registry.host}/copy`, tag: 'x' });
    registry.intercept = (request, response) => {
      if (request.method === 'HEAD' && request.url?.includes('/copy/') === true) {
        fail(response, 404, 'BLOB_UNKNOWN', 'blob unknown');
        return true;
      }
      return false;
    };
    await harness.service.push(parseReference(`${registry.host}/copy:x`), {
      onProgress: harness.onProgress,
    });
    expect(
      harness.lines().filter((line) => line.endsWith(`: Mounted from ${registry.host}/app`)),
    ).toHaveLength(2);
  });

  it('goes on with a broken upload', async () => {
    const image = sampleImage({ layers: [bigLayer(2_000_000)] });
    await harness.add(image, `${registry.host}/app:latest`);
    let breaks = 0;
    registry.intercept = (request) => {
      if (request.method === 'PATCH' && breaks === 0) {
        breaks += 1;
        request.once('data', () => request.socket.destroy());
      }
      return false;
    };
    await harness.service.push(parseReference(`${registry.host}/app:latest`), {});
    expect(breaks).toBe(1);
    expect(registry.manifests.has('app/latest')).toBe(true);
  });

  it('refuses what is not there', async () => {
    const push = (ref: string) => harness.service.push(parseReference(ref), {});
    await expect(push(`${registry.host}/none:latest`)).rejects.toThrow(
      `An image does not exist locally with the tag: ${registry.host}/none`,
    );
    await harness.add(sampleImage(), `${registry.host}/app:v1`);
    await expect(push(`${registry.host}/app:v2`)).rejects.toThrow(
      `tag does not exist: ${registry.host}/app:v2`,
    );
  });
});
