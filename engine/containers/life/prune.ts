import { ConflictError, messageOf } from '../../base/errors.ts';
import type { Filters } from '../contract.ts';
import type { ContainerCore } from '../core.ts';
import { assertKnownFilters, lacksLabels, matchesLabels, untilMs } from '../query/filters.ts';
import { unixSeconds } from '../times.ts';
import type { Lifecycle } from './lifecycle.ts';

const KNOWN_FILTERS = new Set(['label', 'label!', 'until']);

/** Removes what is stopped; one prune at a time. */
export class Pruner {
  readonly #core: ContainerCore;
  readonly #lifecycle: Lifecycle;
  #isRunning = false;

  constructor(core: ContainerCore, lifecycle: Lifecycle) {
    this.#core = core;
    this.#lifecycle = lifecycle;
  }

  /** Implements {@link ContainerService.prune}. */
  async prune(
    filters: Filters,
  ): Promise<{ readonly deleted: readonly string[]; readonly reclaimedBytes: number }> {
    assertKnownFilters(filters, KNOWN_FILTERS);
    const until = untilMs(filters);
    if (this.#isRunning) {
      throw new ConflictError('a prune operation is already running');
    }
    this.#isRunning = true;
    try {
      return await this.#run(filters, until);
    } finally {
      this.#isRunning = false;
    }
  }

  async #run(filters: Filters, until: number | undefined) {
    const deleted: string[] = [];
    let reclaimedBytes = 0;
    for (const container of this.#core.registry.all()) {
      const { record } = container;
      const labels = record.config.Labels ?? {};
      const isChosen =
        !record.state.isRunning &&
        (until === undefined || unixSeconds(record.createdAt) * 1000 <= until) &&
        matchesLabels(filters.get('label'), labels) &&
        lacksLabels(filters.get('label!'), labels);
      if (!isChosen) {
        continue;
      }
      try {
        const size = await this.#core.ports.snapshots.writableSize(container.id).catch(() => 0);
        const options = { isForced: false, withVolumes: false, isLink: false };
        await this.#lifecycle.remove(container.id, options);
        deleted.push(container.id);
        reclaimedBytes += size;
      } catch (error) {
        this.#core.logger.warn('container was not pruned', {
          id: container.id,
          problem: messageOf(error),
        });
      }
    }
    this.#core.ports.events.publish({
      type: 'container',
      action: 'prune',
      id: '',
      attributes: { reclaimed: String(reclaimedBytes) },
    });
    return { deleted, reclaimedBytes };
  }
}
