import { Activity } from 'lucide-react';
import { useMemo, useState } from 'react';
import type {
  ContainerSummary,
  StatsSample,
} from '../../../../electron/contract/container-channels.ts';
import { formatBytes, formatMemory, formatPercent } from '../../../components/format.ts';
import { EmptyState, ErrorState, Skeleton } from '../../../components/state.tsx';
import { problemOf } from '../../../data/bridge.ts';
import { useCall } from '../../../data/queries.ts';
import { useSample, useStatsWish } from '../../../data/stats-hub.ts';
import { text } from '../text.ts';
import { Chart, type ChartLine } from './chart.tsx';
import { addSample, mergeSamples, toSeries } from './series.ts';

const WISH = 'container-stats';

/** Load of one container: what the host has kept of the last minutes, then live. */
export default function StatsTab({ container }: { readonly container: ContainerSummary }) {
  const isRunning = container.state === 'running' || container.state === 'paused';
  const ids = useMemo(() => (isRunning ? [container.id] : []), [isRunning, container.id]);
  useStatsWish(WISH, ids);
  // Each visit asks anew: the host has gone on sampling, or not.
  const [visit] = useState(() => Date.now());
  const history = useCall('containers.statsHistory', { id: container.id }, { version: visit });
  const sample = useSample(container.id);
  const [live, setLive] = useState<readonly StatsSample[]>([]);
  const [seen, setSeen] = useState<StatsSample>();
  if (sample !== undefined && sample !== seen) {
    setSeen(sample);
    setLive(addSample(live, sample));
  }
  const samples = useMemo(
    () => mergeSamples(history.data?.samples ?? [], live),
    [history.data, live],
  );
  if (history.error !== null && samples.length === 0) {
    const problem = problemOf(history.error);
    return (
      <ErrorState
        message={problem.message}
        hint={problem.hint}
        onRetry={() => {
          void history.refetch();
        }}
      />
    );
  }
  if (samples.length === 0) {
    return isRunning ? (
      <div className="grid grid-cols-2 gap-4 p-5">
        {['cpu', 'memory', 'network', 'disk'].map((id) => (
          <Skeleton key={id} className="h-56 w-full rounded-md" />
        ))}
      </div>
    ) : (
      <EmptyState icon={Activity} title={text.stats.notRunning} body={text.stats.notRunningBody} />
    );
  }
  return <Charts samples={samples} />;
}

function Charts({ samples }: { readonly samples: readonly StatsSample[] }) {
  const series = useMemo(() => toSeries(samples), [samples]);
  const last = samples.at(-1);
  const lastOf = (values: readonly (number | null)[]): number | undefined =>
    values.at(-1) ?? undefined;
  const perSecond = (value: number | undefined): string =>
    value === undefined ? '—' : text.stats.perSecond(formatBytes(value));
  const hasLimit = (last?.memoryLimitBytes ?? 0) > 0;
  const showLimit = hasLimit && (last?.memoryBytes ?? 0) > (last?.memoryLimitBytes ?? 0) * 0.05;
  const cpu = formatPercent(last?.cpuPercent);
  const memory = formatMemory(last?.memoryBytes);
  const lines = useMemo(
    () => ({
      cpu: [{ label: text.stats.cpu, token: '--chart-1', values: series.cpuPercent }],
      memory: [
        { label: text.stats.memory, token: '--chart-2', values: series.memoryBytes },
        ...(showLimit
          ? [
              {
                label: text.stats.limit,
                token: '--bad',
                values: series.memoryLimitBytes,
                isLimit: true,
              },
            ]
          : []),
      ],
      network: [
        { label: text.stats.received, token: '--chart-1', values: series.rxRate },
        { label: text.stats.sent, token: '--chart-3', values: series.txRate },
      ],
      disk: [
        { label: text.stats.read, token: '--chart-4', values: series.readRate },
        { label: text.stats.written, token: '--chart-3', values: series.writeRate },
      ],
    }),
    [series, showLimit],
  );
  return (
    <div className="min-h-0 flex-1 overflow-y-auto p-5">
      <div className="mx-auto grid max-w-6xl grid-cols-1 gap-4 lg:grid-cols-2">
        <Panel
          title={text.stats.cpu}
          value={cpu}
          note={text.stats.cpuNote(String(last?.cpuCount ?? 0))}
          lines={lines.cpu}
          timesSec={series.timesSec}
          format={percentTick}
          minMax={5}
        />
        <Panel
          title={text.stats.memory}
          value={memory}
          note={text.stats.memoryNote(memory, formatMemory(last?.memoryLimitBytes))}
          lines={lines.memory}
          timesSec={series.timesSec}
          format={formatMemory}
          minMax={1024 * 1024}
          base={2}
        />
        <Panel
          title={text.stats.network}
          value={`${perSecond(lastOf(series.rxRate))} / ${perSecond(lastOf(series.txRate))}`}
          note={text.stats.totals(formatBytes(last?.netRxBytes), formatBytes(last?.netTxBytes))}
          lines={lines.network}
          timesSec={series.timesSec}
          format={formatBytes}
          minMax={1000}
        />
        <Panel
          title={text.stats.disk}
          value={`${perSecond(lastOf(series.readRate))} / ${perSecond(lastOf(series.writeRate))}`}
          note={text.stats.diskTotals(
            formatBytes(last?.blockReadBytes),
            formatBytes(last?.blockWriteBytes),
          )}
          lines={lines.disk}
          timesSec={series.timesSec}
          format={formatBytes}
          minMax={1000}
        />
      </div>
    </div>
  );
}

/** Steps of the scale are round: no decimals needed above one. */
const percentTick = (value: number): string => `${Number(value.toFixed(1))}%`;

interface PanelProps {
  readonly title: string;
  readonly value: string;
  readonly note: string;
  readonly lines: readonly ChartLine[];
  readonly timesSec: readonly number[];
  readonly format: (value: number) => string;
  readonly minMax: number;
  readonly base?: 10 | 2;
}

function Panel({ title, value, note, lines, timesSec, format, minMax, base = 10 }: PanelProps) {
  return (
    <section aria-label={title} className="rounded-md border border-line bg-surface">
      <header className="flex items-start justify-between gap-4 px-4 pt-3">
        <div className="min-w-0">
          <h2 className="text-xs font-medium text-ink-3">{title}</h2>
          <p className="nums text-lg font-semibold tracking-[-0.01em]">{value}</p>
          <p className="nums truncate text-xs text-ink-3">{note}</p>
        </div>
        {lines.length > 1 && (
          <ul className="flex shrink-0 gap-3 pt-0.5">
            {lines.map((line) => (
              <li key={line.label} className="flex items-center gap-1.5 text-xs text-ink-2">
                <span
                  aria-hidden
                  className="h-0.5 w-3 rounded-full"
                  style={{ backgroundColor: `var(${line.token})` }}
                />
                {line.label}
              </li>
            ))}
          </ul>
        )}
      </header>
      <div className="px-2 pt-2 pb-2">
        <Chart
          label={text.stats.chart(title, value)}
          timesSec={timesSec}
          lines={lines}
          format={format}
          minMax={minMax}
          base={base}
        />
      </div>
    </section>
  );
}
