import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { InvalidParameterError } from '../base/errors.ts';

/** Bodies before a takeover are small: exec options. */
const MAX_BODY_BYTES = 1024 * 1024;

/** Takes the body out of what has come; undefined: not complete yet. */
type Cut = (bytes: Buffer) => { readonly body: Buffer; readonly rest: Buffer } | undefined;

function cutterOf(request: IncomingMessage): Cut {
  if (/chunked/i.test(request.headers['transfer-encoding'] ?? '')) {
    return cutChunked;
  }
  const length = Number(request.headers['content-length'] ?? 0);
  if (!Number.isInteger(length) || length < 0 || length > MAX_BODY_BYTES) {
    throw new InvalidParameterError('request body is too long');
  }
  return (bytes) =>
    bytes.length < length
      ? undefined
      : { body: bytes.subarray(0, length), rest: bytes.subarray(length) };
}

function cutChunked(bytes: Buffer): { body: Buffer; rest: Buffer } | undefined {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) {
      return undefined;
    }
    const sizeText = bytes.toString('latin1', at, lineEnd).split(';')[0]?.trim() ?? '';
    if (!/^[0-9a-fA-F]{1,6}$/.test(sizeText)) {
      throw new InvalidParameterError('malformed chunked encoding');
    }
    const size = Number.parseInt(sizeText, 16);
    const start = lineEnd + 2;
    const end = start + size;
    if (bytes.length < end + 2) {
      return undefined;
    }
    if (size === 0) {
      return { body: Buffer.concat(parts), rest: bytes.subarray(end + 2) };
    }
    parts.push(bytes.subarray(start, end));
    at = end + 2;
  }
}

/**
 * After Node has handed over the connection: reads the request's body from it and puts back what follows.
 *
 * @param head  what Node had read already
 * @throws InvalidParameterError  the body is malformed or too long
 */
export async function readUpgradeBody(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<Uint8Array> {
  const cut = cutterOf(request);
  let bytes = head;
  let result = cut(bytes);
  if (result === undefined) {
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      bytes = Buffer.concat([bytes, chunk as Buffer]);
      if (bytes.length > MAX_BODY_BYTES * 2) {
        throw new InvalidParameterError('request body is too long');
      }
      result = cut(bytes);
      if (result !== undefined) {
        break;
      }
    }
  }
  if (result === undefined) {
    throw new InvalidParameterError('request body ended early');
  }
  if (result.rest.length > 0) {
    socket.unshift(result.rest);
  }
  return result.body;
}
