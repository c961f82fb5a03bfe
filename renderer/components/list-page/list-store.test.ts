import { describe, expect, it } from 'vitest';
import { createListStore, dropMissing, setSelected } from './list-store.ts';

describe('list store', () => {
  it('adds to and takes from the selection without touching the old set', () => {
    const store = createListStore();
    const before = store.getState().selected;
    setSelected(store, ['a', 'b'], true);
    setSelected(store, ['a'], false);
    expect([...store.getState().selected]).toEqual(['b']);
    expect(before.size).toBe(0);
  });

  it('forgets what is gone and keeps its state when nothing is', () => {
    const store = createListStore();
    setSelected(store, ['a', 'b'], true);
    const before = store.getState();
    dropMissing(store, () => true);
    expect(store.getState()).toBe(before);
    dropMissing(store, (key) => key === 'b');
    expect([...store.getState().selected]).toEqual(['b']);
  });
});
