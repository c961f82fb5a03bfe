import type { BrowserWindow, BrowserWindowConstructorOptions, WebContents } from 'electron';
import { APP_ORIGIN, type ElectronApi, isOwnUrl } from './electron-api.ts';

/** Where a window was; kept by the caller if it likes. */
export interface WindowPlace {
  readonly width: number;
  readonly height: number;
}

const DEFAULT_PLACE: WindowPlace = { width: 1280, height: 800 };
/** The page's own background in both themes, so that nothing flashes before it is drawn. */
export const BACKGROUND = { light: '#ffffff', dark: '#0f1115' } as const;

/**
 * Options of every window. The page gets no Node, no Electron but the preload's one object, a sandbox, and web
 * security as in a browser; nothing of that may be weakened (a test asserts it).
 */
export function windowOptions(options: {
  preloadPath: string;
  isDark: boolean;
  place?: WindowPlace;
}): BrowserWindowConstructorOptions {
  const { width, height } = options.place ?? DEFAULT_PLACE;
  return {
    width,
    height,
    minWidth: 900,
    minHeight: 560,
    show: false,
    title: 'Gantry',
    backgroundColor: options.isDark ? BACKGROUND.dark : BACKGROUND.light,
    autoHideMenuBar: true,
    webPreferences: {
      preload: options.preloadPath,
      nodeIntegration: false,
      nodeIntegrationInWorker: false,
      nodeIntegrationInSubFrames: false,
      contextIsolation: true,
      sandbox: true,
      webSecurity: true,
      allowRunningInsecureContent: false,
      webviewTag: false,
      experimentalFeatures: false,
      spellcheck: false,
      navigateOnDragDrop: false,
      safeDialogs: true,
    },
  };
}

/** Opens an address in the user's browser if it is http or https and well formed; says whether it did. */
export async function openExternal(
  electron: Pick<ElectronApi, 'shell'>,
  text: string,
): Promise<boolean> {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return false;
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    return false;
  }
  await electron.shell.openExternal(url.href);
  return true;
}

/** Keeps a page where it is: no navigation, no redirect, no child windows, no embedded views. */
export function confine(contents: WebContents): void {
  const stay = (event: { preventDefault(): void }, url: string): void => {
    if (!isOwnUrl(url)) {
      event.preventDefault();
    }
  };
  contents.on('will-navigate', stay);
  contents.on('will-redirect', stay);
  contents.on('will-frame-navigate', (event) => stay(event, event.url));
  contents.on('will-attach-webview', (event) => event.preventDefault());
  // Links to elsewhere go through the bridge, which checks them; a window is never opened.
  contents.setWindowOpenHandler(() => ({ action: 'deny' }));
}

/** Creates a window, shows it once the page is drawn, and loads the page. */
export function createWindow(
  electron: Pick<ElectronApi, 'BrowserWindow' | 'nativeTheme'>,
  options: { preloadPath: string; theme: 'system' | 'light' | 'dark'; place?: WindowPlace },
): BrowserWindow {
  const isDark =
    options.theme === 'system'
      ? electron.nativeTheme.shouldUseDarkColors
      : options.theme === 'dark';
  const window = new electron.BrowserWindow(
    windowOptions({
      preloadPath: options.preloadPath,
      isDark,
      ...(options.place === undefined ? {} : { place: options.place }),
    }),
  );
  confine(window.webContents);
  window.once('ready-to-show', () => window.show());
  void window.loadURL(`${APP_ORIGIN}/`);
  return window;
}
