import { Box, Download, Plus } from 'lucide-react';
import { type ReactNode, useCallback, useMemo, useState } from 'react';
import { useNavigate } from 'react-router';
import type {
  ContainerSummary,
  StatsSample,
} from '../../../electron/contract/container-channels.ts';
import { listInput, useNotConnected } from '../../app/not-connected.tsx';
import { Button } from '../../components/button.tsx';
import type { GroupRef, ListSort } from '../../components/list-page/list-model.ts';
import { ListPage } from '../../components/list-page/list-page.tsx';
import { createListStore } from '../../components/list-page/list-store.ts';
import type { ListColumn, ListFilter } from '../../components/list-page/list-types.ts';
import { EmptyState } from '../../components/state.tsx';
import { useContainers, usePreference } from '../../data/queries.ts';
import { useSamples, useStatsWish } from '../../data/stats-hub.ts';
import { openPullDialog, openRunDialog } from '../../data/ui.ts';
import {
  CpuCell,
  MemoryCell,
  PortsCell,
  StateCell,
  SumCell,
  UptimeCell,
} from './container-cells.tsx';
import { RemoveDialog, type RemoveRequest, RenameDialog } from './container-dialogs.tsx';
import { bulkActions, containerActions, projectActions, quickActions } from './container-menu.ts';
import { isActive, stateRank } from './container-state.ts';
import { text } from './text.ts';

const store = createListStore();
const NO_SAMPLES: ReadonlyMap<string, StatsSample> = new Map();

const FILTERS: readonly ListFilter<ContainerSummary>[] = [
  { id: 'all', label: text.filters.all, matches: () => true },
  { id: 'running', label: text.filters.running, matches: isActive },
  { id: 'stopped', label: text.filters.stopped, matches: (container) => !isActive(container) },
];

const getKey = (container: ContainerSummary): string => container.id;
const getLabel = (container: ContainerSummary): string => container.name;
const searchText = (container: ContainerSummary): string =>
  `${container.name} ${container.image} ${container.id} ${container.project?.name ?? ''} ${container.state}`;
const groupOf = (container: ContainerSummary): GroupRef | undefined =>
  container.project === undefined
    ? undefined
    : { key: container.project.name, label: container.project.name };

function groupSummary(containers: readonly ContainerSummary[]): ReactNode {
  return (
    <span className="nums shrink-0 text-xs text-ink-3">
      {text.projectRunning(
        containers.filter((container) => container.state === 'running').length,
        containers.length,
      )}
    </span>
  );
}

/** The containers list: every container live, compose projects together, bulk actions. */
export function ContainersPage() {
  const list = useContainers();
  const navigate = useNavigate();
  const placeholder = useNotConnected();
  const { preference, setPreference } = usePreference('containers');
  const [removal, setRemoval] = useState<RemoveRequest>();
  const [renaming, setRenaming] = useState<ContainerSummary>();
  const [visible, setVisible] = useState<readonly string[]>([]);
  const sort: ListSort = {
    columnId: preference.sortBy ?? 'name',
    isDescending: preference.sortDescending ?? false,
  };
  const isSortedByLoad = sort.columnId === 'cpu' || sort.columnId === 'memory';
  const wished = useMemo(() => {
    const active = (list?.items ?? []).filter((container) => container.state === 'running');
    const shown = new Set(visible);
    // An order by load needs everyone's, otherwise only what is on the screen is sampled.
    return active.filter((container) => isSortedByLoad || shown.has(container.id)).map(getKey);
  }, [list, visible, isSortedByLoad]);
  useStatsWish('containers', wished);
  const samples = useSamples();
  // Only an order by load reads the samples; cells subscribe to their own.
  const ranking = isSortedByLoad ? samples : NO_SAMPLES;

  const context = useMemo(
    () => ({
      navigate: (path: string) => {
        void navigate(path);
      },
      askRemove: (containers: readonly ContainerSummary[], project?: string) =>
        setRemoval({ containers, ...(project === undefined ? {} : { project }) }),
      askRename: setRenaming,
    }),
    [navigate],
  );
  const columns = useMemo<readonly ListColumn<ContainerSummary>[]>(
    () => [
      {
        id: 'name',
        label: text.columns.name,
        width: 'minmax(160px, 2.1fr)',
        sortValue: getLabel,
        render: (container) => (
          <span className="truncate font-medium text-ink">{container.name}</span>
        ),
      },
      {
        id: 'state',
        label: text.columns.state,
        width: 'minmax(148px, 1.3fr)',
        sortValue: stateRank,
        render: (container) => <StateCell container={container} />,
      },
      {
        id: 'image',
        label: text.columns.image,
        width: 'minmax(110px, 1.7fr)',
        sortValue: (container) => container.image,
        render: (container) => (
          <span className="truncate text-ink-2" title={container.image}>
            {container.image}
          </span>
        ),
      },
      {
        id: 'ports',
        label: text.columns.ports,
        width: 'minmax(152px, 1.1fr)',
        sortValue: (container) =>
          container.ports.find((port) => port.hostPort !== undefined)?.hostPort,
        render: (container, tabIndex) => (
          <PortsCell
            ports={container.ports}
            isRunning={container.state === 'running'}
            tabIndex={tabIndex}
          />
        ),
      },
      {
        id: 'cpu',
        label: text.columns.cpu,
        width: '72px',
        align: 'end',
        isDescendingFirst: true,
        sortValue: (container) =>
          container.state === 'running' ? ranking.get(container.id)?.cpuPercent : undefined,
        render: (container) => <CpuCell container={container} />,
        renderGroup: (containers) => <SumCell containers={containers} of="cpu" />,
      },
      {
        id: 'memory',
        label: text.columns.memory,
        width: '96px',
        align: 'end',
        isDescendingFirst: true,
        sortValue: (container) =>
          container.state === 'running' ? ranking.get(container.id)?.memoryBytes : undefined,
        render: (container) => <MemoryCell container={container} />,
        renderGroup: (containers) => <SumCell containers={containers} of="memory" />,
      },
      {
        id: 'uptime',
        label: text.columns.uptime,
        width: '88px',
        align: 'end',
        isDescendingFirst: true,
        sortValue: (container) =>
          container.state === 'running' && container.startedAtMs !== undefined
            ? -container.startedAtMs
            : undefined,
        render: (container) => <UptimeCell container={container} />,
      },
    ],
    [ranking],
  );
  const collapsed = useMemo(() => new Set(preference.collapsed), [preference.collapsed]);
  const onOpen = useCallback(
    (container: ContainerSummary) => {
      void navigate(`/containers/${encodeURIComponent(container.id)}`);
    },
    [navigate],
  );

  return (
    <>
      <ListPage
        title={text.title}
        {...listInput(list)}
        placeholder={placeholder}
        store={store}
        columns={columns}
        getKey={getKey}
        getLabel={getLabel}
        searchText={searchText}
        searchLabel={text.search}
        filters={FILTERS}
        sort={sort}
        onSortChange={(next) =>
          setPreference({ sortBy: next.columnId, sortDescending: next.isDescending })
        }
        groupOf={groupOf}
        collapsed={collapsed}
        onCollapsedChange={(next) => setPreference({ collapsed: [...next] })}
        groupSummary={groupSummary}
        groupActions={(group, containers) => projectActions(group.key, containers, context)}
        rowActions={(container) => containerActions(container, context)}
        quickActions={quickActions}
        bulkActions={(containers) => bulkActions(containers, context)}
        onOpen={onOpen}
        onRemove={(containers) => setRemoval({ containers })}
        onVisibleChange={setVisible}
        version={ranking}
        toolbar={
          <Button tone="primary" icon={Plus} onClick={() => openRunDialog()}>
            {text.run}
          </Button>
        }
        empty={
          <EmptyState icon={Box} title={text.empty.title} body={text.empty.body}>
            <Button tone="primary" icon={Plus} onClick={() => openRunDialog()}>
              {text.run}
            </Button>
            <Button icon={Download} onClick={() => openPullDialog()}>
              {text.pull}
            </Button>
          </EmptyState>
        }
      />
      <RemoveDialog
        request={removal}
        onClose={() => setRemoval(undefined)}
        onRemoved={() => store.setState({ selected: new Set(), anchorKey: undefined })}
      />
      <RenameDialog container={renaming} onClose={() => setRenaming(undefined)} />
    </>
  );
}
