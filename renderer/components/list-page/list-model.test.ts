import { describe, expect, it } from 'vitest';
import {
  type Arrangement,
  arrangeRows,
  compareValues,
  keyRange,
  matchesQuery,
  selectItems,
} from './list-model.ts';

interface Thing {
  readonly id: string;
  readonly name: string;
  readonly size?: number;
  readonly project?: string;
}

const things: readonly Thing[] = [
  { id: '1', name: 'web-10', size: 5, project: 'shop' },
  { id: '2', name: 'web-2', size: 50, project: 'shop' },
  { id: '3', name: 'alone' },
  { id: '4', name: 'db', size: 20, project: 'blog' },
];

function arrangement(change: Partial<Arrangement<Thing>> = {}): Arrangement<Thing> {
  return {
    getKey: (thing) => thing.id,
    searchText: (thing) => `${thing.name} ${thing.project ?? ''}`,
    query: '',
    isDescending: false,
    collapsed: new Set(),
    ...change,
  };
}

const ids = (items: readonly Thing[]): string => items.map((item) => item.id).join('');

describe('selectItems', () => {
  it('sorts numbers inside names by value', () => {
    expect(ids(selectItems(things, arrangement({ sortValue: (thing) => thing.name })))).toBe(
      '3421',
    );
  });

  it('puts unknown values last in both directions', () => {
    const sortValue = (thing: Thing) => thing.size;
    expect(ids(selectItems(things, arrangement({ sortValue })))).toBe('1423');
    expect(ids(selectItems(things, arrangement({ sortValue, isDescending: true })))).toBe('2413');
  });

  it('needs every word of the search, in any order and case', () => {
    expect(ids(selectItems(things, arrangement({ query: ' SHOP web-2 ' })))).toBe('2');
  });

  it('applies the filter together with the search', () => {
    expect(
      ids(selectItems(things, arrangement({ query: 'web', matches: (thing) => thing.size === 5 }))),
    ).toBe('1');
  });

  it('sorts a thousand equal items the same way every time', () => {
    const many = Array.from({ length: 1000 }, (_, index) => ({
      id: String(index).padStart(4, '0'),
      name: 'x',
    }));
    const sorted = selectItems(
      [...many].reverse(),
      arrangement({ sortValue: (thing) => thing.name }),
    );
    expect(sorted.map((item) => item.id)).toEqual(many.map((item) => item.id));
  });
});

describe('arrangeRows', () => {
  const grouped = (change: Partial<Arrangement<Thing>> = {}) =>
    arrangement({
      sortValue: (thing) => thing.name,
      groupOf: (thing) =>
        thing.project === undefined ? undefined : { key: thing.project, label: thing.project },
      ...change,
    });

  it('puts members below their group, which stands at its first member', () => {
    const keys = arrangeRows(things, grouped()).map((row) => row.key);
    expect(keys).toEqual(['3', 'group:blog', '4', 'group:shop', '2', '1']);
  });

  it('hides the members of a collapsed group but still counts them', () => {
    const rows = arrangeRows(things, grouped({ collapsed: new Set(['shop']) }));
    expect(rows.map((row) => row.key)).toEqual(['3', 'group:blog', '4', 'group:shop']);
    const shop = rows.at(-1);
    expect(shop?.type === 'group' && shop.items.length).toBe(2);
  });

  it('drops a group none of whose members match', () => {
    expect(arrangeRows(things, grouped({ query: 'alone' })).map((row) => row.key)).toEqual(['3']);
  });
});

describe('keyRange', () => {
  it('is inclusive and works upwards', () => {
    expect(keyRange(['a', 'b', 'c', 'd'], 'c', 'a')).toEqual(['a', 'b', 'c']);
  });

  it('is the one key when the start is not shown', () => {
    expect(keyRange(['a', 'b'], 'x', 'b')).toEqual(['b']);
  });
});

describe('compareValues and matchesQuery', () => {
  it('compares numbers as numbers', () => {
    expect(compareValues(9, 10)).toBeLessThan(0);
  });

  it('matches everything with an empty search', () => {
    expect(matchesQuery('anything', '')).toBe(true);
  });
});
