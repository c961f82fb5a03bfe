/** Docker's "never". */
export const ZERO_TIME = '0001-01-01T00:00:00Z';

/** RFC 3339 in UTC as Go prints it: nanoseconds without trailing zeros. */
export function formatTimeNs(timeNs: bigint): string {
  const seconds = timeNs / 1_000_000_000n;
  const fraction = (timeNs % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '');
  const base = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return fraction === '' ? `${base}Z` : `${base}.${fraction}Z`;
}

/** The clock in nanoseconds since the epoch; as fine as the platform gives it, never going back within a process. */
export function nowNs(): bigint {
  const now = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
  // A step of the wall clock after the start of the process shows only in Date.
  const wall = BigInt(Date.now()) * 1_000_000n;
  const drift = now - wall;
  return drift > 1_000_000_000n || drift < -1_000_000_000n ? wall : now;
}

/** Now as RFC 3339. */
export function nowText(): string {
  return formatTimeNs(nowNs());
}

/** Nanoseconds since the epoch of RFC 3339 text; undefined for {@link ZERO_TIME} and anything that is no time. */
export function parseTimeNs(text: string): bigint | undefined {
  if (text === ZERO_TIME) {
    return undefined;
  }
  const match = /^(.{19})(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text);
  const wholeMs = match === null ? Number.NaN : Date.parse(`${match[1]}${match[3]}`);
  if (Number.isNaN(wholeMs)) {
    return undefined;
  }
  return BigInt(wholeMs) * 1_000_000n + BigInt((match?.[2] ?? '').padEnd(9, '0') || '0');
}

/** Seconds since the epoch, whole. */
export function unixSeconds(text: string): number {
  return Number((parseTimeNs(text) ?? 0n) / 1_000_000_000n);
}

/** A span in Docker's words: `Less than a second`, `5 minutes`, `About an hour`. */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1000);
  if (seconds < 1) {
    return 'Less than a second';
  }
  if (seconds === 1) {
    return '1 second';
  }
  if (seconds < 60) {
    return `${seconds} seconds`;
  }
  const minutes = Math.trunc(ms / 60_000);
  if (minutes === 1) {
    return 'About a minute';
  }
  if (minutes < 60) {
    return `${minutes} minutes`;
  }
  const hours = Math.round(ms / 3_600_000);
  if (hours === 1) {
    return 'About an hour';
  }
  if (hours < 48) {
    return `${hours} hours`;
  }
  if (hours < 24 * 7 * 2) {
    return `${Math.trunc(hours / 24)} days`;
  }
  if (hours < 24 * 30 * 2) {
    return `${Math.trunc(hours / 24 / 7)} weeks`;
  }
  if (hours < 24 * 365 * 2) {
    return `${Math.trunc(hours / 24 / 30)} months`;
  }
  return `${Math.trunc(ms / 3_600_000 / 24 / 365)} years`;
}
