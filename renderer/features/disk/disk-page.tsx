import { useQueryClient } from '@tanstack/react-query';
import { HardDrive, RefreshCw, Sparkles } from 'lucide-react';
import { useMemo, useState } from 'react';
import type { DiskItem, DiskKind, DiskUsage } from '../../../electron/contract/storage-channels.ts';
import { useNotConnected } from '../../app/not-connected.tsx';
import { Badge } from '../../components/badge.tsx';
import { Button } from '../../components/button.tsx';
import { DataTable, Section } from '../../components/facts.tsx';
import { SearchInput } from '../../components/field.tsx';
import { formatAgo, formatBytes, formatCount } from '../../components/format.ts';
import { StackedBar } from '../../components/meter.tsx';
import { EmptyState, ErrorState, Skeleton } from '../../components/state.tsx';
import { problemOf } from '../../data/bridge.ts';
import { useCall } from '../../data/queries.ts';
import { useNow } from '../../data/use-now.ts';
import { type BreakdownRow, breakdown, totals } from './breakdown.ts';
import { PruneDialog } from './prune-dialog.tsx';
import { text } from './text.ts';

const ALL_KINDS: readonly DiskKind[] = [
  'images',
  'containers',
  'volumes',
  'networks',
  'buildCache',
];
/** The list of items is for finding the large ones; the rest only counts. */
const MAX_ITEMS = 60;

/** What takes how much, and a way to get it back. */
export default function DiskPage() {
  const client = useQueryClient();
  const notConnected = useNotConnected();
  const { data, error, isFetching, refetch } = useCall('disk.usage', {});
  const [pruning, setPruning] = useState<readonly DiskKind[]>();
  const measure = (): void => {
    void refetch();
  };
  return (
    <>
      <header className="flex h-14 shrink-0 items-center gap-3 px-5">
        <h1 className="text-lg font-semibold tracking-[-0.01em]">{text.title}</h1>
        {data !== undefined && <MeasuredAt timeMs={data.measuredAtMs} />}
        <div className="ml-auto flex items-center gap-2">
          <Button icon={RefreshCw} isBusy={isFetching} onClick={measure}>
            {isFetching ? text.measuring : text.measure}
          </Button>
          <Button tone="primary" icon={Sparkles} onClick={() => setPruning(ALL_KINDS)}>
            {text.cleanUp}
          </Button>
        </div>
      </header>
      {data !== undefined ? (
        <Usage usage={data} onPrune={setPruning} />
      ) : error === null ? (
        (notConnected ?? <DiskSkeleton />)
      ) : (
        (notConnected ?? (
          <ErrorState
            title={text.failed}
            message={problemOf(error).message}
            hint={problemOf(error).hint}
            onRetry={measure}
          />
        ))
      )}
      {pruning !== undefined && (
        <PruneDialog
          kinds={pruning}
          onClose={(hasChanged) => {
            setPruning(undefined);
            if (hasChanged) {
              void client.invalidateQueries({ queryKey: ['disk.usage'] });
            }
          }}
        />
      )}
    </>
  );
}

function MeasuredAt({ timeMs }: { readonly timeMs: number }) {
  return (
    <span className="nums text-xs text-ink-3">{text.measuredAt(formatAgo(timeMs, useNow()))}</span>
  );
}

function DiskSkeleton() {
  return (
    <div role="status" aria-label={text.measuring} className="flex flex-col gap-4 px-5">
      <Skeleton className="h-36 w-full rounded-md" />
      <Skeleton className="h-52 w-full rounded-md" />
    </div>
  );
}

function Usage({
  usage,
  onPrune,
}: {
  readonly usage: DiskUsage;
  readonly onPrune: (kinds: readonly DiskKind[]) => void;
}) {
  const rows = useMemo(() => breakdown(usage), [usage]);
  const sum = totals(rows);
  const barLabel = text.bar(
    rows.map((row) => `${text.kinds[row.kind]} ${formatBytes(row.totalBytes)}`).join(', '),
  );
  return (
    <div className="min-h-0 flex-1 overflow-y-auto px-5 pb-5">
      <div className="flex flex-col gap-4">
        <section aria-label={text.total} className="rounded-md border border-line bg-surface p-5">
          <div className="flex items-end justify-between gap-4 pb-4">
            <div>
              <p className="text-xs font-medium text-ink-3">{text.total}</p>
              <p className="nums mt-1 text-[28px] font-semibold leading-8 tracking-[-0.02em]">
                {formatBytes(sum.totalBytes)}
              </p>
            </div>
            <Badge tone={sum.reclaimableBytes > 0 ? 'accent' : 'neutral'}>
              {sum.reclaimableBytes > 0
                ? text.reclaimable(formatBytes(sum.reclaimableBytes))
                : text.nothingReclaimable}
            </Badge>
          </div>
          <StackedBar
            label={barLabel}
            total={sum.totalBytes}
            parts={rows.flatMap((row) => {
              const total = row.totalBytes ?? 0;
              const label = `${text.kinds[row.kind]} ${formatBytes(total)}`;
              return [
                {
                  id: row.kind,
                  label,
                  value: total - row.reclaimableBytes,
                  color: row.color,
                },
                {
                  id: `${row.kind}-free`,
                  label: `${label}: ${text.reclaimable(formatBytes(row.reclaimableBytes))}`,
                  value: row.reclaimableBytes,
                  color: row.color,
                  isHatched: true,
                },
              ];
            })}
          />
          <div className="mt-5 overflow-x-auto">
            <BreakdownTable rows={rows} usage={usage} onPrune={onPrune} />
          </div>
        </section>
        <Items items={usage.items} />
      </div>
    </div>
  );
}

function noteOf(row: BreakdownRow, usage: DiskUsage): string {
  switch (row.kind) {
    case 'images':
      return usage.images.sharedBytes > 0
        ? text.kindNotes.images(formatBytes(usage.images.sharedBytes))
        : '';
    case 'logs':
      return usage.logs.isKnown ? text.kindNotes.logs : text.kindNotes.logsUnknown;
    case 'containers':
    case 'volumes':
    case 'buildCache':
      return text.kindNotes[row.kind];
    default:
      return row.kind satisfies never;
  }
}

function BreakdownTable({
  rows,
  usage,
  onPrune,
}: {
  readonly rows: readonly BreakdownRow[];
  readonly usage: DiskUsage;
  readonly onPrune: (kinds: readonly DiskKind[]) => void;
}) {
  const number = 'nums text-right whitespace-nowrap';
  return (
    <DataTable
      label={text.title}
      columns={[
        { id: 'kind', label: text.columns.kind },
        { id: 'count', label: text.columns.count, className: `${number} w-20` },
        { id: 'inUse', label: text.columns.inUse, className: `${number} w-20` },
        { id: 'size', label: text.columns.size, className: `${number} w-28` },
        { id: 'free', label: text.columns.reclaimable, className: `${number} w-32` },
        { id: 'action', label: text.columns.action, className: 'w-28 text-right' },
      ]}
      rows={rows.map((row) => ({
        id: row.kind,
        cells: [
          <span key="kind" className="flex items-start gap-2.5">
            <span
              aria-hidden
              className="mt-1 size-2.5 shrink-0 rounded-[3px]"
              style={{ backgroundColor: row.color }}
            />
            <span className="min-w-0">
              <span className="block font-medium">{text.kinds[row.kind]}</span>
              <span className="block text-xs text-ink-3">{noteOf(row, usage)}</span>
            </span>
          </span>,
          row.count === undefined ? '' : formatCount(row.count),
          row.inUseCount === undefined ? '' : formatCount(row.inUseCount),
          formatBytes(row.totalBytes),
          row.reclaimableBytes > 0 ? formatBytes(row.reclaimableBytes) : '—',
          row.kind === 'logs' ? null : (
            <Button
              key="action"
              size="sm"
              aria-label={text.cleanKind(text.kinds[row.kind].toLowerCase())}
              disabled={row.reclaimableBytes === 0 && row.inUseCount === row.count}
              onClick={() => onPrune(row.kind === 'logs' ? [] : [row.kind])}
            >
              {text.clean}
            </Button>
          ),
        ],
      }))}
    />
  );
}

function Items({ items }: { readonly items: readonly DiskItem[] }) {
  const [query, setQuery] = useState('');
  const sorted = useMemo(() => {
    const needle = query.toLowerCase();
    return items
      .filter((item) => item.name.toLowerCase().includes(needle))
      .sort((a, b) => b.bytes - a.bytes);
  }, [items, query]);
  const shown = sorted.slice(0, MAX_ITEMS);
  const { columns } = text.items;
  return (
    <Section title={text.items.title}>
      {items.length === 0 ? (
        <EmptyState isCompact icon={HardDrive} title={text.items.none} />
      ) : (
        <>
          <div className="border-b border-line px-3 py-2">
            <SearchInput
              label={text.items.search}
              value={query}
              onChange={setQuery}
              className="w-72"
            />
          </div>
          <DataTable
            label={text.items.title}
            columns={[
              { id: 'name', label: columns.name },
              { id: 'kind', label: columns.kind, className: 'w-32' },
              { id: 'use', label: columns.use, className: 'w-28' },
              {
                id: 'size',
                label: columns.size,
                className: 'nums w-44 whitespace-nowrap text-right',
              },
            ]}
            rows={shown.map((item) => ({
              id: `${item.kind} ${item.id}`,
              cells: [
                <span key="name" className="break-all">
                  {item.name}
                </span>,
                text.kinds[item.kind],
                item.isInUse ? text.items.inUse : text.items.unused,
                <span key="size">
                  <span className="block">{formatBytes(item.bytes)}</span>
                  <span className="block text-xs text-ink-3">{sizeNote(item)}</span>
                </span>,
              ],
            }))}
          />
          {sorted.length > shown.length && (
            <p className="border-t border-line px-3 py-2 text-xs text-ink-3">
              {text.items.more(formatCount(sorted.length - shown.length))}
            </p>
          )}
        </>
      )}
    </Section>
  );
}

function sizeNote(item: DiskItem): string {
  if (item.uniqueBytes !== undefined && item.uniqueBytes !== item.bytes) {
    return text.items.shares(formatBytes(item.uniqueBytes));
  }
  return item.logBytes !== undefined && item.logBytes > 0
    ? text.items.logs(formatBytes(item.logBytes))
    : '';
}
