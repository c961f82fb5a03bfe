import type { ImageSummary } from '../../../electron/contract/image-channels.ts';
import { shortId } from '../../components/format.ts';
import { text } from './text.ts';

/** Repository and tag of a reference; a port in the registry's name is not a tag. */
export function splitReference(reference: string): {
  readonly repository: string;
  readonly tag: string;
} {
  const at = reference.indexOf('@');
  const named = at === -1 ? reference : reference.slice(0, at);
  const colon = named.lastIndexOf(':');
  return colon > named.lastIndexOf('/')
    ? { repository: named.slice(0, colon), tag: named.slice(colon + 1) }
    : { repository: named, tag: '' };
}

/** What an image is called: its first tag, else repository without tag, else its short id. */
export function imageName(image: ImageSummary): string {
  return image.tags[0] ?? shortId(image.id);
}

/** Repository and tag as the list shows them. */
export function imageParts(image: ImageSummary): {
  readonly repository: string;
  readonly tag: string;
} {
  const [first] = image.tags;
  if (first !== undefined) {
    return splitReference(first);
  }
  const digest = image.digests[0];
  return {
    repository: digest === undefined ? text.none : splitReference(digest).repository,
    tag: text.none,
  };
}

/**
 * What is wrong with a typed reference, or undefined. The registry decides in the end; this only catches
 * what can never be one.
 */
export function isPlausibleReference(reference: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9._\-/:@[\]]*$/.test(reference) && !/\/\/|:$|\/$|@$/.test(reference);
}
