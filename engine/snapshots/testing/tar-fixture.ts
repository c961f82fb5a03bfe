/** A member of a test archive; everything but the name has a default. */
export interface TarMember {
  readonly name: string;
  /** Default: '0' regular, or '5' when the name ends in a slash. */
  readonly type?: string;
  readonly content?: string | Uint8Array;
  readonly link?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds since 1970; a fraction goes into an extended header. */
  readonly modifiedAtSec?: number;
  /** Extra extended-header records, for example `SCHILY.xattr.user.x`. */
  readonly pax?: Readonly<Record<string, string>>;
  readonly device?: readonly [number, number];
}

const BLOCK_BYTES = 512;

function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, '0')}\0`;
}

function header(member: TarMember, type: string, sizeBytes: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(member.name.slice(0, 100), 0);
  block.write(octal(member.mode ?? (type === '5' ? 0o755 : 0o644), 8), 100);
  block.write(octal(member.uid ?? 0, 8), 108);
  block.write(octal(member.gid ?? 0, 8), 116);
  block.write(octal(sizeBytes, 12), 124);
  block.write(octal(Math.floor(member.modifiedAtSec ?? 1_700_000_000), 12), 136);
  block.write('        ', 148);
  block.write(type, 156);
  block.write((member.link ?? '').slice(0, 100), 157);
  block.write('ustar\x0000', 257);
  block.write(octal(member.device?.[0] ?? 0, 8), 329);
  block.write(octal(member.device?.[1] ?? 0, 8), 337);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function padded(data: Buffer): Buffer {
  const rest = data.length % BLOCK_BYTES;
  return rest === 0 ? data : Buffer.concat([data, Buffer.alloc(BLOCK_BYTES - rest)]);
}

function paxRecord(key: string, value: string): string {
  const body = Buffer.byteLength(` ${key}=${value}\n`);
  let length = body;
  while (length !== body + String(length).length) {
    length = body + String(length).length;
  }
  return `${length} ${key}=${value}\n`;
}

/** Makes a tar archive, hostile ones included: nothing is checked. */
export function makeTar(members: readonly TarMember[]): Buffer {
  const parts = members.flatMap((member) => {
    const type = member.type ?? (member.name.endsWith('/') ? '5' : '0');
    const content = Buffer.from(member.content ?? '');
    const records: Record<string, string> = { ...member.pax };
    if (Buffer.byteLength(member.name) > 100) {
      records['path'] = member.name;
    }
    if (member.modifiedAtSec !== undefined && !Number.isInteger(member.modifiedAtSec)) {
      records['mtime'] = String(member.modifiedAtSec);
    }
    const pax = Buffer.from(
      Object.entries(records)
        .map(([key, value]) => paxRecord(key, value))
        .join(''),
    );
    const extended =
      pax.length === 0 ? [] : [header({ name: 'pax' }, 'x', pax.length), padded(pax)];
    return [...extended, header(member, type, content.length), padded(content)];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK_BYTES)]);
}

/** The archive as a stream in pieces of `pieceBytes`. */
export async function* inPieces(
  tar: Uint8Array,
  pieceBytes = 10_000,
): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < tar.length; at += pieceBytes) {
    yield tar.subarray(at, at + pieceBytes);
  }
}

/** Name, type and content of the members of an archive with plain headers and extended paths. */
export function listTar(tar: Buffer): readonly { name: string; type: string; content: Buffer }[] {
  const members: { name: string; type: string; content: Buffer }[] = [];
  let paxPath: string | undefined;
  for (let at = 0; at + BLOCK_BYTES <= tar.length; ) {
    const text = (from: number, size: number): string =>
      tar.toString('utf8', at + from, at + from + size).replace(/\0.*$/s, '');
    if (tar[at] === 0) {
      break;
    }
    const sizeBytes = Number.parseInt(text(124, 12), 8);
    const type = text(156, 1);
    const content = tar.subarray(at + BLOCK_BYTES, at + BLOCK_BYTES + sizeBytes);
    if (type === 'x') {
      paxPath = /(?:^|\n)\d+ path=([^\n]*)\n/.exec(content.toString('utf8'))?.[1];
    } else {
      members.push({ name: paxPath ?? text(0, 100), type, content });
      paxPath = undefined;
    }
    at += BLOCK_BYTES + Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
  }
  return members;
}

/** All bytes of a stream. */
export async function collectBytes(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) {
    parts.push(part);
  }
  return Buffer.concat(parts);
}
