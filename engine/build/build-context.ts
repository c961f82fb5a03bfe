import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  InvalidParameterError,
  isMissing,
  NotFoundError,
  NotImplementedError,
} from '../base/errors.ts';
import { unpacked } from '../base/node/decompress.ts';
import type { LayerTool } from '../snapshots/contract.ts';
import type { BuildRequest } from './contract.ts';
import { IgnoreRules } from './dockerignore.ts';
import { download } from './download.ts';
import { SourceTree } from './source-tree.ts';
import { isTar } from './tar-entries.ts';

/** Where and with what a context is unpacked. */
export interface ContextOptions {
  /** Not there yet; removed on disposal. */
  readonly folder: string;
  readonly layerTool: LayerTool;
  readonly resolveInRoot: (root: string, path: string) => Promise<string>;
}

/** An unpacked build context with its Dockerfile. */
export class BuildContext implements AsyncDisposable {
  readonly tree: SourceTree;
  readonly dockerfile: string;
  readonly #folder: string;

  private constructor(folder: string, tree: SourceTree, dockerfile: string) {
    this.#folder = folder;
    this.tree = tree;
    this.dockerfile = dockerfile;
  }

  /**
   * Unpacks the request's context (tar, plain or compressed, or a Dockerfile or tar from a URL) and applies its
   * .dockerignore.
   *
   * @throws InvalidParameterError  no tar, no Dockerfile, an empty one; NotImplementedError  git
   */
  static async open(request: BuildRequest, options: ContextOptions): Promise<BuildContext> {
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    try {
      const remote = await fetchRemote(request);
      if (remote !== undefined && !isTar(remote)) {
        // Somebody waits for the body to be taken.
        for await (const _ of request.context) {
        }
        const tree = new SourceTree(options.folder, options.resolveInRoot);
        return new BuildContext(options.folder, tree, remote.toString('utf8'));
      }
      const tar = remote === undefined ? request.context : Readable.from([remote]);
      await options.layerTool.writeTree({
        root: options.folder,
        path: '/',
        tar: unpacked(tar),
        ...(request.signal === undefined ? {} : { signal: request.signal }),
      });
      const tree = new SourceTree(options.folder, options.resolveInRoot);
      const dockerfile = await readDockerfile(tree, request, options);
      await applyIgnore(tree, options);
      return new BuildContext(options.folder, tree, dockerfile);
    } catch (error) {
      await rm(options.folder, { recursive: true, force: true });
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function fetchRemote(request: BuildRequest): Promise<Buffer | undefined> {
  const { remote } = request;
  if (remote === undefined || remote === '' || remote === '-') {
    return undefined;
  }
  if (/^(git:\/\/|git@|github\.com\/)|\.git(#|$)/.test(remote)) {
    throw new NotImplementedError(
      `building from a git repository is not supported: clone ${remote} and send the folder as context`,
    );
  }
  if (!/^https?:\/\//.test(remote)) {
    throw new InvalidParameterError(
      `remote URL (${remote}) could not be used: only http and https`,
    );
  }
  return (await download(remote, request.signal)).content;
}

async function readInside(
  tree: SourceTree,
  path: string,
  options: ContextOptions,
): Promise<string | undefined> {
  try {
    return await readFile(await options.resolveInRoot(tree.root, path), 'utf8');
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw error;
  }
}

async function readDockerfile(
  tree: SourceTree,
  request: BuildRequest,
  options: ContextOptions,
): Promise<string> {
  const name = request.dockerfile ?? 'Dockerfile';
  const text =
    (await readInside(tree, name, options)) ??
    (request.dockerfile === undefined ? await readInside(tree, 'dockerfile', options) : undefined);
  if (text === undefined) {
    throw new NotFoundError(`Cannot locate specified Dockerfile: ${name}`);
  }
  if (text === '') {
    throw new InvalidParameterError(`the Dockerfile (${name}) cannot be empty`);
  }
  return text;
}

async function applyIgnore(tree: SourceTree, options: ContextOptions): Promise<void> {
  const text = await readInside(tree, '.dockerignore', options);
  const rules = text === undefined ? undefined : new IgnoreRules(text);
  if (rules === undefined || rules.isEmpty) {
    return;
  }
  for (const path of await tree.ignored(rules)) {
    await rm(join(tree.root, path), { recursive: true, force: true });
  }
}
