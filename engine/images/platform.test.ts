import { describe, expect, it } from 'vitest';
import { parseDurationNs, parseFilterTimeMs } from './go-time.ts';
import { formatPlatform, parsePlatform, platformScore } from './platform.ts';
import { decodeRegistryAuth } from './registry-auth.ts';

describe('parsePlatform', () => {
  it.each([
    ['linux/amd64', 'linux/amd64'],
    ['linux/x86_64', 'linux/amd64'],
    ['Linux/AArch64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/armel', 'linux/arm/v6'],
    ['arm64', 'linux/arm64'],
    ['{"os":"linux","architecture":"arm","variant":"7"}', 'linux/arm/v7'],
  ])('%s', (text, normal) => {
    expect(formatPlatform(parsePlatform(text))).toBe(normal);
  });

  it.each(['', 'a/b/c/d', 'linux/', 'nonsense', '{', '{"os":1}', '{"os":"linux"}'])(
    'refuses %s',
    (text) => {
      expect(() => parsePlatform(text)).toThrow();
    },
  );
});

describe('words of a refused platform', () => {
  it.each([
    ['       ', 'is an invalid OS component of "       "'],
    ['/', '"" is an invalid OS component of "/"'],
    ['linux/', '"" is an invalid component of "linux/"'],
    ['nintendo64', 'unknown operating system or architecture'],
  ])('"%s"', (text, words) => {
    expect(() => parsePlatform(text)).toThrow(words);
  });
});

describe('platformScore', () => {
  const score = (wanted: string, offered: string): number =>
    platformScore(parsePlatform(wanted), parsePlatform(offered));

  it('prefers the exact variant, takes lower ARM versions, never higher ones', () => {
    expect(score('linux/arm/v7', 'linux/arm/v7')).toBeGreaterThan(
      score('linux/arm/v7', 'linux/arm/v6'),
    );
    expect(score('linux/arm/v7', 'linux/arm/v5')).toBeGreaterThan(0);
    expect(score('linux/arm/v6', 'linux/arm/v7')).toBe(0);
    expect(score('linux/amd64', 'linux/arm64')).toBe(0);
    expect(score('windows/amd64', 'linux/amd64')).toBe(0);
  });
});

describe('times of filters', () => {
  it('reads durations', () => {
    expect(parseDurationNs('1h30m')).toBe(5_400e9);
    expect(parseDurationNs('1.5s')).toBe(1.5e9);
    expect(parseDurationNs('-10ms')).toBe(-10e6);
    expect(parseDurationNs('10')).toBeUndefined();
    expect(parseDurationNs('1y')).toBeUndefined();
  });

  it('reads points in time', () => {
    const nowMs = Date.parse('2024-05-05T12:00:00Z');
    expect(parseFilterTimeMs('10m', nowMs)).toBe(nowMs - 600_000);
    expect(parseFilterTimeMs('1714910400', nowMs)).toBe(1_714_910_400_000);
    expect(parseFilterTimeMs('2024-05-05T12:00:00Z', 0)).toBe(nowMs);
    expect(parseFilterTimeMs('2024-05-05T12:00:00.123456789Z', 0)).toBe(nowMs + 123);
    expect(parseFilterTimeMs('2024-05-05T14:00+02:00', 0)).toBe(nowMs);
    expect(() => parseFilterTimeMs('yesterday', 0)).toThrow('failed to parse value');
  });
});

describe('decodeRegistryAuth', () => {
  const header = (value: unknown): string =>
    Buffer.from(JSON.stringify(value)).toString('base64url');

  it('reads username and password, packed ones too, and tokens', () => {
    expect(decodeRegistryAuth(header({ username: 'a', password: 'b' }))).toMatchObject({
      username: 'a',
      password: 'b',
    });
    const packed = Buffer.from('a:b:c').toString('base64');
    expect(decodeRegistryAuth(header({ auth: packed }))).toMatchObject({
      username: 'a',
      password: 'b:c',
    });
    expect(decodeRegistryAuth(header({ identitytoken: 't' }))?.identityToken).toBe('t');
  });

  it('takes nothing for nothing', () => {
    expect(decodeRegistryAuth(undefined)).toBeUndefined();
    expect(decodeRegistryAuth(header({}))).toBeUndefined();
    expect(decodeRegistryAuth(header(null))).toBeUndefined();
  });

  it('refuses what is no header', () => {
    expect(() => decodeRegistryAuth('%%%')).toThrow('invalid base64');
    expect(() => decodeRegistryAuth('abcd')).toThrow('invalid JSON');
    expect(() => decodeRegistryAuth(header({ username: 1 }))).toThrow('username');
  });
});
