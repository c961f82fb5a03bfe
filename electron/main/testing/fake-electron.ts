import { EventEmitter } from 'node:events';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { BrowserWindowConstructorOptions, MenuItemConstructorOptions } from 'electron';
import type { ElectronApi } from '../electron-api.ts';

/** Node's own ports behave as Electron's: ordered, copied, closed from either side. */
export class FakePort {
  readonly #port: MessagePort;

  constructor(port: MessagePort) {
    this.#port = port;
  }

  on(event: 'message' | 'close', listener: (value: { data: unknown }) => void): this {
    this.#port.on(event, (data: unknown) => listener({ data }));
    return this;
  }

  postMessage(message: unknown): void {
    this.#port.postMessage(message, []);
  }

  start(): void {
    this.#port.start();
  }

  close(): void {
    this.#port.close();
  }
}

/** Contents of a window: records its guards. */
export class FakeContents extends EventEmitter {
  openHandler: (details: { url: string }) => { action: string } = () => ({ action: 'allow' });

  setWindowOpenHandler(handler: FakeContents['openHandler']): void {
    this.openHandler = handler;
  }

  /** Whether a navigation goes through. */
  navigates(event: string, url: string): boolean {
    let isPrevented = false;
    const details = {
      url,
      preventDefault: () => {
        isPrevented = true;
      },
    };
    this.emit(event, details, url);
    return !isPrevented;
  }
}

/** A window: records its options and what is done to it. */
export class FakeWindow extends EventEmitter {
  readonly options: BrowserWindowConstructorOptions;
  readonly webContents = new FakeContents();
  readonly calls: string[] = [];
  #isDestroyed = false;

  constructor(options: BrowserWindowConstructorOptions) {
    super();
    this.options = options;
  }

  loadURL(url: string): Promise<void> {
    this.calls.push(`load ${url}`);
    return Promise.resolve();
  }

  show(): void {
    this.calls.push('show');
  }

  focus(): void {
    this.calls.push('focus');
  }

  restore(): void {
    this.calls.push('restore');
  }

  isMinimized(): boolean {
    return false;
  }

  isDestroyed(): boolean {
    return this.#isDestroyed;
  }

  /** The user closes it. */
  userCloses(): void {
    this.#isDestroyed = true;
    this.emit('closed');
  }
}

/** A utility process: what is sent to it comes out of `received`, with the ports. */
export class FakeUtility extends EventEmitter {
  readonly path: string;
  readonly args: readonly string[];
  readonly received: { message: unknown; ports: FakePort[] }[] = [];
  isKilled = false;

  constructor(path: string, args: readonly string[]) {
    super();
    this.path = path;
    this.args = args;
  }

  postMessage(message: unknown, ports: FakePort[] = []): void {
    this.received.push({ message, ports });
    this.emit('received', { data: message, ports });
  }

  kill(): boolean {
    this.isKilled = true;
    this.emit('exit', 0);
    return true;
  }
}

/** A tray: keeps its latest menu. */
export class FakeTray extends EventEmitter {
  menu: { template: MenuItemConstructorOptions[] } | undefined;
  toolTip = '';
  isDestroyed = false;

  setToolTip(text: string): void {
    this.toolTip = text;
  }

  setContextMenu(menu: { template: MenuItemConstructorOptions[] }): void {
    this.menu = menu;
  }

  destroy(): void {
    this.isDestroyed = true;
  }
}

type Handler = (...args: never[]) => unknown;

/** Electron as far as the app uses it, with everything recorded. */
export class FakeElectron {
  readonly windows: FakeWindow[] = [];
  readonly trays: FakeTray[] = [];
  readonly utilities: FakeUtility[] = [];
  readonly opened: string[] = [];
  readonly calls: string[] = [];
  readonly handlers = new Map<string, Handler>();
  readonly schemes: unknown[] = [];
  readonly ipcMain = new EventEmitter();
  readonly nativeTheme = { shouldUseDarkColors: true, themeSource: 'system' };
  readonly app;
  hasLock = true;
  hasTray = true;
  isReady = false;

  constructor() {
    this.app = Object.assign(new EventEmitter(), {
      requestSingleInstanceLock: () => this.hasLock,
      enableSandbox: () => this.calls.push('enableSandbox'),
      whenReady: () => {
        this.isReady = true;
        return Promise.resolve();
      },
      isReady: () => this.isReady,
      quit: () => this.#quit(),
      exit: (code: number) => this.calls.push(`exit ${code}`),
    });
  }

  /** As the app takes it. */
  get api(): ElectronApi {
    const { windows, trays } = this;
    const hasTray = (): boolean => this.hasTray;
    const session = {
      protocol: {
        handle: (scheme: string, handler: Handler) =>
          this.handlers.set(`protocol ${scheme}`, handler),
      },
      setPermissionRequestHandler: (handler: Handler) => this.handlers.set('request', handler),
      setPermissionCheckHandler: (handler: Handler) => this.handlers.set('check', handler),
      setDevicePermissionHandler: (handler: Handler) => this.handlers.set('device', handler),
    };
    const api = {
      app: this.app,
      BrowserWindow: class extends FakeWindow {
        constructor(options: BrowserWindowConstructorOptions) {
          super(options);
          windows.push(this);
        }
      },
      Menu: {
        buildFromTemplate: (template: MenuItemConstructorOptions[]) => ({ template }),
        setApplicationMenu: () => this.calls.push('setApplicationMenu'),
      },
      MessageChannelMain: class {
        readonly port1: FakePort;
        readonly port2: FakePort;

        constructor() {
          const { port1, port2 } = new MessageChannel();
          this.port1 = new FakePort(port1);
          this.port2 = new FakePort(port2);
        }
      },
      Tray: class extends FakeTray {
        constructor() {
          super();
          if (!hasTray()) {
            throw new Error('no tray here');
          }
          trays.push(this);
        }
      },
      ipcMain: this.ipcMain,
      nativeImage: { createFromPath: (path: string) => ({ path }) },
      nativeTheme: this.nativeTheme,
      protocol: {
        registerSchemesAsPrivileged: (schemes: unknown[]) => this.schemes.push(...schemes),
      },
      session: { defaultSession: session },
      shell: {
        openExternal: (url: string) => {
          this.opened.push(url);
          return Promise.resolve();
        },
      },
      utilityProcess: {
        fork: (path: string, args: readonly string[]) => {
          const utility = new FakeUtility(path, args);
          this.utilities.push(utility);
          return utility;
        },
      },
    };
    return api as unknown as ElectronApi;
  }

  #quit(): void {
    this.calls.push('quit');
    let isPrevented = false;
    this.app.emit('will-quit', {
      preventDefault: () => {
        isPrevented = true;
      },
    });
    if (!isPrevented) {
      this.calls.push('exited');
    }
  }
}
