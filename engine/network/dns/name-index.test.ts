import { describe, expect, test } from 'vitest';
import { NameIndex, resolveFor } from './name-index.ts';

const web = { networkId: 'n1', names: ['web', 'frontend'], ipv4: '10.0.0.2', ipv6: 'fd00::2' };
const twin = { networkId: 'n1', names: ['web2', 'frontend'], ipv4: '10.0.0.3', ipv6: '' };
const other = { networkId: 'n2', names: ['web'], ipv4: '10.9.0.2', ipv6: '' };
const networks = [
  { id: 'n1', name: 'front', links: { cache: 'web2' } },
  { id: 'n2', name: 'back.end', links: {} },
];

function filled(): NameIndex {
  const index = new NameIndex();
  for (const endpoint of [web, twin, other]) {
    index.add(endpoint);
  }
  return index;
}

const v4 = (index: NameIndex, name: string) => resolveFor(index, networks, { name, family: 4 });

describe('resolveFor', () => {
  test('finds names, aliases shared by several, and names in a network', () => {
    const index = filled();
    expect(v4(index, 'WEB')).toEqual(['10.0.0.2']);
    expect(v4(index, 'frontend')).toEqual(['10.0.0.2', '10.0.0.3']);
    expect(v4(index, 'web.front')).toEqual(['10.0.0.2']);
    expect(v4(index, 'web.back.end')).toEqual(['10.9.0.2']);
    expect(v4(index, 'web.nowhere')).toBeUndefined();
    expect(v4(index, '')).toBeUndefined();
  });

  test('a link is a name for the one who has it', () => {
    expect(v4(filled(), 'cache')).toEqual(['10.0.0.3']);
  });

  test('a name without an address of the family is known and empty', () => {
    expect(resolveFor(filled(), networks, { name: 'web2', family: 6 })).toEqual([]);
  });

  test('only own networks are seen', () => {
    expect(
      resolveFor(filled(), networks.slice(1), { name: 'frontend', family: 4 }),
    ).toBeUndefined();
  });
});

describe('NameIndex', () => {
  test('forgets what was removed and keeps the rest', () => {
    const index = filled();
    index.remove(web);
    expect(v4(index, 'frontend')).toEqual(['10.0.0.3']);
    expect(v4(index, 'web')).toEqual(['10.9.0.2']);
    expect(index.nameOf('n1', '10.0.0.2')).toBeUndefined();
    expect(index.nameOf('n1', '10.0.0.3')).toBe('web2');
    index.remove(web);
    index.remove(twin);
    expect(v4(index, 'frontend')).toBeUndefined();
  });
});
