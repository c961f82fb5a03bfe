import {
  Activity,
  Ellipsis,
  FileDiff,
  FileText,
  ListTree,
  Play,
  RotateCcw,
  ScanSearch,
  SearchX,
  Square,
  SquareTerminal,
} from 'lucide-react';
import { Suspense, useMemo, useState } from 'react';
import { useNavigate, useParams } from 'react-router';
import type { ContainerSummary } from '../../../electron/contract/container-channels.ts';
import { useNotConnected } from '../../app/not-connected.tsx';
import { Button, IconButton } from '../../components/button.tsx';
import { DetailHeader } from '../../components/detail-page.tsx';
import { shortId } from '../../components/format.ts';
import { Menu } from '../../components/menu.tsx';
import { EmptyState, Skeleton } from '../../components/state.tsx';
import { type Tab, Tabs } from '../../components/tabs.tsx';
import { lazyPage } from '../../data/lazy-page.ts';
import { usePending } from '../../data/pending.ts';
import { useContainers } from '../../data/queries.ts';
import { runAction } from '../containers/actions.ts';
import { PortsCell, StateCell } from '../containers/container-cells.tsx';
import {
  RemoveDialog,
  type RemoveRequest,
  RenameDialog,
} from '../containers/container-dialogs.tsx';
import { containerActions } from '../containers/container-menu.ts';
import { isActive } from '../containers/container-state.ts';
import { text as listText } from '../containers/text.ts';
import { ChangesTab } from './changes-tab.tsx';
import { InspectTab } from './inspect/inspect-tab.tsx';
import { LogView } from './logs/log-view.tsx';
import { ProcessesTab } from './processes-tab.tsx';
import { TerminalTab } from './terminal/terminal-tab.tsx';
import { text } from './text.ts';

const StatsTab = lazyPage(() => import('./stats/stats-tab.tsx'));

/** One container: its log, terminals, load, details, processes and changed files. */
export default function ContainerPage() {
  const { id = '', tab = 'logs' } = useParams();
  const navigate = useNavigate();
  const list = useContainers();
  const notConnected = useNotConnected();
  const container = list?.byId.get(id);
  if (container === undefined) {
    if (list === undefined || (list.offlineMessage !== undefined && list.items.length === 0)) {
      return notConnected ?? <Skeleton className="m-5 h-6 w-60" />;
    }
    return (
      <EmptyState icon={SearchX} title={text.gone.title}>
        <Button
          onClick={() => {
            void navigate('/containers');
          }}
        >
          {text.gone.back}
        </Button>
      </EmptyState>
    );
  }
  return <Details key={container.id} container={container} tab={tab} />;
}

function Details({
  container,
  tab,
}: {
  readonly container: ContainerSummary;
  readonly tab: string;
}) {
  const navigate = useNavigate();
  const [removal, setRemoval] = useState<RemoveRequest>();
  const [renaming, setRenaming] = useState<ContainerSummary>();
  const context = useMemo(
    () => ({
      navigate: (path: string) => {
        void navigate(path);
      },
      askRemove: (containers: readonly ContainerSummary[]) => setRemoval({ containers }),
      askRename: setRenaming,
    }),
    [navigate],
  );
  return (
    <>
      <DetailHeader
        parent={{ label: text.parent, path: '/containers' }}
        title={container.name}
        subtitle={
          <span className="flex min-w-0 items-center gap-4 text-sm text-ink-3">
            <StateCell container={container} />
            <span className="truncate" title={container.image}>
              {container.image.startsWith('sha256:') ? shortId(container.image) : container.image}
            </span>
            <PortsCell
              ports={container.ports}
              isRunning={container.state === 'running'}
              maxChars={36}
            />
          </span>
        }
        actions={<HeaderActions container={container} context={context} />}
      />
      <Tabs
        label={text.label}
        tabs={tabsOf(container)}
        value={tab}
        onChange={(next) => {
          void navigate(`/containers/${encodeURIComponent(container.id)}/${next}`, {
            replace: true,
          });
        }}
      />
      <RemoveDialog
        request={removal}
        onClose={() => setRemoval(undefined)}
        onRemoved={() => {
          void navigate('/containers');
        }}
      />
      <RenameDialog container={renaming} onClose={() => setRenaming(undefined)} />
    </>
  );
}

function tabsOf(container: ContainerSummary): readonly Tab[] {
  return [
    {
      id: 'logs',
      label: text.tabs.logs,
      icon: FileText,
      render: () => <LogView containerIds={[container.id]} sources={[]} />,
    },
    {
      id: 'terminal',
      label: text.tabs.terminal,
      icon: SquareTerminal,
      render: () => <TerminalTab container={container} />,
    },
    {
      id: 'stats',
      label: text.tabs.stats,
      icon: Activity,
      render: () => (
        <Suspense fallback={<Skeleton className="m-5 h-56" />}>
          <StatsTab container={container} />
        </Suspense>
      ),
    },
    {
      id: 'inspect',
      label: text.tabs.inspect,
      icon: ScanSearch,
      render: () => <InspectTab container={container} />,
    },
    {
      id: 'processes',
      label: text.tabs.processes,
      icon: ListTree,
      render: () => <ProcessesTab container={container} />,
    },
    {
      id: 'changes',
      label: text.tabs.changes,
      icon: FileDiff,
      render: () => <ChangesTab container={container} />,
    },
  ];
}

function HeaderActions({
  container,
  context,
}: {
  readonly container: ContainerSummary;
  readonly context: Parameters<typeof containerActions>[1];
}) {
  const isBusy = usePending(container.id) !== undefined;
  const act = (action: 'start' | 'stop' | 'restart' | 'unpause') => () => {
    void runAction(container, action);
  };
  return (
    <>
      {isActive(container) ? (
        <>
          {container.state === 'paused' && (
            <Button icon={Play} disabled={isBusy} onClick={act('unpause')}>
              {listText.actions.unpause}
            </Button>
          )}
          <Button icon={RotateCcw} disabled={isBusy} onClick={act('restart')}>
            {listText.actions.restart}
          </Button>
          <Button icon={Square} disabled={isBusy} onClick={act('stop')}>
            {listText.actions.stop}
          </Button>
        </>
      ) : (
        <Button tone="primary" icon={Play} disabled={isBusy} onClick={act('start')}>
          {listText.actions.start}
        </Button>
      )}
      <Menu label={text.more} actions={containerActions(container, context, { isDetail: true })}>
        <IconButton label={text.more} icon={Ellipsis} hasTooltip={false} />
      </Menu>
    </>
  );
}
