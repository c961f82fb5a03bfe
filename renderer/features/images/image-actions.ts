import { Copy, Download, Play, RefreshCw, Tag, Trash2, Upload } from 'lucide-react';
import type { ImageSummary } from '../../../electron/contract/image-channels.ts';
import { copyAndTell } from '../../components/copy-and-tell.ts';
import type { Action } from '../../components/menu.tsx';
import { toast } from '../../components/toast.tsx';
import { bridge, download, problemOf } from '../../data/bridge.ts';
import { openPullDialog, openRunDialog } from '../../data/ui.ts';
import { imageName } from './image-names.ts';
import { text } from './text.ts';

/** What an image menu needs from its page. */
export interface ImageMenuContext {
  readonly askRemove: (images: readonly ImageSummary[]) => void;
  readonly askTag: (image: ImageSummary) => void;
  readonly askPush: (image: ImageSummary) => void;
}

/** Everything that can be done with one image. */
export function imageActions(image: ImageSummary, context: ImageMenuContext): readonly Action[] {
  const name = text.actions;
  const reference = image.tags[0];
  return [
    { id: 'run', label: name.run, icon: Play, run: () => openRunDialog(reference ?? image.id) },
    { id: 'tag', label: name.tag, icon: Tag, hasSeparator: true, run: () => context.askTag(image) },
    {
      id: 'push',
      label: name.push,
      icon: Upload,
      isDisabled: reference === undefined,
      run: () => context.askPush(image),
    },
    {
      id: 'pull',
      label: name.pullAgain,
      icon: RefreshCw,
      isDisabled: reference === undefined,
      run: () => openPullDialog(reference),
    },
    { id: 'save', label: name.save, icon: Download, run: () => saveImages([image]) },
    {
      id: 'copy-id',
      label: name.copyId,
      icon: Copy,
      hasSeparator: true,
      run: () => copyAndTell(image.id),
    },
    {
      id: 'remove',
      label: name.remove,
      icon: Trash2,
      isDangerous: true,
      hasSeparator: true,
      run: () => context.askRemove([image]),
    },
  ];
}

/** Saves images as one tar through the browser's download. */
export function saveImages(images: readonly ImageSummary[]): void {
  const references = images.flatMap((image) => (image.tags.length > 0 ? image.tags : [image.id]));
  bridge
    .call('images.save', { references: references.slice(0, 100) })
    .then(({ path }) => download(path))
    .catch((error: unknown) =>
      toast.error(text.saveFailed, { description: problemOf(error).message }),
    );
}

/**
 * Removes images with all of their tags, one after the other.
 * @throws Error  when only one was to go and did not
 */
export async function removeImages(
  images: readonly ImageSummary[],
  isForced: boolean,
): Promise<void> {
  const failures: string[] = [];
  for (const image of images) {
    try {
      await removeOne(image, isForced);
    } catch (error) {
      if (images.length === 1) {
        throw error;
      }
      failures.push(`${imageName(image)}: ${problemOf(error).message}`);
    }
  }
  if (failures.length > 0) {
    toast.error(text.removeDialog.failed(failures.length), { description: failures.join('\n') });
  }
}

async function removeOne(image: ImageSummary, isForced: boolean): Promise<void> {
  if (isForced || image.tags.length <= 1) {
    await bridge.call('images.remove', {
      id: image.tags.length === 1 && !isForced ? (image.tags[0] ?? image.id) : image.id,
      force: isForced,
    });
    return;
  }
  // By id an image with several names is refused without force: take the names one by one.
  for (const tag of image.tags) {
    await bridge.call('images.remove', { id: tag, force: false });
  }
}
