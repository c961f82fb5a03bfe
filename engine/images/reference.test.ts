import { describe, expect, it } from 'vitest';
import { InvalidParameterError } from '../base/errors.ts';
import { familiarMatch, parseAnyReference, parseReference, withDefaultTag } from './reference.ts';

const HEX = 'a'.repeat(64);
const DIGEST = `sha256:${HEX}`;

describe('parseReference', () => {
  it.each([
    ['busybox', 'docker.io/library/busybox', 'busybox'],
    ['busybox:1.36', 'docker.io/library/busybox:1.36', 'busybox:1.36'],
    ['docker.io/busybox', 'docker.io/library/busybox', 'busybox'],
    ['index.docker.io/library/busybox', 'docker.io/library/busybox', 'busybox'],
    ['user/app', 'docker.io/user/app', 'user/app'],
    ['docker.io/library/a/b', 'docker.io/library/a/b', 'library/a/b'],
    ['localhost/app', 'localhost/app', 'localhost/app'],
    ['localhost:5000/app:x', 'localhost:5000/app:x', 'localhost:5000/app:x'],
    ['registry.example.com/app', 'registry.example.com/app', 'registry.example.com/app'],
    ['[::1]:5000/app', '[::1]:5000/app', '[::1]:5000/app'],
    ['Uppercase/app', 'Uppercase/app', 'Uppercase/app'],
    ['a__b/c-d--e', 'docker.io/a__b/c-d--e', 'a__b/c-d--e'],
    [`app@${DIGEST}`, `docker.io/library/app@${DIGEST}`, `app@${DIGEST}`],
    [`app:v1@${DIGEST}`, `docker.io/library/app:v1@${DIGEST}`, `app:v1@${DIGEST}`],
    ['a'.repeat(63), `docker.io/library/${'a'.repeat(63)}`, 'a'.repeat(63)],
  ])('reads %s', (text, canonical, familiar) => {
    const reference = parseReference(text);
    expect(reference.canonical).toBe(canonical);
    expect(reference.familiar).toBe(familiar);
  });

  it.each([
    ['', 'invalid reference format'],
    ['busybox:', 'invalid reference format'],
    ['busybox:-x', 'invalid reference format'],
    ['bad image', 'invalid reference format'],
    ['a//b', 'invalid reference format'],
    ['/a', 'invalid reference format'],
    ['a/', 'invalid reference format'],
    ['_a', 'invalid reference format'],
    ['a..b', 'invalid reference format'],
    [`a:${'t'.repeat(129)}`, 'invalid reference format'],
    ['Busybox', 'invalid reference format: repository name (library/Busybox) must be lowercase'],
    ['host.io/App', 'invalid reference format: repository name (App) must be lowercase'],
    [HEX, `invalid repository name (${HEX}), cannot specify 64-byte hexadecimal strings`],
    ['a'.repeat(300), 'repository name must not be more than 255 characters'],
    [`app@sha256:${'a'.repeat(40)}`, 'invalid checksum digest length'],
    [`app@sha512:${'a'.repeat(128)}`, 'unsupported digest algorithm'],
    ['a'.repeat(100_000), 'invalid reference format'],
  ])('refuses %.40s', (text, message) => {
    expect(() => parseReference(text)).toThrow(InvalidParameterError);
    expect(() => parseReference(text)).toThrow(message);
  });

  it('takes long hostile input without slowing down', () => {
    expect(() => parseReference(`${'a-'.repeat(1000)}!`)).toThrow('invalid reference format');
  });
});

describe('parseAnyReference', () => {
  it('takes ids with and without algorithm for ids', () => {
    expect(parseAnyReference(HEX)).toEqual({ kind: 'digest', digest: DIGEST });
    expect(parseAnyReference(DIGEST)).toEqual({ kind: 'digest', digest: DIGEST });
    expect(parseAnyReference(HEX.slice(1)).kind).toBe('name');
  });
});

describe('withDefaultTag', () => {
  it('adds latest where neither tag nor digest is', () => {
    expect(withDefaultTag(parseReference('app')).familiar).toBe('app:latest');
    expect(withDefaultTag(parseReference('app:v1')).familiar).toBe('app:v1');
    expect(withDefaultTag(parseReference(`app@${DIGEST}`)).familiar).toBe(`app@${DIGEST}`);
  });
});

describe('familiarMatch', () => {
  it.each([
    ['busybox', true],
    ['busybox:*', true],
    ['b*:latest', true],
    ['busybo?', true],
    ['[a-c]usybox', true],
    ['[^b]usybox', false],
    ['*/busybox', false],
    ['busy', false],
    ['docker.io/library/busybox', false],
  ])('%s', (pattern, isMatch) => {
    expect(familiarMatch(pattern, parseReference('busybox:latest'))).toBe(isMatch);
  });

  it('refuses a broken pattern', () => {
    expect(() => familiarMatch('[a', parseReference('a'))).toThrow('syntax error in pattern');
  });

  it('takes many stars without slowing down', () => {
    expect(familiarMatch(`${'*'.repeat(200)}x`, parseReference('a'.repeat(200)))).toBe(false);
  });
});
