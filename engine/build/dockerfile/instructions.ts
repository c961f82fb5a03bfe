import { InvalidParameterError, messageOf } from '../../base/errors.ts';
import { type DockerfileLines, dockerfileError, type Heredoc, type LogicalLine } from './lines.ts';
import { expandWord, splitWords } from './words.ts';

/** A command line in shell form (one text) or exec form (arguments). */
export type CommandLine =
  | { readonly form: 'shell'; readonly text: string }
  | { readonly form: 'exec'; readonly args: readonly string[] };

/** Probe as in an image config; nanoseconds. */
export interface HealthProbe {
  Test: string[];
  Interval?: number;
  Timeout?: number;
  StartPeriod?: number;
  StartInterval?: number;
  Retries?: number;
}

/** Variable with a value; undefined means declared only (ARG). */
export interface Assignment {
  readonly name: string;
  readonly value: string | undefined;
}

/** One instruction after its syntax is checked; words are not expanded yet. */
export type Instruction = { readonly line: number; readonly original: string } & (
  | {
      readonly kind: 'from';
      readonly image: string;
      readonly platform: string;
      readonly stage: string;
    }
  | {
      readonly kind: 'run';
      readonly command: CommandLine;
      readonly heredocs: readonly Heredoc[];
      readonly flags: readonly string[];
    }
  | { readonly kind: 'cmd' | 'entrypoint'; readonly command: CommandLine }
  | { readonly kind: 'env' | 'label' | 'arg'; readonly assignments: readonly Assignment[] }
  | { readonly kind: 'expose'; readonly ports: readonly string[] }
  | {
      readonly kind: 'copy' | 'add';
      readonly sources: readonly string[];
      readonly target: string;
      readonly heredocs: readonly Heredoc[];
      readonly from: string;
      readonly chown: string;
      readonly chmod: string;
      readonly excludes: readonly string[];
      readonly checksum: string;
    }
  | { readonly kind: 'volume'; readonly paths: readonly string[] }
  | { readonly kind: 'user' | 'stopsignal' | 'maintainer'; readonly value: string }
  | { readonly kind: 'workdir'; readonly value: string }
  | { readonly kind: 'onbuild'; readonly trigger: string }
  | { readonly kind: 'healthcheck'; readonly probe: HealthProbe }
  | { readonly kind: 'shell'; readonly shell: readonly string[] }
);

/** A build stage: FROM with what follows. */
export interface Stage {
  readonly from: Extract<Instruction, { kind: 'from' }>;
  /** Lower case; '' without AS. */
  readonly name: string;
  readonly instructions: readonly Instruction[];
}

/** A parsed Dockerfile. */
export interface Dockerfile {
  readonly escape: '\\' | '`';
  /** ARGs before the first FROM. */
  readonly metaArgs: readonly Instruction[];
  readonly stages: readonly Stage[];
  readonly warnings: readonly string[];
}

interface Parts {
  /** Upper case. */
  readonly name: string;
  readonly flags: ReadonlyMap<string, readonly string[]>;
  /** Text after name and flags. */
  readonly rest: string;
  /** Elements when `rest` is a JSON array of texts. */
  readonly json: readonly string[] | undefined;
  readonly escape: string;
  readonly source: LogicalLine;
}

/** Flags that each instruction knows; a trailing `*` may be given several times. */
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  FROM: ['platform'],
  RUN: ['mount*', 'network', 'security', 'device*'],
  COPY: ['from', 'chown', 'chmod', 'link', 'parents', 'exclude*'],
  ADD: ['chown', 'chmod', 'link', 'checksum', 'keep-git-dir', 'exclude*', 'unpack'],
  HEALTHCHECK: ['interval', 'timeout', 'start-period', 'start-interval', 'retries'],
};

function takeFlags(name: string, text: string): { flags: Map<string, string[]>; rest: string } {
  const flags = new Map<string, string[]>();
  let rest = text.trimStart();
  for (let match = /^--([a-z-]*)(?:=("[^"]*"|'[^']*'|\S*))?(\s+|$)/.exec(rest); match !== null; ) {
    const [whole, flag = '', value] = match;
    rest = rest.slice(whole.length);
    if (flag === '') {
      break;
    }
    const known = FLAGS[name] ?? [];
    const isRepeatable = known.includes(`${flag}*`);
    if (!isRepeatable && !known.includes(flag)) {
      throw new InvalidParameterError(`unknown flag: --${flag}`);
    }
    if (!isRepeatable && flags.has(flag)) {
      throw new InvalidParameterError(`duplicate flag specified: --${flag}`);
    }
    const isBoolean = ['link', 'parents', 'keep-git-dir', 'unpack'].includes(flag);
    if (value === undefined && !isBoolean) {
      throw new InvalidParameterError(`missing a value on flag: --${flag}`);
    }
    const plain = (value ?? 'true').replace(/^(["'])(.*)\1$/s, '$2');
    flags.set(flag, [...(flags.get(flag) ?? []), plain]);
    match = /^--([a-z-]*)(?:=("[^"]*"|'[^']*'|\S*))?(\s+|$)/.exec(rest);
  }
  return { flags, rest };
}

function jsonTexts(text: string): readonly string[] | undefined {
  if (!text.startsWith('[')) {
    return undefined;
  }
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((entry) => typeof entry === 'string')
      ? value
      : undefined;
  } catch {
    // Not JSON after all: it is a shell line that begins with a bracket.
    return undefined;
  }
}

function commandLine(parts: Parts): CommandLine {
  return parts.json === undefined
    ? { form: 'shell', text: parts.rest }
    : { form: 'exec', args: parts.json };
}

function words(parts: Parts): readonly string[] {
  return parts.json ?? splitWords(parts.rest, parts.escape);
}

function required(parts: Parts): string {
  if (parts.rest === '') {
    throw new InvalidParameterError(`${parts.name} requires exactly one argument`);
  }
  return parts.rest;
}

function atLeastOne(parts: Parts): readonly string[] {
  const list = words(parts);
  if (list.length === 0) {
    throw new InvalidParameterError(`${parts.name} requires at least one argument`);
  }
  return list;
}

function parseFrom(parts: Parts) {
  const list = splitWords(parts.rest, parts.escape);
  const [image = '', as, stage = ''] = list;
  if (!(list.length === 1 || (list.length === 3 && as?.toLowerCase() === 'as'))) {
    throw new InvalidParameterError('FROM requires either one or three arguments');
  }
  if (stage !== '' && !/^[a-z][a-z0-9-_.]*$/i.test(stage)) {
    throw new InvalidParameterError(
      `invalid name for build stage: "${stage}", name can't start with a number or contain symbols`,
    );
  }
  return {
    kind: 'from',
    image,
    stage: stage.toLowerCase(),
    platform: parts.flags.get('platform')?.[0] ?? '',
  } as const;
}

function assignment(parts: Parts, word: string): Assignment {
  const at = word.indexOf('=');
  if (at === -1) {
    throw new InvalidParameterError(
      `Syntax error - can't find = in "${word}". Must be of the form: name=value`,
    );
  }
  if (at === 0) {
    throw new InvalidParameterError(`${parts.name} names can not be blank`);
  }
  return { name: word.slice(0, at), value: word.slice(at + 1) };
}

function parsePairs(parts: Parts): readonly Assignment[] {
  const list = splitWords(parts.rest, parts.escape);
  const [first = ''] = list;
  if (list.length === 0) {
    throw new InvalidParameterError(`${parts.name} requires at least one argument`);
  }
  if (!first.includes('=')) {
    // The old form: one name, the rest of the line is its value.
    const match = /^(\S+)\s+([\s\S]+)$/.exec(parts.rest);
    if (match === null) {
      throw new InvalidParameterError(`${parts.name} must have two arguments`);
    }
    return [{ name: match[1] ?? '', value: match[2] ?? '' }];
  }
  return list.map((word) => assignment(parts, word));
}

function parseArg(parts: Parts): readonly Assignment[] {
  return atLeastOne({ ...parts, json: undefined }).map((word) =>
    word.includes('=') ? assignment(parts, word) : { name: word, value: undefined },
  );
}

function parseCopy(parts: Parts, kind: 'copy' | 'add') {
  const list = words(parts);
  const target = list.at(-1);
  if (list.length < 2 || target === undefined) {
    throw new InvalidParameterError(
      list.length === 0
        ? `${parts.name} requires at least one argument`
        : `${parts.name} requires at least two arguments, but only one was provided. Destination could not be determined`,
    );
  }
  const isHeredoc = (word: string): boolean =>
    parts.json === undefined && /^\d*<<-?["']?[A-Za-z_]/.test(word);
  if (isHeredoc(target)) {
    throw new InvalidParameterError(`${parts.name} cannot accept a heredoc as a destination`);
  }
  const flag = (name: string): string => parts.flags.get(name)?.[0] ?? '';
  return {
    kind,
    sources: list.slice(0, -1).filter((word) => !isHeredoc(word)),
    target,
    heredocs: parts.source.heredocs,
    from: flag('from'),
    chown: flag('chown'),
    chmod: flag('chmod'),
    excludes: parts.flags.get('exclude') ?? [],
    checksum: flag('checksum'),
  } as const;
}

const DURATION_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};
const MIN_DURATION_NS = 1e6;

function durationNs(name: string, text: string | undefined): number | undefined {
  if (text === undefined || text === '0') {
    return undefined;
  }
  const parts = [...text.matchAll(/([0-9]*\.?[0-9]+)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text) {
    throw new InvalidParameterError(`time: invalid duration "${text}"`);
  }
  const ns = parts.reduce(
    (sum, [, amount = '0', unit = 's']) => sum + Number(amount) * (DURATION_NS[unit] ?? 0),
    0,
  );
  if (ns < MIN_DURATION_NS) {
    throw new InvalidParameterError(`Interval "${name}" cannot be less than 1ms`);
  }
  return Math.round(ns);
}

function parseHealthcheck(parts: Parts): HealthProbe {
  const match = /^(\S+)\s*([\s\S]*)$/.exec(parts.rest);
  const type = (match?.[1] ?? '').toUpperCase();
  const rest = match?.[2] ?? '';
  if (type === '') {
    throw new InvalidParameterError('HEALTHCHECK requires at least one argument');
  }
  if (type === 'NONE') {
    if (rest !== '') {
      throw new InvalidParameterError('HEALTHCHECK NONE takes no arguments');
    }
    return { Test: ['NONE'] };
  }
  if (type !== 'CMD') {
    throw new InvalidParameterError(`Unknown type "${type}" in HEALTHCHECK (try CMD)`);
  }
  if (rest === '') {
    throw new InvalidParameterError('Missing command after HEALTHCHECK CMD');
  }
  const json = jsonTexts(rest);
  const flag = (name: string): string | undefined => parts.flags.get(name)?.[0];
  const retries = flag('retries');
  if (retries !== undefined && !/^\d+$/.test(retries)) {
    throw new InvalidParameterError(
      /^-\d+$/.test(retries)
        ? `--retries cannot be negative (${retries})`
        : `strconv.ParseInt: parsing "${retries}": invalid syntax`,
    );
  }
  const probe: HealthProbe = { Test: json === undefined ? ['CMD-SHELL', rest] : ['CMD', ...json] };
  const times = [
    ['Interval', 'interval'],
    ['Timeout', 'timeout'],
    ['StartPeriod', 'start-period'],
    ['StartInterval', 'start-interval'],
  ] as const;
  for (const [key, name] of times) {
    const ns = durationNs(name, flag(name));
    if (ns !== undefined) {
      probe[key] = ns;
    }
  }
  if (retries !== undefined && retries !== '0') {
    probe.Retries = Number(retries);
  }
  return probe;
}

function parseOnbuild(parts: Parts): string {
  const trigger = /^(\S+)/.exec(parts.rest)?.[1]?.toUpperCase() ?? '';
  if (trigger === '') {
    throw new InvalidParameterError('ONBUILD requires at least one argument');
  }
  if (trigger === 'ONBUILD') {
    throw new InvalidParameterError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  }
  if (trigger === 'FROM' || trigger === 'MAINTAINER') {
    throw new InvalidParameterError(`${trigger} isn't allowed as an ONBUILD trigger`);
  }
  return parts.rest;
}

function parseShell(parts: Parts): readonly string[] {
  if (parts.json === undefined) {
    throw new InvalidParameterError(`SHELL requires the arguments to be in JSON form`);
  }
  if (parts.json.length === 0) {
    throw new InvalidParameterError('SHELL requires at least one argument');
  }
  return parts.json;
}

function parseRun(parts: Parts) {
  const command = commandLine(parts);
  const isEmpty = command.form === 'shell' ? command.text === '' : command.args.length === 0;
  if (isEmpty) {
    throw new InvalidParameterError('RUN requires at least one argument');
  }
  return {
    kind: 'run',
    command,
    heredocs: parts.source.heredocs,
    flags: [...parts.flags.keys()],
  } as const;
}

function parseVolumes(parts: Parts): readonly string[] {
  const paths = atLeastOne(parts).map((path) => path.trim());
  if (paths.includes('')) {
    throw new InvalidParameterError('VOLUME specified can not be an empty string');
  }
  return paths;
}

/** `T` without `line` and `original`, for each member of a union. */
type Body<T> = T extends unknown ? Omit<T, 'line' | 'original'> : never;

const PARSERS: Readonly<Record<string, (parts: Parts) => Body<Instruction>>> = {
  FROM: parseFrom,
  RUN: parseRun,
  CMD: (parts) => ({ kind: 'cmd', command: commandLine(parts) }),
  ENTRYPOINT: (parts) => ({ kind: 'entrypoint', command: commandLine(parts) }),
  ENV: (parts) => ({ kind: 'env', assignments: parsePairs(parts) }),
  LABEL: (parts) => ({ kind: 'label', assignments: parsePairs(parts) }),
  ARG: (parts) => ({ kind: 'arg', assignments: parseArg(parts) }),
  EXPOSE: (parts) => ({ kind: 'expose', ports: atLeastOne({ ...parts, json: undefined }) }),
  COPY: (parts) => parseCopy(parts, 'copy'),
  ADD: (parts) => parseCopy(parts, 'add'),
  VOLUME: (parts) => ({ kind: 'volume', paths: parseVolumes(parts) }),
  USER: (parts) => ({ kind: 'user', value: required(parts) }),
  WORKDIR: (parts) => ({ kind: 'workdir', value: required(parts) }),
  STOPSIGNAL: (parts) => ({ kind: 'stopsignal', value: required(parts) }),
  MAINTAINER: (parts) => ({ kind: 'maintainer', value: required(parts) }),
  ONBUILD: (parts) => ({ kind: 'onbuild', trigger: parseOnbuild(parts) }),
  HEALTHCHECK: (parts) => ({ kind: 'healthcheck', probe: parseHealthcheck(parts) }),
  SHELL: (parts) => ({ kind: 'shell', shell: parseShell(parts) }),
};

/**
 * Checks the syntax of one instruction.
 *
 * @throws InvalidParameterError  with the line
 */
export function parseInstruction(source: LogicalLine, escape: string): Instruction {
  const match = /^(\S+)\s*([\s\S]*)$/.exec(source.text);
  const name = (match?.[1] ?? '').toUpperCase();
  const parse = PARSERS[name];
  if (parse === undefined) {
    throw dockerfileError(source.line, `unknown instruction: ${match?.[1] ?? ''}`);
  }
  try {
    const { flags, rest } =
      FLAGS[name] === undefined
        ? { flags: new Map<string, string[]>(), rest: match?.[2] ?? '' }
        : takeFlags(name, match?.[2] ?? '');
    const text = rest.trim();
    const body = parse({ name, flags, rest: text, json: jsonTexts(text), escape, source });
    return { ...body, line: source.line, original: source.text };
  } catch (error) {
    if (error instanceof InvalidParameterError) {
      throw dockerfileError(source.line, messageOf(error));
    }
    throw error;
  }
}

/**
 * Orders the instructions of a Dockerfile into stages.
 *
 * @throws InvalidParameterError  bad syntax, or something before FROM
 */
export function parseDockerfile(source: DockerfileLines): Dockerfile {
  const metaArgs: Instruction[] = [];
  const stages: { from: Stage['from']; name: string; instructions: Instruction[] }[] = [];
  for (const line of source.lines) {
    const instruction = parseInstruction(line, source.escape);
    const stage = stages.at(-1);
    if (instruction.kind === 'from') {
      stages.push({ from: instruction, name: instruction.stage, instructions: [] });
    } else if (stage !== undefined) {
      stage.instructions.push(instruction);
    } else if (instruction.kind === 'arg') {
      metaArgs.push(instruction);
    } else {
      throw dockerfileError(line.line, 'no build stage in current context');
    }
  }
  if (stages.length === 0) {
    throw new InvalidParameterError('no build stage in current context');
  }
  return { escape: source.escape, metaArgs, stages, warnings: source.warnings };
}

/** Expands every word of a list. */
export function expandAll(
  list: readonly string[],
  escape: string,
  lookup: (name: string) => string | undefined,
): string[] {
  return list.map((word) => expandWord(word, { escape, lookup }));
}
