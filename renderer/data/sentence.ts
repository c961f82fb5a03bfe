/** Engine messages are phrases in lower case and without a period; people get sentences. */
export function sentence(phrase: string): string {
  const trimmed = phrase.trim();
  if (trimmed === '') {
    return '';
  }
  const end = /[\p{L}\p{N})\]"'”]$/u.test(trimmed) ? '.' : '';
  return `${trimmed.charAt(0).toUpperCase()}${trimmed.slice(1)}${end}`;
}

/**
 * Name and version of an engine for one line: its platform without the system it runs on, and our own version where
 * the engine's is one of Docker's with ours behind it.
 */
export function engineLabel(product: string, version: string): string {
  const own = /\+gantry(.+)$/.exec(version)?.[1];
  return `${product.replace(/ on .*$/, '')} ${own ?? version}`;
}
