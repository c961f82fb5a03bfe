import type { LayerProgress, TransferItem } from '../../../electron/contract/image-channels.ts';
import type { Problem } from '../../data/bridge.ts';

/** A pull or push as the dialogs show it. */
export interface Transfer {
  readonly status: 'idle' | 'running' | 'done' | 'failed' | 'cancelled';
  /** In the order in which the engine first named them. */
  readonly layers: readonly LayerProgress[];
  readonly message: string;
  readonly reference: string;
  readonly problem?: Problem;
}

/** Before the start. */
export const IDLE_TRANSFER: Transfer = { status: 'idle', layers: [], message: '', reference: '' };

/** The transfer after one more item. */
export function reduceTransfer(transfer: Transfer, item: TransferItem): Transfer {
  switch (item.type) {
    case 'layers': {
      const layers = [...transfer.layers];
      for (const layer of item.layers) {
        const index = layers.findIndex((known) => known.id === layer.id);
        if (index === -1) {
          layers.push(layer);
        } else {
          layers[index] = layer;
        }
      }
      return { ...transfer, layers };
    }
    case 'status':
      return { ...transfer, message: item.message };
    case 'done':
      return { ...transfer, status: 'done', reference: item.reference };
    default:
      return item satisfies never;
  }
}

/** Bytes done and to do of all layers whose size is known. */
export function transferTotals(layers: readonly LayerProgress[]): {
  readonly doneBytes: number;
  readonly totalBytes: number;
} {
  let doneBytes = 0;
  let totalBytes = 0;
  for (const layer of layers) {
    if (layer.totalBytes !== undefined && layer.phase !== 'exists') {
      totalBytes += layer.totalBytes;
      doneBytes += isFetched(layer)
        ? layer.totalBytes
        : Math.min(layer.currentBytes ?? 0, layer.totalBytes);
    }
  }
  return { doneBytes, totalBytes };
}

function isFetched(layer: LayerProgress): boolean {
  return ['verifying', 'downloaded', 'extracting', 'complete'].includes(layer.phase);
}

/** Share of a layer's present phase, 0 to 1; undefined while it cannot be told. */
export function layerShare(layer: LayerProgress): number | undefined {
  if (layer.phase === 'complete' || layer.phase === 'exists') {
    return 1;
  }
  if (layer.phase === 'waiting') {
    return 0;
  }
  if (
    layer.totalBytes === undefined ||
    layer.totalBytes === 0 ||
    layer.currentBytes === undefined
  ) {
    return layer.phase === 'downloaded' ? 1 : undefined;
  }
  return layer.currentBytes / layer.totalBytes;
}
