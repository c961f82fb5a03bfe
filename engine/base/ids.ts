import { randomBytes } from 'node:crypto';

/** A fresh object id as Docker makes them: 64 lower-case hexadecimal digits, never all decimal in the first 12. */
export function newId(): string {
  for (;;) {
    const id = randomBytes(32).toString('hex');
    // A short id of digits only would be taken for a number by hosts files and tools.
    if (!/^\d{12}/.test(id)) {
      return id;
    }
  }
}

/** The 12 digits that users see. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}
