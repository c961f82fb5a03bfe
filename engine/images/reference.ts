import { InvalidParameterError } from '../base/errors.ts';
import type { Digest } from '../snapshots/contract.ts';

/**
 * A normalised image name: `busybox` is `docker.io/library/busybox`.
 * Users see the familiar form, in which the default registry and `library/` are left out.
 */
export interface ImageReference {
  /** Registry with port: `docker.io`, `localhost:5000`. */
  readonly domain: string;
  /** Repository within the registry: `library/busybox`. */
  readonly path: string;
  /** `domain/path`. */
  readonly name: string;
  readonly familiarName: string;
  readonly tag?: string | undefined;
  readonly digest?: Digest | undefined;
  /** Familiar name with tag and digest as far as given. */
  readonly familiar: string;
  /** Full name with tag and digest as far as given. */
  readonly canonical: string;
}

const DEFAULT_DOMAIN = 'docker.io';
const LEGACY_DOMAIN = 'index.docker.io';
const OFFICIAL_PREFIX = 'library/';
const DEFAULT_TAG = 'latest';
/** Limit of the distribution specification for a repository path. */
const MAX_PATH_LENGTH = 255;
/** Nothing valid is near this; keeps matching cheap for hostile input. */
const MAX_TEXT_LENGTH = 2048;

const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const DOMAIN = `(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const COMPONENT = '[a-z0-9]+(?:(?:__|[._]|-+)[a-z0-9]+)*';
const PATH = `${COMPONENT}(?:/${COMPONENT})*`;
const TAG = '[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}';
const DIGEST = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}';

const REFERENCE_PATTERN = new RegExp(`^(${DOMAIN})/(${PATH})(?::(${TAG}))?(?:@(${DIGEST}))?$`);
const TAG_PATTERN = new RegExp(`^${TAG}$`);
const HEX_ID_PATTERN = /^[a-f0-9]{64}$/;
const DIGEST_PATTERN = /^sha256:[a-f0-9]{64}$/;

/** True for `sha256:` and 64 lower-case hexadecimal digits. */
export function isDigest(text: string): text is Digest {
  return DIGEST_PATTERN.test(text);
}

/** @throws InvalidParameterError */
export function toDigest(text: string): Digest {
  if (isDigest(text)) {
    return text;
  }
  const [algorithm = '', hex = ''] = text.split(':');
  if (algorithm !== 'sha256') {
    throw new InvalidParameterError('unsupported digest algorithm');
  }
  throw new InvalidParameterError(
    hex.length === 64 ? 'invalid checksum digest format' : 'invalid checksum digest length',
  );
}

/** Composes a reference from checked parts. */
export function makeReference(parts: {
  readonly domain: string;
  readonly path: string;
  readonly tag?: string | undefined;
  readonly digest?: Digest | undefined;
}): ImageReference {
  const { domain, path, tag, digest } = parts;
  const name = `${domain}/${path}`;
  let familiarName = name;
  if (domain === DEFAULT_DOMAIN) {
    const short = path.startsWith(OFFICIAL_PREFIX) ? path.slice(OFFICIAL_PREFIX.length) : path;
    familiarName = short.includes('/') ? path : short;
  }
  const suffix = (tag === undefined ? '' : `:${tag}`) + (digest === undefined ? '' : `@${digest}`);
  return {
    domain,
    path,
    name,
    familiarName,
    tag,
    digest,
    familiar: `${familiarName}${suffix}`,
    canonical: `${name}${suffix}`,
  };
}

function splitDomain(text: string): readonly [domain: string, rest: string] {
  const slash = text.indexOf('/');
  if (slash < 0) {
    return [DEFAULT_DOMAIN, `${OFFICIAL_PREFIX}${text}`];
  }
  const first = text.slice(0, slash);
  const rest = text.slice(slash + 1);
  let domain = DEFAULT_DOMAIN;
  let path = text;
  if (first === LEGACY_DOMAIN) {
    path = rest;
  } else if (first === 'localhost' || /[.:]/.test(first) || first.toLowerCase() !== first) {
    domain = first;
    path = rest;
  }
  if (domain === DEFAULT_DOMAIN && !path.includes('/')) {
    path = `${OFFICIAL_PREFIX}${path}`;
  }
  return [domain, path];
}

/**
 * Parses a name with optional tag and digest by Docker's rules. No default tag is added.
 *
 * @throws InvalidParameterError  "invalid reference format" and its kin; a bare 64-digit id is refused
 */
export function parseReference(text: string): ImageReference {
  if (HEX_ID_PATTERN.test(text)) {
    throw new InvalidParameterError(
      `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`,
    );
  }
  if (text.length > MAX_TEXT_LENGTH) {
    throw new InvalidParameterError('invalid reference format');
  }
  const [domain, rest] = splitDomain(text);
  const colon = rest.indexOf(':');
  const remote = colon < 0 ? rest : rest.slice(0, colon);
  if (remote.toLowerCase() !== remote) {
    throw new InvalidParameterError(
      `invalid reference format: repository name (${remote}) must be lowercase`,
    );
  }
  const match = REFERENCE_PATTERN.exec(`${domain}/${rest}`);
  if (match === null) {
    throw new InvalidParameterError('invalid reference format');
  }
  const [, host = '', path = '', tag, digest] = match;
  if (path.length > MAX_PATH_LENGTH) {
    throw new InvalidParameterError(
      `repository name must not be more than ${MAX_PATH_LENGTH} characters`,
    );
  }
  return makeReference({
    domain: host,
    path,
    tag,
    digest: digest === undefined ? undefined : toDigest(digest),
  });
}

/** An id in full, or a name. */
export type AnyReference =
  | { readonly kind: 'digest'; readonly digest: Digest }
  | { readonly kind: 'name'; readonly reference: ImageReference };

/**
 * Parses what a client may give for an image: 64 hex digits and `sha256:...` are ids, the rest is a name.
 *
 * @throws InvalidParameterError
 */
export function parseAnyReference(text: string): AnyReference {
  if (HEX_ID_PATTERN.test(text)) {
    return { kind: 'digest', digest: `sha256:${text}` };
  }
  if (isDigest(text)) {
    return { kind: 'digest', digest: text };
  }
  return { kind: 'name', reference: parseReference(text) };
}

/** Adds `latest` to a reference that has neither tag nor digest. */
export function withDefaultTag(reference: ImageReference): ImageReference {
  return reference.tag === undefined && reference.digest === undefined
    ? makeReference({ ...reference, tag: DEFAULT_TAG })
    : reference;
}

/** @throws InvalidParameterError  "invalid tag format" */
export function withTag(reference: ImageReference, tag: string): ImageReference {
  if (!TAG_PATTERN.test(tag)) {
    throw new InvalidParameterError('invalid tag format');
  }
  return makeReference({ domain: reference.domain, path: reference.path, tag });
}

/** The same repository at a digest, without tag. */
export function withDigest(reference: ImageReference, digest: Digest): ImageReference {
  return makeReference({ domain: reference.domain, path: reference.path, digest });
}

/** The repository alone. */
export function withoutTag(reference: ImageReference): ImageReference {
  return makeReference({ domain: reference.domain, path: reference.path });
}

function classPattern(pattern: string, start: number): readonly [source: string, end: number] {
  let index = start + 1;
  let source = '[';
  if (pattern[index] === '^') {
    source += '^';
    index += 1;
  }
  const first = index;
  for (; ; index += 1) {
    const char = pattern[index];
    if (char === undefined) {
      throw new InvalidParameterError('syntax error in pattern');
    }
    if (char === ']' && index > first) {
      return [`${source}]`, index];
    }
    if (char === '\\') {
      index += 1;
      source += `\\${pattern[index] ?? ''}`;
    } else {
      source += char === '-' ? '-' : char.replace(/[[\]^\\]/, '\\$&');
    }
  }
}

/** Regular expression for a shell pattern in which `*` and `?` do not match `/`. @throws InvalidParameterError */
function globToRegExp(pattern: string): RegExp {
  let source = '^';
  for (let index = 0; index < pattern.length; index += 1) {
    const char = pattern[index] ?? '';
    if (char === '*') {
      source += '[^/]*';
    } else if (char === '?') {
      source += '[^/]';
    } else if (char === '[') {
      const [part, end] = classPattern(pattern, index);
      source += part;
      index = end;
    } else if (char === '\\') {
      index += 1;
      const next = pattern[index];
      if (next === undefined) {
        throw new InvalidParameterError('syntax error in pattern');
      }
      source += next.replace(/[^a-zA-Z0-9]/, '\\$&');
    } else {
      source += char.replace(/[.+^${}()|\]]/, '\\$&');
    }
  }
  try {
    // Runs of stars mean one; a pattern of many stars must not become slow.
    return new RegExp(`${source.replaceAll(/(?:\[\^\/\]\*)+/g, '[^/]*')}$`);
  } catch (cause) {
    throw new InvalidParameterError('syntax error in pattern', { cause });
  }
}

/** True when the shell pattern matches the familiar name with or without tag. @throws InvalidParameterError */
export function familiarMatch(pattern: string, reference: ImageReference): boolean {
  const regExp = globToRegExp(pattern.slice(0, MAX_TEXT_LENGTH));
  return regExp.test(reference.familiar) || regExp.test(reference.familiarName);
}
