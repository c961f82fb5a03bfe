const SECRET =
  /pass(word|wd|phrase)?|secret|token|api_?key|private|credential|auth|access_?key|dsn|salt/i;
/** Names that contain such a word and are no secret. */
const HARMLESS = /^(author|authority|.*_(FILE|PATH|URL_PREFIX)$)/i;

/** True when the value of such a variable should not be on the screen unasked. */
export function isSecretName(name: string): boolean {
  return SECRET.test(name) && !HARMLESS.test(name);
}

/** `NAME=value` in two; a bare name has an empty value. */
export function splitEnv(entry: string): { readonly name: string; readonly value: string } {
  const at = entry.indexOf('=');
  return at === -1
    ? { name: entry, value: '' }
    : { name: entry.slice(0, at), value: entry.slice(at + 1) };
}
