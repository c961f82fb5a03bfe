import { posix } from 'node:path';
import { InvalidParameterError } from '../../base/errors.ts';
import type { ContentStore } from '../../content/contract.ts';
import type { Digest } from '../../snapshots/contract.ts';
import { digestOf } from '../image-config.ts';
import type { KeeperLease } from '../layer-keeper.ts';
import { readTar, type TarEntry } from './tar-reader.ts';

/** Members up to this stay in memory: manifests and configs. */
const SMALL_BYTES = 512 * 1024;
/** All of them together; past this even small members go to the content store. */
const MAX_MEMORY_BYTES = 64 * 1024 * 1024;
/** No image archive has nearly as many; each costs memory. */
const MAX_MEMBERS = 100_000;
const MAX_LINK_HOPS = 8;

type Member =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'blob'; readonly digest: Digest; readonly sizeBytes: number }
  | { readonly kind: 'link'; readonly target: string };

/** Where a member's bytes are as a blob. */
export interface ArchiveBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** Name within the archive, without leading `/` or `..`. */
function normalName(name: string): string {
  return posix.normalize(`/${name}`).replace(/^\/+|\/+$/g, '');
}

/**
 * The members of an image archive: small ones in memory, large ones as blobs. Names are only keys of a map, so nothing
 * in an archive can name a file of the host.
 */
export class ArchiveStore {
  readonly #content: ContentStore;
  readonly #lease: KeeperLease;
  readonly #members = new Map<string, Member>();
  #memoryBytes = 0;

  private constructor(content: ContentStore, lease: KeeperLease) {
    this.#content = content;
    this.#lease = lease;
  }

  /**
   * Reads a plain tar to its end.
   *
   * @param lease  gets every blob; those that no image takes go with it
   */
  static async read(
    tar: AsyncIterable<Uint8Array>,
    options: {
      readonly content: ContentStore;
      readonly lease: KeeperLease;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<ArchiveStore> {
    const store = new ArchiveStore(options.content, options.lease);
    for await (const entry of readTar(tar)) {
      options.signal?.throwIfAborted();
      await store.#add(entry);
    }
    return store;
  }

  /** True when there is such a file. */
  has(name: string): boolean {
    return this.#follow(name) !== undefined;
  }

  /** A small document. @throws InvalidParameterError  missing or large */
  async document(name: string, maxBytes: number): Promise<Uint8Array> {
    const member = this.#follow(name);
    if (member === undefined) {
      throw new InvalidParameterError(`archive has no ${name}`);
    }
    return member.kind === 'bytes'
      ? member.bytes
      : await this.#content.readAll(member.digest, maxBytes);
  }

  /** A member as a blob of the content store. @throws InvalidParameterError  missing */
  async blob(name: string): Promise<ArchiveBlob> {
    const member = this.#follow(name);
    if (member === undefined) {
      throw new InvalidParameterError(`archive has no ${name}`);
    }
    if (member.kind === 'blob') {
      return member;
    }
    const digest = await this.#content.put(member.bytes);
    this.#lease.ownBlob(digest);
    return { digest, sizeBytes: member.bytes.length };
  }

  #follow(name: string): Exclude<Member, { readonly kind: 'link' }> | undefined {
    let key = normalName(name);
    for (let hop = 0; hop <= MAX_LINK_HOPS; hop += 1) {
      const member = this.#members.get(key);
      if (member?.kind !== 'link') {
        return member;
      }
      key = member.target;
    }
    return undefined;
  }

  async #add(entry: TarEntry): Promise<void> {
    const key = normalName(entry.name);
    if (this.#members.size >= MAX_MEMBERS) {
      throw new InvalidParameterError(`archive has more than ${MAX_MEMBERS} members`);
    }
    if (entry.type === 'symlink') {
      const target = normalName(posix.join(posix.dirname(`/${key}`), entry.linkName));
      this.#members.set(key, { kind: 'link', target });
    } else if (entry.type === 'hardlink') {
      this.#members.set(key, { kind: 'link', target: normalName(entry.linkName) });
    } else if (entry.type === 'file') {
      this.#members.set(key, await this.#keep(entry));
    }
  }

  async #keep(entry: TarEntry): Promise<Member> {
    const isSmall =
      entry.sizeBytes <= SMALL_BYTES && this.#memoryBytes + entry.sizeBytes <= MAX_MEMORY_BYTES;
    if (isSmall) {
      const bytes = Buffer.concat(await Array.fromAsync(entry.body));
      this.#memoryBytes += bytes.length;
      return { kind: 'bytes', bytes };
    }
    const ref = `archive ${crypto.randomUUID()}`;
    await using ingest = await this.#content.ingest(ref);
    try {
      for await (const chunk of entry.body) {
        await ingest.write(chunk);
      }
      const digest = await ingest.commit({ sizeBytes: entry.sizeBytes });
      this.#lease.ownBlob(digest);
      return { kind: 'blob', digest, sizeBytes: entry.sizeBytes };
    } catch (error) {
      // Nobody can resume an archive.
      await ingest.reset();
      throw error;
    }
  }

  /** Checks that a blob named by a digest has it. @throws InvalidParameterError */
  static checkDigest(bytes: Uint8Array, expected: Digest): void {
    const digest = digestOf(bytes);
    if (digest !== expected) {
      throw new InvalidParameterError(
        `archive is damaged: blob ${expected} has the digest ${digest}`,
      );
    }
  }
}
