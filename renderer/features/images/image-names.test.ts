import { describe, expect, it } from 'vitest';
import { isPlausibleReference, splitReference } from './image-names.ts';

describe('splitReference', () => {
  it('tells a tag from a port', () => {
    expect(splitReference('localhost:5000/team/app')).toEqual({
      repository: 'localhost:5000/team/app',
      tag: '',
    });
    expect(splitReference('localhost:5000/team/app:1.2')).toEqual({
      repository: 'localhost:5000/team/app',
      tag: '1.2',
    });
  });

  it('leaves the digest out', () => {
    expect(splitReference('nginx:1@sha256:abc')).toEqual({ repository: 'nginx', tag: '1' });
    expect(splitReference('nginx@sha256:abc')).toEqual({ repository: 'nginx', tag: '' });
  });
});

describe('isPlausibleReference', () => {
  it('takes references and refuses what cannot be one', () => {
    expect(['nginx', 'a/b:c', 'localhost:5000/x@sha256:00'].every(isPlausibleReference)).toBe(true);
    expect(['', ' nginx', 'nginx:', 'a//b', 'a/', '-x', 'a b'].some(isPlausibleReference)).toBe(
      false,
    );
  });
});
