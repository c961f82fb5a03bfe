import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { ConflictError, InvalidParameterError } from '../../base/errors.ts';
import { decompress } from '../../base/node/decompress.ts';
import type {
  ApplyLayerOptions,
  ChainId,
  LayerInfo,
  Snapshotter,
} from '../../snapshots/contract.ts';
import { chainIdsOf, digestOf } from '../image-config.ts';

function unused(): never {
  throw new Error('the image service does not use this');
}

/** Layers in memory, with the rules of the contract. */
export class FakeSnapshotter implements Snapshotter {
  readonly driver = 'overlay2';
  readonly layers = new Map<ChainId, LayerInfo & { readonly tar: Buffer }>();
  /** Writable id -> its parent and the tar that its commit gives. */
  readonly writables = new Map<string, { parent: ChainId | undefined; tar: Buffer }>();
  startedCount = 0;
  appliedCount = 0;
  /** Set to hold applying up. */
  gate: Promise<void> | undefined;

  async applyLayer(options: ApplyLayerOptions): Promise<LayerInfo> {
    this.startedCount += 1;
    const hash = createHash('sha256');
    const parts: Uint8Array[] = [];
    const chunks =
      Symbol.asyncIterator in options.tar
        ? options.tar
        : decompress(options.tar.compression, createReadStream(options.tar.path));
    for await (const chunk of chunks) {
      options.signal?.throwIfAborted();
      hash.update(chunk);
      parts.push(chunk);
    }
    await this.gate;
    options.signal?.throwIfAborted();
    const diffId = `sha256:${hash.digest('hex')}` as const;
    if (options.expectedDiffId !== undefined && options.expectedDiffId !== diffId) {
      throw new InvalidParameterError(
        `layer has the diff id ${diffId} instead of ${options.expectedDiffId}`,
      );
    }
    this.appliedCount += 1;
    return this.#add(options.parent, Buffer.concat(parts));
  }

  #add(parent: ChainId | undefined, tar: Buffer): LayerInfo {
    const diffId = digestOf(tar);
    const chainId = parent === undefined ? diffId : digestOf(Buffer.from(`${parent} ${diffId}`));
    const layer = { chainId, parent, diffId, sizeBytes: tar.length, tar };
    this.layers.set(chainId, layer);
    return layer;
  }

  async commitWritable(id: string): Promise<LayerInfo> {
    const writable = this.writables.get(id);
    return writable === undefined ? unused() : this.#add(writable.parent, writable.tar);
  }

  async sync(): Promise<void> {}

  async findLayer(chainId: ChainId): Promise<LayerInfo | undefined> {
    return this.layers.get(chainId);
  }

  async listLayers(): Promise<readonly LayerInfo[]> {
    return [...this.layers.values()];
  }

  async removeLayer(chainId: ChainId): Promise<void> {
    const isParent = [...this.layers.values()].some((layer) => layer.parent === chainId);
    const isUsed = [...this.writables.values()].some((writable) => writable.parent === chainId);
    if (isParent || isUsed) {
      throw new ConflictError(`layer ${chainId} is in use`);
    }
    this.layers.delete(chainId);
  }

  async *layerTar(chainId: ChainId): AsyncGenerator<Uint8Array, void, void> {
    yield this.layers.get(chainId)?.tar ?? unused();
  }

  async createWritable(id: string, parent: ChainId | undefined): Promise<void> {
    this.writables.set(id, { parent, tar: Buffer.from(`changes of ${id}`) });
  }

  async removeWritable(id: string): Promise<void> {
    this.writables.delete(id);
  }

  status = unused;
  mountLayer = unused;
  mount = unused;
  unmount = unused;
  listWritables = unused;
  writableSize = unused;
  changes = unused;
  graphData = unused;

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Chain id of the top of these layers. */
export function topOf(diffIds: Parameters<typeof chainIdsOf>[0]): ChainId | undefined {
  return chainIdsOf(diffIds).at(-1);
}
