import type * as Electron from 'electron';

/** The part of Electron that is used. Passed in, so that everything here can be tested without Electron. */
export type ElectronApi = Pick<
  typeof Electron,
  | 'app'
  | 'BrowserWindow'
  | 'Menu'
  | 'MessageChannelMain'
  | 'Tray'
  | 'ipcMain'
  | 'nativeImage'
  | 'nativeTheme'
  | 'protocol'
  | 'session'
  | 'shell'
  | 'utilityProcess'
>;

/** Scheme of the page's own origin. */
export const APP_SCHEME = 'app';
/** The page's own origin. */
export const APP_ORIGIN = `${APP_SCHEME}://gantry`;
/** The one channel of the preload. */
export const CONNECT_CHANNEL = 'gantry:connect';

/** True for an address of our own page. */
export function isOwnUrl(url: string): boolean {
  try {
    const parsed = new URL(url);
    return parsed.protocol === `${APP_SCHEME}:` && parsed.host === 'gantry';
  } catch {
    return false;
  }
}
