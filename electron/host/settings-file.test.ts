import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../engine/base/logger.ts';
import { SettingsFile, settingsPath } from './settings-file.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-settings-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const pathOf = (): string => join(folder, 'deep', 'settings.json');

async function readBack(): Promise<unknown> {
  return JSON.parse(await readFile(pathOf(), 'utf8')) as unknown;
}

describe('SettingsFile', () => {
  it('has defaults without a file', async () => {
    const settings = await SettingsFile.open(pathOf(), silentLogger);
    expect(settings.value).toMatchObject({ theme: 'system', terminalFontSizePx: 13, lists: {} });
  });

  it('keeps what was set, and merges lists by page', async () => {
    const settings = await SettingsFile.open(pathOf(), silentLogger);
    await settings.update({ theme: 'dark', lists: { images: { sortBy: 'size' } } });
    await settings.update({ lists: { volumes: { sortBy: 'name' } } });
    const again = await SettingsFile.open(pathOf(), silentLogger);
    expect(again.value).toMatchObject({
      theme: 'dark',
      lists: { images: { sortBy: 'size' }, volumes: { sortBy: 'name' } },
    });
    expect(await readdir(join(folder, 'deep'))).toEqual(['settings.json']);
  });

  it('keeps unknown keys, and falls back for values that do not fit', async () => {
    const first = await SettingsFile.open(pathOf(), silentLogger);
    await first.update({ theme: 'light' });
    await writeFile(
      pathOf(),
      JSON.stringify({ theme: 'pink', terminalFontSizePx: 20, fromTheFuture: { a: 1 } }),
    );
    const settings = await SettingsFile.open(pathOf(), silentLogger);
    expect(settings.value).toMatchObject({ theme: 'system', terminalFontSizePx: 20 });
    await settings.update({ theme: 'dark' });
    expect(await readBack()).toMatchObject({ theme: 'dark', fromTheFuture: { a: 1 } });
  });

  it('sets a broken file aside instead of overwriting it', async () => {
    const path = join(folder, 'settings.json');
    await writeFile(path, '{ broken');
    const settings = await SettingsFile.open(path, silentLogger);
    await settings.update({ theme: 'dark' });
    expect(await readFile(`${path}.broken`, 'utf8')).toBe('{ broken');
  });

  it('writes many changes in order', async () => {
    const settings = await SettingsFile.open(pathOf(), silentLogger);
    const sizes = Array.from({ length: 20 }, (_unused, index) => 8 + index);
    await Promise.all(sizes.map((terminalFontSizePx) => settings.update({ terminalFontSizePx })));
    expect(await readBack()).toMatchObject({ terminalFontSizePx: 27 });
  });
});

describe('settingsPath', () => {
  it('follows each platform', () => {
    expect(settingsPath('linux', { HOME: '/h' })).toBe('/h/.config/gantry/settings.json');
    expect(settingsPath('linux', { HOME: '/h', XDG_CONFIG_HOME: '/x' })).toBe(
      '/x/gantry/settings.json',
    );
    expect(settingsPath('darwin', { HOME: '/h' })).toBe(
      '/h/Library/Application Support/Gantry/settings.json',
    );
  });
});
