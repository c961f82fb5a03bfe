import { describe, expect, it } from 'vitest';
import { engineLabel, sentence } from './sentence.ts';

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

describe('engineLabel', () => {
  it('is short for ours and whole for others', () => {
    expect(engineLabel('Gantry Engine on Debian GNU/Linux 12', '28.5.2+gantry0.1.0')).toBe(
      'Gantry Engine 0.1.0',
    );
    expect(engineLabel('Docker Engine - Community', '28.5.2')).toBe(
      'Docker Engine - Community 28.5.2',
    );
  });
});
