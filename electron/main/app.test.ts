import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../engine/base/logger.ts';
import { BridgeClient } from '../contract/client.ts';
import { portTransport } from '../contract/transport.ts';
import { openPage, type TestPage, until } from '../host/testing/page.ts';
import { DesktopApp } from './app.ts';
import { serveParent } from './host-service.ts';
import { portLike } from './ports.ts';
import { FakeElectron, type FakePort, type FakeUtility } from './testing/fake-electron.ts';

let folder = '';
let electron: FakeElectron;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-desktop-'));
  await mkdir(join(folder, 'page'));
  await writeFile(join(folder, 'page', 'index.html'), '<title>Gantry</title>');
  await writeFile(join(folder, 'secret'), 'secret');
  electron = new FakeElectron();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function desktop(options: { platform?: string; isMinimized?: boolean } = {}): DesktopApp {
  return new DesktopApp(electron.api, {
    preloadPath: '/app/preload.cjs',
    hostPath: '/app/host.mjs',
    pageRoot: join(folder, 'page'),
    iconPath: '/app/icon.png',
    hostConfig: { settingsPath: '/s.json', appVersion: '1', logLevel: 'warn' },
    platform: options.platform ?? 'linux',
    isMinimized: options.isMinimized ?? false,
    log: silentLogger,
  });
}

/** Puts a real host behind a fake utility process. */
function serve(utility: FakeUtility, page: TestPage): void {
  const parent = {
    on: (_event: 'message', listener: (event: { data: unknown; ports: FakePort[] }) => void) => {
      for (const { message, ports } of utility.received) {
        listener({ data: message, ports });
      }
      utility.on('received', listener);
    },
    postMessage: (message: unknown) => utility.emit('message', message),
  };
  serveParent(parent, Promise.resolve(page.host), silentLogger, () => utility.emit('exit', 0));
}

/** A page's frame that asks for a bridge. */
function ask(url: string, options: { isMain?: boolean; nonce?: unknown } = {}): FakePort[] {
  const given: FakePort[] = [];
  const frame = {
    url,
    parent: options.isMain === false ? {} : null,
    postMessage: (_channel: string, _nonce: string, ports: FakePort[]) => given.push(...ports),
  };
  const sender = electron.windows.at(-1)?.webContents;
  electron.ipcMain.emit('gantry:connect', { senderFrame: frame, sender }, options.nonce ?? 'n1');
  return given;
}

describe('windows', () => {
  it('give the page nothing but the preload', async () => {
    await desktop().start();
    const [window] = electron.windows;
    expect(window?.options.webPreferences).toMatchObject({
      preload: '/app/preload.cjs',
      nodeIntegration: false,
      nodeIntegrationInWorker: false,
      nodeIntegrationInSubFrames: false,
      contextIsolation: true,
      sandbox: true,
      webSecurity: true,
      allowRunningInsecureContent: false,
      webviewTag: false,
      experimentalFeatures: false,
    });
    expect(electron.calls).toContain('enableSandbox');
  });

  it('are shown when drawn, on the theme’s background', async () => {
    await desktop().start();
    const [window] = electron.windows;
    expect(window?.options).toMatchObject({ show: false, backgroundColor: '#0f1115' });
    expect(window?.calls).toEqual(['load app://gantry/']);
    window?.emit('ready-to-show');
    expect(window?.calls.at(-1)).toBe('show');
  });

  it('stay on the own page', async () => {
    await desktop().start();
    const contents = electron.windows[0]?.webContents;
    for (const event of ['will-navigate', 'will-redirect', 'will-frame-navigate']) {
      expect(contents?.navigates(event, 'https://evil.example/'), event).toBe(false);
      expect(contents?.navigates(event, 'file:///etc/passwd'), event).toBe(false);
      expect(contents?.navigates(event, 'app://evil/'), event).toBe(false);
      expect(contents?.navigates(event, 'app://gantry/#/images'), event).toBe(true);
    }
    expect(contents?.navigates('will-attach-webview', 'app://gantry/')).toBe(false);
    expect(contents?.openHandler({ url: 'https://evil.example/' })).toEqual({ action: 'deny' });
  });

  it('of any kind are confined', async () => {
    await desktop().start();
    const { FakeContents } = await import('./testing/fake-electron.ts');
    const contents = new FakeContents();
    electron.app.emit('web-contents-created', {}, contents);
    expect(contents.navigates('will-navigate', 'https://evil.example/')).toBe(false);
    expect(contents.openHandler({ url: 'https://evil.example/' })).toEqual({ action: 'deny' });
  });
});

describe('permissions', () => {
  it('are denied but for writing the clipboard and notifications', async () => {
    await desktop().start();
    const check = electron.handlers.get('check') as unknown as (
      a: null,
      b: string,
      c: string,
    ) => boolean;
    const request = electron.handlers.get('request') as unknown as (
      contents: null,
      permission: string,
      answer: (isGranted: boolean) => void,
      details: { requestingUrl: string },
    ) => void;
    const names = [
      'clipboard-sanitized-write',
      'notifications',
      'clipboard-read',
      'media',
      'geolocation',
      'openExternal',
      'fullscreen',
      'usb',
    ];
    for (const name of names) {
      const isAllowed = name === 'clipboard-sanitized-write' || name === 'notifications';
      let granted: boolean | undefined;
      request(
        null,
        name,
        (value) => {
          granted = value;
        },
        { requestingUrl: 'app://gantry/' },
      );
      expect(granted, name).toBe(isAllowed);
      expect(check(null, name, 'app://gantry'), name).toBe(isAllowed);
      expect(check(null, name, 'https://evil.example'), name).toBe(false);
    }
    const device = electron.handlers.get('device') as unknown as () => boolean;
    expect(device()).toBe(false);
  });
});

describe('page protocol', () => {
  async function answer(url: string, method = 'GET'): Promise<Response> {
    const handler = electron.handlers.get('protocol app') as unknown as (request: {
      url: string;
      method: string;
    }) => Promise<Response>;
    return await handler({ url, method });
  }

  it('is registered before the app is ready, and serves the page with its policy', async () => {
    await desktop().start();
    expect(electron.schemes).toMatchObject([
      { scheme: 'app', privileges: { standard: true, secure: true } },
    ]);
    const response = await answer('app://gantry/');
    expect(await response.text()).toBe('<title>Gantry</title>');
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
  });

  it('leaves its folder for nobody', async () => {
    await desktop().start();
    const urls = [
      'app://gantry/../secret',
      'app://gantry/%2e%2e/secret',
      'app://gantry/..%2fsecret',
      'app://other/',
      'https://gantry/',
    ];
    for (const url of urls) {
      expect((await answer(url)).status, url).toBe(404);
    }
    expect((await answer('app://gantry/', 'POST')).status).toBe(405);
  });

  it('streams a download out of the host process', async () => {
    await using page = await openPage();
    await desktop().start();
    const [utility] = electron.utilities;
    if (utility !== undefined) {
      serve(utility, page);
    }
    const path = page.host.downloads.offer({
      fileName: 'x.tar',
      mimeType: 'application/x-tar',
      open: async function* bytes() {
        for (let step = 0; step < 100; step += 1) {
          yield Buffer.alloc(10_000, step);
        }
      },
    });
    const response = await answer(`app://gantry${path}`);
    expect(response.headers.get('content-disposition')).toBe('attachment; filename="x.tar"');
    const body = new Uint8Array(await response.arrayBuffer());
    expect(body.byteLength).toBe(1_000_000);
    expect(body[999_999]).toBe(99);
    expect((await answer(`app://gantry${path}`)).status).toBe(404);
  });
});

describe('bridge', () => {
  it('is given to the main frame of the own page only', async () => {
    await using page = await openPage();
    await desktop().start();
    const [utility] = electron.utilities;
    if (utility !== undefined) {
      serve(utility, page);
    }
    expect(ask('https://evil.example/')).toEqual([]);
    expect(ask('app://evil/')).toEqual([]);
    expect(ask('app://gantry/', { isMain: false })).toEqual([]);
    expect(ask('app://gantry/', { nonce: { not: 'text' } })).toEqual([]);
    const [port] = ask('app://gantry/#/containers');
    if (port === undefined) {
      throw new Error('no port');
    }
    const client = new BridgeClient(portTransport(portLike(port)));
    expect(await client.call('settings.get', {})).toMatchObject({ theme: 'system' });
    client.close();
  });

  it('lets only http and https out', async () => {
    await desktop().start();
    const [utility] = electron.utilities;
    for (const url of [
      'https://example.org/a',
      'http://localhost:8080/',
      'file:///etc/passwd',
      'javascript:alert(1)',
      'nonsense',
    ]) {
      utility?.emit('message', { type: 'openExternal', url });
    }
    utility?.emit('message', { type: 'unknown' });
    expect(electron.opened).toEqual(['https://example.org/a', 'http://localhost:8080/']);
  });
});

describe('life', () => {
  it('is one instance: the second goes, the first comes to the front', async () => {
    electron.hasLock = false;
    expect(await desktop().start()).toBe(false);
    expect(electron.windows).toEqual([]);
    electron = new FakeElectron();
    expect(await desktop().start()).toBe(true);
    electron.app.emit('second-instance');
    expect(electron.windows).toHaveLength(1);
    expect(electron.windows[0]?.calls.slice(-2)).toEqual(['show', 'focus']);
  });

  it('goes on in the tray when the window is closed, and opens it again', async () => {
    const app = desktop();
    await app.start();
    electron.windows[0]?.userCloses();
    electron.app.emit('window-all-closed');
    expect(electron.calls).not.toContain('quit');
    electron.trays[0]?.emit('click');
    expect(electron.windows).toHaveLength(2);
  });

  it('ends with its window where there is no tray', async () => {
    electron.hasTray = false;
    await desktop().start();
    electron.windows[0]?.userCloses();
    electron.app.emit('window-all-closed');
    expect(electron.calls).toContain('quit');
  });

  it('starts without a window when told, but only with a tray', async () => {
    await desktop({ isMinimized: true }).start();
    expect(electron.windows).toHaveLength(0);
    electron = new FakeElectron();
    electron.hasTray = false;
    await desktop({ isMinimized: true }).start();
    expect(electron.windows).toHaveLength(1);
  });

  it('quits in order: the tray, the host, then itself', async () => {
    await using page = await openPage();
    await desktop().start();
    const [utility] = electron.utilities;
    if (utility !== undefined) {
      serve(utility, page);
    }
    electron.app.quit();
    expect(electron.trays[0]?.isDestroyed).toBe(true);
    expect(electron.calls).not.toContain('exit 0');
    await until(() => electron.calls.includes('exit 0'));
    expect(utility?.received.at(-1)?.message).toEqual({ type: 'stop' });
    expect(utility?.isKilled).toBe(false);
    expect(page.host.sessionCount).toBe(0);
  });

  it('does not start a host again that dies at once', async () => {
    await desktop().start();
    electron.utilities[0]?.emit('exit', 1);
    expect(electron.utilities).toHaveLength(1);
    expect(electron.calls).toContain('quit');
  });
});

describe('tray', () => {
  it('shows the engine and its containers, and acts on them', async () => {
    await using page = await openPage((engine) => {
      engine.addContainer({ id: 'web', name: 'web & co' });
    });
    await desktop().start();
    const [utility] = electron.utilities;
    if (utility !== undefined) {
      serve(utility, page);
    }
    const labels = (): string[] =>
      electron.trays[0]?.menu?.template.map((item) => item.label ?? '-') ?? [];
    await until(() => labels()[0] === 'Engine running, 1 container up');
    expect(labels()).toEqual([
      'Engine running, 1 container up',
      '-',
      'Open Gantry',
      'Containers',
      '-',
      'Quit Gantry',
    ]);
    const containers = electron.trays[0]?.menu?.template[3]?.submenu;
    const [web] = Array.isArray(containers) ? containers : [];
    expect(web?.label).toBe('● web && co');
    const actions = Array.isArray(web?.submenu) ? web.submenu : [];
    expect(actions.map((item) => item.enabled)).toEqual([false, true, true]);
    actions[1]?.click?.(undefined as never, undefined, undefined as never);
    await until(() => page.engine.requests.includes('POST /containers/web/stop'));
  });
});
