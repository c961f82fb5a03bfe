const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/**
 * Bytes as people read them, decimal units as Docker prints sizes: `0 B`, `999 B`, `1.2 kB`, `34 MB`, `1.25 GB`.
 * Three significant digits at most; negative and unknown values (Docker's -1) are an em dash.
 */
export function formatBytes(bytes: number | undefined): string {
  if (bytes === undefined || bytes < 0 || !Number.isFinite(bytes)) {
    return '—';
  }
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${trimZeros(value.toFixed(digits))} ${UNITS[unit] ?? 'B'}`;
}

/** Memory in binary units, as `docker stats` prints it: `12.4 MiB`. */
export function formatMemory(bytes: number | undefined): string {
  if (bytes === undefined || bytes < 0 || !Number.isFinite(bytes)) {
    return '—';
  }
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;
  let value = bytes;
  let unit = 0;
  while (value >= 1023.5 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${trimZeros(value.toFixed(digits))} ${units[unit] ?? 'B'}`;
}

function trimZeros(digits: string): string {
  return digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits;
}

/** A share of one core in percent, as `docker stats`: 0 to 100 times the number of cores. */
export function formatPercent(percent: number | undefined): string {
  if (percent === undefined || !Number.isFinite(percent)) {
    return '—';
  }
  return percent >= 99.95 ? `${percent.toFixed(0)}%` : `${percent.toFixed(1)}%`;
}

/** Whole numbers with thousands separators. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** A span of time in its two largest units: `45 s`, `12 m`, `3 h 5 m`, `2 d 4 h`, `5 w`. */
export function formatDuration(durationMs: number): string {
  const seconds = Math.max(0, Math.floor(durationMs / 1000));
  if (seconds < 60) {
    return `${seconds} s`;
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    return `${minutes} m`;
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 24) {
    return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} m`;
  }
  const days = Math.floor(hours / 24);
  if (days < 14) {
    return hours % 24 === 0 ? `${days} d` : `${days} d ${hours % 24} h`;
  }
  return days < 70 ? `${Math.floor(days / 7)} w` : `${Math.floor(days / 30.44)} mo`;
}

/** How long ago: `just now`, `3 m ago`, `2 d 4 h ago`. Unknown times (undefined, 0, before 1971) are an em dash. */
export function formatAgo(timeMs: number | undefined, nowMs: number): string {
  if (timeMs === undefined || !Number.isFinite(timeMs) || timeMs < 31_536_000_000) {
    return '—';
  }
  const elapsedMs = nowMs - timeMs;
  return elapsedMs < 5000 ? 'just now' : `${formatDuration(elapsedMs)} ago`;
}

const DATE_TIME = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

/** Date and time in the reader's zone: `21 Nov 2026, 12:27:04`. */
export function formatDateTime(timeMs: number | undefined): string {
  return timeMs === undefined || !Number.isFinite(timeMs) || timeMs < 31_536_000_000
    ? '—'
    : DATE_TIME.format(timeMs);
}

/** First twelve digits of an object id, without its `sha256:`. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}

/** `1 container`, `3 containers`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}
