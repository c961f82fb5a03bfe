import { describe, expect, it } from 'vitest';
import { type LiveList, reduceLiveList } from './live-list.ts';

const a = { id: 'a', name: 'alpha' };
const b = { id: 'b', name: 'beta' };

describe('reduceLiveList', () => {
  it('takes a snapshot as the whole truth', () => {
    const before: LiveList<typeof a> = {
      items: [a],
      byId: new Map([['a', a]]),
      offlineMessage: 'away',
    };
    const after = reduceLiveList(before, { type: 'snapshot', items: [b] });
    expect(after.items).toEqual([b]);
    expect(after.offlineMessage).toBeUndefined();
  });

  it('keeps the identity and the place of what a patch does not name', () => {
    const before = reduceLiveList(undefined, { type: 'snapshot', items: [a, b] });
    const changed = { id: 'b', name: 'BETA' };
    const after = reduceLiveList(before, { type: 'patch', upserts: [changed], removed: [] });
    expect(after.items[0]).toBe(a);
    expect(after.items[1]).toBe(changed);
    expect(before.items[1]).toBe(b);
  });

  it('removes and adds in one patch', () => {
    const before = reduceLiveList(undefined, { type: 'snapshot', items: [a] });
    const after = reduceLiveList(before, { type: 'patch', upserts: [b], removed: ['a'] });
    expect([...after.byId.keys()]).toEqual(['b']);
  });

  it('keeps the last items while the engine is away', () => {
    const before = reduceLiveList(undefined, { type: 'snapshot', items: [a] });
    const after = reduceLiveList(before, { type: 'offline', message: 'no engine' });
    expect(after.items).toEqual([a]);
    expect(after.offlineMessage).toBe('no engine');
  });
});
