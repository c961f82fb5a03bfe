import { useState } from 'react';
import type { ImageSummary } from '../../../electron/contract/image-channels.ts';
import { Switch } from '../../components/controls.tsx';
import { ConfirmDialog } from '../../components/dialog.tsx';
import { Field, Input } from '../../components/field.tsx';
import { Notice } from '../../components/state.tsx';
import { bridge } from '../../data/bridge.ts';
import { removeImages } from './image-actions.ts';
import { imageName, imageParts } from './image-names.ts';
import { text } from './text.ts';

const NAMES_SHOWN = 4;

/** Asks before images go, naming the containers that use them. */
export function RemoveImagesDialog({
  images,
  onClose,
  onRemoved,
}: {
  readonly images: readonly ImageSummary[] | undefined;
  readonly onClose: () => void;
  readonly onRemoved?: () => void;
}) {
  const [isForced, setIsForced] = useState(false);
  const list = images ?? [];
  const [only] = list;
  const users = [...new Set(list.flatMap((image) => image.usedBy.map((user) => user.name)))];
  const names = users.slice(0, NAMES_SHOWN).join(', ');
  return (
    <ConfirmDialog
      isOpen={images !== undefined}
      title={
        list.length === 1 && only !== undefined
          ? text.removeDialog.titleOne(imageName(only))
          : text.removeDialog.titleMany(list.length)
      }
      body={text.removeDialog.body}
      confirmLabel={text.removeDialog.confirm}
      onClose={() => {
        setIsForced(false);
        onClose();
      }}
      onConfirm={async () => {
        await removeImages(list, isForced);
        onRemoved?.();
      }}
    >
      {users.length > 0 && (
        <>
          <Notice tone="warn">
            {users.length > NAMES_SHOWN
              ? text.removeDialog.usedMore(names, users.length - NAMES_SHOWN)
              : text.removeDialog.used(names)}
          </Notice>
          <Switch
            label={text.removeDialog.force}
            hint={text.removeDialog.forceHint}
            isOn={isForced}
            onChange={setIsForced}
          />
        </>
      )}
    </ConfirmDialog>
  );
}

/** Gives an image one more name. */
export function TagDialog({
  image,
  onClose,
}: {
  readonly image: ImageSummary | undefined;
  readonly onClose: () => void;
}) {
  return image === undefined ? null : <TagForm key={image.id} image={image} onClose={onClose} />;
}

function TagForm({
  image,
  onClose,
}: {
  readonly image: ImageSummary;
  readonly onClose: () => void;
}) {
  const parts = imageParts(image);
  const [repository, setRepository] = useState(
    parts.repository === text.none ? '' : parts.repository,
  );
  const [tag, setTag] = useState('');
  return (
    <ConfirmDialog
      isOpen
      isDangerous={false}
      title={text.tagDialog.title(imageName(image))}
      confirmLabel={text.tagDialog.confirm}
      onClose={onClose}
      onConfirm={async () => {
        await bridge.call('images.tag', {
          id: image.id,
          repository: repository.trim(),
          tag: tag.trim() === '' ? 'latest' : tag.trim(),
        });
      }}
    >
      <Field label={text.tagDialog.repository} hint={text.tagDialog.hint}>
        {(ids) => (
          <Input
            {...ids}
            value={repository}
            onChange={(event) => setRepository(event.currentTarget.value)}
          />
        )}
      </Field>
      <Field label={text.tagDialog.tag}>
        {(ids) => (
          <Input
            {...ids}
            value={tag}
            placeholder="latest"
            onChange={(event) => setTag(event.currentTarget.value)}
          />
        )}
      </Field>
    </ConfirmDialog>
  );
}
