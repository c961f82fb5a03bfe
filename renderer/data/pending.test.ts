import { describe, expect, it } from 'vitest';
import { pending, withPending } from './pending.ts';

describe('withPending', () => {
  it('marks while the work runs and clears afterwards', async () => {
    const gate = Promise.withResolvers<string>();
    const done = withPending(['a', 'b'], 'stopping', () => gate.promise);
    expect(pending.getState().get('b')).toBe('stopping');
    gate.resolve('ok');
    await expect(done).resolves.toBe('ok');
    expect(pending.getState().size).toBe(0);
  });

  it('clears after a failure, which passes through', async () => {
    await expect(
      withPending(['a'], 'starting', async () => {
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(pending.getState().size).toBe(0);
  });

  it('leaves a later mark of other work alone', async () => {
    const first = Promise.withResolvers<void>();
    const second = Promise.withResolvers<void>();
    const stopping = withPending(['a'], 'stopping', () => first.promise);
    const removing = withPending(['a'], 'removing', () => second.promise);
    first.resolve();
    await stopping;
    expect(pending.getState().get('a')).toBe('removing');
    second.resolve();
    await removing;
  });
});
