import { z } from 'zod';
import { pathSegment } from '../../engine/api/client/client.ts';
import {
  containerInspectSchema,
  containerListItemSchema,
  imageInspectSchema,
  imageListItemSchema,
  networkSchema,
  volumeListSchema,
  volumeSchema,
} from '../../engine/api/client/responses.ts';
import { Semaphore } from '../../engine/base/async.ts';
import { isAbortError, messageOf, NotFoundError } from '../../engine/base/errors.ts';
import type { Logger } from '../../engine/base/logger.ts';
import type { EngineEvent } from '../contract/app-channels.ts';
import type { ContainerSummary } from '../contract/container-channels.ts';
import type { ImageSummary } from '../contract/image-channels.ts';
import type { NetworkSummary, VolumeSummary } from '../contract/storage-channels.ts';
import type { EngineLink } from './engine-link.ts';
import { LiveList } from './live-list.ts';
import {
  containerFromInspect,
  containerFromList,
  imageFromInspect,
  imageFromList,
  networkRow,
  volumeRow,
} from './normalise.ts';
import { UsageIndex } from './usage-index.ts';

/** Inspects at once: enough to be quick, few enough not to crowd out what the user does. */
const INSPECT_CONCURRENCY = 4;

/** The engine answers but a list does not: ask again after this. */
const RETRY_LIST_MS = 2000;

/** Container events that say nothing about the row. */
const SILENT_CONTAINER_ACTIONS =
  /^(exec_|top|attach|detach|resize|export|archive-path|extract-to-dir|copy)/;

/**
 * The live lists of containers, images, volumes and networks. Each is read whole once per connection to the engine;
 * after that single objects are read again when an event names them, each at most once at a time.
 */
export class Stores implements Disposable {
  readonly containers = new LiveList<ContainerSummary>();
  readonly images = new LiveList<ImageSummary>();
  readonly volumes = new LiveList<VolumeSummary>();
  readonly networks = new LiveList<NetworkSummary>();
  readonly #link: EngineLink;
  readonly #log: Logger;
  readonly #usage: UsageIndex;
  readonly #limit = new Semaphore(INSPECT_CONCURRENCY);
  /** Keys being read; true = something happened since, read again. */
  readonly #refreshing = new Map<string, boolean>();
  readonly #registration: Disposable;
  /** Counts connections; work of an older one is dropped. */
  #epoch = 0;
  /** Ids that events named while the first lists were being read. */
  #isListing = false;
  #missed: EngineEvent[] = [];

  constructor(link: EngineLink, log: Logger) {
    this.#link = link;
    this.#log = log.child({ component: 'stores' });
    this.#usage = new UsageIndex(this.containers, this.images, this.volumes, this.networks);
    this.#registration = link.listen({
      onConnected: () => void this.#readAll(),
      onDisconnected: (reason) => this.#offline(reason),
      onEvent: (event) => this.#onEvent(event),
    });
  }

  [Symbol.dispose](): void {
    this.#epoch += 1;
    this.#registration[Symbol.dispose]();
    this.#usage[Symbol.dispose]();
  }

  /** Reads one container again, e.g. after a change that engines send no event for. */
  refreshContainer(id: string): void {
    this.#refresh(`container ${id}`, () => this.#readContainer(id));
  }

  #offline(reason: string): void {
    this.#epoch += 1;
    for (const list of [this.containers, this.images, this.volumes, this.networks]) {
      list.setOffline(reason);
    }
  }

  async #readAll(): Promise<void> {
    this.#epoch += 1;
    const epoch = this.#epoch;
    this.#isListing = true;
    this.#missed = [];
    const { client } = this.#link;
    try {
      const [containers, images, volumes, networks] = await Promise.all([
        client.get('/containers/json', z.array(containerListItemSchema), { query: { all: 1 } }),
        client.get('/images/json', z.array(imageListItemSchema)),
        client.get('/volumes', volumeListSchema),
        client.get('/networks', z.array(networkSchema)),
      ]);
      if (epoch !== this.#epoch) {
        return;
      }
      this.containers.reset(containers.map(containerFromList));
      this.#usage.rebuild();
      this.images.reset(images.map((item) => imageFromList(item, this.#usage.ofImage(item.Id))));
      this.volumes.reset(
        volumes.Volumes.map((item) => volumeRow(item, this.#usage.ofVolume(item.Name))),
      );
      this.networks.reset(
        networks.map((item) => networkRow(item, this.#usage.ofNetwork(item.Name))),
      );
      this.#isListing = false;
      for (const event of this.#missed.splice(0)) {
        this.#onEvent(event);
      }
      // Start and end times, exit codes and restart counts are in the details only.
      for (const container of containers) {
        this.refreshContainer(container.Id);
      }
    } catch (error) {
      if (epoch === this.#epoch) {
        this.#isListing = false;
        this.#log.warn('lists could not be read', { error });
        this.#offline(messageOf(error));
        const offlineEpoch = this.#epoch;
        setTimeout(() => {
          if (offlineEpoch === this.#epoch && this.#link.status.status === 'connected') {
            void this.#readAll();
          }
        }, RETRY_LIST_MS).unref();
      }
    }
  }

  #onEvent(event: EngineEvent): void {
    if (this.#isListing) {
      this.#missed.push(event);
      return;
    }
    const { id, action } = event;
    if (id === '') {
      // Prune events name no object; what they removed has events of its own.
      return;
    }
    switch (event.type) {
      case 'container':
        this.#onContainerEvent(id, action);
        break;
      case 'image':
        this.#refresh(`image ${id}`, () => this.#readImage(id));
        break;
      case 'volume':
        if (action === 'create' || action === 'destroy' || action === 'prune') {
          this.#refresh(`volume ${id}`, () => this.#readVolume(id));
        }
        break;
      case 'network':
        this.#refresh(`network ${id}`, () => this.#readNetwork(id));
        if (event.attributes['container'] !== undefined) {
          this.refreshContainer(event.attributes['container']);
        }
        break;
      default:
    }
  }

  #onContainerEvent(id: string, action: string): void {
    if (action === 'destroy') {
      this.containers.remove(id);
    } else if (!SILENT_CONTAINER_ACTIONS.test(action)) {
      this.refreshContainer(id);
    }
  }

  /** Runs `read` alone per key; events that come meanwhile make it run once more. */
  #refresh(key: string, read: () => Promise<void>): void {
    if (this.#refreshing.has(key)) {
      this.#refreshing.set(key, true);
      return;
    }
    this.#refreshing.set(key, false);
    const epoch = this.#epoch;
    const run = async (): Promise<void> => {
      try {
        await this.#limit.run(async () => {
          do {
            this.#refreshing.set(key, false);
            if (epoch === this.#epoch) {
              await read();
            }
          } while (this.#refreshing.get(key) === true && epoch === this.#epoch);
        });
      } catch (error) {
        if (!isAbortError(error) && epoch === this.#epoch) {
          this.#log.warn('object could not be read', { key, error });
        }
      } finally {
        const isWanted = this.#refreshing.get(key) === true;
        this.#refreshing.delete(key);
        if (isWanted) {
          // Asked for under a newer connection while the old read was failing.
          this.#refresh(key, read);
        }
      }
    };
    void run();
  }

  async #readContainer(id: string): Promise<void> {
    const epoch = this.#epoch;
    const found = await orUndefined(
      this.#link.client.get(`/containers/${pathSegment(id)}/json`, containerInspectSchema),
    );
    if (epoch !== this.#epoch) {
      return;
    }
    if (found === undefined) {
      this.containers.remove(id);
    } else {
      this.containers.upsert(containerFromInspect(found));
    }
  }

  async #readImage(id: string): Promise<void> {
    const epoch = this.#epoch;
    const found = await orUndefined(
      this.#link.client.get(`/images/${pathSegment(id)}/json`, imageInspectSchema),
    );
    if (epoch !== this.#epoch) {
      return;
    }
    if (found === undefined) {
      this.images.remove(id);
      return;
    }
    // A name that moved here is gone from where it was; engines send no event for that.
    const row = imageFromInspect(found, this.#usage.ofImage(found.Id));
    const names = new Set(row.tags);
    for (const other of this.images.items.values()) {
      if (other.id !== row.id && other.tags.some((tag) => names.has(tag))) {
        this.images.upsert({ ...other, tags: other.tags.filter((tag) => !names.has(tag)) });
      }
    }
    this.images.upsert(row);
  }

  async #readVolume(name: string): Promise<void> {
    const epoch = this.#epoch;
    const found = await orUndefined(
      this.#link.client.get(`/volumes/${pathSegment(name)}`, volumeSchema),
    );
    if (epoch !== this.#epoch) {
      return;
    }
    if (found === undefined) {
      this.volumes.remove(name);
    } else {
      this.volumes.upsert(volumeRow(found, this.#usage.ofVolume(name)));
    }
  }

  async #readNetwork(id: string): Promise<void> {
    const epoch = this.#epoch;
    const found = await orUndefined(
      this.#link.client.get(`/networks/${pathSegment(id)}`, networkSchema),
    );
    if (epoch !== this.#epoch) {
      return;
    }
    if (found === undefined) {
      this.networks.remove(id);
    } else {
      this.networks.upsert(networkRow(found, this.#usage.ofNetwork(found.Name)));
    }
  }
}

async function orUndefined<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof NotFoundError) {
      return undefined;
    }
    throw error;
  }
}
