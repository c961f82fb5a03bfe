import { InvalidParameterError } from '../base/errors.ts';
import type { HealthConfig, RunConfig } from './contract.ts';
import { parseDurationNs } from './go-time.ts';

/** A {@link RunConfig} under construction. */
type Draft = { -readonly [Key in keyof RunConfig]: RunConfig[Key] } & { isCmdSet?: boolean };

type NumericHealthKey = Exclude<keyof HealthConfig, 'Test'>;

const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c'];
const MIN_HEALTH_NS = 1e6;

/** Joins continued lines; drops comments and blank lines. */
function splitLines(text: string): string[] {
  const lines: string[] = [];
  let pending = '';
  for (const line of text.split('\n')) {
    const isComment = /^\s*#/.test(line);
    if (isComment || (line.trim() === '' && pending === '')) {
      continue;
    }
    const whole = pending + (pending === '' ? line.trimStart() : line);
    if (/\\[ \t]*$/.test(whole)) {
      pending = whole.replace(/\\[ \t]*$/, '');
    } else {
      pending = '';
      lines.push(whole.trim());
    }
  }
  if (pending.trim() !== '') {
    lines.push(pending.trim());
  }
  return lines;
}

/** Splits at white space outside quotes; quotes and escapes stay. */
function splitWords(text: string): string[] {
  const words: string[] = [];
  let word = '';
  let quote = '';
  let isStarted = false;
  for (let index = 0; index < text.length; index += 1) {
    const char = text[index] ?? '';
    if (quote === '' && /\s/.test(char)) {
      if (isStarted) {
        words.push(word);
      }
      word = '';
      isStarted = false;
      continue;
    }
    isStarted = true;
    if (char === '\\' && quote !== "'") {
      index += 1;
      const next = text[index];
      word += next === undefined ? '' : char + next;
      continue;
    }
    if (quote === char) {
      quote = '';
    } else if (quote === '' && (char === '"' || char === "'")) {
      quote = char;
    }
    word += char;
  }
  if (isStarted) {
    words.push(word);
  }
  return words;
}

function findVariable(env: readonly string[] | undefined, name: string): string | undefined {
  const entry = env?.findLast((item) => item.startsWith(`${name}=`));
  return entry?.slice(name.length + 1);
}

/** Value of `$NAME`, `${NAME}`, `${NAME:-word}`, `${NAME:+word}` at `start` (the `$`). */
function expandAt(
  text: string,
  start: number,
  env: readonly string[] | undefined,
): readonly [value: string, end: number] {
  const plain = /^\$([A-Za-z_][A-Za-z0-9_]*)/.exec(text.slice(start));
  if (plain !== null) {
    return [findVariable(env, plain[1] ?? '') ?? '', start + plain[0].length];
  }
  if (text[start + 1] !== '{') {
    return ['$', start + 1];
  }
  const braced = /^\$\{([A-Za-z_][A-Za-z0-9_]*)(?::?([-+?])([^}]*))?\}/.exec(text.slice(start));
  if (braced === null) {
    throw new InvalidParameterError(
      `failed to process ${JSON.stringify(text)}: syntax error: missing '}' or unsupported modifier`,
    );
  }
  const [whole, name = '', operator, word = ''] = braced;
  const value = findVariable(env, name) ?? '';
  const end = start + whole.length;
  if (operator === '+') {
    return [value === '' ? '' : unquote(word, env), end];
  }
  if (operator === '-') {
    return [value === '' ? unquote(word, env) : value, end];
  }
  if (operator === '?' && value === '') {
    throw new InvalidParameterError(`${name}: ${word === '' ? 'not set' : word}`);
  }
  return [value, end];
}

/** Removes quotes and escapes and replaces variables, as the Dockerfile language does. */
function unquote(text: string, env: readonly string[] | undefined): string {
  let result = '';
  let quote = '';
  let index = 0;
  while (index < text.length) {
    const char = text[index] ?? '';
    if (quote === "'") {
      result += char === "'" ? '' : char;
      quote = char === "'" ? '' : quote;
      index += 1;
    } else if (char === '\\') {
      const next = text[index + 1] ?? '';
      // Within double quotes only these lose their backslash.
      result += quote === '"' && !/["$\\]/.test(next) ? char + next : next;
      index += 2;
    } else if (char === '$') {
      const [value, end] = expandAt(text, index, env);
      result += value;
      index = end;
    } else if (char === '"' || (char === "'" && quote === '')) {
      quote = quote === char ? '' : char;
      index += 1;
    } else {
      result += char;
      index += 1;
    }
  }
  if (quote !== '') {
    throw new InvalidParameterError(
      `failed to process ${JSON.stringify(text)}: unexpected end of statement while looking for matching ${quote === '"' ? 'double-quote' : 'single-quote'}`,
    );
  }
  return result;
}

/** The strings of a JSON array, or undefined when the text is none. */
function jsonStrings(text: string): string[] | undefined {
  if (!text.startsWith('[')) {
    return undefined;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Something like `[ -f x ]`: shell form.
    return undefined;
  }
  if (!Array.isArray(value)) {
    return undefined;
  }
  const strings = value.filter((item) => typeof item === 'string');
  if (strings.length !== value.length) {
    throw new InvalidParameterError(
      'when using JSON array syntax, arrays must be comprised of strings only',
    );
  }
  return strings;
}

function command(draft: Draft, text: string): readonly string[] | undefined {
  const exec = jsonStrings(text);
  if (exec !== undefined) {
    return exec;
  }
  return text === '' ? undefined : [...(draft.Shell ?? DEFAULT_SHELL), text];
}

function pairs(instruction: string, text: string): (readonly [string, string])[] {
  const words = splitWords(text);
  const [first = ''] = words;
  if (!first.includes('=')) {
    const match = /^(\S+)\s+([\s\S]+)$/.exec(text);
    if (match === null) {
      throw new InvalidParameterError(`${instruction} must have two arguments`);
    }
    return [[match[1] ?? '', match[2] ?? '']];
  }
  return words.map((word) => {
    const equals = word.indexOf('=');
    if (equals < 0) {
      throw new InvalidParameterError(
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      );
    }
    return [word.slice(0, equals), word.slice(equals + 1)];
  });
}

function setEnv(draft: Draft, text: string): void {
  const before = draft.Env;
  let env = [...(before ?? [])];
  for (const [rawName, rawValue] of pairs('ENV', text)) {
    const name = unquote(rawName, before);
    if (name === '') {
      throw new InvalidParameterError('ENV names can not be blank');
    }
    const entry = `${name}=${unquote(rawValue, before)}`;
    const index = env.findIndex((item) => item.startsWith(`${name}=`));
    env = index < 0 ? [...env, entry] : env.with(index, entry);
  }
  draft.Env = env;
}

function setLabels(draft: Draft, text: string): void {
  const labels = { ...draft.Labels };
  for (const [rawName, rawValue] of pairs('LABEL', text)) {
    const name = unquote(rawName, draft.Env);
    if (name === '') {
      throw new InvalidParameterError('LABEL names can not be blank');
    }
    labels[name] = unquote(rawValue, draft.Env);
  }
  draft.Labels = labels;
}

/** `80`, `80/udp`, `8000-8010`, `127.0.0.1:80:8080/tcp` -> `port/protocol` of the container side. */
function portsOf(spec: string): string[] {
  const [ports = '', protocol = 'tcp', more] = spec.split('/');
  if (more !== undefined || !/^(tcp|udp|sctp)$/i.test(protocol)) {
    throw new InvalidParameterError(`invalid proto: ${spec.slice(ports.length + 1)}`);
  }
  const container = ports.slice(ports.lastIndexOf(':') + 1);
  const range = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(container);
  const first = Number(range?.[1]);
  const last = Number(range?.[2] ?? range?.[1]);
  if (range === null || first > last || last > 65_535) {
    throw new InvalidParameterError(
      ports === '' ? `no port specified: ${spec}<empty>` : `invalid containerPort: ${container}`,
    );
  }
  return Array.from(
    { length: last - first + 1 },
    (_unused, index) => `${first + index}/${protocol.toLowerCase()}`,
  );
}

function healthDuration(name: string, text: string): number {
  const ns = parseDurationNs(text);
  if (ns === undefined) {
    throw new InvalidParameterError(`time: invalid duration ${JSON.stringify(text)}`);
  }
  if (ns !== 0 && ns < MIN_HEALTH_NS) {
    throw new InvalidParameterError(
      ns < 0
        ? `Interval ${JSON.stringify(name)} cannot be negative`
        : `Interval ${JSON.stringify(name)} cannot be less than 1ms`,
    );
  }
  return ns;
}

const HEALTH_FLAGS: Readonly<Record<string, NumericHealthKey>> = {
  interval: 'Interval',
  timeout: 'Timeout',
  'start-period': 'StartPeriod',
  'start-interval': 'StartInterval',
};

function healthcheck(text: string): HealthConfig {
  const numbers: Partial<Record<NumericHealthKey, number>> = {};
  let rest = text;
  for (;;) {
    const flag = /^--([a-z-]+)(?:=(\S*))?\s*/.exec(rest);
    if (flag === null) {
      break;
    }
    const [whole, name = '', value = ''] = flag;
    const key = HEALTH_FLAGS[name];
    if (key !== undefined) {
      numbers[key] = healthDuration(name, value);
    } else if (name === 'retries') {
      const retries = /^\d+$/.test(value) ? Number(value) : -1;
      if (retries < 0) {
        throw new InvalidParameterError(`--retries cannot be negative or not a number (${value})`);
      }
      numbers.Retries = retries;
    } else {
      throw new InvalidParameterError(`unknown flag: --${name}`);
    }
    rest = rest.slice(whole.length);
  }
  const [, kind = '', probe = ''] = /^(\S*)\s*([\s\S]*)$/.exec(rest) ?? [];
  if (kind.toUpperCase() === 'NONE') {
    if (probe !== '') {
      throw new InvalidParameterError('HEALTHCHECK NONE takes no arguments');
    }
    return { Test: ['NONE'] };
  }
  if (kind.toUpperCase() !== 'CMD') {
    throw new InvalidParameterError(
      `Unknown type ${JSON.stringify(kind.toUpperCase())} in HEALTHCHECK (try CMD)`,
    );
  }
  if (probe === '') {
    throw new InvalidParameterError('Missing command after HEALTHCHECK CMD');
  }
  const exec = jsonStrings(probe);
  return { Test: exec === undefined ? ['CMD-SHELL', probe] : ['CMD', ...exec], ...numbers };
}

function joinPath(base: string, path: string): string {
  const whole = path.startsWith('/') ? path : `${base === '' ? '/' : base}/${path}`;
  const parts: string[] = [];
  for (const part of whole.split('/')) {
    if (part === '..') {
      parts.pop();
    } else if (part !== '' && part !== '.') {
      parts.push(part);
    }
  }
  return `/${parts.join('/')}`;
}

function keySet(
  before: Readonly<Record<string, object>> | undefined,
  keys: readonly string[],
): Record<string, object> {
  return { ...before, ...Object.fromEntries(keys.map((key) => [key, {}])) };
}

type Handler = (draft: Draft, text: string) => void;

/** Instructions that may change a config, as commit and import allow. */
const HANDLERS: Readonly<Record<string, Handler>> = {
  CMD: (draft, text) => {
    draft.Cmd = command(draft, text);
    draft.isCmdSet = true;
  },
  ENTRYPOINT: (draft, text) => {
    draft.Entrypoint = command(draft, text);
    if (draft.isCmdSet !== true) {
      draft.Cmd = undefined;
    }
  },
  ENV: setEnv,
  LABEL: setLabels,
  EXPOSE: (draft, text) => {
    const words = splitWords(text).flatMap((word) => unquote(word, draft.Env).split(/\s+/));
    draft.ExposedPorts = keySet(draft.ExposedPorts, words.flatMap(portsOf));
  },
  HEALTHCHECK: (draft, text) => {
    draft.Healthcheck = healthcheck(text);
  },
  ONBUILD: (draft, text) => {
    const trigger = /^\S+/.exec(text)?.[0].toUpperCase() ?? '';
    if (trigger === 'ONBUILD') {
      throw new InvalidParameterError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    }
    if (trigger === 'MAINTAINER' || trigger === 'FROM') {
      throw new InvalidParameterError(`${trigger} isn't allowed as an ONBUILD trigger`);
    }
    draft.OnBuild = [...(draft.OnBuild ?? []), text];
  },
  STOPSIGNAL: (draft, text) => {
    const signal = unquote(text, draft.Env);
    const isKnown = /^(\d+|(SIG)?[A-Z][A-Z0-9+-]*)$/i.test(signal);
    if (!isKnown) {
      throw new InvalidParameterError(`invalid signal: ${signal}`);
    }
    draft.StopSignal = signal;
  },
  USER: (draft, text) => {
    draft.User = unquote(text, draft.Env);
  },
  VOLUME: (draft, text) => {
    const paths = (jsonStrings(text) ?? text.split(/\s+/)).map((path) => unquote(path, draft.Env));
    if (paths.some((path) => path.trim() === '')) {
      throw new InvalidParameterError('VOLUME specified can not be an empty string');
    }
    draft.Volumes = keySet(draft.Volumes, paths);
  },
  WORKDIR: (draft, text) => {
    draft.WorkingDir = joinPath(draft.WorkingDir ?? '', unquote(text, draft.Env));
  },
};

/** These may stand without an argument. */
const CAN_BE_EMPTY = new Set(['CMD', 'ENTRYPOINT']);

/**
 * Applies Dockerfile instructions to a config (`commit --change`, `import --change`).
 * Allowed: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR.
 *
 * @param changes  one or several lines each; continued lines and comments as in a Dockerfile
 * @throws InvalidParameterError  naming the instruction
 */
export function applyConfigChanges(config: RunConfig, changes: readonly string[]): RunConfig {
  const draft: Draft = { ...config };
  for (const line of splitLines(changes.join('\n'))) {
    const [, word = '', text = ''] = /^(\S+)\s*([\s\S]*)$/.exec(line) ?? [];
    const name = word.toUpperCase();
    const handler = Object.hasOwn(HANDLERS, name) ? HANDLERS[name] : undefined;
    if (handler === undefined) {
      throw new InvalidParameterError(`${word} is not a valid change command`);
    }
    if (text === '' && !CAN_BE_EMPTY.has(name)) {
      throw new InvalidParameterError(`${name} requires at least one argument`);
    }
    handler(draft, text);
  }
  const { isCmdSet: _isCmdSet, ...result } = draft;
  return result;
}
