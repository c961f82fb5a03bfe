import type {
  ContainerPort,
  ContainerSummary,
} from '../../../electron/contract/container-channels.ts';
import type { Tone } from '../../components/badge.tsx';
import type { PendingVerb } from '../../data/pending.ts';
import { text } from './text.ts';

/** A state as it is shown. */
export interface StateView {
  readonly label: string;
  readonly tone: Tone;
  /** Passing: the dot pulses. */
  readonly isLive: boolean;
}

/** What the state column says: work under way first, then the engine's state with exit code and health. */
export function stateView(container: ContainerSummary, verb: PendingVerb | undefined): StateView {
  if (verb !== undefined) {
    return { label: text.pending[verb], tone: 'warn', isLive: true };
  }
  switch (container.state) {
    case 'running':
      return container.health === 'unhealthy'
        ? { label: text.health.unhealthy, tone: 'bad', isLive: false }
        : { label: text.states.running, tone: 'ok', isLive: container.health === 'starting' };
    case 'exited':
      return exitedView(container);
    case 'restarting':
      return { label: text.states.restarting, tone: 'warn', isLive: true };
    case 'removing':
      return { label: text.states.removing, tone: 'warn', isLive: true };
    case 'paused':
      return { label: text.states.paused, tone: 'warn', isLive: false };
    case 'dead':
      return { label: text.states.dead, tone: 'bad', isLive: false };
    case 'created':
      return { label: text.states.created, tone: 'idle', isLive: false };
    default:
      return container.state satisfies never;
  }
}

function exitedView(container: ContainerSummary): StateView {
  if (container.isOomKilled === true) {
    return { label: text.oomKilled, tone: 'bad', isLive: false };
  }
  if (container.exitCode === undefined) {
    return { label: text.states.exited, tone: 'idle', isLive: false };
  }
  // 137 and 143 are what an ordinary stop or kill leaves: no alarm.
  const isPlain = [0, 130, 137, 143].includes(container.exitCode);
  return {
    label: text.exitedWith(container.exitCode),
    tone: isPlain ? 'idle' : 'bad',
    isLive: false,
  };
}

/** True when it has processes. */
export function isActive(container: ContainerSummary): boolean {
  return ['running', 'paused', 'restarting'].includes(container.state);
}

/** Rank of a state for sorting: what runs first. */
export function stateRank(container: ContainerSummary): number {
  return ['running', 'restarting', 'paused', 'created', 'exited', 'removing', 'dead'].indexOf(
    container.state,
  );
}

/** A published port as the list shows it, several addresses of the same port in one. */
export interface PortLink {
  readonly key: string;
  /** `8080:80`, `53:53/udp`. */
  readonly label: string;
  /** Opens in the browser; TCP only. */
  readonly url: string | undefined;
}

/** Published ports without the doubles for IPv4 and IPv6, by host port. */
export function portLinks(ports: readonly ContainerPort[]): readonly PortLink[] {
  const links = new Map<string, PortLink & { readonly hostPort: number }>();
  for (const port of ports) {
    if (port.hostPort === undefined) {
      continue;
    }
    const suffix = port.protocol === 'tcp' ? '' : `/${port.protocol}`;
    const key = `${port.hostPort}:${port.containerPort}${suffix}`;
    if (!links.has(key)) {
      const scheme = port.containerPort === 443 || port.containerPort === 8443 ? 'https' : 'http';
      links.set(key, {
        key,
        label: key,
        hostPort: port.hostPort,
        url:
          port.protocol === 'tcp'
            ? `${scheme}://${linkHost(port.hostIp)}:${port.hostPort}/`
            : undefined,
      });
    }
  }
  return [...links.values()].sort((a, b) => a.hostPort - b.hostPort);
}

/** A wildcard address is reached as localhost. */
function linkHost(hostIp: string | undefined): string {
  if (hostIp === undefined || ['', '0.0.0.0', '::', '127.0.0.1', '::1'].includes(hostIp)) {
    return 'localhost';
  }
  return hostIp.includes(':') ? `[${hostIp}]` : hostIp;
}
