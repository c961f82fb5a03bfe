import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resolveInRoot, resolveUser } from './user.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'gantry-user-'));
  await mkdir(join(root, 'etc'));
  await writeFile(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:w:/var/www:/bin/sh\n',
  );
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nstaff:x:50:web\nvideo:x:44:\n');
});
afterEach(async () => await rm(root, { recursive: true, force: true }));

describe('resolveUser', () => {
  it('nothing said › is root with its home', async () => {
    expect(await resolveUser(root, '')).toMatchObject({ uid: 0, gid: 0, home: '/root' });
  });

  it('name › brings its group, memberships and home', async () => {
    expect(await resolveUser(root, 'web')).toEqual({
      uid: 33,
      gid: 34,
      additionalGids: [50],
      home: '/var/www',
    });
  });

  it('numbers unknown to the files › are taken as they are', async () => {
    expect(await resolveUser(root, '1000:2000')).toMatchObject({ uid: 1000, gid: 2000, home: '/' });
  });

  it('group add › takes names and numbers', async () => {
    expect((await resolveUser(root, 'root', ['video', '99'])).additionalGids).toEqual([44, 99]);
  });

  it('unknown user › is refused in Docker’s words', async () => {
    await expect(resolveUser(root, 'nobody')).rejects.toThrow(
      'unable to find user nobody: no matching entries in passwd file',
    );
  });

  it('unknown group › is refused in Docker’s words', async () => {
    await expect(resolveUser(root, 'root:none')).rejects.toThrow(
      'unable to find group none: no matching entries in group file',
    );
  });

  it('account file that is a link to the host › is read inside the root', async () => {
    await rm(join(root, 'etc/passwd'));
    await symlink('/etc/real', join(root, 'etc/passwd'));
    await writeFile(join(root, 'etc/real'), 'inner:x:7:7::/h:/bin/sh\n');
    expect(await resolveUser(root, 'inner')).toMatchObject({ uid: 7 });
  });
});

describe('resolveInRoot', () => {
  it('climbing › stays in the root', async () => {
    expect(await resolveInRoot(root, '../../etc/passwd')).toBe(join(root, 'etc/passwd'));
  });

  it('a loop of links › is refused', async () => {
    await symlink('b', join(root, 'a'));
    await symlink('a', join(root, 'b'));
    await expect(resolveInRoot(root, '/a')).rejects.toThrow('symbolic links');
  });
});
