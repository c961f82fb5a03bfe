import { QueryClient, useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useSyncExternalStore } from 'react';
import type {
  AppState,
  ListPreference,
  Settings,
  SettingsPatch,
} from '../../electron/contract/app-channels.ts';
import type { CallName, Params, Result } from '../../electron/contract/channels.ts';
import type { ConnectionStatus } from '../../electron/contract/connection.ts';
import type { ContainerSummary } from '../../electron/contract/container-channels.ts';
import type { ImageSummary } from '../../electron/contract/image-channels.ts';
import type { NetworkSummary, VolumeSummary } from '../../electron/contract/storage-channels.ts';
import { bridge } from './bridge.ts';
import { type LiveList, type LiveListItem, reduceLiveList } from './live-list.ts';

/** Server state. It is fed by streams: nothing is ever fetched again by age, focus or reconnect of the browser. */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: Number.POSITIVE_INFINITY,
      gcTime: 5 * 60 * 1000,
      retry: false,
      refetchOnWindowFocus: false,
      refetchOnReconnect: false,
      networkMode: 'always',
    },
    mutations: { retry: false, networkMode: 'always' },
  },
});

const APP_STATE = ['app.state'] as const;

/** Opens the streams that the whole application lives on. Returns what closes them. */
export function startLiveData(client: QueryClient): () => void {
  const stops = [
    keepOpen((onEnd) =>
      bridge.subscribe(
        'app.state',
        {},
        {
          onItem: (state) => {
            client.setQueryData(APP_STATE, state);
          },
          onEnd,
        },
      ),
    ),
    keepOpen((onEnd) =>
      bridge.subscribe(
        'containers.list',
        {},
        { onItem: listFeed(client, 'containers.list'), onEnd },
      ),
    ),
    keepOpen((onEnd) =>
      bridge.subscribe('images.list', {}, { onItem: listFeed(client, 'images.list'), onEnd }),
    ),
    keepOpen((onEnd) =>
      bridge.subscribe('volumes.list', {}, { onItem: listFeed(client, 'volumes.list'), onEnd }),
    ),
    keepOpen((onEnd) =>
      bridge.subscribe('networks.list', {}, { onItem: listFeed(client, 'networks.list'), onEnd }),
    ),
  ];
  return () => {
    for (const stop of stops) {
      stop();
    }
  };
}

/** Takes the items of one live list into the cache. */
function listFeed<T extends { readonly id: string }>(client: QueryClient, key: string) {
  return (item: LiveListItem<T>): void => {
    client.setQueryData<LiveList<T>>([key], (before) => reduceLiveList(before, item));
  };
}

/** A live stream that the host ends by mistake is opened again after a pause; losses are the bridge's affair. */
function keepOpen(open: (onEnd: () => void) => () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let close: () => void = () => {};
  const start = (): void => {
    close = open(() => {
      timer = setTimeout(start, 2000);
    });
  };
  start();
  return () => {
    clearTimeout(timer);
    close();
  };
}

/** A key of the cache that a stream feeds with values of `T`. */
type FedKey<T> = readonly string[] & { readonly fed?: T };

function useFed<T>(key: FedKey<T>): T | undefined {
  const { data } = useQuery<T>({ queryKey: key, enabled: false, gcTime: Number.POSITIVE_INFINITY });
  return data;
}

/** All containers; undefined until the first answer. */
export function useContainers(): LiveList<ContainerSummary> | undefined {
  return useFed<LiveList<ContainerSummary>>(['containers.list']);
}

/** All images; undefined until the first answer. */
export function useImages(): LiveList<ImageSummary> | undefined {
  return useFed<LiveList<ImageSummary>>(['images.list']);
}

/** All volumes; undefined until the first answer. */
export function useVolumes(): LiveList<VolumeSummary> | undefined {
  return useFed<LiveList<VolumeSummary>>(['volumes.list']);
}

/** All networks; undefined until the first answer. */
export function useNetworks(): LiveList<NetworkSummary> | undefined {
  return useFed<LiveList<NetworkSummary>>(['networks.list']);
}

/** Application state; undefined until the first answer. */
export function useAppState(): AppState | undefined {
  return useFed<AppState>(APP_STATE);
}

/** State of the way between page and host. */
export function useConnection(): ConnectionStatus {
  return useSyncExternalStore(bridge.subscribeStatus, bridge.getStatus);
}

/** One answer of the host, kept under its method and parameters. */
export function useCall<M extends CallName>(
  method: M,
  params: Params<M>,
  options: { readonly isEnabled?: boolean; readonly version?: string | number | undefined } = {},
) {
  return useQuery<Result<M>>({
    queryKey: [method, params, options.version ?? ''],
    queryFn: ({ signal }) => bridge.call(method, params, { signal }),
    enabled: options.isEnabled ?? true,
    placeholderData: (before) => before,
  });
}

/** Settings as they will be: shown at once, written by the host, taken back when that fails. */
export function useSettings(): {
  readonly settings: Settings | undefined;
  readonly change: (patch: SettingsPatch) => void;
} {
  const client = useQueryClient();
  const settings = useAppState()?.settings;
  const change = useCallback((patch: SettingsPatch) => changeSettings(client, patch), [client]);
  return { settings, change };
}

function changeSettings(client: QueryClient, patch: SettingsPatch): void {
  const before = client.getQueryData<AppState>(APP_STATE);
  if (before === undefined) {
    return;
  }
  const { lists, ...rest } = patch;
  const settings = { ...before.settings, lists: { ...before.settings.lists, ...lists } };
  for (const [key, value] of Object.entries(rest)) {
    if (value !== undefined) {
      Object.assign(settings, { [key]: value });
    }
  }
  client.setQueryData<AppState>(APP_STATE, { ...before, settings });
  bridge.call('settings.set', patch).catch(() => {
    // Shown, but not kept: the host's next state says what really applies.
    client.setQueryData<AppState>(APP_STATE, (now) =>
      now === undefined ? now : { ...now, settings: before.settings },
    );
  });
}

const NO_PREFERENCE: ListPreference = {};

/** Table preferences of one page, remembered by the host. */
export function usePreference(page: string): {
  readonly preference: ListPreference;
  readonly setPreference: (change: Partial<ListPreference>) => void;
} {
  const client = useQueryClient();
  const preference = useAppState()?.settings.lists[page] ?? NO_PREFERENCE;
  const setPreference = useCallback(
    (change: Partial<ListPreference>) => {
      const now = client.getQueryData<AppState>(APP_STATE)?.settings.lists[page];
      changeSettings(client, { lists: { [page]: { ...now, ...change } } });
    },
    [client, page],
  );
  return { preference, setPreference };
}
