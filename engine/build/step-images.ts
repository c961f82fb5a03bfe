import type {
  HistoryEntry,
  Image,
  ImageLease,
  ImageService,
  Platform,
  RunConfig,
} from '../images/contract.ts';
import type { ChainId, Digest, LayerInfo } from '../snapshots/contract.ts';

/** Digest of a tar without members: such a layer adds nothing and is left out. */
const EMPTY_DIFF_ID = 'sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef';

/** What a stage is built on: the image of the step before, or nothing (FROM scratch). */
export interface StepBase {
  readonly id: Digest | undefined;
  readonly chainId: ChainId | undefined;
  readonly diffIds: readonly string[];
  readonly history: readonly HistoryEntry[];
  readonly platform: Platform;
}

/** One step about to become an image. */
export interface StepResult {
  readonly base: StepBase;
  /** Settings of the new image. */
  readonly config: RunConfig;
  /** The same with the command that made it; the cache compares this. */
  readonly recorded: RunConfig;
  readonly author: string;
}

export function baseOf(image: Image): StepBase {
  return {
    id: image.id,
    chainId: image.chainId,
    diffIds: image.layers.map((layer) => layer.diffId),
    history: image.config.history,
    platform: image.platform,
  };
}

/** Text that is equal for equal settings; host names are made up per container and do not count. */
function fingerprint(config: RunConfig | undefined): string {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) {
      return value.map(sorted);
    }
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(
        Object.entries(value)
          .filter(([, member]) => member !== undefined && member !== null)
          .sort(([left], [right]) => (left < right ? -1 : 1))
          .map(([key, member]) => [key, sorted(member)]),
      );
    }
    return value;
  };
  const { Hostname: _hostname, Domainname: _domainname, ...rest } = config ?? {};
  const filled = Object.entries(rest).filter(
    ([, value]) =>
      value !== undefined &&
      value !== '' &&
      JSON.stringify(value) !== '{}' &&
      JSON.stringify(value) !== '[]',
  );
  return JSON.stringify(sorted(Object.fromEntries(filled)));
}

/** Finds and makes the images of build steps: every step is an image whose parent is the step before. */
export class StepImages {
  readonly #images: ImageService;
  readonly #cacheFrom: readonly Image[];
  readonly #hasNoCache: boolean;
  /** Once a step of a stage missed, later ones of that stage miss too. */
  #hasMissed = false;

  constructor(images: ImageService, options: { cacheFrom: readonly Image[]; hasNoCache: boolean }) {
    this.#images = images;
    this.#cacheFrom = options.cacheFrom;
    this.#hasNoCache = options.hasNoCache;
  }

  /** An image that this very step made before; newest first. */
  async probe(step: StepResult): Promise<Image | undefined> {
    if (this.#hasNoCache || this.#hasMissed) {
      return undefined;
    }
    const wanted = fingerprint(step.recorded);
    const candidates =
      step.base.id === undefined
        ? this.#images
            .all()
            .filter((image) => image.parent === undefined && image.config.history.length === 1)
        : this.#images.childrenOf(step.base.id);
    const hit = candidates
      .filter((image) => fingerprint(image.config.container_config) === wanted)
      .sort((left, right) => (right.createdAtMs ?? 0) - (left.createdAtMs ?? 0))[0];
    const found = hit ?? (await this.#fromCacheImages(step));
    this.#hasMissed = found === undefined;
    return found;
  }

  /** `--cache-from`: an image whose history goes on from here with this step lends its layer. */
  async #fromCacheImages(step: StepResult): Promise<Image | undefined> {
    const { base } = step;
    const createdBy = createdByOf(step.recorded);
    for (const image of this.#cacheFrom) {
      const next = image.config.history[base.history.length];
      const isContinuation =
        next?.created_by === createdBy &&
        base.history.every(
          (entry, at) => entry.created_by === image.config.history[at]?.created_by,
        ) &&
        base.diffIds.every((diffId, at) => diffId === image.layers[at]?.diffId);
      if (!isContinuation) {
        continue;
      }
      const layer = next.empty_layer === true ? undefined : image.layers[base.diffIds.length];
      if (next.empty_layer !== true && layer === undefined) {
        continue;
      }
      await using lease = this.#images.lease();
      const chainId = layer?.chainId ?? base.chainId;
      if (chainId !== undefined) {
        lease.protect(chainId);
      }
      return await this.#create(step, lease, chainId, layer === undefined);
    }
    return undefined;
  }

  /** Makes the image of a step that changed settings only. */
  async commitSettings(step: StepResult): Promise<Image> {
    await using lease = this.#images.lease();
    if (step.base.chainId !== undefined) {
      lease.protect(step.base.chainId);
    }
    return await this.#create(step, lease, step.base.chainId, true);
  }

  /** Makes the image of a step that changed files: those of the writable `id`, which stays. */
  async commitFiles(step: StepResult, id: string, signal: AbortSignal | undefined): Promise<Image> {
    await using lease = this.#images.lease();
    if (step.base.chainId !== undefined) {
      lease.protect(step.base.chainId);
    }
    const layer: LayerInfo = await lease.commitWritable(id, signal === undefined ? {} : { signal });
    const isEmpty = layer.diffId === EMPTY_DIFF_ID || layer.chainId === step.base.chainId;
    const chainId = isEmpty ? step.base.chainId : layer.chainId;
    return await this.#create(step, lease, chainId, isEmpty, 'create');
  }

  async #create(
    step: StepResult,
    lease: ImageLease,
    chainId: ChainId | undefined,
    isEmptyLayer: boolean,
    eventAction?: string,
  ): Promise<Image> {
    const created = new Date().toISOString();
    const { platform } = step.base;
    return await this.#images.createImage({
      lease,
      chainId,
      parent: step.base.id,
      eventAction,
      config: {
        architecture: platform.architecture,
        os: platform.os,
        ...(platform.variant ? { variant: platform.variant } : {}),
        created,
        ...(step.author === '' ? {} : { author: step.author }),
        config: step.config,
        container_config: step.recorded,
        history: [
          ...step.base.history,
          {
            created,
            created_by: createdByOf(step.recorded),
            ...(step.author === '' ? {} : { author: step.author }),
            ...(isEmptyLayer ? { empty_layer: true } : {}),
          },
        ],
      },
    });
  }
}

function createdByOf(recorded: RunConfig): string {
  return (recorded.Cmd ?? []).join(' ');
}
