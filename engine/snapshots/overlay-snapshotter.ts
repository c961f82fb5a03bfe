import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rmdir, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../base/errors.ts';
import { listIfThere, readTextIfThere } from '../base/node/atomic-file.ts';
import { hexOf } from './chain-id.ts';
import type { ChainId, MountedTree } from './contract.ts';
import { type SnapshotterParts, StoredSnapshotter } from './stored-snapshotter.ts';
import { type Words, words } from './words.ts';

/** Names that Docker gives to file systems, by the magic number of statfs(2). */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: 'extfs',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x01021994: 'tmpfs',
  0x2fc12fc1: 'zfs',
  0xf2f52010: 'f2fs',
};

/**
 * Layers as overlayfs lower directories. Besides what LayerStore and WritableStore keep:
 *
 *     i/HEX, i/empty          what every container on that layer is given besides the image (mount points of the
 *                             engine's files); lowest but one, made once, valid until the machine restarts
 *     i/boot-id               boot for which they are valid
 *     mounts/NAME             read-only views of layers; unmounted at start
 *     writables/ID/{fs,work,merged}   upper and work directory, mount point
 *
 * Mounts name directories relative to the root, so that their options stay short.
 */
export class OverlaySnapshotter extends StoredSnapshotter {
  readonly driver = 'overlay2';
  readonly #root: string;
  readonly #inits = new Map<string, Promise<void>>();

  private constructor(parts: SnapshotterParts) {
    super(parts);
    this.#root = parts.layers.root;
  }

  /** Opens the driver, unmounting views that a crash left. */
  static async open(parts: SnapshotterParts): Promise<OverlaySnapshotter> {
    const snapshotter = new OverlaySnapshotter(parts);
    await snapshotter.#sweep();
    return snapshotter;
  }

  async status(): Promise<readonly (readonly [string, string])[]> {
    const { type } = await statfs(this.#root);
    return [
      ['Backing Filesystem', FILE_SYSTEMS[type] ?? `0x${type.toString(16)}`],
      ['Supports d_type', 'true'],
      ['Using metacopy', 'false'],
      ['Native Overlay Diff', 'true'],
      ['userxattr', 'false'],
    ];
  }

  async mountLayer(chainId: ChainId): Promise<MountedTree> {
    const held = this.layers.hold(chainId);
    const chain = this.layers.chain(chainId);
    const target = join(this.#root, 'mounts', randomBytes(12).toString('hex'));
    try {
      await mkdir(target, { mode: 0o711 });
      // overlayfs wants two lower directories; the second hides nothing.
      const lowers = [...chain.map((id) => this.layers.shortTreeOf(id)), 'empty'];
      await this.program.call(words('mount', { cwd: this.#root, target, lower: lowers }));
    } catch (error) {
      held[Symbol.dispose]();
      throw error;
    }
    let isOver = false;
    return {
      path: target,
      [Symbol.asyncDispose]: async () => {
        if (!isOver) {
          isOver = true;
          held[Symbol.dispose]();
          await this.program.call(words('unmount', { target }));
          await rmdir(target);
        }
      },
    };
  }

  async graphData(id: string): Promise<Readonly<Record<string, string>>> {
    const parent = this.writables.parentOf(id);
    const lowers = this.layers.chain(parent).map((chainId) => this.layers.treeOf(chainId));
    return {
      ID: id,
      LowerDir: [join(this.#root, this.#initOf(parent)), ...lowers].join(':'),
      MergedDir: this.writables.pathOf(id, 'merged'),
      UpperDir: this.writables.pathOf(id, 'fs'),
      WorkDir: this.writables.pathOf(id, 'work'),
    };
  }

  async layerData(chainId: ChainId): Promise<Readonly<Record<string, string>>> {
    const [top, ...below] = this.layers.chain(chainId).map((id) => this.layers.treeOf(id));
    const lower = below.length === 0 ? {} : { LowerDir: below.join(':') };
    return { ...lower, UpperDir: top ?? '' };
  }

  protected override async prepareTree(): Promise<void> {
    // A layer's tree holds its own changes only.
  }

  protected override applyWords(tree: string, parent: ChainId | undefined): Words {
    const lowers = this.layers.chain(parent).map((id) => this.layers.treeOf(id));
    return words('apply', { format: 'overlay', target: tree, lower: lowers });
  }

  protected override commitWords(id: string, tree: string): Words {
    return words('commit', { upper: this.writables.pathOf(id, 'fs'), target: tree });
  }

  protected override tarWords(chainId: ChainId): Words {
    return words('diff', { upper: this.layers.treeOf(chainId) });
  }

  protected override changesWords(id: string): Words {
    return words('changes', {
      cwd: this.#root,
      upper: this.writables.pathOf(id, 'fs'),
      lower: this.#lowersOf(this.writables.parentOf(id)),
    });
  }

  protected override usageWords(id: string): Words {
    return words('du', { path: this.writables.pathOf(id, 'fs') });
  }

  protected override async fillWritable(
    folder: string,
    parent: ChainId | undefined,
  ): Promise<void> {
    await Promise.all([
      this.#ensureInit(parent),
      mkdir(join(folder, 'fs'), { mode: 0o755 }),
      mkdir(join(folder, 'work'), { mode: 0o700 }),
      mkdir(join(folder, 'merged'), { mode: 0o700 }),
    ]);
  }

  protected override async mountWritable(id: string): Promise<string> {
    const parent = this.writables.parentOf(id);
    await this.#ensureInit(parent);
    const folder = join('writables', id);
    await this.program.call(
      words('mount', {
        cwd: this.#root,
        target: join(folder, 'merged'),
        upper: join(folder, 'fs'),
        work: join(folder, 'work'),
        lower: this.#lowersOf(parent),
      }),
    );
    return this.writables.pathOf(id, 'merged');
  }

  protected override async unmountWritable(id: string): Promise<void> {
    await this.program.call(words('unmount', { target: this.writables.pathOf(id, 'merged') }));
  }

  protected override async forgetLayer(chainId: ChainId): Promise<void> {
    const init = this.#initOf(chainId);
    this.#inits.delete(init);
    const trash = this.layers.tempPath();
    try {
      await rename(join(this.#root, init), trash);
      this.layers.discard(trash);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') {
        throw error;
      }
    }
  }

  /** Lower directories of a container's mount, topmost first, relative to the root. */
  #lowersOf(parent: ChainId | undefined): string[] {
    const chain = this.layers.chain(parent).map((id) => this.layers.shortTreeOf(id));
    return [this.#initOf(parent), ...chain];
  }

  #initOf(parent: ChainId | undefined): string {
    return join('i', parent === undefined ? 'empty' : hexOf(parent));
  }

  async #ensureInit(parent: ChainId | undefined): Promise<void> {
    const init = this.#initOf(parent);
    let making = this.#inits.get(init);
    if (making === undefined) {
      making = this.#makeInit(init, parent);
      this.#inits.set(init, making);
      making.catch(() => this.#inits.delete(init));
    }
    await making;
  }

  async #makeInit(init: string, parent: ChainId | undefined): Promise<void> {
    const temp = this.layers.tempPath();
    await mkdir(temp, { mode: 0o755 });
    const lowers = this.layers.chain(parent).map((id) => this.layers.shortTreeOf(id));
    try {
      await this.program.call(words('init', { cwd: this.#root, target: temp, lower: lowers }));
      await rename(temp, join(this.#root, init));
    } catch (error) {
      this.layers.discard(temp);
      // Made by an earlier run of the engine on this boot: it is the same.
      if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'EEXIST') {
        throw error;
      }
    }
  }

  async #sweep(): Promise<void> {
    for (const folder of ['mounts', 'empty', 'i']) {
      await mkdir(join(this.#root, folder), { recursive: true, mode: 0o711 });
    }
    for (const name of await listIfThere(join(this.#root, 'mounts'))) {
      const target = join(this.#root, 'mounts', name);
      await this.program.call(words('unmount', { target }));
      await rmdir(target);
    }
    const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    const marker = join(this.#root, 'i', 'boot-id');
    if ((await readTextIfThere(marker)) !== bootId) {
      await this.layers.removeTree(join(this.#root, 'i'));
      await mkdir(join(this.#root, 'i'), { mode: 0o711 });
      await writeFile(marker, bootId);
    }
  }
}
