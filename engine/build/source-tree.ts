import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, InvalidParameterError, isMissing } from '../base/errors.ts';
import type { IgnoreRules } from './dockerignore.ts';

/** A file or folder that COPY or ADD takes. */
export interface Match {
  /** Relative to the root of the tree, without leading slash; '' is the root. */
  readonly path: string;
  readonly isDirectory: boolean;
}

/** Parts of a path as a shell would clean them; `..` at the top is refused by the caller. */
export function pathParts(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') {
      parts.pop();
    } else if (part !== '' && part !== '.') {
      parts.push(part);
    }
  }
  return parts;
}

/** Go's filepath.Match for one path part. */
function partExpression(part: string): RegExp | undefined {
  if (!/[*?[\\]/.test(part)) {
    return undefined;
  }
  let source = '';
  for (let at = 0; at < part.length; at += 1) {
    const char = part[at] ?? '';
    if (char === '*') {
      source += '[^/]*';
    } else if (char === '?') {
      source += '[^/]';
    } else if (char === '[') {
      const end = part.indexOf(']', at + 1);
      if (end === -1) {
        throw new InvalidParameterError(`syntax error in pattern: ${part}`);
      }
      source += `[${part.slice(at + 1, end).replaceAll('\\', '\\\\')}]`;
      at = end;
    } else {
      const literal = char === '\\' ? (part[(at += 1)] ?? '\\') : char;
      source += literal.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
    }
  }
  return new RegExp(`^${source}$`, 's');
}

/**
 * A file tree that build steps copy from: the context or the root of an image. Links are never followed out of it: `resolve`
 * finds what a path with links means inside the tree.
 */
export class SourceTree {
  readonly root: string;
  readonly #resolve: (root: string, path: string) => Promise<string>;
  readonly #hashes = new Map<string, Promise<string>>();

  constructor(root: string, resolve: (root: string, path: string) => Promise<string>) {
    this.root = root;
    this.#resolve = resolve;
  }

  /**
   * Paths that match a pattern, sorted. Links on the way are followed inside the tree, the last part too: COPY of a link
   * copies what it points at.
   *
   * @returns empty when nothing matches
   */
  async match(pattern: string): Promise<Match[]> {
    const parts = pathParts(pattern);
    let found: string[] = [''];
    for (const part of parts) {
      const expression = partExpression(part);
      const next: string[] = [];
      for (const folder of found) {
        const names =
          expression === undefined
            ? [part]
            : (await this.#list(folder)).filter((name) => expression.test(name));
        next.push(...names.map((name) => (folder === '' ? name : `${folder}/${name}`)));
      }
      found = next;
    }
    const matches: Match[] = [];
    for (const path of found) {
      const resolved = await this.#resolve(this.root, path);
      try {
        const facts = await lstat(resolved);
        matches.push({
          path: resolved.slice(this.root.length + 1),
          isDirectory: facts.isDirectory(),
        });
      } catch (error) {
        if (!isMissing(error) && errnoOf(error) !== 'ENOTDIR') {
          throw error;
        }
      }
    }
    return matches;
  }

  async #list(folder: string): Promise<string[]> {
    try {
      return (await readdir(await this.#resolve(this.root, folder))).sort();
    } catch (error) {
      if (isMissing(error) || errnoOf(error) === 'ENOTDIR') {
        return [];
      }
      throw error;
    }
  }

  /** Hex digest of names, kinds, permissions, owners and contents; times do not count. */
  async hash(match: Match, withOwners: boolean): Promise<string> {
    const hash = createHash('sha256');
    await this.#add(hash, match.path, '', withOwners);
    return hash.digest('hex');
  }

  async #add(
    hash: ReturnType<typeof createHash>,
    path: string,
    name: string,
    withOwners: boolean,
  ): Promise<void> {
    const full = join(this.root, path);
    const facts = await lstat(full);
    const owner = withOwners ? `${facts.uid}:${facts.gid}` : '';
    hash.update(`${name}\0${facts.mode.toString(8)}\0${owner}\0`);
    if (facts.isSymbolicLink()) {
      hash.update(await readlink(full));
    } else if (facts.isDirectory()) {
      for (const child of (await readdir(full)).sort()) {
        await this.#add(hash, `${path}/${child}`, `${name}/${child}`, withOwners);
      }
    } else if (facts.isFile()) {
      hash.update(await this.#contentHash(full));
    } else {
      hash.update(String(facts.rdev));
    }
  }

  /** A file may be copied by several steps: it is read once. */
  async #contentHash(full: string): Promise<string> {
    let known = this.#hashes.get(full);
    if (known === undefined) {
      known = (async () => {
        const hash = createHash('sha256');
        for await (const chunk of createReadStream(full, { highWaterMark: 1024 * 1024 })) {
          hash.update(chunk as Buffer);
        }
        return hash.digest('hex');
      })();
      this.#hashes.set(full, known);
    }
    return await known;
  }

  /** Paths below the root that the rules exclude; an excluded folder stands for what is below it. */
  async ignored(rules: IgnoreRules): Promise<string[]> {
    const result: string[] = [];
    const visit = async (folder: string): Promise<void> => {
      for (const entry of await readdir(join(this.root, folder), { withFileTypes: true })) {
        const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
        if (entry.isDirectory()) {
          await visit(path);
          const isEmptied = (await readdir(join(this.root, path))).every((child) =>
            result.includes(`${path}/${child}`),
          );
          if (rules.isIgnored(path) && isEmptied) {
            result.push(path);
          }
        } else if (rules.isIgnored(path)) {
          result.push(path);
        }
      }
    };
    await visit('');
    return result;
  }
}
