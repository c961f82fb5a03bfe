import type { MountSpec, PortMapping, RunSpec } from '../../../electron/contract/run-spec.ts';
import { type Pair, pairsToRecord } from '../../components/pairs.ts';
import { parseShellWords, quoteShellWord } from '../../data/shell-words.ts';
import { text } from './text.ts';

/** A row of ports, as typed. */
export interface PortRow {
  readonly id: number;
  readonly hostIp: string;
  readonly host: string;
  readonly container: string;
  readonly protocol: 'tcp' | 'udp';
}

/** A row of mounts, as typed. */
export interface MountRow {
  readonly id: number;
  readonly type: 'bind' | 'volume' | 'tmpfs';
  readonly source: string;
  readonly target: string;
  readonly isReadOnly: boolean;
}

/** The run dialog as typed. Empty = the image's or the engine's default. */
export interface RunForm {
  readonly image: string;
  readonly pull: 'missing' | 'always' | 'never';
  readonly platform: string;
  readonly name: string;
  readonly command: string;
  readonly entrypoint: string;
  readonly workdir: string;
  readonly user: string;
  readonly hostname: string;
  readonly hasTty: boolean;
  readonly hasStdin: boolean;
  readonly isAutoRemove: boolean;
  readonly restart: 'no' | 'always' | 'on-failure' | 'unless-stopped';
  readonly maxRetries: string;
  readonly ports: readonly PortRow[];
  readonly isPublishAll: boolean;
  readonly mounts: readonly MountRow[];
  readonly env: readonly Pair[];
  readonly labels: readonly Pair[];
  readonly network: string;
  readonly aliases: string;
  readonly memory: string;
  readonly cpus: string;
  readonly pidsLimit: string;
  readonly isPrivileged: boolean;
  readonly isReadOnly: boolean;
  readonly hasInit: boolean;
  readonly capAdd: string;
  readonly capDrop: string;
}

/** An empty dialog. */
export const EMPTY_FORM: RunForm = {
  image: '',
  pull: 'missing',
  platform: '',
  name: '',
  command: '',
  entrypoint: '',
  workdir: '',
  user: '',
  hostname: '',
  hasTty: false,
  hasStdin: false,
  isAutoRemove: false,
  restart: 'no',
  maxRetries: '',
  ports: [],
  isPublishAll: false,
  mounts: [],
  env: [],
  labels: [],
  network: '',
  aliases: '',
  memory: '',
  cpus: '',
  pidsLimit: '',
  isPrivileged: false,
  isReadOnly: false,
  hasInit: false,
  capAdd: '',
  capDrop: '',
};

/** A field that cannot be used as it is; `field` is its name, for rows with the row's id: `port:3`. */
export interface FieldProblem {
  readonly field: string;
  readonly message: string;
}

const SIZE = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i;
const POWERS: Readonly<Record<string, number>> = { '': 0, k: 1, m: 2, g: 3, t: 4 };

/** Bytes of `512m`, `1.5g`, `1024`, as `docker run --memory` takes them; undefined when it is no size. */
export function parseSize(written: string): number | undefined {
  const match = SIZE.exec(written.trim());
  if (match === null) {
    return undefined;
  }
  const power = POWERS[(match[2] ?? '').toLowerCase()] ?? 0;
  return Math.round(Number(match[1]) * 1024 ** power);
}

/** A port number, or undefined. */
export function parsePort(written: string): number | undefined {
  const port = /^\d{1,5}$/.test(written.trim()) ? Number(written) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

const words = (written: string): string[] => written.split(/[\s,]+/).filter((word) => word !== '');

/** What is wrong with a form. Empty rows are fine: they say nothing. */
export function checkForm(form: RunForm, takenNames: ReadonlySet<string>): readonly FieldProblem[] {
  const problems: FieldProblem[] = [];
  const add = (field: string, message: string | undefined): void => {
    if (message !== undefined) {
      problems.push({ field, message });
    }
  };
  add('image', /\s/.test(form.image.trim()) ? text.problems.image : undefined);
  add('name', nameProblem(form.name, takenNames));
  add('command', parseShellWords(form.command).error);
  add('entrypoint', parseShellWords(form.entrypoint).error);
  add(
    'memory',
    form.memory !== '' && parseSize(form.memory) === undefined ? text.problems.size : undefined,
  );
  add('cpus', form.cpus !== '' && !(Number(form.cpus) > 0) ? text.problems.cpus : undefined);
  add('pidsLimit', /^\d*$/.test(form.pidsLimit) ? undefined : text.problems.number);
  add('maxRetries', /^\d*$/.test(form.maxRetries) ? undefined : text.problems.number);
  add('restart', form.isAutoRemove && form.restart !== 'no' ? text.problems.autoRemove : undefined);
  for (const row of form.ports) {
    add(`port:${row.id}`, portProblem(row, form.ports));
  }
  for (const row of form.mounts) {
    add(`mount:${row.id}`, mountProblem(row));
  }
  return problems;
}

function nameProblem(name: string, takenNames: ReadonlySet<string>): string | undefined {
  if (name === '') {
    return undefined;
  }
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
    return text.problems.name;
  }
  return takenNames.has(name) ? text.problems.nameTaken : undefined;
}

function isEmptyPort(row: PortRow): boolean {
  return row.host.trim() === '' && row.container.trim() === '';
}

function portProblem(row: PortRow, rows: readonly PortRow[]): string | undefined {
  if (isEmptyPort(row)) {
    return undefined;
  }
  if (
    parsePort(row.container) === undefined ||
    (row.host !== '' && parsePort(row.host) === undefined)
  ) {
    return text.problems.port;
  }
  const isDouble = rows.some(
    (other) =>
      other.id !== row.id &&
      row.host !== '' &&
      other.host === row.host &&
      other.protocol === row.protocol &&
      other.hostIp === row.hostIp,
  );
  return isDouble ? text.problems.portTwice : undefined;
}

function mountProblem(row: MountRow): string | undefined {
  if (row.source.trim() === '' && row.target.trim() === '') {
    return undefined;
  }
  if (!row.target.startsWith('/')) {
    return text.problems.target;
  }
  return row.type === 'bind' && !row.source.startsWith('/') ? text.problems.source : undefined;
}

/** The form as the engine's host takes it; call it only on a form without problems. */
export function toRunSpec(form: RunForm): RunSpec {
  const command = parseShellWords(form.command).words;
  const entrypoint = parseShellWords(form.entrypoint).words;
  const env = form.env.filter((pair) => pair.name.trim() !== '');
  const labels = pairsToRecord(form.labels);
  const ports = form.ports.filter((row) => !isEmptyPort(row)).map(toPort);
  const mounts = form.mounts.filter((row) => row.target.trim() !== '').map(toMount);
  const aliases = words(form.aliases);
  const given = <K extends keyof RunSpec>(
    key: K,
    value: RunSpec[K],
    isGiven: boolean,
  ): Partial<RunSpec> => (isGiven ? { [key]: value } : {});
  return {
    image: form.image.trim(),
    ...given('pull', form.pull, form.pull !== 'missing'),
    ...given('platform', form.platform.trim(), form.platform.trim() !== ''),
    ...given('name', form.name, form.name !== ''),
    ...given('command', [...command], command.length > 0),
    ...given('entrypoint', [...entrypoint], entrypoint.length > 0),
    ...given('workdir', form.workdir.trim(), form.workdir.trim() !== ''),
    ...given('user', form.user.trim(), form.user.trim() !== ''),
    ...given('hostname', form.hostname.trim(), form.hostname.trim() !== ''),
    ...given(
      'env',
      env.map(({ name, value }) => ({ name: name.trim(), value })),
      env.length > 0,
    ),
    ...given('labels', labels, Object.keys(labels).length > 0),
    ...given('tty', true, form.hasTty),
    ...given('stdin', true, form.hasStdin),
    ...given('autoRemove', true, form.isAutoRemove),
    ...given(
      'restart',
      {
        policy: form.restart,
        ...(form.restart === 'on-failure' && form.maxRetries !== ''
          ? { maxRetries: Number(form.maxRetries) }
          : {}),
      },
      form.restart !== 'no',
    ),
    ...given('ports', ports, ports.length > 0),
    ...given('publishAll', true, form.isPublishAll),
    ...given('mounts', mounts, mounts.length > 0),
    ...given(
      'network',
      {
        mode: form.network === '' ? 'bridge' : form.network,
        ...(aliases.length > 0 ? { aliases } : {}),
      },
      form.network !== '' || aliases.length > 0,
    ),
    ...given('memoryBytes', parseSize(form.memory) ?? 0, form.memory !== ''),
    ...given('cpus', Number(form.cpus), form.cpus !== ''),
    ...given('pidsLimit', Number(form.pidsLimit), form.pidsLimit !== ''),
    ...given('isPrivileged', true, form.isPrivileged),
    ...given('isReadOnly', true, form.isReadOnly),
    ...given('init', true, form.hasInit),
    ...given('capAdd', words(form.capAdd), form.capAdd.trim() !== ''),
    ...given('capDrop', words(form.capDrop), form.capDrop.trim() !== ''),
  };
}

function toPort(row: PortRow): PortMapping {
  const hostPort = parsePort(row.host);
  return {
    containerPort: parsePort(row.container) ?? 0,
    protocol: row.protocol,
    ...(hostPort === undefined ? {} : { hostPort }),
    ...(row.hostIp.trim() === '' ? {} : { hostIp: row.hostIp.trim() }),
  };
}

function toMount(row: MountRow): MountSpec {
  const target = row.target.trim();
  if (row.type === 'tmpfs') {
    return { type: 'tmpfs', target };
  }
  const readOnly = row.isReadOnly ? { isReadOnly: true } : {};
  const source = row.source.trim();
  return row.type === 'bind'
    ? { type: 'bind', source, target, ...readOnly }
    : { type: 'volume', target, ...(source === '' ? {} : { source }), ...readOnly };
}

/** Adds options to a list: those with a value only when they have one. */
function optionWriter(options: string[]) {
  return {
    option: (name: string, value: string | undefined): void => {
      if (value !== undefined && value !== '') {
        options.push(`${name} ${quoteShellWord(value)}`);
      }
    },
    flag: (name: string, isSet: boolean | undefined): void => {
      if (isSet === true) {
        options.push(name);
      }
    },
  };
}

/** Where it runs and how much it may use. */
function placeOptions(form: RunForm, spec: RunSpec): readonly string[] {
  const options: string[] = [];
  const { option } = optionWriter(options);
  option('-w', spec.workdir);
  option('-u', spec.user);
  option('-h', spec.hostname);
  option('--network', spec.network?.mode);
  for (const alias of spec.network?.aliases ?? []) {
    option('--network-alias', alias);
  }
  option('--memory', form.memory.trim());
  option('--cpus', form.cpus.trim());
  option('--pids-limit', form.pidsLimit.trim());
  return options;
}

/** What it may do. */
function rightOptions(spec: RunSpec): readonly string[] {
  const options: string[] = [];
  const { option, flag } = optionWriter(options);
  flag('--privileged', spec.isPrivileged);
  flag('--read-only', spec.isReadOnly);
  flag('--init', spec.init);
  for (const capability of spec.capAdd ?? []) {
    option('--cap-add', capability);
  }
  for (const capability of spec.capDrop ?? []) {
    option('--cap-drop', capability);
  }
  return options;
}

/** The `docker run` command that does the same, option by option. */
export function toDockerRun(form: RunForm): readonly string[] {
  const spec = toRunSpec(form);
  const options: string[] = ['docker run', '-d'];
  const { option, flag } = optionWriter(options);
  option('--name', spec.name);
  option('--pull', spec.pull);
  option('--platform', spec.platform);
  flag('-t', spec.tty);
  flag('-i', spec.stdin);
  flag('--rm', spec.autoRemove);
  option('--restart', restartOf(spec));
  for (const port of spec.ports ?? []) {
    option('-p', portOf(port));
  }
  flag('-P', spec.publishAll);
  for (const mount of spec.mounts ?? []) {
    options.push(...mountOf(mount));
  }
  for (const { name, value } of spec.env ?? []) {
    option('-e', `${name}=${value}`);
  }
  for (const [name, value] of Object.entries(spec.labels ?? {})) {
    option('-l', value === '' ? name : `${name}=${value}`);
  }
  options.push(...placeOptions(form, spec), ...rightOptions(spec));
  const [program, ...programArguments] = spec.entrypoint ?? [];
  option('--entrypoint', program);
  const rest = [...programArguments, ...(spec.command ?? [])].map(quoteShellWord).join(' ');
  const image = spec.image === '' ? 'IMAGE' : spec.image;
  options.push(rest === '' ? image : `${image} ${rest}`);
  return options;
}

function restartOf(spec: RunSpec): string | undefined {
  const retries = spec.restart?.maxRetries;
  return retries === undefined
    ? spec.restart?.policy
    : `${spec.restart?.policy ?? 'no'}:${retries}`;
}

function portOf(port: PortMapping): string {
  const suffix = port.protocol === 'tcp' ? '' : `/${port.protocol}`;
  const host = port.hostPort === undefined ? '' : String(port.hostPort);
  if (port.hostIp !== undefined) {
    const address = port.hostIp.includes(':') ? `[${port.hostIp}]` : port.hostIp;
    return `${address}:${host}:${port.containerPort}${suffix}`;
  }
  return host === '' ? `${port.containerPort}${suffix}` : `${host}:${port.containerPort}${suffix}`;
}

function mountOf(mount: MountSpec): readonly string[] {
  if (mount.type === 'tmpfs') {
    return [`--tmpfs ${quoteShellWord(mount.target)}`];
  }
  const suffix = mount.isReadOnly === true ? ':ro' : '';
  const source = mount.source === undefined || mount.source === '' ? '' : `${mount.source}:`;
  return [`-v ${quoteShellWord(`${source}${mount.target}${suffix}`)}`];
}
