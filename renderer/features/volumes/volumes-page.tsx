import { Copy, Database, FolderTree, Plus, Trash2 } from 'lucide-react';
import { useCallback, useState } from 'react';
import { useNavigate } from 'react-router';
import type { VolumeSummary } from '../../../electron/contract/storage-channels.ts';
import { listInput, useNotConnected } from '../../app/not-connected.tsx';
import { Badge } from '../../components/badge.tsx';
import { Button } from '../../components/button.tsx';
import { copyAndTell } from '../../components/copy-and-tell.ts';
import { formatAgo } from '../../components/format.ts';
import { ListPage } from '../../components/list-page/list-page.tsx';
import { createListStore } from '../../components/list-page/list-store.ts';
import type { ListColumn, ListFilter } from '../../components/list-page/list-types.ts';
import { EmptyState } from '../../components/state.tsx';
import { usePreference, useVolumes } from '../../data/queries.ts';
import { useNow } from '../../data/use-now.ts';
import { text } from './text.ts';
import { CreateVolumeDialog, RemoveVolumesDialog } from './volume-dialogs.tsx';

const store = createListStore();

const FILTERS: readonly ListFilter<VolumeSummary>[] = [
  { id: 'all', label: text.filters.all, matches: () => true },
  { id: 'used', label: text.filters.used, matches: (volume) => volume.usedBy.length > 0 },
  { id: 'unused', label: text.filters.unused, matches: (volume) => volume.usedBy.length === 0 },
];

const getKey = (volume: VolumeSummary): string => volume.id;
const searchText = (volume: VolumeSummary): string =>
  `${volume.id} ${volume.driver} ${volume.usedBy.map((user) => user.name).join(' ')}`;

function Created({ volume }: { readonly volume: VolumeSummary }) {
  return <span className="nums text-ink-2">{formatAgo(volume.createdAtMs, useNow())}</span>;
}

const COLUMNS: readonly ListColumn<VolumeSummary>[] = [
  {
    id: 'name',
    label: text.columns.name,
    width: 'minmax(220px, 3fr)',
    sortValue: getKey,
    render: (volume) => (
      <>
        <span className="truncate font-medium text-ink" title={volume.id}>
          {volume.id}
        </span>
        {volume.isAnonymous && <Badge>{text.anonymous}</Badge>}
      </>
    ),
  },
  {
    id: 'driver',
    label: text.columns.driver,
    width: 'minmax(80px, 1fr)',
    sortValue: (volume) => volume.driver,
    render: (volume) => <span className="truncate text-ink-2">{volume.driver}</span>,
  },
  {
    id: 'usedBy',
    label: text.columns.usedBy,
    width: 'minmax(160px, 2fr)',
    isDescendingFirst: true,
    sortValue: (volume) => volume.usedBy.length,
    render: (volume) =>
      volume.usedBy.length === 0 ? (
        <span className="text-ink-3">{text.unused}</span>
      ) : (
        <span className="truncate text-ink-2">
          {volume.usedBy.map((user) => user.name).join(', ')}
        </span>
      ),
  },
  {
    id: 'created',
    label: text.columns.created,
    width: '140px',
    align: 'end',
    isDescendingFirst: true,
    sortValue: (volume) => volume.createdAtMs,
    render: (volume) => <Created volume={volume} />,
  },
];

/** The volumes list. */
export default function VolumesPage() {
  const list = useVolumes();
  const navigate = useNavigate();
  const placeholder = useNotConnected();
  const { preference, setPreference } = usePreference('volumes');
  const [removal, setRemoval] = useState<readonly VolumeSummary[]>();
  const [isCreating, setIsCreating] = useState(false);
  const onOpen = useCallback(
    (volume: VolumeSummary) => {
      void navigate(`/volumes/${encodeURIComponent(volume.id)}`);
    },
    [navigate],
  );
  const createButton = (
    <Button tone="primary" icon={Plus} onClick={() => setIsCreating(true)}>
      {text.create}
    </Button>
  );
  return (
    <>
      <ListPage
        title={text.title}
        {...listInput(list)}
        placeholder={placeholder}
        store={store}
        columns={COLUMNS}
        getKey={getKey}
        getLabel={getKey}
        searchText={searchText}
        searchLabel={text.search}
        filters={FILTERS}
        sort={{
          columnId: preference.sortBy ?? 'name',
          isDescending: preference.sortDescending ?? false,
        }}
        onSortChange={(sort) =>
          setPreference({ sortBy: sort.columnId, sortDescending: sort.isDescending })
        }
        rowActions={(volume) => [
          {
            id: 'copy-name',
            label: text.actions.copyName,
            icon: Copy,
            run: () => copyAndTell(volume.id),
          },
          {
            id: 'copy-path',
            label: text.actions.copyPath,
            icon: FolderTree,
            run: () => copyAndTell(volume.mountpoint),
          },
          {
            id: 'remove',
            label: text.actions.remove,
            icon: Trash2,
            isDangerous: true,
            hasSeparator: true,
            run: () => setRemoval([volume]),
          },
        ]}
        bulkActions={(volumes) => [
          {
            id: 'remove',
            label: text.actions.remove,
            icon: Trash2,
            isDangerous: true,
            run: () => setRemoval(volumes),
          },
        ]}
        onOpen={onOpen}
        onRemove={setRemoval}
        toolbar={createButton}
        empty={
          <EmptyState icon={Database} title={text.empty.title} body={text.empty.body}>
            {createButton}
          </EmptyState>
        }
      />
      {isCreating && <CreateVolumeDialog onClose={() => setIsCreating(false)} />}
      <RemoveVolumesDialog
        volumes={removal}
        onClose={() => setRemoval(undefined)}
        onRemoved={() => store.setState({ selected: new Set(), anchorKey: undefined })}
      />
    </>
  );
}
