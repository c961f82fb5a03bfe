import { decode, struct, text, texts } from '../../api/types/wire.ts';
import { InvalidParameterError } from '../../base/errors.ts';
import { type Platform, parsePlatform, parseReference, withTag } from '../../images/contract.ts';
import type { Query } from '../query.ts';

/** Names and platforms in query parameters. */

/**
 * Parameters `repo` and `tag`, checked together; both undefined without a repo.
 *
 * @throws InvalidParameterError
 */
export function repoTag(query: Query): {
  readonly repo: string | undefined;
  readonly tag: string | undefined;
} {
  const repo = query.find('repo');
  const tag = query.find('tag');
  if (repo === undefined) {
    return { repo: undefined, tag: undefined };
  }
  const reference = parseReference(repo);
  if (reference.digest !== undefined) {
    throw new InvalidParameterError('cannot import digest reference');
  }
  if (tag !== undefined) {
    withTag(reference, tag);
  }
  return { repo, tag };
}

const platformSchema = struct({
  os: text,
  architecture: text,
  variant: text,
  'os.version': text,
  'os.features': texts,
});

/** A platform in JSON form. @throws InvalidParameterError */
function decodePlatform(json: string): Platform {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new InvalidParameterError('failed to parse platform: invalid JSON', { cause });
  }
  const platform = decode(platformSchema, value ?? {}, 'platform');
  if (!platform.os || !platform.architecture) {
    throw new InvalidParameterError('both OS and Architecture must be provided');
  }
  return parsePlatform(
    [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/'),
  );
}

/** The one platform in JSON form of a parameter; undefined when absent. @throws InvalidParameterError  bad or several */
export function platformParameter(query: Query, name = 'platform'): Platform | undefined {
  const given = query.all(name).filter((value) => value !== '');
  if (given.length > 1) {
    throw new InvalidParameterError('multiple platform parameters not supported');
  }
  return given[0] === undefined ? undefined : decodePlatform(given[0]);
}
