import type { Downloads } from './downloads.ts';
import type { EngineLink } from './engine-link.ts';
import type { LogStore } from './log-store.ts';
import type { Ports } from './ports.ts';
import type { SettingsFile } from './settings-file.ts';
import type { StatsSampler } from './stats-sampler.ts';
import type { Stores } from './stores.ts';
import type { Terminals } from './terminals.ts';

/** What the handlers work with. */
export interface HostParts {
  readonly link: EngineLink;
  readonly stores: Stores;
  readonly logs: LogStore;
  readonly sampler: StatsSampler;
  readonly terminals: Terminals;
  readonly downloads: Downloads;
  readonly settings: SettingsFile;
  readonly ports: Ports;
  readonly shell: 'electron' | 'browser';
  readonly appVersion: string;
  /** Opens an address outside; undefined where only the page can. */
  readonly openExternal: ((url: string) => Promise<void>) | undefined;
  /** The bytes of an answer of the engine, for downloads. */
  engineBytes(
    path: string,
    query: Readonly<Record<string, string | readonly string[]>>,
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array>;
}
