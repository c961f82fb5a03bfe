import { useVirtualizer } from '@tanstack/react-virtual';
import { CircleCheck, Sparkles } from 'lucide-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import type { DiskKind, PruneItem } from '../../../electron/contract/storage-channels.ts';
import { Button } from '../../components/button.tsx';
import { Checkbox, Select, Switch } from '../../components/controls.tsx';
import { Dialog } from '../../components/dialog.tsx';
import { formatBytes, formatCount } from '../../components/format.ts';
import { ProgressBar } from '../../components/meter.tsx';
import { EmptyState, Notice, Skeleton } from '../../components/state.tsx';
import { problemOf } from '../../data/bridge.ts';
import { useCall } from '../../data/queries.ts';
import { type PruneRun, runPrune } from './prune.ts';
import { text } from './text.ts';

const DAY_SEC = 86_400;
const AGES = [
  { value: 'any', label: text.prune.ages.any, seconds: 0 },
  { value: 'day', label: text.prune.ages.day, seconds: DAY_SEC },
  { value: 'week', label: text.prune.ages.week, seconds: 7 * DAY_SEC },
  { value: 'month', label: text.prune.ages.month, seconds: 30 * DAY_SEC },
] as const;
const ROW_PX = 34;

const keyOf = (item: PruneItem): string => `${item.kind} ${item.id}`;

/** Shows exactly what would go, lets items be unticked, deletes those that are left, and says what failed. */
export function PruneDialog({
  kinds,
  onClose,
}: {
  readonly kinds: readonly DiskKind[];
  readonly onClose: (hasChanged: boolean) => void;
}) {
  const [allImages, setAllImages] = useState(false);
  const [allVolumes, setAllVolumes] = useState(false);
  const [age, setAge] = useState<(typeof AGES)[number]['value']>('any');
  const [kept, setKept] = useState<ReadonlySet<string>>(new Set());
  const [run, setRun] = useState<PruneRun>();
  const [visit, setVisit] = useState(() => Date.now());
  const abort = useRef<AbortController>(undefined);
  const hasChanged = useRef(false);
  useEffect(() => () => abort.current?.abort(), []);
  const olderThanSec = AGES.find((candidate) => candidate.value === age)?.seconds ?? 0;
  const { data, error, isFetching } = useCall(
    'disk.preview',
    { kinds: [...kinds], allImages, allVolumes, ...(olderThanSec > 0 ? { olderThanSec } : {}) },
    { version: visit },
  );
  const items = data?.items;
  const chosen = useMemo(
    () => (items ?? []).filter((item) => !kept.has(keyOf(item))),
    [items, kept],
  );
  const chosenBytes = chosen.reduce((sum, item) => sum + item.bytes, 0);
  const isRunning = run?.status === 'running';
  const start = (): void => {
    const controller = new AbortController();
    abort.current = controller;
    hasChanged.current = true;
    void runPrune(chosen, controller.signal, setRun);
  };
  const close = (): void => {
    abort.current?.abort();
    onClose(hasChanged.current);
  };
  return (
    <Dialog
      isOpen
      size="lg"
      title={text.prune.title}
      description={text.prune.description}
      onClose={close}
      canClose={!isRunning}
      bodyClassName="flex flex-col gap-3"
      footer={
        run === undefined ? (
          <>
            <span role="status" className="nums mr-auto text-sm text-ink-2">
              {chosen.length > 0 && text.prune.selected(chosen.length, formatBytes(chosenBytes))}
            </span>
            <Button onClick={close}>{text.prune.cancel}</Button>
            <Button tone="danger" disabled={chosen.length === 0 || isFetching} onClick={start}>
              {text.prune.confirm(chosen.length)}
            </Button>
          </>
        ) : isRunning ? (
          <Button onClick={() => abort.current?.abort()}>{text.prune.stop}</Button>
        ) : (
          <>
            <Button
              onClick={() => {
                setRun(undefined);
                setVisit(Date.now());
              }}
            >
              {text.prune.again}
            </Button>
            <Button tone="primary" onClick={close}>
              {text.prune.close}
            </Button>
          </>
        )
      }
    >
      {run === undefined ? (
        <>
          <div
            role="group"
            aria-label={text.prune.what}
            className="flex flex-wrap items-center gap-x-6 gap-y-3 rounded-md bg-sunken px-3 py-2.5"
          >
            {kinds.includes('images') && (
              <Switch label={text.prune.allImages} isOn={allImages} onChange={setAllImages} />
            )}
            {kinds.includes('volumes') && (
              <Switch label={text.prune.allVolumes} isOn={allVolumes} onChange={setAllVolumes} />
            )}
            <Select
              label={text.prune.olderThan}
              value={age}
              options={AGES}
              onChange={setAge}
              className="ml-auto w-44"
            />
          </div>
          {allVolumes && <Notice tone="warn">{text.prune.allVolumesHint}</Notice>}
          {error !== null ? (
            <Notice tone="bad">
              {problemOf(error).message} {problemOf(error).hint}
            </Notice>
          ) : items === undefined ? (
            <div role="status" aria-label={text.prune.looking} className="flex flex-col gap-3 py-4">
              <Skeleton className="w-2/3" />
              <Skeleton className="w-1/2" />
              <Skeleton className="w-3/5" />
            </div>
          ) : items.length === 0 ? (
            <EmptyState
              isCompact
              icon={Sparkles}
              title={text.prune.nothing}
              body={text.prune.nothingBody}
            />
          ) : (
            <ItemTable items={items} kept={kept} onChange={setKept} />
          )}
        </>
      ) : (
        <RunView run={run} />
      )}
    </Dialog>
  );
}

function ItemTable({
  items,
  kept,
  onChange,
}: {
  readonly items: readonly PruneItem[];
  readonly kept: ReadonlySet<string>;
  readonly onChange: (kept: ReadonlySet<string>) => void;
}) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 8,
  });
  const keptCount = items.reduce((sum, item) => sum + (kept.has(keyOf(item)) ? 1 : 0), 0);
  const grid = 'grid grid-cols-[32px_minmax(0,2fr)_104px_minmax(0,1.4fr)_88px] items-center gap-2';
  const { columns } = text.prune;
  return (
    <div
      role="table"
      aria-label={text.prune.preview}
      aria-rowcount={items.length + 1}
      className="flex min-h-0 flex-col overflow-hidden rounded-md border border-line"
    >
      <div role="rowgroup">
        <div
          role="row"
          aria-rowindex={1}
          className={`${grid} h-8 border-b border-line bg-sunken pr-4 text-xs font-medium text-ink-3`}
        >
          <span role="columnheader" className="flex justify-center">
            <Checkbox
              label={text.prune.selectAll}
              isChecked={keptCount === 0}
              isIndeterminate={keptCount > 0 && keptCount < items.length}
              onChange={(isChecked) => onChange(isChecked ? new Set() : new Set(items.map(keyOf)))}
            />
          </span>
          <span role="columnheader">{columns.name}</span>
          <span role="columnheader">{columns.kind}</span>
          <span role="columnheader">{columns.reason}</span>
          <span role="columnheader" className="text-right">
            {columns.size}
          </span>
        </div>
      </div>
      <div ref={scroller} className="max-h-80 overflow-y-auto">
        <div role="rowgroup" className="relative" style={{ height: virtualizer.getTotalSize() }}>
          {virtualizer.getVirtualItems().map((virtual) => {
            const item = items[virtual.index];
            if (item === undefined) {
              return null;
            }
            const key = keyOf(item);
            return (
              <div
                key={key}
                role="row"
                aria-rowindex={virtual.index + 2}
                className={`${grid} absolute w-full border-b border-line pr-4 text-sm`}
                style={{ height: ROW_PX, transform: `translateY(${virtual.start}px)` }}
              >
                <span role="cell" className="flex justify-center">
                  <Checkbox
                    label={text.prune.select(item.name)}
                    isChecked={!kept.has(key)}
                    onChange={(isChecked) => {
                      const next = new Set(kept);
                      if (isChecked) {
                        next.delete(key);
                      } else {
                        next.add(key);
                      }
                      onChange(next);
                    }}
                  />
                </span>
                <span role="cell" className="truncate" title={item.name}>
                  {item.name}
                </span>
                <span role="cell" className="truncate text-ink-2">
                  {text.kinds[item.kind]}
                </span>
                <span role="cell" className="truncate text-ink-3" title={item.reason}>
                  {item.reason}
                </span>
                <span role="cell" className="nums text-right text-ink-2">
                  {formatBytes(item.bytes)}
                </span>
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

function RunView({ run }: { readonly run: PruneRun }) {
  const size = formatBytes(run.freedBytes);
  const count = run.removedCount;
  return (
    <div className="flex flex-col gap-4 py-2">
      {run.status === 'running' && (
        <>
          <ProgressBar
            label={text.prune.progressLabel}
            value={run.doneCount / Math.max(1, run.totalCount)}
          />
          <p role="status" className="nums text-sm text-ink-2">
            {text.prune.progress(formatCount(run.doneCount), formatCount(run.totalCount))}
          </p>
        </>
      )}
      {(run.status === 'done' || run.status === 'stopped') && (
        <p role="status" className="nums flex items-center gap-2 text-base font-medium">
          <CircleCheck aria-hidden className="size-5 text-ok" />
          {run.status === 'done'
            ? text.prune.summary(size, count)
            : text.prune.stopped(size, count)}
        </p>
      )}
      {run.status === 'failed' && (
        <Notice tone="bad">
          <p className="font-medium">{text.prune.failed}</p>
          <p>
            {run.problem?.message} {run.problem?.hint}
          </p>
        </Notice>
      )}
      {run.failures.length > 0 && (
        <Notice tone="warn">
          <p className="font-medium">{text.prune.failures(formatCount(run.failures.length))}</p>
          <ul className="mt-1 max-h-60 list-inside list-disc overflow-y-auto">
            {run.failures.map((failure) => (
              <li key={failure.key} className="break-words">
                {failure.name}: {failure.message}
              </li>
            ))}
          </ul>
        </Notice>
      )}
    </div>
  );
}
