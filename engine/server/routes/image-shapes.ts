import { isBefore } from '../../api/versions.ts';
import type { ImageInspect, ImageSummary } from '../../images/contract.ts';

/** What list and inspect of images look like in older API versions. */

/** Summaries as `version` has them. @param options.keepsCounts  system/df counts containers in every version */
export function imageListItems(
  list: readonly ImageSummary[],
  version: string,
  options: { readonly keepsCounts?: boolean } = {},
): Record<string, unknown>[] {
  return list.map((image) => {
    const item: Record<string, unknown> = { ...image };
    if (
      isBefore(version, '1.43') &&
      image.RepoTags.length === 0 &&
      image.RepoDigests.length === 0
    ) {
      item['RepoTags'] = ['<none>:<none>'];
      item['RepoDigests'] = ['<none>@<none>'];
    }
    if (isBefore(version, '1.44')) {
      item['VirtualSize'] = image.Size;
    }
    if (isBefore(version, '1.48')) {
      delete item['Descriptor'];
    }
    if (isBefore(version, '1.51') && options.keepsCounts !== true) {
      item['Containers'] = -1;
    }
    return item;
  });
}

/** Members of Config that clients find even when they are not set. */
const CONFIG_DEFAULTS = {
  Cmd: null,
  Entrypoint: null,
  Env: null,
  Labels: null,
  OnBuild: null,
  User: '',
  Volumes: null,
  WorkingDir: '',
};
/** Members that API versions before 1.50 have besides. */
const OLD_CONFIG_DEFAULTS = {
  AttachStderr: false,
  AttachStdin: false,
  AttachStdout: false,
  Domainname: '',
  Hostname: '',
  Image: '',
  OpenStdin: false,
  StdinOnce: false,
  Tty: false,
};

/** Inspect as `version` has it. */
export function imageInspectFor(image: ImageInspect, version: string): Record<string, unknown> {
  const answer: Record<string, unknown> = { ...image };
  const old = isBefore(version, '1.50') ? OLD_CONFIG_DEFAULTS : {};
  answer['Config'] = { ...old, ...CONFIG_DEFAULTS, ...image.Config };
  if (isBefore(version, '1.44')) {
    answer['VirtualSize'] = image.Size;
    answer['Created'] = image.Created ?? '0001-01-01T00:00:00Z';
  }
  if (isBefore(version, '1.45')) {
    // Of the container that the image was made from. docker-compose 1.x looks for volumes there and needs the member.
    answer['ContainerConfig'] = { ...OLD_CONFIG_DEFAULTS, ...CONFIG_DEFAULTS, ...image.Config };
  }
  if (isBefore(version, '1.48')) {
    delete answer['Descriptor'];
  }
  return answer;
}
