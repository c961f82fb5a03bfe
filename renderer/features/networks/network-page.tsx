import { Cable, FileJson, LayoutList, SearchX, Trash2, Unplug } from 'lucide-react';
import { useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import type { NetworkSummary } from '../../../electron/contract/storage-channels.ts';
import { Badge, Dot } from '../../components/badge.tsx';
import { Button, IconButton } from '../../components/button.tsx';
import { DetailHeader } from '../../components/detail-page.tsx';
import { DataTable, Facts, Section } from '../../components/facts.tsx';
import { formatDateTime, shortId } from '../../components/format.ts';
import { EmptyState, Skeleton } from '../../components/state.tsx';
import { Tabs } from '../../components/tabs.tsx';
import { toast } from '../../components/toast.tsx';
import { bridge, problemOf } from '../../data/bridge.ts';
import { useNetworks } from '../../data/queries.ts';
import { LabelTable } from '../container/tables.tsx';
import { RawInspect } from '../inspect/raw-inspect.tsx';
import { ConnectDialog, RemoveNetworksDialog } from './network-dialogs.tsx';
import { text } from './text.ts';

/** One network: what it is, who is connected, raw JSON. */
export default function NetworkPage() {
  const { id = '' } = useParams();
  const navigate = useNavigate();
  const list = useNetworks();
  const network = list?.byId.get(id);
  const [tab, setTab] = useState('overview');
  const [isRemoving, setIsRemoving] = useState(false);
  const [isConnecting, setIsConnecting] = useState(false);
  if (list !== undefined && network === undefined) {
    return (
      <EmptyState icon={SearchX} title={text.detail.gone}>
        <Button
          onClick={() => {
            void navigate('/networks');
          }}
        >
          {text.detail.back}
        </Button>
      </EmptyState>
    );
  }
  const canConnect = network !== undefined && network.name !== 'host' && network.name !== 'none';
  return (
    <>
      <DetailHeader
        parent={{ label: text.detail.parent, path: '/networks' }}
        title={network?.name ?? shortId(id)}
        subtitle={network?.isPredefined === true && <Badge>{text.builtIn}</Badge>}
        actions={
          <>
            <Button
              icon={Trash2}
              disabled={network === undefined || network.isPredefined}
              onClick={() => setIsRemoving(true)}
            >
              {text.detail.remove}
            </Button>
            <Button
              tone="primary"
              icon={Cable}
              disabled={!canConnect}
              onClick={() => setIsConnecting(true)}
            >
              {text.detail.connect}
            </Button>
          </>
        }
      />
      <Tabs
        label={text.detail.label}
        value={tab}
        onChange={setTab}
        tabs={[
          {
            id: 'overview',
            label: text.detail.overview,
            icon: LayoutList,
            render: () =>
              network === undefined ? (
                <Skeleton className="m-5 h-40" />
              ) : (
                <Overview network={network} />
              ),
          },
          {
            id: 'inspect',
            label: text.detail.inspect,
            icon: FileJson,
            render: () => (
              <RawInspect method="networks.inspect" id={id} label={text.detail.inspect} />
            ),
          },
        ]}
      />
      <RemoveNetworksDialog
        networks={isRemoving && network !== undefined ? [network] : undefined}
        onClose={() => setIsRemoving(false)}
        onRemoved={() => {
          void navigate('/networks');
        }}
      />
      {isConnecting && network !== undefined && (
        <ConnectDialog network={network} onClose={() => setIsConnecting(false)} />
      )}
    </>
  );
}

function disconnect(
  network: NetworkSummary,
  user: { readonly id: string; readonly name: string },
): void {
  bridge
    .call('networks.disconnect', { id: network.id, containerId: user.id, force: false })
    .catch((error: unknown) =>
      toast.error(text.disconnectFailed(user.name), { description: problemOf(error).message }),
    );
}

function Overview({ network }: { readonly network: NetworkSummary }) {
  const yesNo = (value: boolean): string => (value ? text.detail.yes : text.detail.no);
  const { containerColumns } = text.detail;
  return (
    <div className="min-h-0 flex-1 overflow-y-auto p-5">
      <div className="mx-auto flex max-w-5xl flex-col gap-4">
        <Section title={text.detail.facts}>
          <Facts
            facts={[
              { label: text.detail.id, value: network.id, copy: network.id, isMono: true },
              { label: text.detail.driver, value: network.driver },
              { label: text.detail.scope, value: network.scope },
              {
                label: text.detail.subnets,
                isMono: true,
                value:
                  network.subnets.length === 0
                    ? text.detail.none
                    : network.subnets
                        .map((entry) =>
                          entry.gateway === undefined
                            ? entry.subnet
                            : `${entry.subnet}, ${text.detail.gateway(entry.gateway)}`,
                        )
                        .join('; '),
              },
              { label: text.detail.created, value: formatDateTime(network.createdAtMs) },
              { label: text.detail.internal, value: yesNo(network.isInternal) },
              { label: text.detail.attachable, value: yesNo(network.isAttachable) },
              { label: text.detail.ipv6, value: yesNo(network.hasIpv6) },
            ]}
          />
        </Section>
        <Section title={text.detail.containers}>
          {network.usedBy.length === 0 ? (
            <p className="px-3 py-3 text-sm text-ink-3">{text.detail.nobody}</p>
          ) : (
            <DataTable
              label={text.detail.containers}
              columns={[
                { id: 'name', label: containerColumns.name },
                { id: 'ip', label: containerColumns.ip },
                { id: 'state', label: containerColumns.state },
                { id: 'action', label: containerColumns.action, className: 'w-12' },
              ]}
              rows={network.usedBy.map((user) => ({
                id: user.id,
                cells: [
                  <Link
                    key="name"
                    to={`/containers/${encodeURIComponent(user.id)}`}
                    className="text-accent-ink hover:underline"
                  >
                    {user.name}
                  </Link>,
                  <code key="ip" className="text-xs">
                    {user.ip ?? '—'}
                  </code>,
                  <span key="state" className="flex items-center gap-2">
                    <Dot tone={user.isRunning ? 'ok' : 'idle'} />
                    {user.isRunning ? text.detail.running : text.detail.stopped}
                  </span>,
                  network.name === 'host' || network.name === 'none' ? null : (
                    <IconButton
                      key="action"
                      size="sm"
                      label={text.disconnect(user.name)}
                      icon={Unplug}
                      onClick={() => disconnect(network, user)}
                    />
                  ),
                ],
              }))}
            />
          )}
        </Section>
        {Object.keys(network.options).length > 0 && (
          <LabelTable title={text.detail.options} labels={network.options} />
        )}
        {Object.keys(network.labels).length > 0 && (
          <LabelTable title={text.detail.labels} labels={network.labels} />
        )}
      </div>
    </div>
  );
}
