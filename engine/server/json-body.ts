import { explainJson } from '../api/json.ts';
import { InvalidParameterError } from '../base/errors.ts';

/** The longest JSON a client may send; the biggest real bodies (seccomp profiles, many mounts) stay below 1 MiB. */
const MAX_JSON_BYTES = 16 * 1024 * 1024;

/** @throws InvalidParameterError  the type is not JSON */
export function checkJsonType(contentType: string | undefined): void {
  const given = contentType ?? '';
  if (given === '') {
    throw new InvalidParameterError('malformed Content-Type header (): mime: no media type');
  }
  const mediaType = given.split(';')[0]?.trim().toLowerCase();
  if (mediaType !== 'application/json') {
    throw new InvalidParameterError(
      `unsupported Content-Type header (${given}): must be 'application/json'`,
    );
  }
}

/** Reads a body whole. @throws InvalidParameterError  longer than any sensible JSON */
export async function readWhole(body: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.byteLength;
    if (size > MAX_JSON_BYTES) {
      throw new InvalidParameterError(`request body is longer than ${MAX_JSON_BYTES} bytes`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** @throws InvalidParameterError  in the words of Docker's decoder */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new InvalidParameterError(explain(text), { cause });
  }
}

const PROBLEMS = {
  empty: 'invalid JSON: got EOF while reading request body',
  truncated: 'invalid JSON: unexpected EOF',
  trailing: 'unexpected content after JSON',
} as const;

function explain(text: string): string {
  const problem = explainJson(text);
  return problem.kind === 'invalid' ? `invalid JSON: ${problem.message}` : PROBLEMS[problem.kind];
}
