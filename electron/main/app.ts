import type { BrowserWindow, IpcMainEvent } from 'electron';
import type { Logger } from '../../engine/base/logger.ts';
import { type Settings, settingsSchema } from '../contract/app-channels.ts';
import type { BridgeClient } from '../contract/client.ts';
import { CONNECT_CHANNEL, type ElectronApi, isOwnUrl } from './electron-api.ts';
import type { HostConfig } from './host-messages.ts';
import { HostProcess } from './host-process.ts';
import { appMenu } from './menu.ts';
import { registerScheme, servePage } from './page-protocol.ts';
import { restrictPermissions } from './permissions.ts';
import { TrayView } from './tray.ts';
import { confine, createWindow, openExternal } from './window.ts';

/** What the app is given by its entry. */
export interface DesktopOptions {
  readonly preloadPath: string;
  readonly hostPath: string;
  readonly pageRoot: string;
  readonly iconPath: string;
  readonly hostConfig: HostConfig;
  /** `process.platform`. */
  readonly platform: string;
  /** Start in the tray, without a window. */
  readonly isMinimized: boolean;
  readonly log: Logger;
}

/** A host process that dies this soon after its start is not started again. */
const HOST_STABLE_MS = 10_000;
const MAX_NONCE_LENGTH = 100;

/** The desktop application: windows, tray, menu and the host process, from start to quit. */
export class DesktopApp {
  readonly #electron: ElectronApi;
  readonly #options: DesktopOptions;
  #window: BrowserWindow | undefined;
  #host: HostProcess | undefined;
  #hostStartedAt = 0;
  #client: BridgeClient | undefined;
  #tray: TrayView | undefined;
  #settings: Settings = settingsSchema.parse({});
  #quitState: 'running' | 'stopping' | 'stopped' = 'running';

  constructor(electron: ElectronApi, options: DesktopOptions) {
    this.#electron = electron;
    this.#options = options;
  }

  /** Runs until the user quits. Resolves when the first window is on its way; false when another instance has it. */
  async start(): Promise<boolean> {
    const { app } = this.#electron;
    if (!app.requestSingleInstanceLock()) {
      // The first instance gets `second-instance` and shows its window.
      app.quit();
      return false;
    }
    registerScheme(this.#electron);
    app.enableSandbox();
    app.on('second-instance', () => this.showWindow());
    app.on('activate', () => this.showWindow());
    app.on('web-contents-created', (_event, contents) => confine(contents));
    app.on('window-all-closed', () => this.#onAllClosed());
    app.on('will-quit', (event) => this.#onWillQuit(event));
    await app.whenReady();
    const { session } = this.#electron;
    restrictPermissions(session.defaultSession);
    this.#electron.ipcMain.on(CONNECT_CHANNEL, (event, nonce: unknown) =>
      this.#onConnect(event, nonce),
    );
    this.#startHost();
    servePage(session.defaultSession, {
      pageRoot: this.#options.pageRoot,
      host: { download: async (path) => await this.#host?.download(path) },
    });
    this.#electron.Menu.setApplicationMenu(
      this.#electron.Menu.buildFromTemplate(
        appMenu(this.#options.platform, { newWindow: () => this.showWindow() }),
      ),
    );
    if (!this.#options.isMinimized || this.#tray === undefined) {
      this.showWindow();
    }
    return true;
  }

  /** Opens the window, or brings it to the front. */
  showWindow(): void {
    if (this.#quitState !== 'running' || !this.#electron.app.isReady()) {
      return;
    }
    const window = this.#window;
    if (window === undefined || window.isDestroyed()) {
      const created = createWindow(this.#electron, {
        preloadPath: this.#options.preloadPath,
        theme: this.#settings.theme,
      });
      created.once('closed', () => {
        if (this.#window === created) {
          this.#window = undefined;
        }
      });
      this.#window = created;
      return;
    }
    if (window.isMinimized()) {
      window.restore();
    }
    window.show();
    window.focus();
  }

  #startHost(): void {
    const { log } = this.#options;
    this.#hostStartedAt = performance.now();
    const host = new HostProcess(this.#electron, {
      hostPath: this.#options.hostPath,
      config: this.#options.hostConfig,
      log,
      openExternal: (url) => {
        openExternal(this.#electron, url).catch((error: unknown) => {
          log.warn('address could not be opened', { error });
        });
      },
      onExit: (code) => this.#onHostExit(code),
    });
    this.#host = host;
    const client = host.openClient();
    this.#client = client;
    void this.#followSettings(client);
    try {
      this.#tray = new TrayView(this.#electron, {
        iconPath: this.#options.iconPath,
        client,
        open: () => this.showWindow(),
        quit: () => this.#electron.app.quit(),
      });
    } catch (error) {
      // Some Linux desktops have none; closing the window quits then.
      log.info('no tray on this desktop', { error });
    }
  }

  #onHostExit(code: number): void {
    this.#tray?.[Symbol.dispose]();
    this.#tray = undefined;
    this.#client?.close();
    if (this.#quitState !== 'running') {
      return;
    }
    this.#options.log.error('host process ended', { code });
    if (performance.now() - this.#hostStartedAt < HOST_STABLE_MS) {
      this.#electron.app.quit();
      return;
    }
    // Pages see their port close and ask for a new one.
    this.#startHost();
  }

  async #followSettings(client: BridgeClient): Promise<void> {
    try {
      for await (const item of client.open('app.state', {})) {
        if (!(item instanceof Uint8Array)) {
          this.#settings = item.settings;
          this.#electron.nativeTheme.themeSource = item.settings.theme;
        }
      }
    } catch {
      // The host process ended; the next one brings its own.
    }
  }

  /** A page asks for a bridge. Only the main frame of our own page gets one. */
  #onConnect(event: IpcMainEvent, nonce: unknown): void {
    const frame = event.senderFrame;
    const isOurs =
      frame !== null &&
      frame.parent === null &&
      isOwnUrl(frame.url) &&
      event.sender === this.#window?.webContents;
    if (!isOurs || typeof nonce !== 'string' || nonce.length > MAX_NONCE_LENGTH) {
      this.#options.log.warn('bridge refused', { url: frame?.url });
      return;
    }
    const { port1, port2 } = new this.#electron.MessageChannelMain();
    this.#host?.connect(port1);
    frame.postMessage(CONNECT_CHANNEL, nonce, [port2]);
  }

  #onAllClosed(): void {
    const staysInTray = this.#tray !== undefined && this.#settings.closeToTray;
    if (!staysInTray && this.#options.platform !== 'darwin') {
      this.#electron.app.quit();
    }
  }

  async #stopAndExit(): Promise<void> {
    try {
      await this.#host?.stop();
    } catch (error) {
      this.#options.log.error('host process could not be stopped', { error });
    }
    this.#quitState = 'stopped';
    this.#electron.app.exit(0);
  }

  /** Quits in order: the tray goes, the host ends its terminals and logs, then the app exits. Containers go on. */
  #onWillQuit(event: { preventDefault(): void }): void {
    if (this.#quitState === 'stopped') {
      return;
    }
    event.preventDefault();
    if (this.#quitState === 'stopping') {
      return;
    }
    this.#quitState = 'stopping';
    this.#tray?.[Symbol.dispose]();
    this.#tray = undefined;
    void this.#stopAndExit();
  }
}
