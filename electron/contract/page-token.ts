/** The part of `window` that holds the address and the token. */
export interface TokenWindow {
  readonly location: { readonly hash: string };
  readonly history: { replaceState(data: unknown, unused: string, url: string): void };
  readonly sessionStorage: {
    getItem(key: string): string | null;
    setItem(key: string, value: string): void;
  };
}

const TOKEN_KEY = 'gantry-token';

/**
 * Takes the access token out of the address's fragment into the session storage, so that it is in no history entry and
 * survives a reload. Idempotent; the page's first script calls it before anything is loaded. Imports nothing, to be
 * small enough for that.
 *
 * @returns the token; empty when there is none
 */
export function takeToken(window: TokenWindow): string {
  const match = /(?:^#|[#&])token=([A-Za-z0-9_-]+)/.exec(window.location.hash);
  if (match?.[1] !== undefined) {
    window.sessionStorage.setItem(TOKEN_KEY, match[1]);
    window.history.replaceState(undefined, '', '#/');
  }
  return match?.[1] ?? window.sessionStorage.getItem(TOKEN_KEY) ?? '';
}
