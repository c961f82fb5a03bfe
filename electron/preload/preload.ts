import { contextBridge, ipcRenderer } from 'electron';
import type { GantryPreload } from '../contract/page.ts';

/*
 * The only code that exposes anything to the page: one object, which can ask for one message port. It runs in the
 * sandbox, is built to a single CommonJS file, and must not grow: what the page can do is in the contract's channel map.
 */

/** As in `electron/main/electron-api.ts`, which the preload may not import. */
const CONNECT_CHANNEL = 'gantry:connect';
const ORIGIN = 'app://gantry';

ipcRenderer.on(CONNECT_CHANNEL, (event, nonce: unknown) => {
  // A port cannot pass the context bridge; a message on the page's own window can carry it. The nonce is the page's.
  window.postMessage({ gantryPort: nonce }, ORIGIN, [...event.ports]);
});

/** The page's window; this file is compiled without DOM types. */
declare const window: {
  postMessage(message: unknown, targetOrigin: string, transfer: readonly unknown[]): void;
};

const api: GantryPreload = {
  shell: 'electron',
  platform: process.platform,
  connect: (nonce: string) => ipcRenderer.send(CONNECT_CHANNEL, nonce),
};

contextBridge.exposeInMainWorld('gantry', api);
