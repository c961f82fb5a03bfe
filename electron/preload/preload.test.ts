import { EventEmitter } from 'node:events';
import { readFile } from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import type { GantryPreload } from '../contract/page.ts';
import { CONNECT_CHANNEL } from '../main/electron-api.ts';

const exposed: Record<string, unknown> = {};
const sent: unknown[][] = [];
const ipcRenderer = Object.assign(new EventEmitter(), {
  send: (...args: unknown[]) => sent.push(args),
});

vi.mock('electron', () => ({
  contextBridge: {
    exposeInMainWorld: (name: string, api: unknown) => {
      exposed[name] = api;
    },
  },
  ipcRenderer,
}));

describe('preload', () => {
  it('exposes one object with one function, and hands a port to the own page only', async () => {
    const posted: unknown[][] = [];
    vi.stubGlobal('window', { postMessage: (...args: unknown[]) => posted.push(args) });
    await import('./preload.ts');
    expect(Object.keys(exposed)).toEqual(['gantry']);
    const api = exposed['gantry'] as GantryPreload;
    expect(Object.keys(api).sort()).toEqual(['connect', 'platform', 'shell']);
    api.connect('nonce-1');
    expect(sent).toEqual([[CONNECT_CHANNEL, 'nonce-1']]);
    const port = { is: 'a port' };
    ipcRenderer.emit(CONNECT_CHANNEL, { ports: [port] }, 'nonce-1');
    expect(posted).toEqual([[{ gantryPort: 'nonce-1' }, 'app://gantry', [port]]]);
    vi.unstubAllGlobals();
  });

  it('stays small', async () => {
    const source = await readFile(new URL('preload.ts', import.meta.url), 'utf8');
    expect(source.split('\n').length).toBeLessThan(100);
  });
});
