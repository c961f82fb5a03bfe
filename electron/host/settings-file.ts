import { mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { isMissing } from '../../engine/base/errors.ts';
import type { Logger } from '../../engine/base/logger.ts';
import { readTextIfThere, writeFileAtomic } from '../../engine/base/node/atomic-file.ts';
import { type Settings, type SettingsPatch, settingsSchema } from '../contract/app-channels.ts';

const recordSchema = z.record(z.string(), z.unknown());

/** Where the settings file is: XDG on Linux, the platform's own folder elsewhere. */
export function settingsPath(
  platform: string,
  env: Readonly<Record<string, string | undefined>>,
): string {
  const home = env['HOME'] ?? '/';
  if (platform === 'darwin') {
    return join(home, 'Library', 'Application Support', 'Gantry', 'settings.json');
  }
  if (platform === 'win32') {
    return join(env['APPDATA'] ?? home, 'Gantry', 'settings.json');
  }
  const config = env['XDG_CONFIG_HOME'];
  const base = config === undefined || config === '' ? join(home, '.config') : config;
  return join(base, 'gantry', 'settings.json');
}

/**
 * The user's settings on disk: JSON, replaced atomically. A field that does not fit falls back to its default, unknown
 * keys (of a newer version) stay in the file, and a file that is no JSON is set aside, not overwritten.
 */
export class SettingsFile {
  readonly #path: string;
  readonly #listeners = new Set<(settings: Settings) => void>();
  /** The file's content with unknown keys. */
  #record: Record<string, unknown>;
  #settings: Settings;
  #lastWrite: Promise<void> = Promise.resolve();

  private constructor(path: string, record: Record<string, unknown>) {
    this.#path = path;
    this.#record = record;
    this.#settings = decode(record);
  }

  /** Reads the file; a missing one means defaults. */
  static async open(path: string, log: Logger): Promise<SettingsFile> {
    const text = await readTextIfThere(path);
    if (text === undefined) {
      return new SettingsFile(path, {});
    }
    try {
      return new SettingsFile(path, recordSchema.parse(JSON.parse(text)));
    } catch (error) {
      log.warn('settings file is not readable and was set aside', { path, error });
      await setAside(path);
      return new SettingsFile(path, {});
    }
  }

  /** Present settings. */
  get value(): Settings {
    return this.#settings;
  }

  /** Calls `listener` after each change. */
  onChange(listener: (settings: Settings) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /** Changes and writes; changes are written in order. */
  async update(patch: SettingsPatch): Promise<Settings> {
    const given = Object.fromEntries(
      Object.entries(patch).filter(([, value]) => value !== undefined),
    );
    const lists = { ...this.#settings.lists, ...patch.lists };
    this.#record = { ...this.#record, ...given, lists };
    this.#settings = decode(this.#record);
    const settings = this.#settings;
    const text = `${JSON.stringify(this.#record, undefined, 2)}\n`;
    const write = this.#lastWrite.then(async () => {
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
      await writeFileAtomic(this.#path, text);
    });
    // A failed write must not block the next.
    this.#lastWrite = write.catch(() => {});
    for (const listener of this.#listeners) {
      listener(settings);
    }
    await write;
    return settings;
  }
}

/** Field by field, so that one bad value does not cost the others. */
function decode(record: Record<string, unknown>): Settings {
  const good: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(settingsSchema.shape)) {
    const parsed = schema.safeParse(record[name]);
    if (parsed.success) {
      good[name] = parsed.data;
    }
  }
  return settingsSchema.parse(good);
}

async function setAside(path: string): Promise<void> {
  try {
    await rename(path, `${path}.broken`);
  } catch (error) {
    if (!isMissing(error)) {
      throw error;
    }
  }
}
