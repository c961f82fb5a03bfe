import type { EngineInfo } from '../../electron/contract/app-channels.ts';
import { bridge } from './bridge.ts';
import { useAppState, useConnection } from './queries.ts';
import { sentence } from './sentence.ts';

/** The whole way to the engine as one state: page to host, host to engine. */
export type EngineLink =
  | { readonly status: 'connecting' }
  | { readonly status: 'connected'; readonly info: EngineInfo }
  | {
      readonly status: 'down';
      /** `host`: the application itself is away; `refused`: wrong or missing token; `engine`: only the engine. */
      readonly what: 'host' | 'refused' | 'engine';
      readonly reason: string;
      readonly hint: string | undefined;
    };

/** State of the way to the engine. */
export function useEngineLink(): EngineLink {
  const connection = useConnection();
  const engine = useAppState()?.engine;
  if (connection.status === 'disconnected') {
    return {
      status: 'down',
      what: connection.isFinal ? 'refused' : 'host',
      reason: sentence(connection.reason),
      hint: undefined,
    };
  }
  if (
    connection.status === 'connecting' ||
    engine === undefined ||
    engine.status === 'connecting'
  ) {
    return { status: 'connecting' };
  }
  if (engine.status === 'connected') {
    return engine;
  }
  return {
    status: 'down',
    what: 'engine',
    reason: sentence(engine.reason),
    hint: engine.hint === undefined ? undefined : sentence(engine.hint),
  };
}

/** Asks the host to try the engine at once. */
export async function retryEngine(): Promise<void> {
  await bridge.call('app.reconnect', {});
}
