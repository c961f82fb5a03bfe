import { describe, expect, it } from 'vitest';
import { best, rank } from './rank.ts';

describe('rank', () => {
  it('needs every word', () => {
    expect(rank('Stop web-1', 'web stop')).toBeDefined();
    expect(rank('Stop web-1', 'web start')).toBeUndefined();
  });
});

describe('best', () => {
  const names = ['backend-web', 'web', 'shop_web_1', 'cobweb'];

  it('puts starts before word starts before the middle', () => {
    expect(best(names, 'web', (name) => name, 9)).toEqual([
      'web',
      'shop_web_1',
      'backend-web',
      'cobweb',
    ]);
  });

  it('gives the first ones without a search', () => {
    expect(best(names, ' ', (name) => name, 2)).toEqual(['backend-web', 'web']);
  });
});
