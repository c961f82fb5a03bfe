import { describe, expect, it } from 'vitest';
import { FlowGate, HIGH_WATER_BYTES, LOW_WATER_BYTES } from './flow-gate.ts';

describe('FlowGate', () => {
  it('lets pass below the high mark', async () => {
    const gate = new FlowGate();
    gate.add(HIGH_WATER_BYTES);
    await gate.ready();
    expect(gate.outstandingBytes).toBe(HIGH_WATER_BYTES);
  });

  it('holds above the high mark until the low mark is reached', async () => {
    const gate = new FlowGate();
    gate.add(HIGH_WATER_BYTES + 1);
    let isReady = false;
    const waiting = gate.ready().then(() => {
      isReady = true;
    });
    gate.done(HIGH_WATER_BYTES - LOW_WATER_BYTES);
    await Promise.resolve();
    expect(isReady).toBe(false);
    gate.done(1);
    await waiting;
    expect(isReady).toBe(true);
  });
});
