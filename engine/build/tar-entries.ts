import { packingOf } from '../base/node/decompress.ts';

/** Members of small tars that the builder makes itself (folders, here-documents, downloads): POSIX ustar. */
export interface TarEntry {
  /** Relative, `/` between parts; folders end with `/`. Below 256 bytes. */
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since the epoch. */
  readonly mtimeSec: number;
  /** Absent for folders. */
  readonly content?: Uint8Array;
}

const BLOCK_BYTES = 512;

function octal(value: number, width: number): string {
  return `${Math.max(0, Math.floor(value))
    .toString(8)
    .padStart(width - 1, '0')}\0`;
}

function header(entry: TarEntry): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const bytes = Buffer.from(entry.name);
  // Long names are cut at a slash into prefix and name.
  const cut = bytes.length <= 100 ? -1 : entry.name.indexOf('/', entry.name.length - 101);
  const name = cut === -1 ? entry.name : entry.name.slice(cut + 1);
  block.write(name, 0, 100);
  block.write(octal(entry.mode, 8), 100);
  block.write(octal(entry.uid, 8), 108);
  block.write(octal(entry.gid, 8), 116);
  block.write(octal(entry.content?.length ?? 0, 12), 124);
  block.write(octal(entry.mtimeSec, 12), 136);
  block.fill(0x20, 148, 156);
  block.write(entry.content === undefined ? '5' : '0', 156);
  block.write('ustar\x0000', 257, 'latin1');
  if (cut !== -1) {
    block.write(entry.name.slice(0, cut), 345, 155);
  }
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** A tar of the entries, in order. */
export async function* tarOf(entries: Iterable<TarEntry>): AsyncGenerator<Uint8Array, void, void> {
  for (const entry of entries) {
    yield header(entry);
    if (entry.content !== undefined) {
      yield entry.content;
      const rest = entry.content.length % BLOCK_BYTES;
      if (rest !== 0) {
        yield Buffer.alloc(BLOCK_BYTES - rest);
      }
    }
  }
  yield Buffer.alloc(2 * BLOCK_BYTES);
}

const USTAR_OFFSET = 257;

/** True when a file that begins so is a tar, or packed and taken for one. */
export function isTar(head: Uint8Array): boolean {
  return (
    packingOf(head) !== 'none' ||
    Buffer.from(head.subarray(USTAR_OFFSET, USTAR_OFFSET + 5)).toString('latin1') === 'ustar'
  );
}
