import { FileJson, Layers, LayoutList, Play, SearchX, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import type { ImageSummary } from '../../../electron/contract/image-channels.ts';
import { Badge } from '../../components/badge.tsx';
import { Button } from '../../components/button.tsx';
import { DetailHeader } from '../../components/detail-page.tsx';
import { DataTable, Facts, Section } from '../../components/facts.tsx';
import { formatAgo, formatBytes, formatDateTime, shortId } from '../../components/format.ts';
import { EmptyState, ErrorState, Skeleton } from '../../components/state.tsx';
import { Tabs } from '../../components/tabs.tsx';
import { problemOf } from '../../data/bridge.ts';
import { useCall, useImages } from '../../data/queries.ts';
import { openRunDialog } from '../../data/ui.ts';
import { useNow } from '../../data/use-now.ts';
import { EnvTable, LabelTable } from '../container/tables.tsx';
import { RawInspect } from '../inspect/raw-inspect.tsx';
import { RemoveImagesDialog } from './image-dialogs.tsx';
import { imageName } from './image-names.ts';
import { text } from './text.ts';

/** One image: overview, how its layers came to be, raw JSON. */
export default function ImagePage() {
  const { id = '' } = useParams();
  const navigate = useNavigate();
  const list = useImages();
  const image = list?.byId.get(id);
  const [tab, setTab] = useState('overview');
  const [isRemoving, setIsRemoving] = useState(false);
  if (list !== undefined && image === undefined) {
    return (
      <EmptyState icon={SearchX} title={text.detail.gone}>
        <Button
          onClick={() => {
            void navigate('/images');
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
        parent={{ label: text.detail.parent, path: '/images' }}
        title={image === undefined ? shortId(id) : imageName(image)}
        subtitle={image !== undefined && <Badge>{formatBytes(image.sizeBytes)}</Badge>}
        actions={
          image !== undefined && (
            <>
              <Button icon={Trash2} onClick={() => setIsRemoving(true)}>
                {text.detail.remove}
              </Button>
              <Button
                tone="primary"
                icon={Play}
                onClick={() => openRunDialog(image.tags[0] ?? image.id)}
              >
                {text.detail.run}
              </Button>
            </>
          )
        }
      />
      <Tabs
        label={text.detail.label}
        value={tab}
        onChange={setTab}
        tabs={[
          {
            id: 'overview',
            label: text.detail.tabs.overview,
            icon: LayoutList,
            render: () => (image === undefined ? null : <Overview image={image} />),
          },
          {
            id: 'layers',
            label: text.detail.tabs.layers,
            icon: Layers,
            render: () => <History id={id} />,
          },
          {
            id: 'inspect',
            label: text.detail.tabs.inspect,
            icon: FileJson,
            render: () => (
              <RawInspect method="images.inspect" id={id} label={text.detail.tabs.inspect} />
            ),
          },
        ]}
      />
      <RemoveImagesDialog
        images={isRemoving && image !== undefined ? [image] : undefined}
        onClose={() => setIsRemoving(false)}
        onRemoved={() => {
          void navigate('/images');
        }}
      />
    </>
  );
}

function Overview({ image }: { readonly image: ImageSummary }) {
  const now = useNow();
  const { data, error, refetch } = useCall('images.inspect', { id: image.id });
  const none = <span className="text-ink-3">{text.detail.nothing}</span>;
  const defaults = data?.defaults;
  return (
    <div className="min-h-0 flex-1 overflow-y-auto p-5">
      <div className="mx-auto flex max-w-5xl flex-col gap-4">
        <Section title={text.detail.facts}>
          <Facts
            facts={[
              { label: text.detail.id, value: image.id, copy: image.id, isMono: true },
              {
                label: text.detail.tags,
                value:
                  image.tags.length === 0 ? (
                    none
                  ) : (
                    <span className="flex flex-wrap gap-1">
                      {image.tags.map((tag) => (
                        <Badge key={tag} isMono>
                          {tag}
                        </Badge>
                      ))}
                    </span>
                  ),
              },
              {
                label: text.detail.created,
                value: `${formatDateTime(image.createdAtMs)} (${formatAgo(image.createdAtMs, now)})`,
              },
              { label: text.detail.size, value: formatBytes(image.sizeBytes) },
              {
                label: text.detail.digests,
                value: image.digests.length === 0 ? none : image.digests.join('\n'),
                isMono: true,
                copy: image.digests[0],
              },
              {
                label: text.detail.containers,
                value:
                  image.usedBy.length === 0 ? (
                    none
                  ) : (
                    <span className="flex flex-wrap gap-x-3 gap-y-1">
                      {image.usedBy.map((user) => (
                        <Link
                          key={user.id}
                          to={`/containers/${encodeURIComponent(user.id)}`}
                          className="text-accent-ink hover:underline"
                        >
                          {user.name} ({user.isRunning ? text.detail.running : text.detail.stopped})
                        </Link>
                      ))}
                    </span>
                  ),
              },
            ]}
          />
        </Section>
        {error !== null ? (
          <ErrorState
            message={problemOf(error).message}
            hint={problemOf(error).hint}
            onRetry={() => {
              void refetch();
            }}
          />
        ) : defaults === undefined ? (
          <Skeleton className="h-40 w-full" />
        ) : (
          <>
            <Section title={text.detail.config}>
              <Facts
                facts={[
                  {
                    label: text.detail.entrypoint,
                    value: defaults.entrypoint.join(' ') || none,
                    isMono: true,
                  },
                  {
                    label: text.detail.command,
                    value: defaults.command.join(' ') || none,
                    isMono: true,
                  },
                  { label: text.detail.workdir, value: defaults.workdir || none, isMono: true },
                  { label: text.detail.user, value: defaults.user || none, isMono: true },
                  {
                    label: text.detail.ports,
                    value:
                      defaults.exposedPorts
                        .map((port) => `${port.port}/${port.protocol}`)
                        .join(', ') || none,
                  },
                  {
                    label: text.detail.volumes,
                    value: defaults.volumes.join(', ') || none,
                    isMono: true,
                  },
                ]}
              />
            </Section>
            {defaults.env.length > 0 && <EnvTable title={text.detail.env} env={defaults.env} />}
          </>
        )}
        {Object.keys(image.labels).length > 0 && (
          <LabelTable title={text.detail.labels} labels={image.labels} />
        )}
      </div>
    </div>
  );
}

function History({ id }: { readonly id: string }) {
  const now = useNow();
  const { data, error, refetch } = useCall('images.history', { id });
  if (error !== null) {
    return (
      <ErrorState
        message={problemOf(error).message}
        hint={problemOf(error).hint}
        onRetry={() => {
          void refetch();
        }}
      />
    );
  }
  if (data === undefined) {
    return <Skeleton className="m-5 h-40" />;
  }
  const total = data.layers.reduce((sum, layer) => sum + layer.sizeBytes, 0);
  return (
    <div className="min-h-0 flex-1 overflow-y-auto p-5">
      <div className="mx-auto max-w-5xl">
        <Section
          title={text.detail.tabs.layers}
          aside={
            <span className="nums text-xs text-ink-3">
              {text.detail.layersOf(data.layers.length, formatBytes(total))}
            </span>
          }
        >
          <DataTable
            label={text.detail.tabs.layers}
            columns={[
              { id: 'command', label: text.detail.layerColumns.command },
              {
                id: 'created',
                label: text.detail.layerColumns.created,
                className: 'nums w-32 whitespace-nowrap text-ink-2',
              },
              {
                id: 'size',
                label: text.detail.layerColumns.size,
                className: 'nums w-24 text-right',
              },
            ]}
            rows={data.layers.map((layer, index) => ({
              id: `${index}`,
              cells: [
                <code key="command" className="break-all text-xs text-ink-2">
                  {layer.createdBy || layer.comment}
                </code>,
                formatAgo(layer.createdAtMs, now),
                formatBytes(layer.sizeBytes),
              ],
            }))}
          />
        </Section>
      </div>
    </div>
  );
}
