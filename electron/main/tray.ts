import type { MenuItemConstructorOptions, Tray } from 'electron';
import type { AppState } from '../contract/app-channels.ts';
import type { BridgeClient } from '../contract/client.ts';
import type { ContainerSummary } from '../contract/container-channels.ts';
import type { ElectronApi } from './electron-api.ts';

/** Containers named in the tray's menu; more are in the window. */
const MAX_TRAY_CONTAINERS = 15;
/** The menu is rebuilt at most this often. */
const REBUILD_INTERVAL_MS = 500;

/** What the tray shows. */
export interface TrayModel {
  readonly engine: AppState['engine'] | undefined;
  readonly containers: readonly ContainerSummary[];
}

/** What the tray can do. */
export interface TrayActions {
  open(): void;
  quit(): void;
  act(method: 'containers.start' | 'containers.stop' | 'containers.restart', id: string): void;
}

/** One line about the engine. */
export function stateLine(model: TrayModel): string {
  switch (model.engine?.status) {
    case 'connected': {
      const running = model.containers.filter((container) => container.state === 'running').length;
      return `Engine running, ${running} container${running === 1 ? '' : 's'} up`;
    }
    case 'unreachable':
      return 'Engine not reachable';
    case 'connecting':
    case undefined:
      return 'Connecting to the engine';
    default:
      return model.engine satisfies never;
  }
}

/** `&` marks a shortcut in menus; names are shown as they are. */
function plainLabel(text: string): string {
  return text.replaceAll('&', '&&').slice(0, 80);
}

/** The tray's menu. */
export function trayMenu(model: TrayModel, actions: TrayActions): MenuItemConstructorOptions[] {
  const sorted = [...model.containers].sort((a, b) => (a.name < b.name ? -1 : 1));
  const isConnected = model.engine?.status === 'connected';
  const items = sorted
    .slice(0, MAX_TRAY_CONTAINERS)
    .map((container): MenuItemConstructorOptions => {
      const isUp = container.state === 'running' || container.state === 'paused';
      return {
        label: plainLabel(`${isUp ? '●' : '○'} ${container.name}`),
        enabled: isConnected,
        submenu: [
          {
            label: 'Start',
            enabled: !isUp,
            click: () => actions.act('containers.start', container.id),
          },
          {
            label: 'Stop',
            enabled: isUp,
            click: () => actions.act('containers.stop', container.id),
          },
          {
            label: 'Restart',
            enabled: isUp,
            click: () => actions.act('containers.restart', container.id),
          },
        ],
      };
    });
  const more = sorted.length - items.length;
  return [
    { label: stateLine(model), enabled: false },
    { type: 'separator' },
    { label: 'Open Gantry', click: () => actions.open() },
    {
      label: 'Containers',
      enabled: items.length > 0,
      submenu:
        more > 0
          ? [...items, { label: `${more} more in the window`, click: () => actions.open() }]
          : items,
    },
    { type: 'separator' },
    { label: 'Quit Gantry', click: () => actions.quit() },
  ];
}

/** Keeps a tray icon's menu in step with the engine. */
export class TrayView implements Disposable {
  readonly #electron: Pick<ElectronApi, 'Menu'>;
  readonly #tray: Tray;
  readonly #actions: TrayActions;
  readonly #abort = new AbortController();
  readonly #containers = new Map<string, ContainerSummary>();
  #engine: AppState['engine'] | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    electron: Pick<ElectronApi, 'Menu' | 'Tray' | 'nativeImage'>,
    options: {
      iconPath: string;
      client: BridgeClient;
      open: () => void;
      quit: () => void;
    },
  ) {
    const { client } = options;
    this.#electron = electron;
    this.#tray = new electron.Tray(electron.nativeImage.createFromPath(options.iconPath));
    this.#actions = {
      open: options.open,
      quit: options.quit,
      act: (method, id) => {
        // The list shows the outcome; a failure shows as no change.
        client.call(method, { id }).catch(() => {});
      },
    };
    this.#tray.setToolTip('Gantry');
    this.#tray.on('click', options.open);
    this.#rebuild();
    void this.#followState(client);
    void this.#followContainers(client);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#abort.abort();
    this.#tray.destroy();
  }

  async #followState(client: BridgeClient): Promise<void> {
    try {
      for await (const item of client.open('app.state', {}, { signal: this.#abort.signal })) {
        if (!(item instanceof Uint8Array)) {
          this.#engine = item.engine;
          this.#schedule();
        }
      }
    } catch {
      // The host process ended; the app opens a new tray view with the new process.
    }
  }

  async #followContainers(client: BridgeClient): Promise<void> {
    try {
      for await (const item of client.open('containers.list', {}, { signal: this.#abort.signal })) {
        if (item instanceof Uint8Array || item.type === 'offline') {
          continue;
        }
        if (item.type === 'snapshot') {
          this.#containers.clear();
        }
        for (const container of item.type === 'snapshot' ? item.items : item.upserts) {
          this.#containers.set(container.id, container);
        }
        for (const id of item.type === 'patch' ? item.removed : []) {
          this.#containers.delete(id);
        }
        this.#schedule();
      }
    } catch {
      // As above.
    }
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#rebuild();
    }, REBUILD_INTERVAL_MS);
  }

  #rebuild(): void {
    const model = { engine: this.#engine, containers: [...this.#containers.values()] };
    this.#tray.setToolTip(`Gantry: ${stateLine(model)}`);
    this.#tray.setContextMenu(
      this.#electron.Menu.buildFromTemplate(trayMenu(model, this.#actions)),
    );
  }
}
