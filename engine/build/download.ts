import { InvalidParameterError, isAbortError, messageOf, SystemError } from '../base/errors.ts';

/** Larger downloads belong into a RUN step. */
const MAX_BYTES = 1024 * 1024 * 1024;

/** A file from the web. */
export interface Downloaded {
  readonly content: Buffer;
  /** Seconds since the epoch; 0 when the server does not say. */
  readonly modifiedAtSec: number;
}

/**
 * Fetches a URL whole.
 *
 * @throws InvalidParameterError  the server refuses; SystemError  it cannot be reached, or sends more than 1 GiB
 */
export async function download(url: string, signal: AbortSignal | undefined): Promise<Downloaded> {
  let response: Response;
  try {
    response = await fetch(url, signal === undefined ? {} : { signal });
  } catch (cause) {
    if (isAbortError(cause)) {
      throw cause;
    }
    throw new SystemError(`cannot download ${url}: ${messageOf(cause)}`, { cause });
  }
  if (!response.ok) {
    await response.body?.cancel();
    throw new InvalidParameterError(`failed to GET ${url} with status ${response.status}`);
  }
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > MAX_BYTES) {
      throw new SystemError(`${url} is larger than ${MAX_BYTES} bytes`);
    }
    parts.push(part);
  }
  const modified = Date.parse(response.headers.get('last-modified') ?? '');
  return {
    content: Buffer.concat(parts),
    modifiedAtSec: Number.isNaN(modified) ? 0 : Math.floor(modified / 1000),
  };
}
