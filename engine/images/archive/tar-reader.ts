import { InvalidParameterError } from '../../base/errors.ts';

const BLOCK = 512;
/** Long names and PAX records are small; a larger one is an attack on memory. */
const MAX_META_BYTES = 1024 * 1024;

/** One member of a tar archive. */
export interface TarEntry {
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'other';
  readonly sizeBytes: number;
  /** Target of a link, else ''. */
  readonly linkName: string;
  /** Must be read before the next entry is asked for; what is left unread is skipped. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Pulls exact amounts from a stream of chunks without copying bodies. */
class ChunkSource {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array();

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#iterator = chunks[Symbol.asyncIterator]();
  }

  /** Up to `maxBytes`, at least one; undefined at the end. */
  async some(maxBytes: number): Promise<Uint8Array | undefined> {
    while (this.#chunk.length === 0) {
      const next = await this.#iterator.next();
      if (next.done === true) {
        return undefined;
      }
      this.#chunk = next.value;
    }
    const part = this.#chunk.subarray(0, maxBytes);
    this.#chunk = this.#chunk.subarray(part.length);
    return part;
  }

  /** Exactly `size` bytes; undefined at a clean end. @throws InvalidParameterError  the end comes in between */
  async exactly(size: number): Promise<Buffer | undefined> {
    const parts: Uint8Array[] = [];
    let got = 0;
    while (got < size) {
      const part = await this.some(size - got);
      if (part === undefined) {
        if (got === 0) {
          return undefined;
        }
        throw truncated();
      }
      parts.push(part);
      got += part.length;
    }
    return Buffer.concat(parts);
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
  }
}

function truncated(): InvalidParameterError {
  return new InvalidParameterError('archive/tar: unexpected EOF');
}

function invalidHeader(): InvalidParameterError {
  return new InvalidParameterError('archive/tar: invalid tar header');
}

function textField(header: Buffer, start: number, length: number): string {
  const field = header.subarray(start, start + length);
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? length : end).toString('utf8');
}

function numberField(header: Buffer, start: number, length: number): number {
  const first = header[start] ?? 0;
  if ((first & 0x80) !== 0) {
    // GNU base-256.
    let value = BigInt(first & 0x7f);
    for (const byte of header.subarray(start + 1, start + length)) {
      value = (value << 8n) | BigInt(byte);
    }
    return Number(value);
  }
  const text = textField(header, start, length).trim();
  if (text === '') {
    return 0;
  }
  if (!/^[0-7]+$/.test(text)) {
    throw invalidHeader();
  }
  return Number.parseInt(text, 8);
}

function hasValidChecksum(header: Buffer): boolean {
  const stated = numberField(header, 148, 8);
  let sum = 0;
  for (const [index, byte] of header.entries()) {
    sum += index >= 148 && index < 156 ? 0x20 : byte;
  }
  return sum === stated;
}

function parsePax(data: Buffer): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  let offset = 0;
  while (offset < data.length) {
    const space = data.indexOf(0x20, offset);
    const length = Number(data.subarray(offset, space < 0 ? offset : space).toString('latin1'));
    if (space < 0 || !Number.isInteger(length) || length < 5 || offset + length > data.length) {
      throw invalidHeader();
    }
    const record = data.subarray(space + 1, offset + length - 1).toString('utf8');
    const equals = record.indexOf('=');
    if (equals > 0) {
      records.set(record.slice(0, equals), record.slice(equals + 1));
    }
    offset += length;
  }
  return records;
}

const TYPES: Readonly<Record<string, TarEntry['type']>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '5': 'directory',
};

/** What long-name and PAX members say about the next entry. */
interface Overrides {
  name?: string | undefined;
  linkName?: string | undefined;
  sizeBytes?: number | undefined;
}

function applyPax(overrides: Overrides, records: ReadonlyMap<string, string>): void {
  overrides.name = records.get('path') ?? overrides.name;
  overrides.linkName = records.get('linkpath') ?? overrides.linkName;
  const size = records.get('size');
  if (size !== undefined) {
    if (!/^\d{1,15}$/.test(size)) {
      throw invalidHeader();
    }
    overrides.sizeBytes = Number(size);
  }
}

function entryOf(header: Buffer, overrides: Overrides, body: AsyncIterable<Uint8Array>): TarEntry {
  const prefix =
    textField(header, 257, 6).startsWith('ustar') && header[262] === 0
      ? textField(header, 345, 155)
      : '';
  const shortName = textField(header, 0, 100);
  const name = overrides.name ?? (prefix === '' ? shortName : `${prefix}/${shortName}`);
  const flag = String.fromCharCode(header[156] ?? 0);
  const type = TYPES[flag] ?? 'other';
  return {
    name,
    type: type === 'file' && name.endsWith('/') ? 'directory' : type,
    sizeBytes: overrides.sizeBytes ?? numberField(header, 124, 12),
    linkName: overrides.linkName ?? textField(header, 157, 100),
    body,
  };
}

/**
 * Reads a tar archive (ustar, GNU long names, PAX) as a stream. Names are given as they are: whoever uses them as paths
 * must check them.
 *
 * @throws InvalidParameterError  damaged, truncated or absurd input
 */
export async function* readTar(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<TarEntry, void, void> {
  const source = new ChunkSource(chunks);
  let global: Overrides = {};
  let overrides: Overrides = {};
  let zeroBlocks = 0;
  try {
    for (;;) {
      const header = await source.exactly(BLOCK);
      if (header === undefined) {
        return;
      }
      if (header.every((byte) => byte === 0)) {
        zeroBlocks += 1;
        if (zeroBlocks === 2) {
          await drain(source);
          return;
        }
        continue;
      }
      zeroBlocks = 0;
      if (!hasValidChecksum(header)) {
        throw invalidHeader();
      }
      const flag = String.fromCharCode(header[156] ?? 0);
      if ('LKxg'.includes(flag)) {
        const data = await readMeta(source, numberField(header, 124, 12));
        const text = data.subarray(0, data.indexOf(0) < 0 ? data.length : data.indexOf(0));
        if (flag === 'L') {
          overrides.name = text.toString('utf8');
        } else if (flag === 'K') {
          overrides.linkName = text.toString('utf8');
        } else if (flag === 'x') {
          applyPax(overrides, parsePax(data));
        } else {
          global = {};
          applyPax(global, parsePax(data));
        }
        continue;
      }
      const left = { bytes: 0 };
      const entry = entryOf(header, { ...global, ...overrides }, bodyOf(source, left));
      overrides = {};
      const hasBody = entry.type === 'file' || entry.type === 'other';
      left.bytes = hasBody ? entry.sizeBytes : 0;
      if (!Number.isSafeInteger(left.bytes)) {
        throw invalidHeader();
      }
      const padding = (BLOCK - (left.bytes % BLOCK)) % BLOCK;
      yield entry;
      await skip(source, left.bytes + padding);
    }
  } finally {
    await source.close();
  }
}

async function readMeta(source: ChunkSource, size: number): Promise<Buffer> {
  if (size > MAX_META_BYTES) {
    throw invalidHeader();
  }
  const padded = Math.ceil(size / BLOCK) * BLOCK;
  const data = padded === 0 ? Buffer.alloc(0) : await source.exactly(padded);
  if (data === undefined) {
    throw truncated();
  }
  return data.subarray(0, size);
}

async function* bodyOf(
  source: ChunkSource,
  left: { bytes: number },
): AsyncGenerator<Uint8Array, void, void> {
  while (left.bytes > 0) {
    const part = await source.some(left.bytes);
    if (part === undefined) {
      throw truncated();
    }
    left.bytes -= part.length;
    yield part;
  }
}

async function skip(source: ChunkSource, count: number): Promise<void> {
  for (let left = count; left > 0; ) {
    const part = await source.some(left);
    if (part === undefined) {
      throw truncated();
    }
    left -= part.length;
  }
}

/** Reads what follows the end marker, so that the sender is not cut off. */
async function drain(source: ChunkSource): Promise<void> {
  while ((await source.some(Number.MAX_SAFE_INTEGER)) !== undefined) {
    // Padding.
  }
}
