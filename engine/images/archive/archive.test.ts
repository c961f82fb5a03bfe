import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { InvalidParameterError } from '../../base/errors.ts';
import { decompress, peekPacking } from '../../base/node/decompress.ts';
import { streamOf, tarOf } from '../testing/image-harness.ts';
import { readTar } from './tar-reader.ts';
import { tarEnd, tarHeader, tarPadding } from './tar-writer.ts';

async function listTar(bytes: Uint8Array, chunkBytes = 100): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const entry of readTar(streamOf(bytes, chunkBytes))) {
    const body = Buffer.concat(await Array.fromAsync(entry.body)).toString('latin1');
    found[entry.name] = entry.type === 'file' ? body : `${entry.type} ${entry.linkName}`.trim();
  }
  return found;
}

/** A raw member of any type. */
function member(
  name: string,
  type: string,
  options: { link?: string; body?: Buffer } = {},
): Buffer {
  const body = options.body ?? Buffer.alloc(0);
  const header = tarHeader({ name: name.slice(0, 100), sizeBytes: body.length, modifiedAtMs: 0 });
  header.write(type, 156, 'latin1');
  header.write(options.link ?? '', 157, 'latin1');
  header.write('        ', 148, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, body, tarPadding(body.length)]);
}

describe('readTar', () => {
  it.each([1, 7, 512, 100_000])('reads members from chunks of %i bytes', async (chunkBytes) => {
    const files = { a: 'first', 'b/c': 'x'.repeat(1500), empty: '' };
    expect(await listTar(tarOf(files), chunkBytes)).toEqual(files);
  });

  it('skips bodies that nobody reads', async () => {
    const names: string[] = [];
    for await (const entry of readTar(streamOf(tarOf({ a: 'x'.repeat(5000), b: 'y' })))) {
      names.push(entry.name);
    }
    expect(names).toEqual(['a', 'b']);
  });

  it('reads GNU long names, PAX paths and links', async () => {
    const long = `${'d/'.repeat(100)}file`;
    const pax = (record: string): Buffer => {
      const length = record.length + 4;
      return Buffer.from(`${length} ${record}\n`);
    };
    const tar = Buffer.concat([
      member('././@LongLink', 'L', { body: Buffer.from(`${long}\0`) }),
      member('short', '0', { body: Buffer.from('one') }),
      member('PaxHeader', 'x', { body: pax(`path=${'p'.repeat(80)}`) }),
      member('short', '0', { body: Buffer.from('two') }),
      member('link', '2', { link: '../target' }),
      member('hard', '1', { link: 'short' }),
      tarEnd(),
    ]);
    expect(await listTar(tar)).toEqual({
      [long]: 'one',
      ['p'.repeat(80)]: 'two',
      link: 'symlink ../target',
      hard: 'hardlink short',
    });
  });

  it.each([
    ['a truncated body', tarOf({ a: 'x'.repeat(3000) }).subarray(0, 1000)],
    ['a truncated header', tarOf({ a: 'x' }).subarray(0, 300)],
    ['noise', Buffer.alloc(2048, 0x41)],
    ['a huge name', member('n', 'L', { body: Buffer.alloc(2 * 1024 * 1024, 0x61) })],
    ['a broken PAX record', member('p', 'x', { body: Buffer.from('999999 path=x\n') })],
    ['a PAX size that is no number', member('p', 'x', { body: Buffer.from('11 size=-1\n') })],
  ])('refuses %s', async (_what, bytes) => {
    await expect(listTar(bytes)).rejects.toThrow(InvalidParameterError);
  });
});

describe('tarHeader', () => {
  it('writes sizes past eight gigabytes', async () => {
    const sizeBytes = 9 * 1024 ** 3;
    const header = tarHeader({ name: 'big', sizeBytes, modifiedAtMs: 0 });
    for await (const entry of readTar(streamOf(Buffer.concat([header, Buffer.from('x')])))) {
      expect(entry.sizeBytes).toBe(sizeBytes);
      break;
    }
  });
});

describe('decompress', () => {
  const text = 'packed '.repeat(50_000);

  async function unpack(bytes: Uint8Array): Promise<string> {
    const { packing, chunks } = await peekPacking(streamOf(bytes, 3));
    return Buffer.concat(await Array.fromAsync(decompress(packing, chunks))).toString();
  }

  it('tells packings apart and unpacks them', async () => {
    expect(await unpack(Buffer.from(text.slice(0, 1000)))).toBe(text.slice(0, 1000));
    expect(await unpack(gzipSync(text))).toBe(text);
    expect(await unpack(Buffer.concat([gzipSync('one '), gzipSync('two')]))).toBe('one two');
    expect(await unpack(zstdCompressSync(text))).toBe(text);
    expect(await unpack(Buffer.alloc(0))).toBe('');
  });

  it('refuses damaged and truncated input', async () => {
    const packed = gzipSync(text);
    await expect(unpack(packed.subarray(0, packed.length - 20))).rejects.toThrow(
      InvalidParameterError,
    );
    const damaged = Buffer.from(packed);
    damaged.fill(0xff, 20, 60);
    await expect(unpack(damaged)).rejects.toThrow(InvalidParameterError);
  });

  it('passes on what the source throws', async () => {
    async function* broken(): AsyncGenerator<Uint8Array, void, void> {
      yield gzipSync(text).subarray(0, 100);
      throw new Error('client is gone');
    }
    await expect(Array.fromAsync(decompress('gzip', broken()))).rejects.toThrow('client is gone');
  });
});
