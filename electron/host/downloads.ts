import { randomBytes } from 'node:crypto';

/** A ticket that nobody used is void after this. */
const TICKET_LIFE_MS = 60_000;
const MAX_TICKETS = 100;
/** Folder of downloads on the page's origin. */
export const DOWNLOAD_PATH = '/download/';

/** Something to be saved by the browser. */
export interface Download {
  /** Without folders; for the Content-Disposition header. */
  readonly fileName: string;
  readonly mimeType: string;
  /** Starts it; the signal aborts when the receiver leaves. */
  open(signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** One-time tickets for downloads, so that large data goes straight to a file and never through the page. */
export class Downloads implements Disposable {
  readonly #tickets = new Map<string, { download: Download; timer: NodeJS.Timeout }>();

  /** Path on the page's origin, good once and for a minute. */
  offer(download: Download): string {
    const oldest = this.#tickets.keys().next().value;
    if (this.#tickets.size >= MAX_TICKETS && oldest !== undefined) {
      this.#drop(oldest);
    }
    const ticket = randomBytes(24).toString('base64url');
    const timer = setTimeout(() => this.#tickets.delete(ticket), TICKET_LIFE_MS);
    timer.unref();
    this.#tickets.set(ticket, { download, timer });
    return `${DOWNLOAD_PATH}${ticket}`;
  }

  /** What a path stands for; the ticket is used up. */
  take(path: string): Download | undefined {
    const ticket = path.startsWith(DOWNLOAD_PATH) ? path.slice(DOWNLOAD_PATH.length) : '';
    const entry = this.#tickets.get(ticket);
    this.#drop(ticket);
    return entry?.download;
  }

  [Symbol.dispose](): void {
    for (const ticket of this.#tickets.keys()) {
      this.#drop(ticket);
    }
  }

  #drop(ticket: string): void {
    clearTimeout(this.#tickets.get(ticket)?.timer);
    this.#tickets.delete(ticket);
  }
}

/** Value of a Content-Disposition header; the name may come from anywhere. */
export function contentDisposition(fileName: string): string {
  const safe = fileName.replace(/[^\w.() -]/g, '_').slice(0, 200) || 'download';
  return `attachment; filename="${safe}"`;
}
