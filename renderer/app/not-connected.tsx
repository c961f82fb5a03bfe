import { KeyRound, LoaderCircle, PlugZap } from 'lucide-react';
import { useState } from 'react';
import { Button } from '../components/button.tsx';
import { EmptyState } from '../components/state.tsx';
import { text as shared } from '../components/text.ts';
import { retryEngine, useEngineLink } from '../data/engine.ts';
import type { LiveList } from '../data/live-list.ts';
import { text } from './text.ts';

/** What a page shows while it has never got any data: connecting, or why not. Undefined = skeletons will do. */
export function useNotConnected(): React.ReactNode | undefined {
  const link = useEngineLink();
  return link.status === 'down' ? <NotConnected /> : undefined;
}

/** A live list as list pages take it: nothing, not even "empty", until the engine has answered once. */
export function listInput<T>(list: LiveList<T> | undefined): {
  readonly items: readonly T[] | undefined;
  readonly staleMessage: string | undefined;
} {
  const isStale = list?.offlineMessage !== undefined;
  const items = list === undefined || (isStale && list.items.length === 0) ? undefined : list.items;
  return { items, staleMessage: isStale && items !== undefined ? shared.list.stale : undefined };
}

function NotConnected() {
  const link = useEngineLink();
  const [isTrying, setIsTrying] = useState(false);
  if (link.status !== 'down') {
    return (
      <EmptyState icon={LoaderCircle} title={text.connecting.title} body={text.connecting.body} />
    );
  }
  if (link.what === 'refused') {
    return <EmptyState icon={KeyRound} title={text.refused.title} body={text.refused.body} />;
  }
  const isEngine = link.what === 'engine';
  return (
    <EmptyState
      icon={PlugZap}
      title={isEngine ? text.down.engineTitle : text.down.hostTitle}
      body={isEngine ? `${link.reason} ${link.hint ?? ''}`.trim() : text.down.hostBody}
    >
      {isEngine && (
        <Button
          tone="primary"
          isBusy={isTrying}
          onClick={() => {
            setIsTrying(true);
            void retryEngine()
              .catch(() => {})
              .finally(() => setIsTrying(false));
          }}
        >
          {text.banner.retry}
        </Button>
      )}
    </EmptyState>
  );
}
