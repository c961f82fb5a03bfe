import { Bridge } from '../../electron/contract/connection.ts';
import { BridgeError } from '../../electron/contract/error.ts';
import { pageConnect } from '../../electron/contract/page.ts';
import { sentence } from './sentence.ts';

/** The page's one connection to its host: a message port in Electron, a WebSocket in a browser. */
export const bridge = new Bridge(pageConnect(window));

/** A failure as the page shows it. */
export interface Problem {
  readonly code: string;
  /** A sentence. */
  readonly message: string;
  readonly hint: string | undefined;
}

/** Any thrown value as something to show: first letter up, no trailing noise. */
export function problemOf(error: unknown): Problem {
  const message = error instanceof Error ? error.message : String(error);
  return {
    code: error instanceof BridgeError ? error.code : 'internal',
    message: sentence(message),
    hint:
      error instanceof BridgeError && error.hint !== undefined ? sentence(error.hint) : undefined,
  };
}

/**
 * Opens an address in the user's browser.
 * Only `http:` and `https:` pass the bridge's check; in a browser the page opens the tab itself.
 */
export async function openExternal(url: string): Promise<void> {
  const { opened } = await bridge.call('app.openExternal', { url });
  if (!opened) {
    window.open(url, '_blank', 'noopener,noreferrer');
  }
}

/** Lets the browser save what a one-time path of the host's answers. */
export function download(path: string): void {
  const link = document.createElement('a');
  link.href = path;
  link.download = '';
  link.rel = 'noopener';
  document.body.append(link);
  link.click();
  link.remove();
}
