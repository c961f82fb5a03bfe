import { describe, expect, it } from 'vitest';
import type { LayerProgress } from '../../../electron/contract/image-channels.ts';
import { IDLE_TRANSFER, reduceTransfer, transferTotals } from './transfer-model.ts';

const layer = (change: Partial<LayerProgress>): LayerProgress => ({
  id: 'a',
  phase: 'downloading',
  status: '',
  ...change,
});

describe('reduceTransfer', () => {
  it('keeps layers in the order of their first appearance', () => {
    const first = reduceTransfer(IDLE_TRANSFER, {
      type: 'layers',
      layers: [layer({ id: 'a' }), layer({ id: 'b' })],
    });
    const second = reduceTransfer(first, {
      type: 'layers',
      layers: [layer({ id: 'c' }), layer({ id: 'a', phase: 'complete' })],
    });
    expect(second.layers.map((one) => `${one.id}:${one.phase}`)).toEqual([
      'a:complete',
      'b:downloading',
      'c:downloading',
    ]);
  });
});

describe('transferTotals', () => {
  it('counts fetched layers whole while they are extracted, and not those that were here before', () => {
    expect(
      transferTotals([
        layer({ id: 'a', phase: 'extracting', currentBytes: 10, totalBytes: 100 }),
        layer({ id: 'b', currentBytes: 30, totalBytes: 200 }),
        layer({ id: 'c', phase: 'exists', totalBytes: 500 }),
      ]),
    ).toEqual({ doneBytes: 130, totalBytes: 300 });
  });
});
