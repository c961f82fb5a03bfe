import { constants } from 'node:fs';
import { open, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, InvalidParameterError, isMissing } from '../base/errors.ts';
import type { ResolvedUser } from './contract.ts';

/** Symbolic links followed at most, as the kernel's own limit. */
const MAX_LINKS = 40;
/** Account files larger than this are not account files. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

/**
 * Resolves a path inside a file tree: links, also absolute ones, stay below `root`. For trees nobody changes meanwhile.
 *
 * @returns absolute host path
 */
export async function resolveInRoot(root: string, path: string): Promise<string> {
  let pending = path.split('/').filter((part) => part !== '' && part !== '.');
  const resolved: string[] = [];
  let linkCount = 0;
  for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
    if (part === '..') {
      resolved.pop();
      continue;
    }
    let target: string | undefined;
    try {
      target = await readlink(join(root, ...resolved, part));
    } catch (error) {
      const code = errnoOf(error);
      if (code !== 'EINVAL' && code !== 'ENOENT' && code !== 'ENOTDIR') {
        throw error;
      }
    }
    if (target === undefined) {
      resolved.push(part);
      continue;
    }
    linkCount += 1;
    if (linkCount > MAX_LINKS) {
      throw new InvalidParameterError(`too many levels of symbolic links: ${path}`);
    }
    if (target.startsWith('/')) {
      resolved.length = 0;
    }
    pending = [...target.split('/').filter((name) => name !== '' && name !== '.'), ...pending];
  }
  return join(root, ...resolved);
}

async function readAccountFile(root: string, path: string): Promise<string> {
  const resolved = await resolveInRoot(root, path);
  try {
    const handle = await open(
      resolved,
      constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW,
    );
    try {
      const facts = await handle.stat();
      if (!facts.isFile() || facts.size > MAX_FILE_BYTES) {
        return '';
      }
      return await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isMissing(error) || errnoOf(error) === 'ENOTDIR' || errnoOf(error) === 'ELOOP') {
      return '';
    }
    throw error;
  }
}

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

function parseAccounts(text: string): Account[] {
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid, , home] = line.split(':');
    return name && uid !== undefined && /^\d+$/.test(uid) && gid !== undefined && /^\d+$/.test(gid)
      ? [{ name, uid: Number(uid), gid: Number(gid), home: home ?? '' }]
      : [];
  });
}

function parseGroups(text: string): Group[] {
  return text.split('\n').flatMap((line) => {
    const [name, , gid, members] = line.split(':');
    return name && gid !== undefined && /^\d+$/.test(gid)
      ? [{ name, gid: Number(gid), members: (members ?? '').split(',').filter(Boolean) }]
      : [];
  });
}

/** Largest id the kernel knows. */
const MAX_ID = 2 ** 31 - 1;

function numericId(text: string): number | undefined {
  if (!/^\d+$/.test(text)) {
    return undefined;
  }
  const id = Number(text);
  if (id > MAX_ID) {
    throw new InvalidParameterError(`uids and gids must be in range 0-${MAX_ID}`);
  }
  return id;
}

function groupIdOf(text: string, groups: readonly Group[]): number {
  const named = groups.find((group) => group.name === text)?.gid ?? numericId(text);
  if (named === undefined) {
    throw new InvalidParameterError(
      `unable to find group ${text}: no matching entries in group file`,
    );
  }
  return named;
}

/**
 * Turns `user[:group]` and additional groups into numbers by the container's own account files.
 *
 * @param root  file tree of the container
 * @throws InvalidParameterError  an unknown name, with Docker's words
 */
export async function resolveUser(
  root: string,
  user: string,
  groupAdd: readonly string[] = [],
): Promise<ResolvedUser> {
  const [userPart = '', groupPart = ''] = user.split(':', 2);
  const accounts = parseAccounts(await readAccountFile(root, '/etc/passwd'));
  const groups = parseGroups(await readAccountFile(root, '/etc/group'));
  const number = userPart === '' ? 0 : numericId(userPart);
  const account =
    accounts.find((entry) => userPart !== '' && entry.name === userPart) ??
    accounts.find((entry) => number !== undefined && entry.uid === number);
  if (account === undefined && number === undefined) {
    throw new InvalidParameterError(
      `unable to find user ${userPart}: no matching entries in passwd file`,
    );
  }
  const uid = account?.uid ?? number ?? 0;
  const gid = groupPart === '' ? (account?.gid ?? 0) : groupIdOf(groupPart, groups);
  const ownGroups =
    groupPart === '' && account !== undefined
      ? groups.filter((group) => group.members.includes(account.name)).map((group) => group.gid)
      : [];
  const added = groupAdd.map((name) => groupIdOf(name, groups));
  return {
    uid,
    gid,
    additionalGids: [...new Set([...ownGroups, ...added])],
    home: account?.home || '/',
  };
}
