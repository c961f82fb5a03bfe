/** Records on disk: networks survive everything, sandboxes the end of the engine but not that of the machine. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import {
  listIfThere,
  readTextIfThere,
  sweepTempFiles,
  writeFileAtomic,
} from '../base/node/atomic-file.ts';

/** One JSON file per record, named by its id. */
export class RecordFolder<T> {
  readonly #folder: string;
  readonly #schema: z.ZodType<T>;
  readonly #isDurable: boolean;
  readonly #log: Logger;

  constructor(
    folder: string,
    options: { readonly schema: z.ZodType<T>; readonly isDurable: boolean; readonly log: Logger },
  ) {
    this.#folder = folder;
    this.#schema = options.schema;
    this.#isDurable = options.isDurable;
    this.#log = options.log;
  }

  /** All records that can be read; others are reported and left alone. Makes the folder. */
  async load(): Promise<T[]> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await sweepTempFiles(this.#folder);
    const names = (await listIfThere(this.#folder)).filter((name) => name.endsWith('.json')).sort();
    const records = await Promise.all(
      names.map(async (name): Promise<T[]> => {
        const text = await readTextIfThere(join(this.#folder, name));
        if (text === undefined) {
          return [];
        }
        try {
          return [this.#schema.parse(JSON.parse(text))];
        } catch (error) {
          this.#log.error('unreadable record is ignored', {
            file: join(this.#folder, name),
            reason: messageOf(error),
          });
          return [];
        }
      }),
    );
    return records.flat();
  }

  /** Writes or replaces a record. */
  async save(id: string, record: T): Promise<void> {
    await writeFileAtomic(join(this.#folder, `${id}.json`), JSON.stringify(record), {
      isDurable: this.#isDurable,
    });
  }

  /** Removes a record; a no-op when it is not there. */
  async remove(id: string): Promise<void> {
    await rm(join(this.#folder, `${id}.json`), { force: true });
  }
}
