import type {
  ContainerPort,
  ContainerSummary,
} from '../../../electron/contract/container-channels.ts';
import { Dot } from '../../components/badge.tsx';
import { formatDuration, formatMemory, formatPercent } from '../../components/format.ts';
import { Tooltip } from '../../components/tooltip.tsx';
import { openExternal } from '../../data/bridge.ts';
import { usePending } from '../../data/pending.ts';
import { useSample, useSamples } from '../../data/stats-hub.ts';
import { useNow } from '../../data/use-now.ts';
import { type PortLink, portLinks, stateView } from './container-state.ts';
import { text } from './text.ts';

/** Dot, state in words, health and restarts. */
export function StateCell({ container }: { readonly container: ContainerSummary }) {
  const view = stateView(container, usePending(container.id));
  const restarts = container.restartCount ?? 0;
  const details = [
    container.state === 'running' && container.health !== 'none' && container.health !== 'unhealthy'
      ? text.health[container.health].toLowerCase()
      : '',
    restarts > 0 ? text.restarts(restarts) : '',
  ].filter((detail) => detail !== '');
  return (
    <span className="flex min-w-0 items-center gap-2">
      <Dot tone={view.tone} isLive={view.isLive} />
      <span className="truncate text-ink">
        {view.label}
        {details.length > 0 && <span className="text-ink-3"> {details.join(', ')}</span>}
      </span>
    </span>
  );
}

/** Characters of port labels that a column has room for. */
const PORTS_CHARS = 17;

/** How many links have room, at least one. */
function fittingCount(links: readonly PortLink[], maxChars: number): number {
  let used = 0;
  for (const [index, link] of links.entries()) {
    used += link.label.length;
    if (used > maxChars) {
      return Math.max(1, index);
    }
  }
  return links.length;
}

/** Published ports, as many as there is room for; a click opens the browser. */
export function PortsCell({
  ports,
  isRunning,
  tabIndex,
  maxChars = PORTS_CHARS,
}: {
  readonly ports: readonly ContainerPort[];
  readonly isRunning: boolean;
  readonly tabIndex?: number;
  readonly maxChars?: number;
}) {
  const links = portLinks(ports);
  const limit = fittingCount(links, maxChars);
  const rest = links.slice(limit);
  return (
    <span className="nums flex min-w-0 items-center gap-2">
      {links.slice(0, limit).map((link) => (
        <PortLinkView key={link.key} link={link} isRunning={isRunning} tabIndex={tabIndex} />
      ))}
      {rest.length > 0 && (
        <Tooltip label={rest.map((link) => link.label).join(', ')}>
          <span className="shrink-0 text-xs text-ink-3">{text.morePorts(rest.length)}</span>
        </Tooltip>
      )}
    </span>
  );
}

function PortLinkView({
  link,
  isRunning,
  tabIndex,
}: {
  readonly link: PortLink;
  readonly isRunning: boolean;
  readonly tabIndex: number | undefined;
}) {
  const { url } = link;
  return url !== undefined && isRunning ? (
    <a
      href={url}
      aria-label={text.openPort(link.label)}
      title={url}
      target="_blank"
      rel="noopener noreferrer"
      tabIndex={tabIndex}
      onClick={(event) => {
        event.preventDefault();
        void openExternal(url);
      }}
      className="shrink-0 rounded-xs text-accent-ink underline-offset-2 hover:underline"
    >
      {link.label}
    </a>
  ) : (
    <span className="shrink-0 text-ink-3">{link.label}</span>
  );
}

/** CPU of one container; empty while it does not run. */
export function CpuCell({ container }: { readonly container: ContainerSummary }) {
  const sample = useSample(container.id);
  return container.state === 'running' ? (
    <span className="nums text-ink-2">{formatPercent(sample?.cpuPercent)}</span>
  ) : null;
}

/** Memory of one container; empty while it does not run. */
export function MemoryCell({ container }: { readonly container: ContainerSummary }) {
  const sample = useSample(container.id);
  return container.state === 'running' || container.state === 'paused' ? (
    <span className="nums text-ink-2">{formatMemory(sample?.memoryBytes)}</span>
  ) : null;
}

/** CPU or memory of a whole project. */
export function SumCell({
  containers,
  of,
}: {
  readonly containers: readonly ContainerSummary[];
  readonly of: 'cpu' | 'memory';
}) {
  const samples = useSamples();
  const running = containers.filter(
    (container) => container.state === 'running' && samples.has(container.id),
  );
  if (running.length === 0) {
    return null;
  }
  const sum = running.reduce((total, container) => {
    const sample = samples.get(container.id);
    return total + ((of === 'cpu' ? sample?.cpuPercent : sample?.memoryBytes) ?? 0);
  }, 0);
  return <span className="nums">{of === 'cpu' ? formatPercent(sum) : formatMemory(sum)}</span>;
}

/** How long it has been running. */
export function UptimeCell({ container }: { readonly container: ContainerSummary }) {
  const now = useNow();
  return container.state === 'running' && container.startedAtMs !== undefined ? (
    <span className="nums text-ink-2">{formatDuration(now - container.startedAtMs)}</span>
  ) : null;
}
