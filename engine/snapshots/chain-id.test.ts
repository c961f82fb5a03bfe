import { describe, expect, test } from 'vitest';
import { chainIdOf } from './chain-id.ts';
import { goModeOf } from './layer-tool.ts';
import { words } from './words.ts';

const A = `sha256:${'a'.repeat(64)}` as const;
const B = `sha256:${'b'.repeat(64)}` as const;

describe('chainIdOf', () => {
  test('of the lowest layer is its diff id', () => {
    expect(chainIdOf(undefined, A)).toBe(A);
  });

  test('of another is the digest of both names', () => {
    // printf 'sha256:aa... sha256:bb...' | sha256sum
    expect(chainIdOf(A, B)).toBe(
      'sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c',
    );
  });
});

describe('goModeOf', () => {
  test.each([
    [0o100644, 0o644],
    [0o040755, 2 ** 31 + 0o755],
    [0o120777, 2 ** 27 + 0o777],
    [0o020666, 2 ** 26 + 2 ** 21 + 0o666],
    [0o060660, 2 ** 26 + 0o660],
    [0o010644, 2 ** 25 + 0o644],
    [0o140755, 2 ** 24 + 0o755],
    [0o104755, 2 ** 23 + 0o755],
    [0o102755, 2 ** 22 + 0o755],
    [0o041777, 2 ** 31 + 2 ** 20 + 0o777],
  ])('%o', (mode, goMode) => {
    expect(goModeOf(mode)).toBe(goMode);
  });
});

describe('words', () => {
  test('repeats lists, keeps flags bare and leaves undefined out', () => {
    expect(words('do', { a: '1', list: ['x', 'y'], none: [], flag: true, not: undefined })).toEqual(
      ['do', '--a', '1', '--list', 'x', '--list', 'y', '--flag'],
    );
  });
});
