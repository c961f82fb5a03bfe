/** Engine messages are phrases in lower case and without a period; people get sentences. */
export function sentence(phrase: string): string {
  const trimmed = phrase.trim();
  if (trimmed === '') {
    return '';
  }
  const end = /[\p{L}\p{N})\]"'”]$/u.test(trimmed) ? '.' : '';
  return `${trimmed.charAt(0).toUpperCase()}${trimmed.slice(1)}${end}`;
}
