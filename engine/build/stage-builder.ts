import { posix } from 'node:path';
import { InvalidParameterError } from '../base/errors.ts';
import { newId, shortId } from '../base/ids.ts';
import type { Image, ProgressSink, RunConfig } from '../images/contract.ts';
import type { Snapshotter } from '../snapshots/contract.ts';
import type { BuildArgs } from './build-args.ts';
import { StageArgs } from './build-args.ts';
import { type CopyTools, makeFolders, prepareCopy } from './copy-step.ts';
import { type CommandLine, type Instruction, parseInstruction } from './dockerfile/instructions.ts';
import { readDockerfileLines } from './dockerfile/lines.ts';
import { expandWord, splitWords } from './dockerfile/words.ts';
import { type RunStep, SCRIPT_PATH } from './run-step.ts';
import type { SourceTree } from './source-tree.ts';
import { baseOf, type StepBase, type StepImages } from './step-images.ts';

type Draft = { -readonly [Key in keyof RunConfig]: RunConfig[Key] };

/** What a stage needs of the build around it. */
export interface StageEnvironment {
  readonly escape: string;
  readonly args: BuildArgs;
  readonly stepImages: StepImages;
  readonly snapshotter: Snapshotter;
  readonly copyTools: CopyTools;
  readonly runStep: RunStep;
  readonly context: SourceTree;
  /** Tree of a stage or image named by `--from`; the build keeps it mounted until its end. */
  openFrom(name: string): Promise<SourceTree>;
  /** `Step 2/5 : ...` of the n-th instruction of this stage. */
  announce(index: number, text: string): void;
  readonly output: ProgressSink;
  readonly signal: AbortSignal | undefined;
}

/** Lower-case names of signals; numbers are fine too. */
const SIGNAL_PATTERN = /^(?:\d{1,2}|(?:SIG)?[A-Z][A-Z0-9+-]*)$/i;

const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c'];

function quoted(list: readonly string[]): string {
  return `[${list.map((entry) => JSON.stringify(entry)).join(' ')}]`;
}

/** `80`, `80/udp`, `8000-8002/tcp`, also with host parts, which are dropped. */
function parsePorts(specs: readonly string[]): string[] {
  return specs.flatMap((spec) => {
    const match = /^(?:[^/]*:)?(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?$/i.exec(spec);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || first > last || first < 1 || last > 65_535) {
      throw new InvalidParameterError(`invalid containerPort: ${spec}`);
    }
    const protocol = (match[3] ?? 'tcp').toLowerCase();
    return Array.from({ length: last - first + 1 }, (_, at) => `${first + at}/${protocol}`);
  });
}

/** Runs the instructions of one stage; each makes an image or finds it in the cache. */
export class StageBuilder {
  readonly #env: StageEnvironment;
  readonly #args: StageArgs;
  #base: StepBase;
  #config: Draft;
  #author: string;
  #isCmdSet = false;

  constructor(environment: StageEnvironment, base: StepBase, image: Image | undefined) {
    this.#env = environment;
    this.#args = new StageArgs(environment.args);
    this.#base = base;
    this.#config = { ...image?.config.config };
    this.#author = image?.config.author ?? '';
    const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    if (!(this.#config.Env ?? []).some((entry) => entry.startsWith('PATH='))) {
      this.#config.Env = [...(this.#config.Env ?? []), path];
    }
  }

  get base(): StepBase {
    return this.#base;
  }

  /** Runs the triggers that the base image left, then the stage's own instructions. */
  async run(instructions: readonly Instruction[]): Promise<void> {
    const triggers = this.#config.OnBuild ?? [];
    if (triggers.length > 0) {
      this.#config.OnBuild = undefined;
      const plural = triggers.length > 1 ? 's' : '';
      this.#env.output({ stream: `# Executing ${triggers.length} build trigger${plural}\n` });
      for (const trigger of triggers) {
        const [line] = readDockerfileLines(trigger).lines;
        if (line !== undefined) {
          await this.#dispatch(parseInstruction(line, this.#env.escape));
        }
      }
    }
    this.#showId();
    for (const [index, instruction] of instructions.entries()) {
      this.#env.signal?.throwIfAborted();
      this.#env.announce(index, instruction.original);
      await this.#dispatch(instruction);
      this.#showId();
    }
  }

  #showId(): void {
    const id = this.#base.id === undefined ? '' : shortId(this.#base.id);
    this.#env.output({ stream: ` ---> ${id}\n` });
  }

  #lookup = (name: string): string | undefined => {
    const prefix = `${name}=`;
    const entry = (this.#config.Env ?? []).findLast((candidate) => candidate.startsWith(prefix));
    return entry === undefined ? this.#args.value(name) : entry.slice(prefix.length);
  };

  #expand(word: string): string {
    return expandWord(word, { escape: this.#env.escape, lookup: this.#lookup });
  }

  /** Settings with the command that made them, as Docker records steps that run nothing. */
  #recorded(comment: string): RunConfig {
    const shell = this.#config.Shell ?? DEFAULT_SHELL;
    return { ...this.#config, Cmd: [...shell, '#(nop) ', comment] };
  }

  async #commitSettings(comment: string): Promise<void> {
    const step = {
      base: this.#base,
      config: { ...this.#config },
      recorded: this.#recorded(comment),
      author: this.#author,
    };
    const cached = await this.#env.stepImages.probe(step);
    this.#use(cached, cached ?? (await this.#env.stepImages.commitSettings(step)));
  }

  #use(cached: Image | undefined, image: Image): void {
    if (cached !== undefined) {
      this.#env.output({ stream: ' ---> Using cache\n' });
    }
    this.#base = baseOf(image);
  }

  /** Runs `change` on the mounted files of a new top and commits them, unless the cache has the step. */
  async #commitFiles(comment: string, change: (root: string) => Promise<void>): Promise<void> {
    const { stepImages, snapshotter, signal } = this.#env;
    const shell = this.#config.Shell ?? DEFAULT_SHELL;
    const step = {
      base: this.#base,
      config: { ...this.#config },
      // One word here, two in steps that only set something: clients show the history as Docker wrote it.
      recorded: { ...this.#config, Cmd: [...shell, `#(nop) ${comment}`] },
      author: this.#author,
    };
    const cached = await stepImages.probe(step);
    if (cached !== undefined) {
      this.#use(cached, cached);
      return;
    }
    const id = newId();
    await using cleanup = new AsyncDisposableStack();
    cleanup.defer(async () => await snapshotter.removeWritable(id));
    await snapshotter.createWritable(id, this.#base.chainId);
    await change(await snapshotter.mount(id));
    await snapshotter.unmount(id);
    this.#use(undefined, await stepImages.commitFiles(step, id, signal));
  }

  async #dispatch(instruction: Instruction): Promise<void> {
    switch (instruction.kind) {
      case 'run':
        return await this.#run(instruction);
      case 'copy':
      case 'add':
        return await this.#copy(instruction);
      case 'workdir':
        return await this.#workdir(this.#expand(instruction.value));
      case 'from':
        throw new InvalidParameterError('FROM is not allowed here');
      default:
        return await this.#commitSettings(this.#change(instruction));
    }
  }

  /** Applies an instruction that changes settings only. @returns its comment in the history */
  #change(
    instruction: Exclude<Instruction, { kind: 'run' | 'copy' | 'add' | 'workdir' | 'from' }>,
  ): string {
    switch (instruction.kind) {
      case 'cmd':
        return this.#cmd(instruction.command);
      case 'entrypoint':
        return this.#entrypoint(instruction.command);
      case 'env':
        return this.#variables(instruction.assignments);
      case 'label':
        return this.#label(instruction.assignments);
      case 'arg':
        return this.#arg(instruction.assignments);
      case 'expose':
        return this.#expose(instruction.ports);
      case 'volume':
        return this.#volume(instruction.paths.map((path) => this.#expand(path)));
      case 'user':
        this.#config.User = this.#expand(instruction.value);
        return `USER ${this.#config.User}`;
      case 'stopsignal':
        return this.#stopSignal(this.#expand(instruction.value));
      case 'maintainer':
        this.#author = instruction.value;
        return `MAINTAINER ${instruction.value}`;
      case 'onbuild':
        this.#config.OnBuild = [...(this.#config.OnBuild ?? []), instruction.trigger];
        return `ONBUILD ${instruction.trigger}`;
      case 'healthcheck':
        this.#config.Healthcheck = instruction.probe;
        return `HEALTHCHECK ${JSON.stringify(instruction.probe)}`;
      case 'shell':
        this.#config.Shell = [...instruction.shell];
        return `SHELL [${instruction.shell.join(' ')}]`;
      default: {
        const never: never = instruction;
        return never;
      }
    }
  }

  #commandOf(command: CommandLine): string[] {
    return command.form === 'exec'
      ? [...command.args]
      : [...(this.#config.Shell ?? DEFAULT_SHELL), command.text];
  }

  #cmd(command: CommandLine): string {
    this.#config.Cmd = this.#commandOf(command);
    this.#isCmdSet = true;
    return `CMD ${quoted(this.#config.Cmd)}`;
  }

  #entrypoint(command: CommandLine): string {
    this.#config.Entrypoint = this.#commandOf(command);
    // A command that only the base image set belongs to the base image's entrypoint.
    if (!this.#isCmdSet) {
      this.#config.Cmd = undefined;
    }
    return `ENTRYPOINT ${quoted(this.#config.Entrypoint)}`;
  }

  #variables(assignments: readonly { name: string; value: string | undefined }[]): string {
    // All values see the variables as they were before the instruction.
    const pairs = assignments.map(({ name, value }) => {
      return { name: this.#expand(name), value: this.#expand(value ?? '') };
    });
    let env = [...(this.#config.Env ?? [])];
    for (const { name, value } of pairs) {
      const entry = `${name}=${value}`;
      const at = env.findIndex((existing) => existing.startsWith(`${name}=`));
      env = at === -1 ? [...env, entry] : env.with(at, entry);
    }
    this.#config.Env = env;
    return `ENV ${pairs.map(({ name, value }) => `${name}=${value}`).join(' ')}`;
  }

  #label(assignments: readonly { name: string; value: string | undefined }[]): string {
    const pairs = assignments.map(({ name, value }): [string, string] => [
      this.#expand(name),
      this.#expand(value ?? ''),
    ]);
    this.#config.Labels = { ...this.#config.Labels, ...Object.fromEntries(pairs) };
    return `LABEL ${pairs.map(([name, value]) => `${name}=${value}`).join(' ')}`;
  }

  #arg(assignments: readonly { name: string; value: string | undefined }[]): string {
    const texts = assignments.map(({ name, value }) => {
      const expanded = value === undefined ? undefined : this.#expand(value);
      this.#args.declare({ name, value: expanded });
      return expanded === undefined ? name : `${name}=${expanded}`;
    });
    return `ARG ${texts.join(' ')}`;
  }

  #expose(words: readonly string[]): string {
    const specs = words.flatMap((word) => splitWords(this.#expand(word), this.#env.escape));
    const ports = Object.fromEntries(parsePorts(specs).map((port) => [port, {}]));
    this.#config.ExposedPorts = { ...this.#config.ExposedPorts, ...ports };
    return `EXPOSE ${specs.join(' ')}`;
  }

  #volume(paths: readonly string[]): string {
    const volumes = Object.fromEntries(paths.map((path) => [path, {}]));
    this.#config.Volumes = { ...this.#config.Volumes, ...volumes };
    return `VOLUME [${paths.join(' ')}]`;
  }

  #stopSignal(signal: string): string {
    if (!SIGNAL_PATTERN.test(signal)) {
      throw new InvalidParameterError(`Invalid signal: ${signal}`);
    }
    this.#config.StopSignal = signal;
    return `STOPSIGNAL ${signal}`;
  }

  async #workdir(path: string): Promise<void> {
    if (path === '') {
      throw new InvalidParameterError('cannot normalize nothing');
    }
    const folder = posix.resolve('/', this.#config.WorkingDir ?? '/', path);
    this.#config.WorkingDir = folder;
    await this.#commitFiles(`WORKDIR ${folder}`, async (root) => {
      await makeFolders(root, folder, this.#env.copyTools);
    });
  }

  async #copy(instruction: Extract<Instruction, { kind: 'copy' | 'add' }>): Promise<void> {
    const name = instruction.kind === 'copy' ? 'COPY' : 'ADD';
    if (instruction.excludes.length > 0 || instruction.checksum !== '') {
      const flag = instruction.checksum === '' ? 'exclude' : 'checksum';
      throw new InvalidParameterError(
        `the --${flag} option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled`,
      );
    }
    const from = instruction.from === '' ? undefined : this.#expand(instruction.from);
    const chown = this.#expand(instruction.chown);
    const chmod = this.#expand(instruction.chmod);
    const target = this.#expand(instruction.target);
    const prepared = await prepareCopy({
      name,
      sources: instruction.sources.map((source) => this.#expand(source)),
      heredocs: instruction.heredocs.map((heredoc) => ({
        ...heredoc,
        content: heredoc.isExpanded ? this.#expandHeredoc(heredoc.content) : heredoc.content,
      })),
      target,
      workingDir: this.#config.WorkingDir ?? '/',
      chown,
      chmod,
      tree: from === undefined ? this.#env.context : await this.#env.openFrom(from),
      isFromImage: from !== undefined,
      signal: this.#env.signal,
    });
    const flags = `${chown === '' ? '' : `--chown=${chown} `}${chmod === '' ? '' : `--chmod=${chmod} `}`;
    await this.#commitFiles(`${name} ${flags}${prepared.hash} in ${target} `, async (root) => {
      await prepared.write(root, this.#env.copyTools);
    });
  }

  /** Variables only: quotes in a document are text. */
  #expandHeredoc(content: string): string {
    return content.replaceAll(
      /\\(\$)|\$\{[^}]*\}|\$[A-Za-z_][A-Za-z0-9_]*/g,
      (found, escaped: string | undefined) => escaped ?? this.#expand(found),
    );
  }

  async #run(instruction: Extract<Instruction, { kind: 'run' }>): Promise<void> {
    const [flag] = instruction.flags;
    if (flag !== undefined) {
      throw new InvalidParameterError(
        `the --${flag} option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled`,
      );
    }
    const { runStep, stepImages, output, signal } = this.#env;
    const script = scriptOf(instruction);
    const command =
      instruction.command.form === 'shell'
        ? this.#commandOf({ form: 'shell', text: script.text })
        : [...instruction.command.args];
    const { all, recorded } = this.#args.forRun(this.#config.Env ?? []);
    const recordedCommand =
      recorded.length === 0 ? command : [`|${recorded.length}`, ...recorded, ...command];
    const step = {
      base: this.#base,
      config: { ...this.#config },
      recorded: {
        ...this.#config,
        Cmd: script.file === undefined ? recordedCommand : [...recordedCommand, script.file],
      },
      author: this.#author,
    };
    const cached = await stepImages.probe(step);
    if (cached !== undefined) {
      this.#use(cached, cached);
      return;
    }
    if (this.#base.id === undefined) {
      throw new InvalidParameterError('no image to run in: RUN needs a base image with files');
    }
    await using finished = await runStep({
      imageId: this.#base.id,
      config: this.#config,
      command,
      env: [...(this.#config.Env ?? []), ...all],
      script: script.file,
      output,
      signal,
    });
    this.#use(undefined, await stepImages.commitFiles(step, finished.containerId, signal));
  }
}

/** The shell text of RUN with its here-documents; a lone document with `#!` becomes a file. */
function scriptOf(instruction: Extract<Instruction, { kind: 'run' }>): {
  readonly text: string;
  readonly file: string | undefined;
} {
  const { command, heredocs } = instruction;
  const text = command.form === 'shell' ? command.text : '';
  const [only] = heredocs;
  if (only === undefined) {
    return { text, file: undefined };
  }
  if (heredocs.length === 1 && /^\d*<<-?\s*["']?[A-Za-z0-9_.-]+["']?$/.test(text.trim())) {
    return only.content.startsWith('#!')
      ? { text: SCRIPT_PATH, file: only.content }
      : { text: only.content, file: undefined };
  }
  const documents = heredocs.map(({ name, content }) => `${content}${name}\n`).join('');
  return { text: `${text.replaceAll(/<<-/g, '<<')}\n${documents}`, file: undefined };
}
