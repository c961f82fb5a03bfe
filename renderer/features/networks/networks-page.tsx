import { Cable, Copy, Network, Plus, Trash2 } from 'lucide-react';
import { useCallback, useState } from 'react';
import { useNavigate } from 'react-router';
import type { NetworkSummary } from '../../../electron/contract/storage-channels.ts';
import { listInput, useNotConnected } from '../../app/not-connected.tsx';
import { Badge } from '../../components/badge.tsx';
import { Button } from '../../components/button.tsx';
import { copyAndTell } from '../../components/copy-and-tell.ts';
import { formatAgo } from '../../components/format.ts';
import { ListPage } from '../../components/list-page/list-page.tsx';
import { createListStore } from '../../components/list-page/list-store.ts';
import type { ListColumn, ListFilter } from '../../components/list-page/list-types.ts';
import { EmptyState } from '../../components/state.tsx';
import { useNetworks, usePreference } from '../../data/queries.ts';
import { useNow } from '../../data/use-now.ts';
import { ConnectDialog, CreateNetworkDialog, RemoveNetworksDialog } from './network-dialogs.tsx';
import { text } from './text.ts';

const store = createListStore();

const FILTERS: readonly ListFilter<NetworkSummary>[] = [
  { id: 'all', label: text.filters.all, matches: () => true },
  { id: 'custom', label: text.filters.custom, matches: (network) => !network.isPredefined },
  { id: 'used', label: text.filters.used, matches: (network) => network.usedBy.length > 0 },
];

const getKey = (network: NetworkSummary): string => network.id;
const getLabel = (network: NetworkSummary): string => network.name;
const canSelect = (network: NetworkSummary): boolean => !network.isPredefined;
const searchText = (network: NetworkSummary): string =>
  `${network.name} ${network.driver} ${network.id} ${network.subnets.map((entry) => entry.subnet).join(' ')}`;

function Created({ network }: { readonly network: NetworkSummary }) {
  return <span className="nums text-ink-2">{formatAgo(network.createdAtMs, useNow())}</span>;
}

const COLUMNS: readonly ListColumn<NetworkSummary>[] = [
  {
    id: 'name',
    label: text.columns.name,
    width: 'minmax(200px, 2.4fr)',
    sortValue: getLabel,
    render: (network) => (
      <>
        <span className="truncate font-medium text-ink">{network.name}</span>
        {network.isPredefined && <Badge>{text.builtIn}</Badge>}
        {network.isInternal && <Badge tone="accent">{text.internal}</Badge>}
        {network.hasIpv6 && <Badge>{text.ipv6}</Badge>}
      </>
    ),
  },
  {
    id: 'driver',
    label: text.columns.driver,
    width: 'minmax(80px, 0.8fr)',
    sortValue: (network) => network.driver,
    render: (network) => <span className="truncate text-ink-2">{network.driver}</span>,
  },
  {
    id: 'subnet',
    label: text.columns.subnet,
    width: 'minmax(140px, 1.4fr)',
    sortValue: (network) => network.subnets[0]?.subnet,
    render: (network) => (
      <code className="truncate text-xs text-ink-2">
        {network.subnets.map((entry) => entry.subnet).join(', ')}
      </code>
    ),
  },
  {
    id: 'containers',
    label: text.columns.containers,
    width: 'minmax(140px, 1.6fr)',
    isDescendingFirst: true,
    sortValue: (network) => network.usedBy.length,
    render: (network) =>
      network.usedBy.length === 0 ? (
        <span className="text-ink-3">{text.nobody}</span>
      ) : (
        <span className="truncate text-ink-2">
          {network.usedBy.map((user) => user.name).join(', ')}
        </span>
      ),
  },
  {
    id: 'created',
    label: text.columns.created,
    width: '140px',
    align: 'end',
    isDescendingFirst: true,
    sortValue: (network) => network.createdAtMs,
    render: (network) => <Created network={network} />,
  },
];

/** The networks list. */
export default function NetworksPage() {
  const list = useNetworks();
  const navigate = useNavigate();
  const placeholder = useNotConnected();
  const { preference, setPreference } = usePreference('networks');
  const [removal, setRemoval] = useState<readonly NetworkSummary[]>();
  const [connecting, setConnecting] = useState<NetworkSummary>();
  const [isCreating, setIsCreating] = useState(false);
  const onOpen = useCallback(
    (network: NetworkSummary) => {
      void navigate(`/networks/${encodeURIComponent(network.id)}`);
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
        getLabel={getLabel}
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
        canSelect={canSelect}
        rowActions={(network) => [
          {
            id: 'connect',
            label: text.actions.connect,
            icon: Cable,
            isDisabled: network.name === 'host' || network.name === 'none',
            run: () => setConnecting(network),
          },
          {
            id: 'copy-id',
            label: text.actions.copyId,
            icon: Copy,
            run: () => copyAndTell(network.id),
          },
          {
            id: 'remove',
            label: text.actions.remove,
            icon: Trash2,
            isDangerous: true,
            isDisabled: network.isPredefined,
            hasSeparator: true,
            run: () => setRemoval([network]),
          },
        ]}
        bulkActions={(networks) => [
          {
            id: 'remove',
            label: text.actions.remove,
            icon: Trash2,
            isDangerous: true,
            run: () => setRemoval(networks),
          },
        ]}
        onOpen={onOpen}
        onRemove={(networks) => {
          const removable = networks.filter(canSelect);
          if (removable.length > 0) {
            setRemoval(removable);
          }
        }}
        toolbar={createButton}
        empty={
          <EmptyState icon={Network} title={text.empty.title} body={text.empty.body}>
            {createButton}
          </EmptyState>
        }
      />
      {isCreating && <CreateNetworkDialog onClose={() => setIsCreating(false)} />}
      {connecting !== undefined && (
        <ConnectDialog network={connecting} onClose={() => setConnecting(undefined)} />
      )}
      <RemoveNetworksDialog
        networks={removal}
        onClose={() => setRemoval(undefined)}
        onRemoved={() => store.setState({ selected: new Set(), anchorKey: undefined })}
      />
    </>
  );
}
