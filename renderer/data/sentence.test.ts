import { describe, expect, it } from 'vitest';
import { sentence } from './sentence.ts';

describe('sentence', () => {
  it('begins with a capital and ends with a period', () => {
    expect(sentence(' no such container: web ')).toBe('No such container: web.');
    expect(sentence('volume is in use - [0123]')).toBe('Volume is in use - [0123].');
  });

  it('leaves what is one alone', () => {
    expect(sentence('Start it again.')).toBe('Start it again.');
    expect(sentence('Really?')).toBe('Really?');
    expect(sentence('')).toBe('');
  });
});
