import { useMemo } from 'react';
import { Dot, type Tone } from '../components/badge.tsx';
import { formatMemory, formatPercent } from '../components/format.ts';
import { useEngineLink } from '../data/engine.ts';
import { useAppState, useContainers } from '../data/queries.ts';
import { engineLabel } from '../data/sentence.ts';
import { useSamples, useStatsWish } from '../data/stats-hub.ts';
import { text } from './text.ts';

/** More containers than this are not summed up: the status bar must not cost what it shows. */
const MAX_SUMMED = 200;

/** One line at the bottom: engine, containers, load. */
export function StatusBar() {
  const link = useEngineLink();
  const endpoint = useAppState()?.endpoint;
  const [tone, label] = describe(link.status, link.status === 'down' ? link.what : undefined);
  return (
    <footer
      aria-label={text.status.label}
      className="nums flex h-7 shrink-0 items-center gap-4 border-t border-line bg-sunken px-4 text-2xs text-ink-2"
    >
      <span role="status" className="flex items-center gap-2">
        <Dot tone={tone} isLive={link.status === 'connecting'} />
        {label}
      </span>
      {link.status === 'connected' && (
        <span title={endpoint?.url} className="text-ink-3">
          {engineLabel(link.info.product, link.info.version)}
        </span>
      )}
      {link.status === 'connected' && (
        <Load cores={link.info.cpuCount} memoryBytes={link.info.memoryBytes} />
      )}
    </footer>
  );
}

function describe(
  status: 'connecting' | 'connected' | 'down',
  what: 'host' | 'refused' | 'engine' | undefined,
): readonly [Tone, string] {
  if (status === 'connected') {
    return ['ok', text.status.running];
  }
  if (status === 'connecting') {
    return ['warn', text.status.connecting];
  }
  const labels = {
    host: text.status.hostDown,
    refused: text.status.refused,
    engine: text.status.down,
  };
  return ['bad', labels[what ?? 'engine']];
}

function Load({ cores, memoryBytes }: { readonly cores: number; readonly memoryBytes: number }) {
  const containers = useContainers();
  const runningIds = useMemo(
    () =>
      (containers?.items ?? [])
        .filter((container) => container.state === 'running')
        .map((container) => container.id),
    [containers],
  );
  const summedIds = useMemo(() => runningIds.slice(0, MAX_SUMMED), [runningIds]);
  useStatsWish('status-bar', summedIds);
  const samples = useSamples();
  let cpuPercent = 0;
  let usedBytes = 0;
  for (const id of summedIds) {
    const sample = samples.get(id);
    cpuPercent += sample?.cpuPercent ?? 0;
    usedBytes += sample?.memoryBytes ?? 0;
  }
  return (
    <>
      {containers !== undefined && (
        <span className="ml-auto">
          {text.status.containers(runningIds.length, containers.items.length)}
        </span>
      )}
      <span title={text.status.cpuTitle(cores)}>
        <span className="text-ink-3">{text.status.cpu}</span> {formatPercent(cpuPercent)}
      </span>
      <span title={text.status.memoryTitle(formatMemory(memoryBytes))}>
        <span className="text-ink-3">{text.status.memory}</span> {formatMemory(usedBytes)}
      </span>
    </>
  );
}
