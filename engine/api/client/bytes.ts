/** Concatenates; the result is a fresh array unless there is exactly one part. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1 && parts[0] !== undefined) {
    return parts[0];
  }
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.byteLength;
  }
  return joined;
}

/** Reads a body to its end as UTF-8; more than `maxBytes` is cut off. */
export async function readText(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body) {
    parts.push(part);
    size += part.byteLength;
    if (size >= maxBytes) {
      break;
    }
  }
  return new TextDecoder().decode(joinBytes(parts).subarray(0, maxBytes));
}

/** Longest line of a JSON stream; longer is not JSON of an engine. */
const MAX_JSON_LINE_CHARS = 16 * 1024 * 1024;

/**
 * Values of a stream of JSON objects separated by newlines. A line that is not JSON is passed over.
 * Characters split between chunks are put together again.
 */
export async function* readJsonLines(
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<unknown, void, void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    yield* lines.flatMap(parseLine);
    if (rest.length > MAX_JSON_LINE_CHARS) {
      rest = '';
    }
  }
  yield* parseLine(rest);
}

function parseLine(line: string): unknown[] {
  if (line.trim() === '') {
    return [];
  }
  try {
    return [JSON.parse(line) as unknown];
  } catch {
    // Not for us: a proxy's notice or a cut last line.
    return [];
  }
}
