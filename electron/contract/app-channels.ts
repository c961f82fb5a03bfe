import { call, stream } from './method.ts';
import { z } from './zod.ts';

/** Sort order and columns of one page's table; kept by the host so that they outlive the window. */
export const listPreferenceSchema = z.object({
  sortBy: z.string().max(40).optional(),
  sortDescending: z.boolean().optional(),
  /** Visible columns in order; absent = the page's default. */
  columns: z.array(z.string().max(40)).max(30).optional(),
  /** Compose projects whose rows are folded. */
  collapsed: z.array(z.string().max(300)).max(1000).optional(),
});

/** User settings. Every field has a default; unknown keys in the file are kept untouched. */
export const settingsSchema = z.object({
  theme: z.enum(['system', 'light', 'dark']).default('system'),
  /** CSS pixels. */
  terminalFontSizePx: z.int().min(8).max(32).default(13),
  /** Electron only: closing the window leaves the app in the tray. */
  closeToTray: z.boolean().default(true),
  logWrap: z.boolean().default(true),
  logTimestamps: z.boolean().default(false),
  /** Keyed by page name (`containers`, `images`, `volumes`, `networks`, `disk`). */
  lists: z.record(z.string().max(40), listPreferenceSchema).default({}),
});

/** User settings. */
export type Settings = z.infer<typeof settingsSchema>;
/** Table preferences of one page. */
export type ListPreference = z.infer<typeof listPreferenceSchema>;

/** A change of settings: the fields given replace, `lists` is merged by page. */
export const settingsPatchSchema = z.object({
  theme: z.enum(['system', 'light', 'dark']).optional(),
  terminalFontSizePx: z.int().min(8).max(32).optional(),
  closeToTray: z.boolean().optional(),
  logWrap: z.boolean().optional(),
  logTimestamps: z.boolean().optional(),
  lists: z.record(z.string().max(40), listPreferenceSchema).optional(),
});

/** Change of settings. */
export type SettingsPatch = z.infer<typeof settingsPatchSchema>;

/** What the engine says about itself once connected. */
export const engineInfoSchema = z.object({
  /** `Gantry`, or what the platform name of another engine is, e.g. `Docker Engine - Community`. */
  product: z.string(),
  version: z.string(),
  apiVersion: z.string(),
  os: z.string(),
  arch: z.string(),
  kernel: z.string(),
  hostName: z.string(),
  cpuCount: z.int(),
  memoryBytes: z.number(),
  storageDriver: z.string(),
  cgroupVersion: z.string(),
  defaultRuntime: z.string(),
  rootDir: z.string(),
});

/** Connection to the engine. The host reconnects by itself, with back-off. */
export const engineStatusSchema = z.discriminatedUnion('status', [
  z.object({ status: z.literal('connecting') }),
  z.object({ status: z.literal('connected'), info: engineInfoSchema }),
  z.object({
    status: z.literal('unreachable'),
    /** Plain sentence: why. */
    reason: z.string(),
    /** Plain sentence: what to do. */
    hint: z.string().optional(),
    /** Epoch ms when it was lost. */
    sinceMs: z.number(),
  }),
]);

/** The whole state of the application outside of the lists; small, sent complete at each change. */
export const appStateSchema = z.object({
  engine: engineStatusSchema,
  endpoint: z.object({
    /** `unix:///run/gantry/docker.sock`, `tcp://…`; never with credentials. */
    url: z.string(),
    /** Name for people, e.g. `Gantry` or the context's name. */
    name: z.string(),
    /** True when the engine shares this machine: port checks and log sizes are then exact. */
    isLocal: z.boolean(),
  }),
  host: z.object({
    /** `linux`, `darwin`, `win32`. */
    platform: z.string(),
    shell: z.enum(['electron', 'browser']),
    appVersion: z.string(),
  }),
  settings: settingsSchema,
});

/** Application state. */
export type AppState = z.infer<typeof appStateSchema>;
/** Connection to the engine. */
export type EngineStatus = z.infer<typeof engineStatusSchema>;
/** What the engine says about itself. */
export type EngineInfo = z.infer<typeof engineInfoSchema>;

/** One engine event. */
export const engineEventSchema = z.object({
  /** Epoch ms. */
  timeMs: z.number(),
  /** `container`, `image`, `volume`, `network`, … */
  type: z.string(),
  /** `start`, `die`, `health_status: healthy`, … */
  action: z.string(),
  id: z.string(),
  attributes: z.record(z.string(), z.string()),
});

/** One engine event. */
export type EngineEvent = z.infer<typeof engineEventSchema>;

/** Only `http:` and `https:` addresses leave the app. */
export const externalUrlSchema = z
  .string()
  .max(2048)
  .refine(
    (text) => {
      try {
        return ['http:', 'https:'].includes(new URL(text).protocol);
      } catch {
        return false;
      }
    },
    { message: 'only http and https addresses can be opened' },
  );

/** Channels of the application itself. */
export const appChannels = {
  /** Complete state at once and at each change. */
  'app.state': stream({
    params: z.object({}),
    item: appStateSchema,
    up: z.never(),
    unit: 'items',
    window: 4,
  }),
  /**
   * Opens an address in the user's browser. `opened: false` in browser mode: the page then calls `window.open` itself
   * with `noopener`. Ask for confirmation first when the address came from a log or a label.
   */
  'app.openExternal': call(z.object({ url: externalUrlSchema }), z.object({ opened: z.boolean() })),
  /** Makes the host try the engine now instead of after the back-off. */
  'app.reconnect': call(z.object({}), z.object({})),
  'settings.get': call(z.object({}), settingsSchema),
  /** Answers with the settings after the change, which is on disk by then. */
  'settings.set': call(settingsPatchSchema, settingsSchema),
  /** Engine events: those of the last minutes first (at most 500), then live, in batches. */
  'events.watch': stream({
    params: z.object({}),
    item: z.object({ events: z.array(engineEventSchema) }),
    up: z.never(),
    unit: 'items',
    window: 16,
  }),
} as const;
