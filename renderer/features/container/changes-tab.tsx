import { useVirtualizer } from '@tanstack/react-virtual';
import { FileDiff, RefreshCw } from 'lucide-react';
import { useMemo, useRef, useState } from 'react';
import type { ContainerSummary } from '../../../electron/contract/container-channels.ts';
import { Badge, type Tone } from '../../components/badge.tsx';
import { Button } from '../../components/button.tsx';
import { SearchInput } from '../../components/field.tsx';
import { formatCount } from '../../components/format.ts';
import { EmptyState, ErrorState, Skeleton } from '../../components/state.tsx';
import { problemOf } from '../../data/bridge.ts';
import { useCall } from '../../data/queries.ts';
import { text } from './text.ts';

type Kind = 'added' | 'modified' | 'deleted';

const TONES: Record<Kind, Tone> = { added: 'ok', modified: 'accent', deleted: 'bad' };
const ROW_PX = 30;

/** Files that differ from the image, as of the last visit or refresh. */
export function ChangesTab({ container }: { readonly container: ContainerSummary }) {
  const [visit, setVisit] = useState(() => Date.now());
  const [query, setQuery] = useState('');
  const { data, error, isFetching } = useCall(
    'containers.changes',
    { id: container.id },
    { version: visit },
  );
  const shown = useMemo(() => {
    const needle = query.toLowerCase();
    return (data?.changes ?? []).filter((change) => change.path.toLowerCase().includes(needle));
  }, [data, query]);
  if (error !== null) {
    const problem = problemOf(error);
    return (
      <ErrorState
        message={problem.message}
        hint={problem.hint}
        onRetry={() => setVisit(Date.now())}
      />
    );
  }
  if (data === undefined) {
    return <Skeleton className="m-5 h-40" />;
  }
  if (data.changes.length === 0) {
    return (
      <EmptyState icon={FileDiff} title={text.changes.empty} body={text.changes.emptyBody}>
        <Button icon={RefreshCw} isBusy={isFetching} onClick={() => setVisit(Date.now())}>
          {text.changes.refresh}
        </Button>
      </EmptyState>
    );
  }
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <div className="flex shrink-0 items-center gap-3 border-b border-line px-4 py-2">
        <SearchInput
          label={text.changes.search}
          value={query}
          onChange={setQuery}
          className="w-72"
        />
        <span role="status" className="nums text-xs text-ink-3">
          {text.changes.count(formatCount(shown.length))}
        </span>
        <Button
          size="sm"
          tone="ghost"
          icon={RefreshCw}
          isBusy={isFetching}
          className="ml-auto"
          onClick={() => setVisit(Date.now())}
        >
          {text.changes.refresh}
        </Button>
      </div>
      <Rows changes={shown} />
    </div>
  );
}

function Rows({
  changes,
}: {
  readonly changes: readonly { readonly path: string; readonly kind: Kind }[];
}) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: changes.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 10,
  });
  return (
    <section
      ref={scroller}
      aria-label={text.tabs.changes}
      tabIndex={0}
      className="min-h-0 flex-1 overflow-y-auto bg-surface focus-visible:-outline-offset-2"
    >
      <ul className="relative" style={{ height: virtualizer.getTotalSize() }}>
        {virtualizer.getVirtualItems().map((item) => {
          const change = changes[item.index];
          return change === undefined ? null : (
            <li
              key={item.key}
              className="absolute flex w-full items-center gap-3 border-b border-line px-4"
              style={{ height: ROW_PX, transform: `translateY(${item.start}px)` }}
            >
              <span className="w-20 shrink-0">
                <Badge tone={TONES[change.kind]}>{text.changes.kinds[change.kind]}</Badge>
              </span>
              <code className="select-text truncate text-xs" title={change.path}>
                {change.path}
              </code>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
