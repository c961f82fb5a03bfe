import { BugError } from '../../base/errors.ts';

const BLOCK = 512;
/** Largest number in eleven octal digits. */
const MAX_OCTAL_SIZE = 8 ** 11 - 1;

/** Header of a member; names have at most 100 bytes, which is all that image archives need. */
export function tarHeader(options: {
  readonly name: string;
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
  readonly isDirectory?: boolean;
}): Buffer {
  const { name, sizeBytes, isDirectory = false } = options;
  if (Buffer.byteLength(name) > 100) {
    throw new BugError(`tar member name is too long: ${name}`);
  }
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0, 'utf8');
  header.write(isDirectory ? '0000755\0' : '0000644\0', 100, 'latin1');
  header.write('0000000\0', 108, 'latin1');
  header.write('0000000\0', 116, 'latin1');
  if (sizeBytes > MAX_OCTAL_SIZE) {
    header.writeUInt8(0x80, 124);
    header.writeBigUInt64BE(BigInt(sizeBytes), 128);
  } else {
    header.write(`${sizeBytes.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
  }
  const seconds = Math.max(0, Math.floor(options.modifiedAtMs / 1000));
  header.write(`${seconds.toString(8).padStart(11, '0')}\0`, 136, 'latin1');
  header.write('        ', 148, 'latin1');
  header.write(isDirectory ? '5' : '0', 156, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  let sum = 0;
  for (const byte of header) {
    sum += byte;
  }
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/** Zero bytes that fill the last block of a member. */
export function tarPadding(sizeBytes: number): Uint8Array {
  return new Uint8Array((BLOCK - (sizeBytes % BLOCK)) % BLOCK);
}

/** End of an archive. */
export function tarEnd(): Uint8Array {
  return new Uint8Array(2 * BLOCK);
}
