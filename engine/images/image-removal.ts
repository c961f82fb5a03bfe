import { ConflictError, InvalidParameterError, isAbortError, messageOf } from '../base/errors.ts';
import { shortId } from '../base/ids.ts';
import type { Logger } from '../base/logger.ts';
import type { EventLog } from '../events/contract.ts';
import type { Digest } from '../snapshots/contract.ts';
import type { ImageDeleteItem, ImageFilters, ImageUsers } from './contract.ts';
import { booleanFilter, checkFilterNames, matchesLabels } from './filters.ts';
import { parseFilterTimeMs } from './go-time.ts';
import { timeMsOf } from './image-config.ts';
import type { ImagePublisher } from './image-publisher.ts';
import type { ImageQueries } from './image-queries.ts';
import type { ImageStore, StoreChange, StoredImage } from './image-store.ts';
import type { LayerKeeper } from './layer-keeper.ts';
import type { Platform } from './platform.ts';
import { type ImageReference, parseReference, withDefaultTag } from './reference.ts';

const PRUNE_FILTERS = ['dangling', 'label', 'label!', 'until'];

/** Why an image must stay. `isHard`: force does not help. `isUsed`: a container is the reason. */
interface Conflict {
  readonly isHard: boolean;
  readonly isUsed: boolean;
  readonly reason: string;
}

/** What a removal has done so far; `untagged` has one entry per event to publish. */
interface Outcome {
  readonly items: ImageDeleteItem[];
  readonly untagged: StoredImage[];
}

/** Which reasons count at the moment. */
interface ConflictMask {
  readonly references: boolean;
  readonly stopped: boolean;
}

function conflictError(id: Digest, conflict: Conflict): ConflictError {
  const force = conflict.isHard ? 'cannot be forced' : 'must be forced';
  return new ConflictError(
    `conflict: unable to delete ${shortId(id)} (${force}) - ${conflict.reason}`,
  );
}

/** At most one tag, and everything within one repository. */
function isSingleReference(references: readonly ImageReference[]): boolean {
  if (references.length <= 1) {
    return references.length === 1;
  }
  const tags = references.filter((ref) => ref.digest === undefined);
  const names = new Set(references.filter((ref) => ref.digest !== undefined).map((r) => r.name));
  const name = tags[0]?.name ?? references[0]?.name ?? '';
  return tags.length <= 1 && names.size === 1 && names.has(name);
}

function isIdPrefix(id: Digest, text: string): boolean {
  return id.startsWith(text) || id.slice('sha256:'.length).startsWith(text);
}

/** Docker's rules of untagging, deleting and pruning. */
export class ImageRemoval {
  readonly #store: ImageStore;
  readonly #keeper: LayerKeeper;
  readonly #queries: ImageQueries;
  readonly #publisher: ImagePublisher;
  readonly #events: EventLog;
  readonly #users: ImageUsers;
  readonly #log: Logger;
  #isPruning = false;

  constructor(options: {
    readonly store: ImageStore;
    readonly keeper: LayerKeeper;
    readonly queries: ImageQueries;
    readonly publisher: ImagePublisher;
    readonly events: EventLog;
    readonly users: ImageUsers;
    readonly log: Logger;
  }) {
    this.#store = options.store;
    this.#keeper = options.keeper;
    this.#queries = options.queries;
    this.#publisher = options.publisher;
    this.#events = options.events;
    this.#users = options.users;
    this.#log = options.log;
  }

  /** See `ImageService.remove`. */
  async remove(
    ref: string,
    options: {
      readonly isForced: boolean;
      readonly hasPrune: boolean;
      readonly platform?: Platform | undefined;
    },
  ): Promise<ImageDeleteItem[]> {
    const outcome: Outcome = { items: [], untagged: [] };
    const { isForced } = options;
    const first = await this.#store.change(() => this.#decideRemoval(ref, options, outcome));
    await this.#afterDeletion(first.deleted, outcome);
    if (!options.hasPrune) {
      return outcome.items;
    }
    // Parents that nothing needs any more go along, quietly.
    let next = first.deleted?.record.parent;
    while (next !== undefined) {
      const id: Digest = next;
      const step = await this.#store.change(() => {
        const parent = this.#store.find(id);
        return parent === undefined
          ? { change: {}, result: { deleted: undefined } }
          : this.#decideDeletion(parent, outcome, { isForced: false, isQuiet: true, dropped: [] });
      });
      await this.#afterDeletion(step.deleted, outcome);
      next = step.deleted?.record.parent;
    }
    this.#log.debug('image removed', { ref, isForced });
    return outcome.items;
  }

  async #afterDeletion(
    deleted: StoredImage | undefined,
    { items, untagged }: Outcome,
  ): Promise<void> {
    for (const image of untagged.splice(0)) {
      this.#publisher.emit('untag', image.record.id, image.record.id, image.config);
    }
    if (deleted === undefined) {
      return;
    }
    this.#publisher.emit('delete', deleted.record.id, deleted.record.id);
    items.push({ Deleted: deleted.record.id });
    for (const chainId of await this.#keeper.collect()) {
      items.push({ Deleted: chainId });
    }
  }

  #decideRemoval(
    ref: string,
    options: { readonly isForced: boolean; readonly platform?: Platform | undefined },
    outcome: Outcome,
  ): { change: StoreChange; result: { deleted: StoredImage | undefined } } {
    const { isForced } = options;
    const image = this.#queries.resolve(ref, options.platform);
    const { id } = image.record;
    let references = this.#store.referencesOf(id);
    const dropped: ImageReference[] = [];
    if (isIdPrefix(id, ref)) {
      if (isSingleReference(references)) {
        const conflict = this.#conflictOf(id, references, {
          references: false,
          stopped: !isForced,
        });
        if (conflict !== undefined) {
          throw conflictError(id, conflict);
        }
        dropped.push(...references);
        references = [];
      }
      this.#untag(image, dropped, outcome);
      return this.#decideDeletion(image, outcome, { isForced, isQuiet: false, dropped });
    }
    if (!isForced && isSingleReference(references)) {
      const user = this.#userOf(id);
      if (user !== undefined) {
        throw new ConflictError(
          `conflict: unable to remove repository reference ${JSON.stringify(ref)} (must force) - container ${shortId(user)} is using its referenced image ${shortId(id)}`,
        );
      }
    }
    const parsed = withDefaultTag(parseReference(ref));
    // A name with tag and digest was found by its digest.
    const named =
      this.#store.lookUp(parsed.canonical) === undefined && parsed.digest !== undefined
        ? parseReference(`${parsed.name}@${parsed.digest}`)
        : parsed;
    dropped.push(named);
    const rest = references.filter((entry) => entry.canonical !== named.canonical);
    const hasTagLeft = rest.some((entry) => entry.tag !== undefined && entry.name === named.name);
    if (named.digest === undefined && !hasTagLeft) {
      // Digests of a repository go with its last tag.
      dropped.push(
        ...rest.filter((entry) => entry.digest !== undefined && entry.name === named.name),
      );
    }
    const gone = new Set(dropped.map((entry) => entry.canonical));
    this.#untag(image, dropped, outcome);
    if (references.some((entry) => !gone.has(entry.canonical))) {
      return { change: { dropReferences: [...gone] }, result: { deleted: undefined } };
    }
    return this.#decideDeletion(image, outcome, { isForced, isQuiet: true, dropped });
  }

  #untag(image: StoredImage, dropped: readonly ImageReference[], outcome: Outcome): void {
    for (const reference of dropped) {
      outcome.items.push({ Untagged: reference.familiar });
      if (reference.digest === undefined || dropped.length === 1) {
        outcome.untagged.push(image);
      }
    }
  }

  /** @throws ConflictError  unless quiet */
  #decideDeletion(
    image: StoredImage,
    outcome: Outcome,
    options: {
      readonly isForced: boolean;
      readonly isQuiet: boolean;
      readonly dropped: readonly ImageReference[];
    },
  ): { change: StoreChange; result: { deleted: StoredImage | undefined } } {
    const { id } = image.record;
    const gone = new Set(options.dropped.map((entry) => entry.canonical));
    const references = this.#store.referencesOf(id).filter((entry) => !gone.has(entry.canonical));
    const conflict = this.#conflictOf(id, references, {
      references: !options.isForced,
      stopped: !options.isForced,
    });
    if (conflict !== undefined) {
      const isDangling = references.length === 0 && this.#queries.childrenOf(id).length === 0;
      if (options.isQuiet && (!isDangling || conflict.isUsed)) {
        return { change: { dropReferences: [...gone] }, result: { deleted: undefined } };
      }
      throw conflictError(id, conflict);
    }
    this.#untag(image, references, outcome);
    return {
      change: {
        dropReferences: [...gone, ...references.map((entry) => entry.canonical)],
        records: [{ ...image, record: { ...image.record, isRemoved: true } }],
      },
      result: { deleted: image },
    };
  }

  #conflictOf(
    id: Digest,
    references: readonly ImageReference[],
    mask: ConflictMask,
  ): Conflict | undefined {
    if (this.#queries.childrenOf(id).length > 0) {
      return { isHard: true, isUsed: false, reason: 'image has dependent child images' };
    }
    const running = this.#userOf(id, true);
    if (running !== undefined) {
      const reason = `image is being used by running container ${shortId(running)}`;
      return { isHard: true, isUsed: true, reason };
    }
    if (mask.references && references.length > 0) {
      const reason = 'image is referenced in multiple repositories';
      return { isHard: false, isUsed: false, reason };
    }
    const stopped = mask.stopped ? this.#userOf(id, false) : undefined;
    if (stopped !== undefined) {
      const reason = `image is being used by stopped container ${shortId(stopped)}`;
      return { isHard: false, isUsed: true, reason };
    }
    return undefined;
  }

  #userOf(id: Digest, isRunning?: boolean): string | undefined {
    for (const user of this.#users()) {
      const isUsing = user.imageId === id || user.mountedImageIds?.includes(id) === true;
      if (isUsing && (isRunning === undefined || user.isRunning === isRunning)) {
        return user.containerId;
      }
    }
    return undefined;
  }

  /** See `ImageService.prune`. */
  async prune(
    filters: ImageFilters,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly deleted: ImageDeleteItem[]; readonly reclaimedBytes: number }> {
    if (this.#isPruning) {
      throw new ConflictError('a prune operation is already running');
    }
    this.#isPruning = true;
    try {
      checkFilterNames(filters, PRUNE_FILTERS);
      const isDanglingOnly = booleanFilter(filters, 'dangling') ?? true;
      const untilMs = untilOf(filters);
      const freedBefore = this.#keeper.freedBytes;
      const deleted: ImageDeleteItem[] = [];
      for (const image of this.#candidates(filters, isDanglingOnly, untilMs)) {
        if (signal?.aborted === true) {
          break;
        }
        await this.#pruneOne(image, isDanglingOnly, deleted);
      }
      await this.#keeper.sweep({ hasIngests: true });
      const reclaimedBytes = this.#keeper.freedBytes - freedBefore;
      this.#events.publish({
        type: 'image',
        action: 'prune',
        id: '',
        attributes: { reclaimed: String(reclaimedBytes) },
      });
      return { deleted, reclaimedBytes };
    } finally {
      this.#isPruning = false;
    }
  }

  #candidates(
    filters: ImageFilters,
    isDanglingOnly: boolean,
    untilMs: number | undefined,
  ): readonly StoredImage[] {
    const parents = this.#queries.parents();
    return [...this.#store.visible()].filter((image) => {
      const isParent = parents.has(image.record.id);
      const hasReferences = this.#store.referencesOf(image.record.id).length > 0;
      if (isParent && (isDanglingOnly || !hasReferences)) {
        return false;
      }
      const createdMs = timeMsOf(image.config.created);
      if (untilMs !== undefined && (createdMs === undefined || createdMs > untilMs)) {
        return false;
      }
      const labels = image.config.config.Labels;
      const isExcluded = filters.has('label!') && matchesLabels(filters, 'label!', labels);
      return matchesLabels(filters, 'label', labels) && !isExcluded;
    });
  }

  async #pruneOne(
    image: StoredImage,
    isDanglingOnly: boolean,
    deleted: ImageDeleteItem[],
  ): Promise<void> {
    const references = this.#store.referencesOf(image.record.id);
    const hasTag = references.some((entry) => entry.tag !== undefined);
    if (isDanglingOnly && hasTag) {
      return;
    }
    const targets =
      references.length > 0
        ? references.map((entry) => entry.canonical)
        : [image.record.id.slice('sha256:'.length)];
    for (const target of targets) {
      try {
        deleted.push(...(await this.remove(target, { isForced: false, hasPrune: true })));
      } catch (error) {
        if (isAbortError(error)) {
          throw error;
        }
        // In use, or gone with another of its names.
        this.#log.debug('image not pruned', { target, error: messageOf(error) });
      }
    }
  }
}

function untilOf(filters: ImageFilters): number | undefined {
  const values = filters.get('until');
  if (values === undefined) {
    return undefined;
  }
  const [value = ''] = values;
  if (values.length > 1) {
    throw new InvalidParameterError('more than one until filter specified');
  }
  return parseFilterTimeMs(value, Date.now());
}
