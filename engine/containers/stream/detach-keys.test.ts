import { describe, expect, it } from 'vitest';
import { DetachScanner, parseDetachKeys } from './detach-keys.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

describe('detach keys', () => {
  it.each([
    [undefined, [16, 17]],
    ['', [16, 17]],
    ['ctrl-a', [1]],
    ['ctrl-z,q', [26, 113]],
    ['ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_', [0, 27, 28, 29, 30, 31]],
  ])('%j', (keys, codes) => {
    expect(parseDetachKeys(keys)).toEqual(codes);
  });

  it.each(['ctrl-1', 'abc', 'a,,b', 'ctrl-'])('refuses %j', (keys) => {
    expect(parseDetachKeys(keys)).toBe('invalid');
  });
});

describe('scanner', () => {
  it('passes ordinary input through untouched', () => {
    const data = Buffer.from('hello');
    expect(new DetachScanner([16, 17]).scan(data).pass).toBe(data);
  });

  it('detaches on the sequence and drops the rest', () => {
    const result = new DetachScanner([16, 17]).scan(Buffer.from('ab\x10\x11cd'));
    expect(text(result.pass)).toBe('ab');
    expect(result.isDetached).toBe(true);
  });

  it('sees a sequence that is split over writes', () => {
    const scanner = new DetachScanner([16, 17]);
    expect(text(scanner.scan(Buffer.from('x\x10')).pass)).toBe('x');
    expect(scanner.scan(Buffer.from('\x11')).isDetached).toBe(true);
  });

  it('passes a begun sequence on when it does not go on', () => {
    const scanner = new DetachScanner([16, 17]);
    expect(text(scanner.scan(Buffer.from('\x10')).pass)).toBe('');
    expect(text(scanner.scan(Buffer.from('y')).pass)).toBe('\x10y');
  });

  it('a repeated first key counts from the last one', () => {
    const scanner = new DetachScanner([16, 17]);
    const first = scanner.scan(Buffer.from('\x10\x10'));
    expect(text(first.pass)).toBe('\x10');
    expect(scanner.scan(Buffer.from('\x11')).isDetached).toBe(true);
  });

  it('finds the sequence at every place of a stream cut in pieces', () => {
    const whole = Buffer.from('abc\x10de\x10\x10\x11zz');
    for (let cut = 0; cut <= whole.length; cut += 1) {
      const scanner = new DetachScanner([16, 17]);
      const first = scanner.scan(whole.subarray(0, cut));
      const second = first.isDetached
        ? { pass: new Uint8Array(), isDetached: true }
        : scanner.scan(whole.subarray(cut));
      expect(text(first.pass) + text(second.pass)).toBe('abc\x10de\x10');
      expect(first.isDetached || second.isDetached).toBe(true);
    }
  });
});
