/** Joins class names, leaving out what is falsy. */
export function cx(...parts: readonly (string | false | null | undefined)[]): string {
  let joined = '';
  for (const part of parts) {
    if (part) {
      joined = joined === '' ? part : `${joined} ${part}`;
    }
  }
  return joined;
}
