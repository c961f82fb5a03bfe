import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join, posix } from 'node:path';
import { InvalidParameterError, NotFoundError } from '../base/errors.ts';
import { unpacked } from '../base/node/decompress.ts';
import type { ResolvedUser } from '../runtime/contract.ts';
import type { LayerTool } from '../snapshots/contract.ts';
import type { Heredoc } from './dockerfile/lines.ts';
import { download } from './download.ts';
import { type Match, pathParts, type SourceTree } from './source-tree.ts';
import { isTar, tarOf } from './tar-entries.ts';

/** COPY or ADD with all words expanded. */
export interface CopyRequest {
  readonly name: 'COPY' | 'ADD';
  readonly sources: readonly string[];
  readonly heredocs: readonly Heredoc[];
  /** As written, expanded. */
  readonly target: string;
  /** Absolute. */
  readonly workingDir: string;
  readonly chown: string;
  readonly chmod: string;
  /** Where sources are looked for. */
  readonly tree: SourceTree;
  /** Sources come from an image: owners are kept. */
  readonly isFromImage: boolean;
  readonly signal: AbortSignal | undefined;
}

type Source =
  | { readonly kind: 'match'; readonly match: Match; readonly isArchive: boolean }
  | {
      readonly kind: 'content';
      readonly name: string;
      readonly content: Uint8Array;
      readonly mtimeSec: number;
      readonly mode: number;
    };

/** Sources found and hashed, ready to be written. */
export interface PreparedCopy {
  /** `file:HEX`, `dir:HEX` or `multi:HEX`. */
  readonly hash: string;
  /** Absolute path in the image, with a trailing slash when it must be a folder. */
  readonly target: string;
  write(root: string, tools: CopyTools): Promise<void>;
}

/** What writing needs of the engine. */
export interface CopyTools {
  readonly layerTool: LayerTool;
  resolveUser(root: string, user: string): Promise<ResolvedUser>;
}

const HEAD_BYTES = 512;

async function isArchiveFile(path: string): Promise<boolean> {
  const handle = await open(path, 'r');
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    const { bytesRead } = await handle.read(head, 0, HEAD_BYTES, 0);
    return isTar(head.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

function isUrl(source: string): boolean {
  return /^https?:\/\//.test(source);
}

async function findSources(request: CopyRequest): Promise<Source[]> {
  const found: Source[] = request.heredocs.map((heredoc) => ({
    kind: 'content',
    name: heredoc.name,
    content: Buffer.from(heredoc.content),
    mtimeSec: 0,
    mode: 0o644,
  }));
  for (const source of request.sources) {
    if (isUrl(source)) {
      if (request.name === 'COPY') {
        throw new InvalidParameterError("COPY failed: source can't be a URL for COPY");
      }
      const { content, modifiedAtSec } = await download(source, request.signal);
      const name = basename(new URL(source).pathname);
      found.push({ kind: 'content', name, content, mtimeSec: modifiedAtSec, mode: 0o600 });
      continue;
    }
    if (pathParts(source)[0] === '..') {
      throw new InvalidParameterError(
        `${request.name} failed: forbidden path outside the build context: ${source} ()`,
      );
    }
    const matches = await request.tree.match(source);
    if (matches.length === 0) {
      throw new NotFoundError(
        /[*?[]/.test(source)
          ? `${request.name} failed: no source files were specified`
          : `${request.name} failed: file not found in build context or excluded by .dockerignore: stat ${source}: file does not exist`,
      );
    }
    for (const match of matches) {
      const isArchive =
        request.name === 'ADD' &&
        !match.isDirectory &&
        (await isArchiveFile(join(request.tree.root, match.path)));
      found.push({ kind: 'match', match, isArchive });
    }
  }
  return found;
}

async function hashOf(sources: readonly Source[], request: CopyRequest): Promise<string> {
  const parts: { kind: string; hex: string }[] = [];
  for (const source of sources) {
    if (source.kind === 'match') {
      const hex = await request.tree.hash(source.match, request.isFromImage);
      parts.push({ kind: source.match.isDirectory ? 'dir' : 'file', hex });
    } else {
      parts.push({ kind: 'file', hex: createHash('sha256').update(source.content).digest('hex') });
    }
  }
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) {
    return `${only.kind}:${only.hex}`;
  }
  const all = createHash('sha256').update(
    parts.map((part) => `${part.kind}:${part.hex}`).join(','),
  );
  return `multi:${all.digest('hex')}`;
}

function targetOf(request: CopyRequest): string {
  const { target, workingDir } = request;
  const isFolder = /(^|\/)\.{0,2}$/.test(target);
  const absolute = posix.resolve('/', workingDir || '/', target);
  return isFolder && absolute !== '/' ? `${absolute}/` : absolute;
}

interface Ownership {
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly mode: number | undefined;
}

/** Makes missing folders above and at `path`, root's or the given owner's, 0755. */
export async function makeFolders(
  root: string,
  path: string,
  tools: CopyTools,
  owner?: Ownership['owner'],
): Promise<void> {
  const missing: string[] = [];
  const parts = pathParts(path);
  for (let count = parts.length; count > 0; count -= 1) {
    const folder = parts.slice(0, count).join('/');
    if ((await tools.layerTool.statPath({ root, path: `/${folder}` })) !== undefined) {
      break;
    }
    missing.unshift(`${folder}/`);
  }
  if (missing.length > 0) {
    const mtimeSec = Math.floor(Date.now() / 1000);
    const entries = missing.map((name) => ({
      name,
      mode: 0o755,
      uid: owner?.uid ?? 0,
      gid: owner?.gid ?? 0,
      mtimeSec,
    }));
    await tools.layerTool.writeTree({ root, path: '/', tar: tarOf(entries) });
  }
}

async function isFolderAt(root: string, path: string, tools: CopyTools): Promise<boolean> {
  const facts = await tools.layerTool.statPath({ root, path });
  if (facts === undefined || facts.isDirectory) {
    return facts !== undefined;
  }
  return facts.linkTarget !== '' && facts.linkTarget !== path
    ? ((await tools.layerTool.statPath({ root, path: facts.linkTarget }))?.isDirectory ?? false)
    : false;
}

class Writer {
  readonly #request: CopyRequest;
  readonly #root: string;
  readonly #tools: CopyTools;
  readonly #target: string;
  readonly #ownership: Ownership;

  constructor(
    request: CopyRequest,
    place: { root: string; target: string },
    tools: CopyTools,
    ownership: Ownership,
  ) {
    this.#request = request;
    this.#root = place.root;
    this.#target = place.target;
    this.#tools = tools;
    this.#ownership = ownership;
  }

  async write(source: Source): Promise<void> {
    if (source.kind === 'content') {
      await this.#writeContent(source);
    } else if (source.match.isDirectory) {
      await this.#writeTree('', source.match.path, this.#target);
    } else if (source.isArchive) {
      await this.#unpack(join(this.#request.tree.root, source.match.path));
    } else {
      const { folder, name } = await this.#placeOf(basename(source.match.path));
      await this.#writeTree(name, source.match.path, folder);
    }
  }

  /** Folder and name that a file gets. */
  async #placeOf(name: string): Promise<{ folder: string; name: string }> {
    const target = this.#target;
    if (target.endsWith('/') || (await isFolderAt(this.#root, target, this.#tools))) {
      return { folder: target, name };
    }
    return { folder: posix.dirname(target), name: basename(target) };
  }

  async #writeContent(source: Extract<Source, { kind: 'content' }>): Promise<void> {
    const { folder, name } = await this.#placeOf(source.name);
    if (name === '') {
      throw new InvalidParameterError(
        `cannot determine filename for url: ${this.#request.sources.join(' ')}`,
      );
    }
    await makeFolders(this.#root, folder, this.#tools, this.#ownership.owner);
    const { owner, mode } = this.#ownership;
    const entry = {
      name,
      mode: mode ?? source.mode,
      uid: owner?.uid ?? 0,
      gid: owner?.gid ?? 0,
      mtimeSec: source.mtimeSec || Math.floor(Date.now() / 1000),
      content: source.content,
    };
    await this.#tools.layerTool.writeTree({ root: this.#root, path: folder, tar: tarOf([entry]) });
  }

  async #writeTree(name: string, path: string, folder: string): Promise<void> {
    await makeFolders(this.#root, folder, this.#tools, this.#ownership.owner);
    const { owner, mode } = this.#ownership;
    const tar = this.#tools.layerTool.readTree({
      root: this.#request.tree.root,
      path: `/${path}`,
      name: name === '' ? '.' : name,
      ...this.#signal(),
    });
    await this.#tools.layerTool.writeTree({
      root: this.#root,
      path: folder,
      tar,
      ...(owner === undefined ? {} : { owner }),
      ...(mode === undefined ? {} : { mode }),
      ...this.#signal(),
    });
  }

  async #unpack(file: string): Promise<void> {
    await makeFolders(this.#root, this.#target, this.#tools, this.#ownership.owner);
    const { owner } = this.#ownership;
    await this.#tools.layerTool.writeTree({
      root: this.#root,
      path: this.#target,
      tar: unpacked(createReadStream(file, { highWaterMark: 1024 * 1024 })),
      ...(this.#request.chown === '' || owner === undefined ? {} : { owner }),
      ...this.#signal(),
    });
  }

  #signal(): { signal?: AbortSignal } {
    return this.#request.signal === undefined ? {} : { signal: this.#request.signal };
  }
}

async function ownershipOf(
  request: CopyRequest,
  root: string,
  tools: CopyTools,
): Promise<Ownership> {
  const mode = request.chmod === '' ? undefined : Number.parseInt(request.chmod, 8);
  if (mode !== undefined && !/^[0-7]{3,4}$/.test(request.chmod)) {
    throw new InvalidParameterError(
      `invalid chmod parameter: '${request.chmod}'. it should be octal string and between 0 and 07777`,
    );
  }
  if (request.chown === '') {
    return { owner: request.isFromImage ? undefined : { uid: 0, gid: 0 }, mode };
  }
  // A user alone stands for the group of the same name or number too.
  const spec = request.chown.includes(':') ? request.chown : `${request.chown}:${request.chown}`;
  const { uid, gid } = await tools.resolveUser(root, spec);
  return { owner: { uid, gid }, mode };
}

/**
 * Finds and hashes the sources of COPY or ADD.
 *
 * @throws NotFoundError  a source is missing; InvalidParameterError  a source outside the context, or several into a file
 */
export async function prepareCopy(request: CopyRequest): Promise<PreparedCopy> {
  const sources = await findSources(request);
  const target = targetOf(request);
  if (
    sources.length > 1 &&
    !request.target.endsWith('/') &&
    target !== '/' &&
    !target.endsWith('/')
  ) {
    throw new InvalidParameterError(
      `When using ${request.name} with more than one source file, the destination must be a directory and end with a /`,
    );
  }
  return {
    hash: await hashOf(sources, request),
    target,
    write: async (root, tools) => {
      const writer = new Writer(
        request,
        { root, target },
        tools,
        await ownershipOf(request, root, tools),
      );
      for (const source of sources) {
        await writer.write(source);
      }
    },
  };
}
