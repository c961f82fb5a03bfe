import { FileJson, LayoutList, SearchX, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import type { VolumeSummary } from '../../../electron/contract/storage-channels.ts';
import { Badge, Dot } from '../../components/badge.tsx';
import { Button } from '../../components/button.tsx';
import { DetailHeader } from '../../components/detail-page.tsx';
import { DataTable, Facts, Section } from '../../components/facts.tsx';
import { formatDateTime } from '../../components/format.ts';
import { EmptyState, Skeleton } from '../../components/state.tsx';
import { Tabs } from '../../components/tabs.tsx';
import { useVolumes } from '../../data/queries.ts';
import { LabelTable } from '../container/tables.tsx';
import { RawInspect } from '../inspect/raw-inspect.tsx';
import { text } from './text.ts';
import { RemoveVolumesDialog } from './volume-dialogs.tsx';

/** One volume: what it is, who uses it, raw JSON. */
export default function VolumePage() {
  const { id = '' } = useParams();
  const navigate = useNavigate();
  const list = useVolumes();
  const volume = list?.byId.get(id);
  const [tab, setTab] = useState('overview');
  const [isRemoving, setIsRemoving] = useState(false);
  if (list !== undefined && volume === undefined) {
    return (
      <EmptyState icon={SearchX} title={text.detail.gone}>
        <Button
          onClick={() => {
            void navigate('/volumes');
          }}
        >
          {text.detail.back}
        </Button>
      </EmptyState>
    );
  }
  return (
    <>
      <DetailHeader
        parent={{ label: text.detail.parent, path: '/volumes' }}
        title={id}
        subtitle={volume?.isAnonymous === true && <Badge>{text.anonymous}</Badge>}
        actions={
          <Button icon={Trash2} disabled={volume === undefined} onClick={() => setIsRemoving(true)}>
            {text.detail.remove}
          </Button>
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
              volume === undefined ? (
                <Skeleton className="m-5 h-40" />
              ) : (
                <Overview volume={volume} />
              ),
          },
          {
            id: 'inspect',
            label: text.detail.inspect,
            icon: FileJson,
            render: () => (
              <RawInspect method="volumes.inspect" id={id} label={text.detail.inspect} />
            ),
          },
        ]}
      />
      <RemoveVolumesDialog
        volumes={isRemoving && volume !== undefined ? [volume] : undefined}
        onClose={() => setIsRemoving(false)}
        onRemoved={() => {
          void navigate('/volumes');
        }}
      />
    </>
  );
}

function Overview({ volume }: { readonly volume: VolumeSummary }) {
  return (
    <div className="min-h-0 flex-1 overflow-y-auto p-5">
      <div className="mx-auto flex max-w-5xl flex-col gap-4">
        <Section title={text.detail.facts}>
          <Facts
            facts={[
              { label: text.detail.name, value: volume.id, copy: volume.id, isMono: true },
              { label: text.detail.driver, value: volume.driver },
              { label: text.detail.scope, value: volume.scope },
              {
                label: text.detail.path,
                value: volume.mountpoint,
                copy: volume.mountpoint,
                isMono: true,
              },
              { label: text.detail.created, value: formatDateTime(volume.createdAtMs) },
            ]}
          />
        </Section>
        <Section title={text.detail.containers}>
          {volume.usedBy.length === 0 ? (
            <p className="px-3 py-3 text-sm text-ink-3">{text.detail.nobody}</p>
          ) : (
            <DataTable
              label={text.detail.containers}
              columns={[
                { id: 'name', label: text.detail.containerColumns.name },
                { id: 'target', label: text.detail.containerColumns.target },
                { id: 'mode', label: text.detail.containerColumns.mode },
                { id: 'state', label: text.detail.containerColumns.state },
              ]}
              rows={volume.usedBy.map((user) => ({
                id: `${user.id}:${user.destination}`,
                cells: [
                  <Link
                    key="name"
                    to={`/containers/${encodeURIComponent(user.id)}`}
                    className="text-accent-ink hover:underline"
                  >
                    {user.name}
                  </Link>,
                  <code key="target" className="text-xs">
                    {user.destination}
                  </code>,
                  user.isWritable ? text.detail.readWrite : text.detail.readOnly,
                  <span key="state" className="flex items-center gap-2">
                    <Dot tone={user.isRunning ? 'ok' : 'idle'} />
                    {user.isRunning ? text.detail.running : text.detail.stopped}
                  </span>,
                ],
              }))}
            />
          )}
        </Section>
        {Object.keys(volume.options).length > 0 && (
          <LabelTable title={text.detail.options} labels={volume.options} />
        )}
        {Object.keys(volume.labels).length > 0 && (
          <LabelTable title={text.detail.labels} labels={volume.labels} />
        )}
      </div>
    </div>
  );
}
