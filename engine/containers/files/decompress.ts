import { spawn } from 'node:child_process';
import { Readable, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { InvalidParameterError, messageOf } from '../../base/errors.ts';
import { PLAIN_ENV } from '../../base/node/run.ts';

const LONGEST_MAGIC = 6;

type Kind = 'plain' | 'gzip' | 'zstd' | 'bzip2' | 'xz';

function kindOf(start: Uint8Array): Kind {
  const begins = (...bytes: readonly number[]): boolean =>
    bytes.every((byte, index) => start[index] === byte);
  if (begins(0x1f, 0x8b, 0x08)) {
    return 'gzip';
  }
  if (begins(0x28, 0xb5, 0x2f, 0xfd)) {
    return 'zstd';
  }
  if (begins(0x42, 0x5a, 0x68)) {
    return 'bzip2';
  }
  return begins(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00) ? 'xz' : 'plain';
}

async function* startingWith(
  first: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  yield* first;
  for (;;) {
    const next = await rest.next();
    if (next.done === true) {
      return;
    }
    yield next.value;
  }
}

async function* through(
  source: AsyncIterable<Uint8Array>,
  stream: Transform,
): AsyncGenerator<Uint8Array, void, void> {
  const input = Readable.from(source, { objectMode: false });
  input.on('error', (error) => stream.destroy(error));
  // Both ends are watched: an error of the input destroys the stream, whose reader throws below.
  const output = input.compose(stream);
  try {
    for await (const chunk of output) {
      yield chunk as Uint8Array;
    }
  } catch (cause) {
    throw new InvalidParameterError(`archive cannot be unpacked: ${messageOf(cause)}`, { cause });
  } finally {
    input.destroy();
  }
}

async function* throughProgram(
  source: AsyncIterable<Uint8Array>,
  program: string,
): AsyncGenerator<Uint8Array, void, void> {
  const child = spawn(program, ['-d', '-c'], {
    env: { ...PLAIN_ENV },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const ended = new Promise<number>((resolve) => {
    child.once('error', () => resolve(127));
    child.once('close', (code) => resolve(code ?? 128));
  });
  const input = Readable.from(source, { objectMode: false });
  child.stdin.on('error', () => input.destroy());
  input.on('error', () => child.kill('SIGKILL'));
  input.pipe(child.stdin);
  try {
    for await (const chunk of child.stdout) {
      yield chunk as Uint8Array;
    }
    const code = await ended;
    if (code !== 0) {
      throw new InvalidParameterError(
        code === 127
          ? `archive is compressed with ${program}, which is not installed`
          : `archive cannot be unpacked: ${program} ended with ${code}`,
      );
    }
  } finally {
    input.destroy();
    child.kill('SIGKILL');
  }
}

/** The plain bytes of a tar that may be compressed (gzip, zstd, bzip2, xz), by its first bytes. */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  const iterator = source[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let size = 0;
  while (size < LONGEST_MAGIC) {
    const next = await iterator.next();
    if (next.done === true) {
      break;
    }
    first.push(next.value);
    size += next.value.length;
  }
  const kind = kindOf(Buffer.concat(first));
  const all = startingWith(first, iterator);
  try {
    switch (kind) {
      case 'plain':
        yield* all;
        return;
      case 'gzip':
        yield* through(all, createGunzip());
        return;
      case 'zstd':
        yield* through(all, createZstdDecompress());
        return;
      case 'bzip2':
      case 'xz':
        yield* throughProgram(all, kind);
        return;
    }
  } finally {
    await iterator.return?.();
  }
}
