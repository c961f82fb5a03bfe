import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Semaphore } from '../base/async.ts';
import {
  InvalidParameterError,
  isAbortError,
  NotFoundError,
  NotImplementedError,
} from '../base/errors.ts';
import { shortId } from '../base/ids.ts';
import type { Logger } from '../base/logger.ts';
import type { ContainerService } from '../containers/contract.ts';
import type { EventLog } from '../events/contract.ts';
import {
  hostPlatform,
  type Image,
  type ImageService,
  type Platform,
  type ProgressSink,
  parsePlatform,
  parseReference,
  withDefaultTag,
} from '../images/contract.ts';
import type { RuntimeSide } from '../runtime/contract.ts';
import type { LayerTool, Snapshotter } from '../snapshots/contract.ts';
import { BuildArgs } from './build-args.ts';
import { BuildContext } from './build-context.ts';
import type {
  BuildCacheRecord,
  BuildPruneRequest,
  BuildRequest,
  BuildService,
} from './contract.ts';
import { type Dockerfile, parseDockerfile, type Stage } from './dockerfile/instructions.ts';
import { readDockerfileLines } from './dockerfile/lines.ts';
import { expandWord } from './dockerfile/words.ts';
import { StageOutputs } from './output.ts';
import { runStepsWith } from './run-step.ts';
import { SourceTree } from './source-tree.ts';
import { StageBuilder } from './stage-builder.ts';
import { baseOf, type StepBase, StepImages } from './step-images.ts';

/** What the builder works with. */
export interface ClassicBuilderOptions {
  /** Folder for contexts; emptied at start by {@link ClassicBuilder.start}. */
  readonly root: string;
  readonly images: ImageService;
  readonly containers: ContainerService;
  readonly snapshotter: Snapshotter;
  readonly layerTool: LayerTool;
  readonly runtime: Pick<RuntimeSide, 'resolveInRoot' | 'resolveUser'>;
  readonly events: EventLog;
  readonly logger: Logger;
}

/** RUN steps at once in one build. Only these are limited: a stage that waits for another must not hold a place. */
const MAX_PARALLEL_RUNS = 4;

/** Runs Dockerfiles with one image per step, stages side by side where they do not depend on each other. */
export class ClassicBuilder implements BuildService {
  readonly #options: ClassicBuilderOptions;
  readonly #running = new Map<string, AbortController>();

  constructor(options: ClassicBuilderOptions) {
    this.#options = options;
  }

  /** Removes contexts that a crash left. */
  async start(): Promise<void> {
    await rm(this.#options.root, { recursive: true, force: true });
  }

  async build(request: BuildRequest): Promise<{ readonly imageId: string }> {
    if (request.remote === 'client-session') {
      throw new NotImplementedError(
        'BuildKit sessions are not supported: build with DOCKER_BUILDKIT=0',
      );
    }
    if (request.isSquashed) {
      throw new InvalidParameterError('squash is only supported with experimental mode');
    }
    const controller = new AbortController();
    const signals = request.signal === undefined ? [] : [request.signal];
    const signal = AbortSignal.any([controller.signal, ...signals]);
    const key = request.buildId || randomUUID();
    this.#running.set(key, controller);
    try {
      return await new Build(this.#options, { ...request, signal }).run();
    } catch (error) {
      if (isAbortError(error) && controller.signal.aborted) {
        throw new InvalidParameterError('Build cancelled', { cause: error });
      }
      throw error;
    } finally {
      this.#running.delete(key);
    }
  }

  cancel(buildId: string): void {
    this.#running.get(buildId)?.abort();
  }

  /** The cache is the untagged images that only cached steps refer to; images prune removes them. */
  async prune(
    request: BuildPruneRequest,
  ): Promise<{ readonly deleted: readonly string[]; readonly reclaimedBytes: number }> {
    const { deleted, reclaimedBytes } = await this.#options.images.prune(
      new Map(
        [...request.filters].filter(([name]) => name === 'until' || name.startsWith('label')),
      ),
    );
    this.#options.events.publish({
      type: 'builder',
      action: 'prune',
      id: '',
      attributes: { reclaimed: String(reclaimedBytes) },
    });
    return {
      deleted: deleted.flatMap((item) => (item.Deleted === undefined ? [] : [item.Deleted])),
      reclaimedBytes,
    };
  }

  async diskUsage(): Promise<readonly BuildCacheRecord[]> {
    return [];
  }
}

interface FinishedStage {
  readonly base: StepBase;
}

/** One run of one Dockerfile. */
class Build {
  readonly #options: ClassicBuilderOptions;
  readonly #request: BuildRequest & { readonly signal: AbortSignal };
  readonly #cleanup = new AsyncDisposableStack();
  readonly #mounted = new Map<string, Promise<SourceTree>>();
  readonly #stageResults = new Map<number, Promise<FinishedStage>>();
  readonly #places = new Semaphore(MAX_PARALLEL_RUNS);
  /** Aborted with the first error, so that no other stage goes on in vain. */
  readonly #failure = new AbortController();
  readonly #folder: string;
  readonly #platform: Platform;

  constructor(
    options: ClassicBuilderOptions,
    request: BuildRequest & { readonly signal: AbortSignal },
  ) {
    this.#options = options;
    this.#request = {
      ...request,
      signal: AbortSignal.any([request.signal, this.#failure.signal]),
    };
    this.#folder = join(options.root, randomUUID());
    this.#platform =
      request.platform === undefined ? hostPlatform() : parsePlatform(request.platform);
  }

  async run(): Promise<{ readonly imageId: string }> {
    const tags = this.#request.tags.map((tag) => parseReference(tag));
    await using _ = this.#cleanup;
    const context = this.#cleanup.use(
      await BuildContext.open(this.#request, {
        folder: join(this.#folder, 'context'),
        layerTool: this.#options.layerTool,
        resolveInRoot: this.#options.runtime.resolveInRoot,
      }),
    );
    const dockerfile = parseDockerfile(readDockerfileLines(context.dockerfile));
    const stages = this.#wantedStages(dockerfile);
    for (const warning of dockerfile.warnings) {
      this.#out({ stream: `[WARNING]: ${warning}\n` });
    }
    const args = new BuildArgs(this.#request.buildArgs);
    const total =
      dockerfile.metaArgs.length +
      stages.reduce((sum, stage) => sum + 1 + stage.instructions.length, 0);
    this.#runMetaArgs(dockerfile, args, total);
    const last = await this.#runStages(dockerfile, stages, args, context, total);
    const unused = args.unused();
    if (unused.length > 0) {
      this.#out({
        stream: `[Warning] One or more build-args [${unused.join(' ')}] were not consumed\n`,
      });
    }
    const { id } = last.base;
    if (id === undefined) {
      throw new InvalidParameterError('No image was generated. Is your Dockerfile empty?');
    }
    this.#out({ stream: `Successfully built ${shortId(id)}\n` });
    for (const tag of tags) {
      const named = withDefaultTag(tag);
      await this.#options.images.tag(id, { repo: named.familiarName, tag: named.tag ?? 'latest' });
      this.#out({ stream: `Successfully tagged ${named.familiar}\n` });
    }
    return { imageId: id };
  }

  #out: ProgressSink = (message) => {
    if (!this.#request.isQuiet) {
      this.#request.onProgress(message);
    }
  };

  #wantedStages(dockerfile: Dockerfile): readonly Stage[] {
    const { target } = this.#request;
    const seen = new Set<string>();
    for (const { name } of dockerfile.stages) {
      if (name !== '' && seen.has(name)) {
        throw new InvalidParameterError(`duplicate name ${name}`);
      }
      seen.add(name);
    }
    const stages = withLabels(dockerfile.stages, this.#request.labels);
    if (target === '') {
      return stages(dockerfile.stages.length - 1);
    }
    const byName = dockerfile.stages.findLastIndex((stage) => stage.name === target.toLowerCase());
    const index = byName === -1 && /^\d+$/.test(target) ? Number(target) : byName;
    if (index < 0 || index >= dockerfile.stages.length) {
      throw new InvalidParameterError(`target stage "${target}" could not be found`);
    }
    return stages(index);
  }

  #runMetaArgs(dockerfile: Dockerfile, args: BuildArgs, total: number): void {
    for (const [index, instruction] of dockerfile.metaArgs.entries()) {
      this.#out({ stream: `Step ${index + 1}/${total} : ${instruction.original}\n` });
      if (instruction.kind === 'arg') {
        for (const { name, value } of instruction.assignments) {
          const expanded =
            value === undefined
              ? undefined
              : expandWord(value, { escape: dockerfile.escape, lookup: (key) => args.meta(key) });
          args.addMeta({ name, value: expanded });
        }
      }
    }
  }

  /** Starts every stage; each waits for those it needs. */
  async #runStages(
    dockerfile: Dockerfile,
    stages: readonly Stage[],
    args: BuildArgs,
    context: BuildContext,
    total: number,
  ): Promise<FinishedStage> {
    const outputs = new StageOutputs(this.#out, stages.length);
    const cacheFrom = await this.#cacheImages();
    let offset = dockerfile.metaArgs.length;
    for (const [index, stage] of stages.entries()) {
      const start = offset;
      offset += 1 + stage.instructions.length;
      const output = outputs.of(index);
      const running = this.#runStage({
        dockerfile,
        stages,
        stage,
        index,
        args,
        context,
        cacheFrom,
        output,
        start,
        total,
      });
      this.#stageResults.set(index, running);
      running.then(
        () => outputs.end(index),
        (error: unknown) => this.#failure.abort(error),
      );
    }
    const results = [...this.#stageResults.values()];
    // All have to settle before the context goes; the first error in order is the build's.
    const settled = await Promise.allSettled(results);
    for (const entry of settled) {
      if (entry.status === 'rejected') {
        throw entry.reason;
      }
    }
    const last = await results.at(-1);
    if (last === undefined) {
      throw new InvalidParameterError('no build stage in current context');
    }
    return last;
  }

  async #cacheImages(): Promise<Image[]> {
    const found = await Promise.all(
      this.#request.cacheFrom.map(async (ref) => await this.#options.images.find(ref)),
    );
    return found.filter((image) => image !== undefined);
  }

  async #runStage(job: StageJob): Promise<FinishedStage> {
    const { dockerfile, stage, stages, index, args, output } = job;
    const { images, snapshotter, layerTool, runtime, containers } = this.#options;
    const lookup = (name: string): string | undefined => args.meta(name);
    const name = expandWord(stage.from.image, { escape: dockerfile.escape, lookup });
    if (name === '') {
      throw new InvalidParameterError(`base name (${stage.from.image}) should not be blank`);
    }
    const earlier = stages
      .slice(0, index)
      .findLastIndex((other) => other.name !== '' && other.name === name.toLowerCase());
    const parentBase = earlier === -1 ? undefined : (await this.#stageResults.get(earlier))?.base;
    this.#request.signal.throwIfAborted();
    output({ stream: `Step ${job.start + 1}/${job.total} : ${stage.from.original}\n` });
    const platform =
      stage.from.platform === ''
        ? undefined
        : parsePlatform(expandWord(stage.from.platform, { escape: dockerfile.escape, lookup }));
    const { base, image } =
      parentBase === undefined
        ? await this.#baseImage(name, platform, output)
        : {
            base: parentBase,
            image: parentBase.id === undefined ? undefined : images.get(parentBase.id),
          };
    const runStep = runStepsWith(
      containers,
      this.#request,
      join(this.#folder, 'scripts', String(index)),
    );
    const builder = new StageBuilder(
      {
        escape: dockerfile.escape,
        args,
        stepImages: new StepImages(images, {
          cacheFrom: job.cacheFrom,
          hasNoCache: this.#request.hasNoCache,
        }),
        snapshotter,
        copyTools: {
          layerTool,
          resolveUser: async (root, user) => await runtime.resolveUser(root, user),
        },
        runStep: async (step) => await this.#places.run(async () => await runStep(step)),
        context: job.context.tree,
        openFrom: async (from) => await this.#openFrom(from, job),
        announce: (at, text) => {
          output({ stream: `Step ${job.start + 2 + at}/${job.total} : ${text}\n` });
        },
        output,
        signal: this.#request.signal,
      },
      base,
      image,
    );
    await builder.run(stage.instructions);
    if (builder.base.id !== undefined) {
      output({ aux: { ID: builder.base.id } });
    }
    return { base: builder.base };
  }

  async #baseImage(
    name: string,
    platform: Platform | undefined,
    output: ProgressSink,
  ): Promise<{ base: StepBase; image: Image | undefined }> {
    if (name === 'scratch') {
      return {
        image: undefined,
        base: {
          id: undefined,
          chainId: undefined,
          diffIds: [],
          history: [],
          platform: platform ?? this.#platform,
        },
      };
    }
    const image = await this.#imageFor(name, platform, output);
    return { image, base: baseOf(image) };
  }

  /** A local image, pulled when it is missing, for another platform, or when the build wants the newest. */
  async #imageFor(
    name: string,
    platform: Platform | undefined,
    output: ProgressSink,
  ): Promise<Image> {
    const { images } = this.#options;
    const wanted = platform ?? (this.#request.platform === undefined ? undefined : this.#platform);
    const options = wanted === undefined ? {} : { platform: wanted };
    if (!this.#request.pullsParent) {
      try {
        return await images.resolve(name, options);
      } catch (error) {
        if (!(error instanceof NotFoundError)) {
          throw error;
        }
      }
    }
    const reference = withDefaultTag(parseReference(name));
    await images.pull(reference, {
      ...options,
      auth: this.#request.auths.get(reference.domain),
      onProgress: output,
      signal: this.#request.signal,
    });
    return await images.resolve(name, options);
  }

  /** Files of an earlier stage or of an image, mounted read-only until the build ends. */
  async #openFrom(from: string, job: StageJob): Promise<SourceTree> {
    const before = job.stages.slice(0, job.index);
    const byName = before.findLastIndex(
      (stage) => stage.name !== '' && stage.name === from.toLowerCase(),
    );
    const byIndex = /^\d+$/.test(from) ? Number(from) : -1;
    const stageIndex = byName === -1 ? byIndex : byName;
    if (byName === -1 && byIndex >= job.index) {
      throw new InvalidParameterError(
        byIndex === job.index
          ? `invalid from flag value ${from}: refers to current build stage`
          : `invalid from flag value ${from}: invalid build stage index`,
      );
    }
    const chainId =
      stageIndex === -1
        ? (await this.#imageFor(from, undefined, job.output)).chainId
        : (await this.#stageResults.get(stageIndex))?.base.chainId;
    const key = chainId ?? 'scratch';
    let tree = this.#mounted.get(key);
    if (tree === undefined) {
      tree = this.#mountTree(chainId, job.context);
      this.#mounted.set(key, tree);
    }
    return await tree;
  }

  async #mountTree(chainId: StepBase['chainId'], context: BuildContext): Promise<SourceTree> {
    const { snapshotter, images, runtime } = this.#options;
    if (chainId === undefined) {
      return new SourceTree(join(context.tree.root, '.nothing'), runtime.resolveInRoot);
    }
    const lease = this.#cleanup.use(images.lease());
    lease.protect(chainId);
    const mounted = this.#cleanup.use(await snapshotter.mountLayer(chainId));
    return new SourceTree(mounted.path, runtime.resolveInRoot);
  }
}

interface StageJob {
  readonly dockerfile: Dockerfile;
  readonly stages: readonly Stage[];
  readonly stage: Stage;
  readonly index: number;
  readonly args: BuildArgs;
  readonly context: BuildContext;
  readonly cacheFrom: readonly Image[];
  readonly output: ProgressSink;
  /** Steps before FROM of this stage. */
  readonly start: number;
  readonly total: number;
}

/** `--label` becomes a LABEL at the end of the last stage. */
function withLabels(
  stages: readonly Stage[],
  labels: Readonly<Record<string, string>>,
): (lastIndex: number) => readonly Stage[] {
  return (lastIndex) =>
    stages.slice(0, lastIndex + 1).map((stage, index) => {
      const names = Object.keys(labels).sort();
      if (index !== lastIndex || names.length === 0) {
        return stage;
      }
      const added = names.map((name) => {
        // Quoted so that no character of the value means anything.
        const literal = (text: string): string => `"${text.replace(/(["$\\])/g, '\\$1')}"`;
        return {
          kind: 'label' as const,
          line: 0,
          original: `LABEL ${name}=${labels[name] ?? ''}`,
          assignments: [{ name: literal(name), value: literal(labels[name] ?? '') }],
        };
      });
      return { ...stage, instructions: [...stage.instructions, ...added] };
    });
}
