import { InvalidParameterError, NotFoundError, SystemError } from '../base/errors.ts';
import type { Digest, Snapshotter } from '../snapshots/contract.ts';
import type {
  Descriptor,
  Image,
  ImageFilters,
  ImageHistoryItem,
  ImageInspect,
  ImageSummary,
  ImageUsers,
  ManifestSummary,
} from './contract.ts';
import { booleanFilter, checkFilterNames, matchesLabels } from './filters.ts';
import { parseFilterTimeMs } from './go-time.ts';
import { runConfigToWire, timeMsOf } from './image-config.ts';
import type { ImageStore, StoredImage } from './image-store.ts';
import type { LayerKeeper } from './layer-keeper.ts';
import { formatPlatform, normalizePlatform, type Platform, platformScore } from './platform.ts';
import {
  familiarMatch,
  type ImageReference,
  parseAnyReference,
  withDefaultTag,
} from './reference.ts';
import { MEDIA, platformToWire } from './registry/manifest.ts';

const LIST_FILTERS = ['dangling', 'label', 'before', 'since', 'reference', 'until'];
/** Go's zero time, for images that were never tagged here. */
const NEVER = '0001-01-01T00:00:00Z';

/** Reads images: resolving, listing, inspecting. */
export class ImageQueries {
  readonly #store: ImageStore;
  readonly #keeper: LayerKeeper;
  readonly #snapshots: Snapshotter;
  readonly #users: ImageUsers;

  constructor(options: {
    readonly store: ImageStore;
    readonly keeper: LayerKeeper;
    readonly snapshots: Snapshotter;
    readonly users: ImageUsers;
  }) {
    this.#store = options.store;
    this.#keeper = options.keeper;
    this.#snapshots = options.snapshots;
    this.#users = options.users;
  }

  /** The stored image for what a client gave. @throws NotFoundError, InvalidParameterError */
  resolve(text: string, platform?: Platform): StoredImage {
    const found = this.#lookUp(text);
    if (found === undefined) {
      throw new NotFoundError(`No such image: ${this.#shown(text)}`);
    }
    if (platform !== undefined) {
      const has = normalizePlatform(found.config);
      if (platformScore(platform, has) === 0) {
        throw new NotFoundError(
          `image with reference ${text} was found but its platform (${formatPlatform(has)}) does not match the specified platform (${formatPlatform(platform)})`,
        );
      }
    }
    return found;
  }

  /** Like `resolve`, undefined when absent. @throws InvalidParameterError */
  find(text: string): StoredImage | undefined {
    return this.#lookUp(text);
  }

  #shown(text: string): string {
    const parsed = parseAnyReference(text);
    return parsed.kind === 'digest' ? parsed.digest : withDefaultTag(parsed.reference).familiar;
  }

  #lookUp(text: string): StoredImage | undefined {
    const parsed = parseAnyReference(text);
    if (parsed.kind === 'digest') {
      return this.#store.find(parsed.digest);
    }
    const id = this.lookUpReference(parsed.reference);
    if (id !== undefined) {
      return this.#store.find(id);
    }
    const prefix = /^(?:sha256:)?([0-9a-f]{1,64})$/.exec(text)?.[1];
    if (prefix === undefined) {
      return undefined;
    }
    const matches = [...this.#store.visible()].filter((image) =>
      image.record.id.startsWith(`sha256:${prefix}`),
    );
    return matches.length === 1 ? matches[0] : undefined;
  }

  /** Id of a reference; with tag and digest both the digest decides. */
  lookUpReference(reference: ImageReference): Digest | undefined {
    const named = withDefaultTag(reference);
    return (
      this.#store.lookUp(named.canonical) ??
      (named.digest === undefined ? undefined : this.#store.lookUp(`${named.name}@${named.digest}`))
    );
  }

  /** The public view of a stored image. */
  view(image: StoredImage): Image {
    const { record, config, chainIds } = image;
    const references = this.#store.referencesOf(record.id);
    return {
      id: record.id,
      config,
      platform: normalizePlatform(config),
      chainId: chainIds.at(-1),
      layers: record.layers.flatMap(({ diffId, blob }, index) => {
        const chainId = chainIds[index];
        return chainId === undefined ? [] : [{ diffId, chainId, blob }];
      }),
      sizeBytes: this.#keeper.sizeOf(chainIds),
      createdAtMs: timeMsOf(config.created),
      references: references.filter((ref) => ref.digest === undefined).map((ref) => ref.familiar),
      repoDigests: references.filter((ref) => ref.digest !== undefined).map((ref) => ref.familiar),
      parent: record.parent,
      descriptor: record.manifests.at(-1),
      lastTaggedAtMs: record.lastTaggedAtMs,
    };
  }

  childrenOf(id: Digest): readonly StoredImage[] {
    return [...this.#store.visible()].filter((image) => image.record.parent === id);
  }

  /** Ids that are the parent of some image. */
  parents(): ReadonlySet<Digest> {
    const parents = new Set<Digest>();
    for (const image of this.#store.visible()) {
      if (image.record.parent !== undefined) {
        parents.add(image.record.parent);
      }
    }
    return parents;
  }

  /** See `ImageService.list`. */
  list(options: {
    readonly filters: ImageFilters;
    readonly hasIntermediate?: boolean | undefined;
    readonly hasSharedSize?: boolean | undefined;
    readonly hasManifests?: boolean | undefined;
  }): ImageSummary[] {
    const { filters } = options;
    checkFilterNames(filters, LIST_FILTERS);
    const dangling = booleanFilter(filters, 'dangling');
    const range = this.#timeRange(filters);
    const parents = this.parents();
    const containers = this.#containersByImage();
    const shared = options.hasSharedSize === true ? this.#diskUse() : undefined;
    const summaries: ImageSummary[] = [];
    for (const image of this.#store.visible()) {
      const created = timeMsOf(image.config.created);
      const isParent = parents.has(image.record.id);
      const references = this.#shownReferences(image.record.id, filters);
      const isInRange =
        (range.beforeMs === undefined || (created !== undefined && created < range.beforeMs)) &&
        (range.sinceMs === undefined || (created !== undefined && created > range.sinceMs));
      const isShown =
        isInRange &&
        matchesLabels(filters, 'label', image.config.config.Labels) &&
        isListed(references, {
          dangling,
          isIntermediate: isParent && options.hasIntermediate !== true,
          hasChildren: isParent,
          hasReferenceFilter: filters.has('reference'),
        });
      if (isShown) {
        const users = containers.get(image.record.id) ?? [];
        summaries.push(this.#summary(image, references, { users, shared, ...options }));
      }
    }
    return summaries.toSorted((a, b) => b.Created - a.Created || (a.Id < b.Id ? -1 : 1));
  }

  #summary(
    image: StoredImage,
    references: readonly ImageReference[],
    options: {
      readonly users: readonly string[];
      readonly shared: ReadonlyMap<Digest, number> | undefined;
      readonly hasManifests?: boolean | undefined;
    },
  ): ImageSummary {
    const { record, config } = image;
    const { shared, users } = options;
    return {
      Id: record.id,
      ParentId: record.parent ?? '',
      RepoTags: references.filter((ref) => ref.digest === undefined).map((ref) => ref.familiar),
      RepoDigests: references.filter((ref) => ref.digest !== undefined).map((ref) => ref.familiar),
      Created: Math.floor((timeMsOf(config.created) ?? 0) / 1000),
      Size: this.#diskBytes(image),
      SharedSize:
        shared === undefined
          ? -1
          : this.#diskBytes(image, (digest) => (shared.get(digest) ?? 0) > 1),
      Labels: config.config.Labels === undefined ? null : { ...config.config.Labels },
      Containers: users.length,
      ...(options.hasManifests === true ? this.#manifests(image, users) : {}),
    };
  }

  #manifests(
    image: StoredImage,
    users: readonly string[],
  ): { Descriptor?: Descriptor; Manifests?: ManifestSummary[] } {
    const { record, config, chainIds } = image;
    const descriptor = record.manifests.at(-1);
    if (descriptor === undefined) {
      return {};
    }
    const unpackedBytes = this.#keeper.sizeOf(chainIds);
    const contentBytes = record.layers.reduce((sum, { blob }) => sum + (blob?.size ?? 0), 0);
    const indexTypes: readonly string[] = [MEDIA.ociIndex, MEDIA.dockerList];
    const manifest = record.manifests.findLast((entry) => !indexTypes.includes(entry.mediaType));
    const shown = manifest ?? descriptor;
    return {
      Descriptor: descriptor,
      Manifests: [
        {
          ID: shown.digest,
          Descriptor: shown,
          Available: true,
          Kind: 'image',
          Size: { Content: contentBytes, Total: contentBytes + unpackedBytes },
          ImageData: {
            Platform: platformToWire(normalizePlatform(config)),
            Size: { Unpacked: unpackedBytes },
            Containers: [...users],
          },
        },
      ],
    };
  }

  #shownReferences(id: Digest, filters: ImageFilters): readonly ImageReference[] {
    const patterns = filters.get('reference');
    const references = this.#store.referencesOf(id);
    return patterns === undefined
      ? references
      : references.filter((ref) => patterns.some((pattern) => familiarMatch(pattern, ref)));
  }

  #containersByImage(): ReadonlyMap<Digest, readonly string[]> {
    const byImage = new Map<Digest, string[]>();
    for (const user of this.#users()) {
      const ids = byImage.get(user.imageId) ?? [];
      ids.push(user.containerId);
      byImage.set(user.imageId, ids);
    }
    return byImage;
  }

  /** How many images use each layer and each blob. */
  #diskUse(): ReadonlyMap<Digest, number> {
    const counts = new Map<Digest, number>();
    for (const image of this.#store.visible()) {
      for (const digest of [...image.chainIds, ...blobSizes(image).keys()]) {
        counts.set(digest, (counts.get(digest) ?? 0) + 1);
      }
    }
    return counts;
  }

  /** Bytes on disk: unpacked layers and blobs, those that `isCounted`. */
  #diskBytes(image: StoredImage, isCounted: (digest: Digest) => boolean = () => true): number {
    let total = this.#keeper.sizeOf(image.chainIds.filter(isCounted));
    for (const [digest, sizeBytes] of blobSizes(image)) {
      total += isCounted(digest) ? sizeBytes : 0;
    }
    return total;
  }

  /** `before` and `until` give the upper bound, `since` the lower; several mean all of them. */
  #timeRange(filters: ImageFilters): { readonly beforeMs?: number; readonly sinceMs?: number } {
    const createdOf = (ref: string): number | undefined =>
      timeMsOf(this.resolve(ref).config.created);
    const upper = [
      ...(filters.get('before') ?? []).map(createdOf),
      ...(filters.get('until') ?? []).map((text) => parseFilterTimeMs(text, Date.now())),
    ].filter((time) => time !== undefined);
    const lower = (filters.get('since') ?? []).map(createdOf).filter((time) => time !== undefined);
    return {
      ...(upper.length === 0 ? {} : { beforeMs: Math.min(...upper) }),
      ...(lower.length === 0 ? {} : { sinceMs: Math.max(...lower) }),
    };
  }

  /** See `ImageService.inspect`. */
  async inspect(
    ref: string,
    options: {
      readonly platform?: Platform | undefined;
      readonly hasManifests?: boolean | undefined;
    } = {},
  ): Promise<ImageInspect> {
    if (options.hasManifests === true && options.platform !== undefined) {
      throw new InvalidParameterError(
        'conflicting options: manifests and platform options cannot both be set',
      );
    }
    const image = this.resolve(ref, options.platform);
    const { record, config } = image;
    const view = this.view(image);
    const wired = runConfigToWire(config.config);
    const containers = this.#containersByImage().get(record.id) ?? [];
    return {
      Id: record.id,
      RepoTags: [...view.references],
      RepoDigests: [...view.repoDigests],
      Parent: record.parent ?? '',
      Comment: config.comment ?? config.history.at(-1)?.comment ?? '',
      ...(config.created === undefined ? {} : { Created: config.created }),
      ...(config.container === undefined ? {} : { Container: config.container }),
      ...(config.container_config === undefined
        ? {}
        : { ContainerConfig: runConfigToWire(config.container_config) }),
      DockerVersion: config.docker_version ?? '',
      Author: config.author ?? '',
      Config: wired,
      Architecture: config.architecture,
      ...(config.variant === undefined || config.variant === '' ? {} : { Variant: config.variant }),
      Os: config.os,
      ...(config['os.version'] === undefined ? {} : { OsVersion: config['os.version'] }),
      Size: this.#diskBytes(image),
      GraphDriver: { Name: this.#snapshots.driver, Data: await this.#graphData(view) },
      RootFS: {
        Type: config.rootfs.type,
        ...(record.layers.length === 0
          ? {}
          : { Layers: record.layers.map((layer) => layer.diffId) }),
      },
      Metadata: {
        LastTagTime:
          record.lastTaggedAtMs === undefined
            ? NEVER
            : new Date(record.lastTaggedAtMs).toISOString(),
      },
      ...(options.hasManifests === true ? this.#manifests(image, containers) : {}),
    };
  }

  async #graphData(view: Image): Promise<Record<string, string> | null> {
    if (view.chainId === undefined) {
      return null;
    }
    const layerData = await this.#snapshots.layerData?.(view.chainId);
    return layerData === undefined ? null : { ...layerData };
  }

  /** See `ImageService.history`. */
  history(ref: string, platform?: Platform): ImageHistoryItem[] {
    const image = this.resolve(ref, platform);
    const { config, chainIds } = image;
    let layerIndex = 0;
    const items: ImageHistoryItem[] = [];
    for (const entry of config.history) {
      let sizeBytes = 0;
      if (entry.empty_layer !== true) {
        const chainId = chainIds[layerIndex];
        if (chainId === undefined) {
          throw new SystemError('too many non-empty layers in History section');
        }
        sizeBytes = this.#keeper.sizeOf([chainId]);
        layerIndex += 1;
      }
      items.unshift({
        Id: '<missing>',
        Created: Math.floor((timeMsOf(entry.created) ?? 0) / 1000),
        CreatedBy: entry.created_by ?? '',
        Tags: null,
        Size: sizeBytes,
        Comment: entry.comment ?? '',
      });
    }
    let next: StoredImage | undefined = image;
    for (const item of items) {
      if (next === undefined) {
        break;
      }
      item.Id = next.record.id;
      const tags = this.view(next).references;
      item.Tags = tags.length === 0 ? null : [...tags];
      next = next.record.parent === undefined ? undefined : this.#store.find(next.record.parent);
    }
    return items;
  }
}

/** Blobs of an image with their sizes. */
function blobSizes(image: StoredImage): ReadonlyMap<Digest, number> {
  const { record } = image;
  const sizes = new Map<Digest, number>([[record.id, image.configSizeBytes]]);
  for (const manifest of record.manifests) {
    sizes.set(manifest.digest, manifest.size);
  }
  for (const { blob } of record.layers) {
    if (blob !== undefined) {
      sizes.set(blob.digest, blob.size);
    }
  }
  return sizes;
}

function isListed(
  references: readonly ImageReference[],
  facts: {
    readonly dangling: boolean | undefined;
    readonly isIntermediate: boolean;
    readonly hasChildren: boolean;
    readonly hasReferenceFilter: boolean;
  },
): boolean {
  if (facts.dangling === true && facts.hasChildren) {
    return false;
  }
  if (references.length === 0) {
    return !facts.isIntermediate && facts.dangling !== false && !facts.hasReferenceFilter;
  }
  return facts.dangling !== true || references.every((ref) => ref.tag === undefined);
}
