import { PlugZap } from 'lucide-react';
import { useState } from 'react';
import { Button } from '../components/button.tsx';
import { retryEngine, useEngineLink } from '../data/engine.ts';
import { useContainers } from '../data/queries.ts';
import { text } from './text.ts';

/** Says that what is shown may be old, why, and offers to try again. Pages without data say it themselves. */
export function Banner() {
  const link = useEngineLink();
  const list = useContainers();
  const hasData =
    list !== undefined && (list.items.length > 0 || list.offlineMessage === undefined);
  const [isTrying, setIsTrying] = useState(false);
  if (link.status !== 'down' || !hasData) {
    return null;
  }
  const retry = async (): Promise<void> => {
    setIsTrying(true);
    try {
      await retryEngine();
    } catch {
      // The banner stays and says why.
    } finally {
      setIsTrying(false);
    }
  };
  return (
    <div
      role="alert"
      className="flex shrink-0 items-center gap-3 border-b border-line bg-warn-soft px-5 py-2 text-sm text-warn-ink"
    >
      <PlugZap aria-hidden className="size-4 shrink-0" />
      <p className="min-w-0 flex-1">
        <span className="font-medium">
          {link.what === 'engine' ? text.banner.engine : text.banner.host}
        </span>{' '}
        {link.reason} {link.hint ?? text.banner.stale}
      </p>
      {link.what === 'engine' && (
        <Button
          size="sm"
          isBusy={isTrying}
          onClick={() => {
            void retry();
          }}
        >
          {text.banner.retry}
        </Button>
      )}
    </div>
  );
}
