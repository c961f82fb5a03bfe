import { Download, FolderOpen, Layers, Play, Trash2 } from 'lucide-react';
import { useCallback, useMemo, useRef, useState } from 'react';
import { useNavigate } from 'react-router';
import type { ImageSummary } from '../../../electron/contract/image-channels.ts';
import { listInput, useNotConnected } from '../../app/not-connected.tsx';
import { Badge } from '../../components/badge.tsx';
import { Button } from '../../components/button.tsx';
import { formatAgo, formatBytes, shortId } from '../../components/format.ts';
import { ListPage } from '../../components/list-page/list-page.tsx';
import { createListStore } from '../../components/list-page/list-store.ts';
import type { ListColumn, ListFilter } from '../../components/list-page/list-types.ts';
import { EmptyState } from '../../components/state.tsx';
import { useImages, usePreference } from '../../data/queries.ts';
import { openPullDialog, openRunDialog } from '../../data/ui.ts';
import { useNow } from '../../data/use-now.ts';
import { imageActions, saveImages } from './image-actions.ts';
import { RemoveImagesDialog, TagDialog } from './image-dialogs.tsx';
import { imageName, imageParts } from './image-names.ts';
import { LoadDialog } from './load-dialog.tsx';
import PullDialog from './pull-dialog.tsx';
import { text } from './text.ts';

const store = createListStore();

const FILTERS: readonly ListFilter<ImageSummary>[] = [
  { id: 'all', label: text.filters.all, matches: () => true },
  { id: 'used', label: text.filters.used, matches: (image) => image.usedBy.length > 0 },
  { id: 'unused', label: text.filters.unused, matches: (image) => image.usedBy.length === 0 },
  { id: 'dangling', label: text.filters.dangling, matches: (image) => image.tags.length === 0 },
];

const getKey = (image: ImageSummary): string => image.id;
const searchText = (image: ImageSummary): string =>
  `${image.tags.join(' ')} ${image.digests.join(' ')} ${image.id}`;

function Created({ image }: { readonly image: ImageSummary }) {
  return <span className="nums text-ink-2">{formatAgo(image.createdAtMs, useNow())}</span>;
}

const COLUMNS: readonly ListColumn<ImageSummary>[] = [
  {
    id: 'name',
    label: text.columns.name,
    width: 'minmax(200px, 3fr)',
    // Images without a name go last.
    sortValue: (image) => (image.tags.length === 0 ? undefined : imageParts(image).repository),
    render: (image) => (
      <span className="truncate font-medium text-ink" title={image.tags.join('\n')}>
        {imageParts(image).repository}
      </span>
    ),
  },
  {
    id: 'tag',
    label: text.columns.tag,
    width: 'minmax(110px, 1.3fr)',
    sortValue: (image) => imageParts(image).tag,
    render: (image) => (
      <>
        <Badge>{imageParts(image).tag}</Badge>
        {image.tags.length > 1 && (
          <span className="shrink-0 text-xs text-ink-3">
            {text.moreTags(image.tags.length - 1)}
          </span>
        )}
      </>
    ),
  },
  {
    id: 'id',
    label: text.columns.id,
    width: '124px',
    render: (image) => <code className="truncate text-xs text-ink-3">{shortId(image.id)}</code>,
  },
  {
    id: 'usage',
    label: text.columns.usage,
    width: 'minmax(110px, 1fr)',
    isDescendingFirst: true,
    sortValue: (image) => image.usedBy.length,
    render: (image) =>
      image.usedBy.length === 0 ? (
        <span className="text-ink-3">{text.unused}</span>
      ) : (
        <span
          className="truncate text-ink-2"
          title={image.usedBy.map((user) => user.name).join('\n')}
        >
          {text.usedBy(image.usedBy.length)}
        </span>
      ),
  },
  {
    id: 'created',
    label: text.columns.created,
    width: '124px',
    align: 'end',
    isDescendingFirst: true,
    sortValue: (image) => image.createdAtMs,
    render: (image) => <Created image={image} />,
  },
  {
    id: 'size',
    label: text.columns.size,
    width: '96px',
    align: 'end',
    isDescendingFirst: true,
    sortValue: (image) => image.sizeBytes,
    render: (image) => <span className="text-ink-2">{formatBytes(image.sizeBytes)}</span>,
  },
];

/** The images list: pull, load, run, tag, push, save, remove. */
export default function ImagesPage() {
  const list = useImages();
  const navigate = useNavigate();
  const placeholder = useNotConnected();
  const { preference, setPreference } = usePreference('images');
  const [removal, setRemoval] = useState<readonly ImageSummary[]>();
  const [tagging, setTagging] = useState<ImageSummary>();
  const [pushing, setPushing] = useState<string>();
  const [file, setFile] = useState<File>();
  const fileInput = useRef<HTMLInputElement>(null);
  const context = useMemo(
    () => ({
      askRemove: setRemoval,
      askTag: setTagging,
      askPush: (image: ImageSummary) => setPushing(image.tags[0]),
    }),
    [],
  );
  const onOpen = useCallback(
    (image: ImageSummary) => {
      void navigate(`/images/${encodeURIComponent(image.id)}`);
    },
    [navigate],
  );
  const quickActions = useCallback(
    (image: ImageSummary) => [
      {
        id: 'run',
        label: text.detail.run,
        icon: Play,
        run: () => openRunDialog(image.tags[0] ?? image.id),
      },
    ],
    [],
  );
  const totalBytes = list?.items.reduce((sum, image) => sum + Math.max(0, image.sizeBytes), 0) ?? 0;
  const buttons = (
    <>
      <Button icon={FolderOpen} onClick={() => fileInput.current?.click()}>
        {text.load}
      </Button>
      <Button tone="primary" icon={Download} onClick={() => openPullDialog()}>
        {text.pull}
      </Button>
    </>
  );
  return (
    <>
      <ListPage
        title={text.title}
        {...listInput(list)}
        placeholder={placeholder}
        subtitle={
          totalBytes > 0 && (
            <span className="nums text-xs text-ink-3">{text.total(formatBytes(totalBytes))}</span>
          )
        }
        store={store}
        columns={COLUMNS}
        getKey={getKey}
        getLabel={imageName}
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
        rowActions={(image) => imageActions(image, context)}
        quickActions={quickActions}
        bulkActions={(images) => [
          { id: 'save', label: text.actions.save, icon: Download, run: () => saveImages(images) },
          {
            id: 'remove',
            label: text.actions.remove,
            icon: Trash2,
            isDangerous: true,
            run: () => setRemoval(images),
          },
        ]}
        onOpen={onOpen}
        onRemove={setRemoval}
        toolbar={buttons}
        empty={
          <EmptyState icon={Layers} title={text.empty.title} body={text.empty.body}>
            {buttons}
          </EmptyState>
        }
      />
      <input
        ref={fileInput}
        type="file"
        accept=".tar,.gz,.tgz,.zst,application/x-tar"
        aria-label={text.load}
        tabIndex={-1}
        className="hidden"
        onChange={(event) => {
          setFile(event.currentTarget.files?.[0]);
          event.currentTarget.value = '';
        }}
      />
      {file !== undefined && <LoadDialog file={file} onClose={() => setFile(undefined)} />}
      {pushing !== undefined && (
        <PullDialog kind="push" initialReference={pushing} onClose={() => setPushing(undefined)} />
      )}
      <RemoveImagesDialog
        images={removal}
        onClose={() => setRemoval(undefined)}
        onRemoved={() => store.setState({ selected: new Set(), anchorKey: undefined })}
      />
      <TagDialog image={tagging} onClose={() => setTagging(undefined)} />
    </>
  );
}
