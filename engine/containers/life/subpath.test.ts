import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveSubpath } from './subpath.ts';

describe('resolveSubpath', () => {
  let root: string;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'gantry-subpath-'));
    await mkdir(join(root, 'sub'));
    await mkdir(join(root, 'links'));
    const links = { good: '../sub', root: '/', viaRoot: 'root', up: '../../etc', loop: 'loop' };
    for (const [name, target] of Object.entries(links)) {
      await symlink(target, join(root, 'links', name));
    }
  });

  afterAll(async () => {
    await rm(root, { recursive: true });
  });

  it('follows links that stay below the root', async () => {
    expect(await resolveSubpath(root, 'links/good')).toBe(join(root, 'sub'));
    expect(await resolveSubpath(root, 'links/good/../sub/x')).toBe(join(root, 'sub/x'));
    expect(await resolveSubpath(root, 'missing/x')).toBe(join(root, 'missing/x'));
  });

  it.each(['links/root', 'links/viaRoot', 'links/up', '../x'])('refuses %s', async (path) => {
    await expect(resolveSubpath(root, path)).rejects.toThrow(
      'path concatenation escapes the base directory',
    );
  });

  it('does not follow links for ever', async () => {
    await expect(resolveSubpath(root, 'links/loop')).rejects.toThrow('symbolic links');
  });
});
