import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChainId, MountedTree } from './contract.ts';
import { type SnapshotterParts, StoredSnapshotter } from './stored-snapshotter.ts';
import { type Words, words } from './words.ts';

/**
 * Every layer and every writable is a whole copy of what is below it with its own changes: slow and large, but it works
 * on any file system (blocks are shared where it can do that). Mounts nothing.
 */
export class CopySnapshotter extends StoredSnapshotter {
  readonly driver = 'vfs';
  readonly #root: string;

  private constructor(parts: SnapshotterParts) {
    super(parts);
    this.#root = parts.layers.root;
  }

  static async open(parts: SnapshotterParts): Promise<CopySnapshotter> {
    const snapshotter = new CopySnapshotter(parts);
    await mkdir(join(parts.layers.root, 'empty'), { recursive: true, mode: 0o711 });
    return snapshotter;
  }

  async status(): Promise<readonly (readonly [string, string])[]> {
    return [];
  }

  async mountLayer(chainId: ChainId): Promise<MountedTree> {
    const held = this.layers.hold(chainId);
    let isOver = false;
    return {
      path: this.layers.treeOf(chainId),
      [Symbol.asyncDispose]: async () => {
        if (!isOver) {
          isOver = true;
          held[Symbol.dispose]();
        }
      },
    };
  }

  async graphData(id: string): Promise<Readonly<Record<string, string>>> {
    this.writables.parentOf(id);
    return {};
  }

  async layerData(chainId: ChainId): Promise<Readonly<Record<string, string>>> {
    this.layers.get(chainId);
    return {};
  }

  protected override async prepareTree(tree: string, parent: ChainId | undefined): Promise<void> {
    if (parent !== undefined) {
      await this.program.run(words('copy', { from: this.layers.treeOf(parent), to: tree }));
    }
  }

  protected override applyWords(tree: string): Words {
    return words('apply', { format: 'plain', target: tree });
  }

  protected override commitWords(id: string, tree: string): Words {
    const base = this.#baseOf(this.writables.parentOf(id));
    return words('commit', {
      upper: this.writables.pathOf(id, 'fs'),
      base,
      'hide-init': true,
      target: tree,
    });
  }

  protected override tarWords(chainId: ChainId): Words {
    const base = this.#baseOf(this.layers.get(chainId).parent);
    return words('diff', { upper: this.layers.treeOf(chainId), base });
  }

  protected override changesWords(id: string): Words {
    const base = this.#baseOf(this.writables.parentOf(id));
    return words('changes', { plain: true, upper: this.writables.pathOf(id, 'fs'), base });
  }

  protected override usageWords(id: string): Words {
    const base = this.#baseOf(this.writables.parentOf(id));
    return words('du', { path: this.writables.pathOf(id, 'fs'), base });
  }

  protected override async fillWritable(
    folder: string,
    parent: ChainId | undefined,
  ): Promise<void> {
    const tree = join(folder, 'fs');
    await mkdir(tree, { mode: 0o755 });
    await this.prepareTree(tree, parent);
    await this.program.call(words('init', { target: tree, base: this.#baseOf(parent) }));
  }

  protected override async mountWritable(id: string): Promise<string> {
    return this.writables.pathOf(id, 'fs');
  }

  protected override async unmountWritable(): Promise<void> {
    // Nothing is mounted.
  }

  protected override async forgetLayer(): Promise<void> {
    // Nothing besides the layer itself.
  }

  #baseOf(parent: ChainId | undefined): string {
    return parent === undefined ? join(this.#root, 'empty') : this.layers.treeOf(parent);
  }
}
