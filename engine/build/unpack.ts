import { spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { InvalidParameterError, messageOf } from '../base/errors.ts';
import { PLAIN_ENV } from '../base/node/run.ts';

type Compression = 'none' | 'gzip' | 'zstd' | 'bzip2' | 'xz';

const MAGIC: readonly (readonly [Compression, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];
const LONGEST_MAGIC = 6;
const USTAR_OFFSET = 257;

/** How the bytes are compressed, by their first few. */
export function compressionOf(head: Uint8Array): Compression {
  return MAGIC.find(([, bytes]) => bytes.every((byte, at) => head[at] === byte))?.[0] ?? 'none';
}

/** True for a tar, or what one would be after decompression (not looked into). */
export function isTar(head: Uint8Array): boolean {
  return (
    compressionOf(head) !== 'none' ||
    Buffer.from(head.subarray(USTAR_OFFSET, USTAR_OFFSET + 5)).toString('latin1') === 'ustar'
  );
}

async function* through(
  source: AsyncIterable<Uint8Array>,
  transform: NodeJS.ReadWriteStream,
): AsyncGenerator<Uint8Array, void, void> {
  const piped = pipeline(Readable.from(source), transform);
  // The reader below sees the same error through the stream.
  piped.catch(() => {});
  for await (const chunk of transform) {
    yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
  }
  await piped;
}

async function* throughProgram(
  source: AsyncIterable<Uint8Array>,
  program: string,
): AsyncGenerator<Uint8Array, void, void> {
  const child = spawn(program, ['-dc'], { stdio: ['pipe', 'pipe', 'ignore'], env: PLAIN_ENV });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', (cause) => {
      reject(new InvalidParameterError(`${program} is needed to unpack this archive`, { cause }));
    });
    child.once('close', (code) => resolve(code ?? 1));
  });
  ended.catch(() => {});
  const fed = pipeline(Readable.from(source), child.stdin);
  fed.catch(() => {});
  try {
    for await (const chunk of child.stdout) {
      yield chunk as Buffer;
    }
    if ((await ended) !== 0) {
      throw new InvalidParameterError(`the ${program} archive is damaged`);
    }
    await fed;
  } finally {
    child.kill('SIGKILL');
  }
}

/**
 * Decompresses a stream by what its first bytes say (gzip, zstd, bzip2, xz); anything else passes unchanged.
 *
 * @throws InvalidParameterError  damaged data
 */
export async function* unpackStream(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  const iterator =
    Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  const head: Uint8Array[] = [];
  let size = 0;
  while (size < LONGEST_MAGIC) {
    const next = await iterator.next();
    if (next.done === true) {
      break;
    }
    head.push(next.value);
    size += next.value.length;
  }
  async function* whole(): AsyncGenerator<Uint8Array, void, void> {
    yield* head;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      yield next.value;
    }
  }
  const kind = compressionOf(Buffer.concat(head));
  try {
    if (kind === 'gzip') {
      yield* through(whole(), createGunzip());
    } else if (kind === 'zstd') {
      yield* through(whole(), createZstdDecompress());
    } else if (kind === 'none') {
      yield* whole();
    } else {
      yield* throughProgram(whole(), kind);
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')) {
      throw new InvalidParameterError(`the archive is damaged: ${messageOf(error)}`, {
        cause: error,
      });
    }
    throw error;
  }
}
