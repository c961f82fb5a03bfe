import {
  CirclePlay,
  Copy,
  Download,
  FileText,
  Pause,
  Pencil,
  Play,
  RotateCcw,
  Skull,
  Square,
  SquareTerminal,
  Trash2,
} from 'lucide-react';
import type { ContainerSummary } from '../../../electron/contract/container-channels.ts';
import { copyAndTell } from '../../components/copy-and-tell.ts';
import type { Action } from '../../components/menu.tsx';
import { exportContainer, runAction, runBulk, runProjectAction } from './actions.ts';
import { isActive } from './container-state.ts';
import { text } from './text.ts';

/** What a menu needs from its page. */
export interface ContainerMenuContext {
  readonly navigate: (path: string) => void;
  readonly askRemove: (containers: readonly ContainerSummary[], project?: string) => void;
  readonly askRename: (container: ContainerSummary) => void;
}

const run = (work: Promise<void>): void => {
  void work;
};

/** Start or stop: what a row offers without a menu. */
export function quickActions(container: ContainerSummary): readonly Action[] {
  const name = text.actions;
  if (container.state === 'paused') {
    return [
      {
        id: 'unpause',
        label: name.unpause,
        icon: Play,
        run: () => run(runAction(container, 'unpause')),
      },
    ];
  }
  return isActive(container)
    ? [
        {
          id: 'restart',
          label: name.restart,
          icon: RotateCcw,
          run: () => run(runAction(container, 'restart')),
        },
        {
          id: 'stop',
          label: name.stop,
          icon: Square,
          run: () => run(runAction(container, 'stop')),
        },
      ]
    : [
        {
          id: 'start',
          label: name.start,
          icon: Play,
          run: () => run(runAction(container, 'start')),
        },
      ];
}

/** Everything that can be done with one container. */
export function containerActions(
  container: ContainerSummary,
  context: ContainerMenuContext,
  options: { readonly isDetail?: boolean } = {},
): readonly Action[] {
  const name = text.actions;
  const path = `/containers/${encodeURIComponent(container.id)}`;
  const isRunning = container.state === 'running';
  const active = isActive(container);
  const open: Action[] =
    options.isDetail === true
      ? []
      : [
          {
            id: 'logs',
            label: name.logs,
            icon: FileText,
            run: () => context.navigate(`${path}/logs`),
          },
          {
            id: 'terminal',
            label: name.terminal,
            icon: SquareTerminal,
            isDisabled: !isRunning,
            run: () => context.navigate(`${path}/terminal`),
          },
        ];
  const actions: (Action | undefined)[] = [
    ...open,
    active
      ? undefined
      : {
          id: 'start',
          label: name.start,
          icon: Play,
          hasSeparator: true,
          run: () => run(runAction(container, 'start')),
        },
    container.state === 'paused'
      ? {
          id: 'unpause',
          label: name.unpause,
          icon: CirclePlay,
          hasSeparator: true,
          run: () => run(runAction(container, 'unpause')),
        }
      : undefined,
    active
      ? {
          id: 'stop',
          label: name.stop,
          icon: Square,
          hasSeparator: true,
          run: () => run(runAction(container, 'stop')),
        }
      : undefined,
    active
      ? {
          id: 'restart',
          label: name.restart,
          icon: RotateCcw,
          run: () => run(runAction(container, 'restart')),
        }
      : undefined,
    isRunning
      ? {
          id: 'pause',
          label: name.pause,
          icon: Pause,
          run: () => run(runAction(container, 'pause')),
        }
      : undefined,
    active
      ? { id: 'kill', label: name.kill, icon: Skull, run: () => run(runAction(container, 'kill')) }
      : undefined,
    {
      id: 'rename',
      label: name.rename,
      icon: Pencil,
      hasSeparator: true,
      run: () => context.askRename(container),
    },
    { id: 'copy-id', label: name.copyId, icon: Copy, run: () => copyAndTell(container.id) },
    {
      id: 'export',
      label: name.export,
      icon: Download,
      run: () => run(exportContainer(container)),
    },
    {
      id: 'remove',
      label: name.remove,
      icon: Trash2,
      isDangerous: true,
      hasSeparator: true,
      run: () => context.askRemove([container]),
    },
  ];
  return actions.filter((action) => action !== undefined);
}

/** What can be done with several containers at once. */
export function bulkActions(
  containers: readonly ContainerSummary[],
  context: ContainerMenuContext,
): readonly Action[] {
  const name = text.actions;
  const stopped = containers.filter((container) => !isActive(container));
  const active = containers.filter(isActive);
  const running = containers.filter((container) => container.state === 'running');
  const paused = containers.filter((container) => container.state === 'paused');
  const actions: (Action | undefined)[] = [
    {
      id: 'start',
      label: name.start,
      icon: Play,
      isDisabled: stopped.length === 0,
      run: () => run(runBulk(stopped, 'start')),
    },
    {
      id: 'stop',
      label: name.stop,
      icon: Square,
      isDisabled: active.length === 0,
      run: () => run(runBulk(active, 'stop')),
    },
    {
      id: 'restart',
      label: name.restart,
      icon: RotateCcw,
      isDisabled: active.length === 0,
      run: () => run(runBulk(active, 'restart')),
    },
    paused.length > 0
      ? {
          id: 'unpause',
          label: name.unpause,
          icon: CirclePlay,
          run: () => run(runBulk(paused, 'unpause')),
        }
      : {
          id: 'pause',
          label: name.pause,
          icon: Pause,
          isDisabled: running.length === 0,
          run: () => run(runBulk(running, 'pause')),
        },
    {
      id: 'remove',
      label: name.remove,
      icon: Trash2,
      isDangerous: true,
      hasSeparator: true,
      run: () => context.askRemove(containers),
    },
  ];
  return actions.filter((action) => action !== undefined);
}

/** What can be done with a compose project. The first two are shown in its row. */
export function projectActions(
  project: string,
  containers: readonly ContainerSummary[],
  context: ContainerMenuContext,
): readonly Action[] {
  const name = text.actions;
  const hasActive = containers.some(isActive);
  const act = (action: 'start' | 'stop' | 'restart') => () =>
    run(runProjectAction(project, containers, action));
  const start: Action = {
    id: 'start',
    label: name.startAll,
    icon: Play,
    isDisabled: containers.every(isActive),
    run: act('start'),
  };
  const stop: Action = {
    id: 'stop',
    label: name.stopAll,
    icon: Square,
    isDisabled: !hasActive,
    run: act('stop'),
  };
  const restart: Action = {
    id: 'restart',
    label: name.restartAll,
    icon: RotateCcw,
    isDisabled: !hasActive,
    run: act('restart'),
  };
  return [
    ...(hasActive ? [restart, stop, start] : [start, stop, restart]),
    {
      id: 'logs',
      label: name.projectLogs,
      icon: FileText,
      hasSeparator: true,
      run: () => context.navigate(`/projects/${encodeURIComponent(project)}/logs`),
    },
    {
      id: 'remove',
      label: name.removeAll,
      icon: Trash2,
      isDangerous: true,
      hasSeparator: true,
      run: () => context.askRemove(containers, project),
    },
  ];
}
