import { spawn } from 'node:child_process';
import { type Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { errnoOf, InvalidParameterError, messageOf, SystemError } from '../errors.ts';
import { PLAIN_ENV } from './run.ts';

/** Large, because each chunk is a trip through the thread pool. */
const CHUNK_BYTES = 256 * 1024;
const MAGIC_BYTES = 6;

/** How a stream is packed, told by its first bytes. */
export type Packing = 'none' | 'gzip' | 'zstd' | 'xz' | 'bzip2';

/** Packing of a stream that starts with these bytes. */
export function packingOf(start: Uint8Array): Packing {
  const hex = Buffer.from(start.subarray(0, MAGIC_BYTES)).toString('hex');
  if (hex.startsWith('1f8b')) {
    return 'gzip';
  }
  if (hex.startsWith('28b52ffd')) {
    return 'zstd';
  }
  if (hex.startsWith('fd377a585a00')) {
    return 'xz';
  }
  return hex.startsWith('425a68') ? 'bzip2' : 'none';
}

/** Finds out how a stream is packed; the returned chunks are the whole stream again. */
export async function peekPacking(
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ readonly packing: Packing; readonly chunks: AsyncIterable<Uint8Array> }> {
  const iterator = chunks[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let size = 0;
  let hasEnded = false;
  while (size < MAGIC_BYTES && !hasEnded) {
    const next = await iterator.next();
    if (next.done === true) {
      hasEnded = true;
    } else {
      first.push(next.value);
      size += next.value.length;
    }
  }
  const packing = packingOf(Buffer.concat(first).subarray(0, MAGIC_BYTES));
  async function* whole(): AsyncGenerator<Uint8Array, void, void> {
    try {
      yield* first;
      for (;;) {
        const next = hasEnded ? undefined : await iterator.next();
        if (next === undefined || next.done === true) {
          return;
        }
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  }
  return { packing, chunks: whole() };
}

/** Unpacks a stream. @throws InvalidParameterError  it is damaged;  SystemError  xz or bzip2 is not installed */
export async function* decompress(
  packing: Packing,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  switch (packing) {
    case 'none':
      yield* chunks;
      break;
    case 'gzip':
      yield* through(createGunzip({ chunkSize: CHUNK_BYTES }), chunks);
      break;
    case 'zstd':
      yield* through(createZstdDecompress({ chunkSize: CHUNK_BYTES }), chunks);
      break;
    case 'xz':
    case 'bzip2':
      yield* throughProgram(packing, chunks);
      break;
  }
}

async function* through(
  unpack: Duplex,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  // A fault of the source destroys the unpacker with the same error, which the loop below throws.
  const fed = pipeline(Readable.from(chunks, { objectMode: false }), unpack).catch(() => {});
  try {
    for await (const chunk of unpack) {
      yield chunk as Buffer;
    }
  } catch (error) {
    throw damaged(error);
  } finally {
    unpack.destroy();
    await fed;
  }
}

function damaged(error: unknown): unknown {
  const code = errnoOf(error) ?? '';
  const isPacking = code.startsWith('Z_') || code.startsWith('ZSTD_') || code === 'ERR_ZLIB';
  return isPacking
    ? new InvalidParameterError(`invalid compressed data: ${messageOf(error)}`, { cause: error })
    : error;
}

async function* throughProgram(
  program: 'xz' | 'bzip2',
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  const child = spawn(program, ['-d', '-c'], {
    env: { ...PLAIN_ENV },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', (cause) => {
      reject(new SystemError(`archive is packed with ${program}, which cannot be run`, { cause }));
    });
    child.once('close', (code) => resolve(code ?? -1));
  });
  ended.catch(() => {});
  let sourceFailure: { readonly error: unknown } | undefined;
  // A program that ends early is judged by its exit code.
  child.stdin.on('error', () => {});
  const feeding = (async () => {
    for await (const chunk of chunks) {
      if (child.stdin.destroyed) {
        return;
      }
      if (!child.stdin.write(chunk)) {
        await new Promise<void>((resolve) => {
          child.stdin.once('drain', resolve);
          child.stdin.once('close', resolve);
        });
      }
    }
    child.stdin.end();
  })().catch((error: unknown) => {
    sourceFailure = { error };
    child.kill('SIGKILL');
  });
  try {
    for await (const chunk of child.stdout) {
      yield chunk as Buffer;
    }
    const exitCode = await ended;
    if (sourceFailure !== undefined) {
      throw sourceFailure.error;
    }
    if (exitCode !== 0) {
      throw new InvalidParameterError(`invalid compressed data: ${program} refuses it`);
    }
  } finally {
    child.kill('SIGKILL');
    await feeding;
  }
}

/** The plain bytes of a stream, whatever it is packed with. @throws as {@link decompress} */
export async function* unpacked(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  const { packing, chunks: whole } = await peekPacking(chunks);
  yield* decompress(packing, whole);
}
