import type { ContainerSummary } from '../contract/container-channels.ts';
import type { ImageSummary } from '../contract/image-channels.ts';
import type { NetworkSummary, VolumeSummary } from '../contract/storage-channels.ts';
import type { LiveList } from './live-list.ts';
import type { ImageUser, NetworkUser, VolumeUser } from './normalise.ts';

function isRunning(container: ContainerSummary): boolean {
  return (
    container.state === 'running' ||
    container.state === 'paused' ||
    container.state === 'restarting'
  );
}

class Index<U> {
  #byKey = new Map<string, U[]>();

  get(key: string): U[] {
    return this.#byKey.get(key) ?? [];
  }

  /** Replaces the content; answers with the keys whose users differ. */
  replace(next: Map<string, U[]>): string[] {
    const before = this.#byKey;
    this.#byKey = next;
    const keys = new Set([...before.keys(), ...next.keys()]);
    return [...keys].filter(
      (key) => JSON.stringify(before.get(key) ?? []) !== JSON.stringify(next.get(key) ?? []),
    );
  }
}

function add<U>(map: Map<string, U[]>, key: string, user: U): void {
  const users = map.get(key);
  if (users === undefined) {
    map.set(key, [user]);
  } else {
    users.push(user);
  }
}

/** Who uses which image, volume and network: joined from the containers, kept in the rows of the other lists. */
export class UsageIndex implements Disposable {
  readonly #containers: LiveList<ContainerSummary>;
  readonly #images: LiveList<ImageSummary>;
  readonly #volumes: LiveList<VolumeSummary>;
  readonly #networks: LiveList<NetworkSummary>;
  readonly #imageUsers = new Index<ImageUser>();
  readonly #volumeUsers = new Index<VolumeUser>();
  readonly #networkUsers = new Index<NetworkUser>();
  readonly #registration: Disposable;
  #isScheduled = false;

  constructor(
    containers: LiveList<ContainerSummary>,
    images: LiveList<ImageSummary>,
    volumes: LiveList<VolumeSummary>,
    networks: LiveList<NetworkSummary>,
  ) {
    this.#containers = containers;
    this.#images = images;
    this.#volumes = volumes;
    this.#networks = networks;
    this.#registration = containers.onChange(() => this.#schedule());
  }

  [Symbol.dispose](): void {
    this.#registration[Symbol.dispose]();
  }

  /** Containers made from an image. */
  ofImage(id: string): ImageUser[] {
    return this.#imageUsers.get(id);
  }

  /** Containers that mount a volume. */
  ofVolume(name: string): VolumeUser[] {
    return this.#volumeUsers.get(name);
  }

  /** Containers on a network. */
  ofNetwork(name: string): NetworkUser[] {
    return this.#networkUsers.get(name);
  }

  /** Joins anew and updates the rows that changed. */
  rebuild(): void {
    const images = new Map<string, ImageUser[]>();
    const volumes = new Map<string, VolumeUser[]>();
    const networks = new Map<string, NetworkUser[]>();
    for (const container of this.#containers.items.values()) {
      const user = { id: container.id, name: container.name, isRunning: isRunning(container) };
      add(images, container.imageId, user);
      for (const mount of container.mounts) {
        if (mount.type === 'volume' && mount.name !== undefined) {
          const { destination, isWritable } = mount;
          add(volumes, mount.name, { ...user, destination, isWritable });
        }
      }
      for (const { name, ip } of container.networks) {
        add(networks, name, ip === undefined ? user : { ...user, ip });
      }
    }
    for (const id of this.#imageUsers.replace(images)) {
      update(this.#images, id, this.ofImage(id));
    }
    for (const name of this.#volumeUsers.replace(volumes)) {
      update(this.#volumes, name, this.ofVolume(name));
    }
    const idsByName = new Map([...this.#networks.items.values()].map((row) => [row.name, row.id]));
    for (const name of this.#networkUsers.replace(networks)) {
      update(this.#networks, idsByName.get(name) ?? '', this.ofNetwork(name));
    }
  }

  #schedule(): void {
    if (this.#isScheduled || !this.#containers.isOnline) {
      return;
    }
    this.#isScheduled = true;
    // Once per burst of container changes, not once per change.
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#containers.isOnline) {
        this.rebuild();
      }
    });
  }
}

function update<T extends { readonly id: string; usedBy: unknown[] }>(
  list: LiveList<T>,
  id: string,
  usedBy: T['usedBy'],
): void {
  const row = list.items.get(id);
  if (row !== undefined) {
    list.upsert({ ...row, usedBy });
  }
}
