/** Newest API version spoken. */
export const MAX_API_VERSION = '1.51';
/** Oldest API version spoken. */
export const MIN_API_VERSION = '1.24';

/** Negative, zero or positive as `a` is older than, the same as or newer than `b`; numbers compared part by part. */
export function compareVersions(a: string, b: string): number {
  const left = a.split('.');
  const right = b.split('.');
  for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
    const difference = Number(left[i] ?? 0) - Number(right[i] ?? 0);
    if (difference !== 0) {
      return difference;
    }
  }
  return 0;
}

/** True when `version` is older than `limit`. */
export function isBefore(version: string, limit: string): boolean {
  return compareVersions(version, limit) < 0;
}

/** What is wrong with a version that a client asked for, in Docker's words; undefined when it is spoken. */
export function versionProblem(version: string): string | undefined {
  if (isBefore(version, MIN_API_VERSION)) {
    return `client version ${version} is too old. Minimum supported API version is ${MIN_API_VERSION}, please upgrade your client to a newer version`;
  }
  if (isBefore(MAX_API_VERSION, version)) {
    return `client version ${version} is too new. Maximum supported API version is ${MAX_API_VERSION}`;
  }
  return undefined;
}
