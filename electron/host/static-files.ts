import { createReadStream, type Stats } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';

/**
 * Nothing from elsewhere, no inline script, no eval, no frame. Styles: the page's own files; `style` attributes cannot
 * carry code and are what a terminal and charts position with.
 */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "style-src-attr 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Headers of every answer. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=(), usb=()',
};

const MIME_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
};

/** A file of the page. */
export interface StaticFile {
  readonly mimeType: string;
  readonly sizeBytes: number;
  /** Vite puts a hash of the content into the names below `assets/`. */
  readonly isImmutable: boolean;
  /** Opens it; iterate to the end or leave the loop. */
  stream(): AsyncIterable<Uint8Array>;
}

/**
 * Finds the file of a URL path below `root`. Nothing outside is reachable: not by `..`, not encoded, not through a
 * symbolic link. `/` is `index.html`.
 */
export async function findStaticFile(
  root: string,
  urlPath: string,
): Promise<StaticFile | undefined> {
  let decoded: string;
  try {
    decoded = decodeURIComponent(urlPath);
  } catch {
    return undefined;
  }
  const segments = decoded.split('/').filter((segment) => segment !== '');
  const isSuspect = segments.some(
    (segment) => segment.startsWith('.') || /[\\\0]/.test(segment) || segment.includes(':'),
  );
  if (isSuspect) {
    return undefined;
  }
  const relative = segments.length === 0 ? ['index.html'] : segments;
  let path: string;
  let facts: Stats;
  try {
    const realRoot = await realpath(root);
    path = await realpath(join(realRoot, ...relative));
    if (!path.startsWith(realRoot + sep)) {
      return undefined;
    }
    await using handle = await open(path, 'r');
    facts = await handle.stat();
  } catch {
    return undefined;
  }
  if (!facts.isFile()) {
    return undefined;
  }
  return {
    mimeType: MIME_TYPES[extname(path).toLowerCase()] ?? 'application/octet-stream',
    sizeBytes: facts.size,
    isImmutable: relative[0] === 'assets',
    async *stream() {
      for await (const chunk of createReadStream(path)) {
        yield chunk as Buffer;
      }
    },
  };
}
