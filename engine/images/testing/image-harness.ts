import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { silentLogger } from '../../base/logger.ts';
import type { ContentStore } from '../../content/contract.ts';
import { FileContentStore } from '../../content/file-content-store.ts';
import type { EventInput } from '../../events/contract.ts';
import type { Digest, Snapshotter } from '../../snapshots/contract.ts';
import { tarEnd, tarHeader, tarPadding } from '../archive/tar-writer.ts';
import type { ImageUser, ProgressMessage, RunConfig } from '../contract.ts';
import { digestOf, encodeImageConfig } from '../image-config.ts';
import { StoredImageService } from '../image-service.ts';
import { parseReference, withDefaultTag } from '../reference.ts';
import { encodeManifest, MEDIA } from '../registry/manifest.ts';
import { FakeSnapshotter } from './fake-snapshotter.ts';

/** A tar of these files. */
export function tarOf(files: Readonly<Record<string, string | Uint8Array>>): Buffer {
  const parts: Uint8Array[] = [];
  for (const [name, text] of Object.entries(files)) {
    const bytes = Buffer.from(text);
    parts.push(tarHeader({ name, sizeBytes: bytes.length, modifiedAtMs: 0 }));
    parts.push(bytes, tarPadding(bytes.length));
  }
  return Buffer.concat([...parts, tarEnd()]);
}

/** A whole image with all its documents. */
export interface SampleImage {
  readonly id: Digest;
  readonly configBytes: Uint8Array;
  readonly diffIds: readonly Digest[];
  readonly tars: readonly Buffer[];
  readonly manifest: {
    readonly bytes: Uint8Array;
    readonly mediaType: string;
    readonly digest: Digest;
  };
  /** Config and packed layers by digest. */
  readonly blobs: ReadonlyMap<Digest, Buffer>;
}

/** Makes an image out of layer tars. */
export function sampleImage(
  options: {
    readonly layers?: readonly Buffer[];
    readonly config?: RunConfig;
    readonly architecture?: string;
    readonly variant?: string;
    readonly created?: string;
    readonly isDocker?: boolean;
    readonly pack?: (tar: Buffer) => Buffer;
    readonly layerType?: string;
  } = {},
): SampleImage {
  const tars = options.layers ?? [tarOf({ 'bin/sh': 'shell' }), tarOf({ 'etc/os': 'sample' })];
  const pack = options.pack ?? ((tar: Buffer) => gzipSync(tar));
  const created = options.created ?? '2024-01-02T03:04:05Z';
  const diffIds = tars.map(digestOf);
  const configBytes = encodeImageConfig({
    architecture: options.architecture ?? 'amd64',
    os: 'linux',
    variant: options.variant,
    created,
    config: options.config ?? { Cmd: ['sh'], Labels: { color: 'red' } },
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: tars.map((_tar, index) => ({ created, created_by: `step ${index}` })),
  });
  const packed = tars.map(pack);
  const id = digestOf(configBytes);
  const isDocker = options.isDocker ?? true;
  const layerType = options.layerType ?? (isDocker ? MEDIA.dockerLayerGzip : MEDIA.ociLayerGzip);
  const manifest = encodeManifest({
    isDocker,
    config: { digest: id, size: configBytes.length },
    layers: packed.map((blob) => ({
      mediaType: layerType,
      digest: digestOf(blob),
      size: blob.length,
    })),
  });
  const blobs = new Map<Digest, Buffer>([[id, Buffer.from(configBytes)]]);
  for (const blob of packed) {
    blobs.set(digestOf(blob), blob);
  }
  return {
    id,
    configBytes,
    diffIds,
    tars,
    manifest: { ...manifest, digest: digestOf(manifest.bytes) },
    blobs,
  };
}

/** A docker-archive of images with their names. */
export function dockerArchive(
  images: readonly { readonly image: SampleImage; readonly tags: readonly string[] }[],
): Buffer {
  const files: Record<string, Uint8Array | string> = {};
  const manifest = images.map(({ image, tags }) => {
    const config = `${image.id.slice(7)}.json`;
    files[config] = image.configBytes;
    const layers = image.tars.map((tar, index) => {
      const name = `${image.diffIds[index]?.slice(7) ?? ''}/layer.tar`;
      files[name] = tar;
      return name;
    });
    return { Config: config, RepoTags: tags, Layers: layers };
  });
  files['manifest.json'] = JSON.stringify(manifest);
  return tarOf(files);
}

/** Bytes as a stream in chunks. */
export async function* streamOf(
  bytes: Uint8Array,
  chunkBytes = 1000,
): AsyncGenerator<Uint8Array, void, void> {
  for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
    yield bytes.subarray(offset, offset + chunkBytes);
  }
}

/** An image service in a temp folder with everything that tests look at. */
export class ImageHarness implements AsyncDisposable {
  readonly root: string;
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  readonly service: StoredImageService;
  readonly events: EventInput[] = [];
  readonly users: ImageUser[] = [];
  readonly mirrors: string[] = [];
  readonly insecure: string[] = [];
  readonly progress: ProgressMessage[] = [];
  readonly #isOwner: boolean;

  private constructor(options: {
    readonly root: string;
    readonly content: ContentStore;
    readonly snapshots: Snapshotter;
    readonly isOwner: boolean;
    readonly stallTimeoutMs: number | undefined;
  }) {
    this.root = options.root;
    this.content = options.content;
    this.snapshots = options.snapshots;
    this.#isOwner = options.isOwner;
    this.service = new StoredImageService({
      root: join(options.root, 'images'),
      content: options.content,
      snapshots: options.snapshots,
      events: {
        publish: (event) => this.events.push(event),
        subscribe: () => {
          throw new Error('nobody subscribes');
        },
        listenerCount: 0,
      },
      users: () => this.users,
      getRegistryConfig: () => ({
        mirrors: this.mirrors,
        insecureRegistries: this.insecure,
        certsDir: join(options.root, 'certs.d'),
      }),
      log: silentLogger,
      engineVersion: '1.0.0',
      retryDelayMs: 1,
      stallTimeoutMs: options.stallTimeoutMs,
    });
  }

  /** A started service; `from` reuses the disk of another one, as after a restart. */
  static async open(
    options: {
      readonly from?: ImageHarness;
      /** A folder to use and keep. */
      readonly root?: string;
      readonly snapshots?: Snapshotter;
      readonly stallTimeoutMs?: number;
    } = {},
  ): Promise<ImageHarness> {
    const root = options.from?.root ?? options.root ?? (await mkdtemp(join(tmpdir(), 'images-')));
    const harness = new ImageHarness({
      root,
      content: await FileContentStore.open(join(root, 'content'), silentLogger),
      snapshots: options.snapshots ?? options.from?.snapshots ?? new FakeSnapshotter(),
      isOwner: options.from === undefined && options.root === undefined,
      stallTimeoutMs: options.stallTimeoutMs,
    });
    await harness.service.start();
    return harness;
  }

  /** Receives progress into `progress`. */
  readonly onProgress = (message: ProgressMessage): void => {
    this.progress.push(message);
  };

  /** `id: status` lines so far. */
  lines(): string[] {
    return this.progress.map((message) =>
      message.id === undefined
        ? (message.status ?? message.stream ?? '')
        : `${message.id}: ${message.status ?? ''}`,
    );
  }

  /** `action id` of events so far. */
  eventLines(): string[] {
    return this.events.map((event) => `${event.action} ${event.id}`);
  }

  /** Loads a docker-archive with one image. */
  async add(image: SampleImage, ...tags: string[]): Promise<Digest> {
    const full = tags.map((tag) => withDefaultTag(parseReference(tag)).familiar);
    await this.service.load(streamOf(dockerArchive([{ image, tags: full }])), {});
    return image.id;
  }

  /** Digests of all blobs. */
  async blobs(): Promise<Digest[]> {
    return (await Array.fromAsync(this.content.list())).map((blob) => blob.digest).toSorted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service[Symbol.asyncDispose]();
    if (this.#isOwner) {
      await rm(this.root, { recursive: true, force: true });
    }
  }
}
