import { describe, expect, it } from 'vitest';
import { countMatches, filterJson, toJson } from './json-model.ts';

const value = {
  Name: 'web',
  State: { Pid: 42, Running: true },
  Env: ['PATH=/bin', 'MODE=web'],
  Empty: [],
};

describe('filterJson', () => {
  it('keeps the way down to what matches', () => {
    expect(filterJson(value, '42')).toEqual({ State: { Pid: 42 } });
    expect(filterJson(value, 'WEB')).toEqual({ Name: 'web', Env: ['MODE=web'] });
  });

  it('keeps all below a name that matches', () => {
    expect(filterJson(value, 'state')).toEqual({ State: { Pid: 42, Running: true } });
  });

  it('is undefined when nothing matches', () => {
    expect(filterJson(value, 'absent')).toBeUndefined();
  });
});

describe('countMatches', () => {
  it('counts names and values', () => {
    expect(countMatches(value, 'web')).toBe(2);
    expect(countMatches(value, 'running')).toBe(1);
  });
});

describe('toJson', () => {
  it('turns what JSON cannot say into null', () => {
    expect(toJson({ a: undefined, b: [1, () => 1] })).toEqual({ a: null, b: [1, null] });
  });
});
