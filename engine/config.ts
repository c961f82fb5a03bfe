import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { InvalidParameterError, isMissing, messageOf } from './base/errors.ts';
import type { LogLevel } from './base/logger.ts';

/** A range that bridges get their subnets from; `size` is the prefix length of each. */
export interface AddressPool {
  readonly base: string;
  readonly size: number;
}

/** Everything an engine can be told: flags over file over defaults, frozen once parsed. Paths are absolute. */
export interface EngineConfig {
  /** `unix:///path` or `tcp://address:port`; at least one. */
  readonly hosts: readonly string[];
  readonly dataRoot: string;
  readonly execRoot: string;
  /** Group that may use the unix socket besides root, by name or number; undefined: nobody. */
  readonly socketGroup: string | undefined;
  readonly bridgeName: string;
  /** Address and prefix of the default bridge (`172.17.0.1/16`); undefined: from the pools. */
  readonly bridgeAddress: string | undefined;
  readonly addressPools: readonly AddressPool[];
  readonly defaultBindAddress: string;
  /** Undefined: the kernel's. */
  readonly mtu: number | undefined;
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOptions: readonly string[];
  readonly logLevel: LogLevel;
  readonly registryMirrors: readonly string[];
  readonly insecureRegistries: readonly string[];
  /** Folder with `host[:port]/ca.crt`, `client.cert`, `client.key`. */
  readonly registryCertsDir: string;
  /** name -> program. */
  readonly runtimes: ReadonlyMap<string, string>;
  readonly defaultRuntime: string | undefined;
  readonly storageDriver: 'overlay2' | 'vfs' | undefined;
  readonly logDriver: string;
  readonly logOptions: Readonly<Record<string, string>>;
  readonly labels: readonly string[];
  readonly cgroupParent: string;
  readonly tls:
    | {
        readonly caPath: string | undefined;
        readonly certPath: string;
        readonly keyPath: string;
        /** Clients must show a certificate signed by the authority. */
        readonly isMutual: boolean;
      }
    | undefined;
  /** tcp without TLS is refused unless this is set. */
  readonly isInsecureTcpAllowed: boolean;
  readonly maxConcurrentDownloads: number;
  readonly maxConcurrentUploads: number;
  /** Seconds that containers get to end when the engine is told to stop them. */
  readonly shutdownTimeoutSec: number;
  readonly configPath: string;
}

/** Docker's own pools without the ones home routers and VPNs use most. */
export const DEFAULT_ADDRESS_POOLS: readonly AddressPool[] = [
  { base: '172.17.0.0/16', size: 16 },
  { base: '172.18.0.0/16', size: 16 },
  { base: '172.19.0.0/16', size: 16 },
  { base: '172.20.0.0/14', size: 16 },
  { base: '172.24.0.0/14', size: 16 },
  { base: '172.28.0.0/14', size: 16 },
  { base: '192.168.0.0/16', size: 20 },
];

export const DEFAULT_CONFIG_PATH = '/etc/gantry/engine.json';

const addressPoolSchema = z.strictObject({ base: z.string(), size: z.int().min(1).max(128) });

/** Names as in Docker's daemon.json, so that files can be carried over. */
const fileSchema = z.strictObject({
  hosts: z.array(z.string()).optional(),
  'data-root': z.string().optional(),
  'exec-root': z.string().optional(),
  group: z.string().optional(),
  bridge: z.string().optional(),
  bip: z.string().optional(),
  'default-address-pools': z.array(addressPoolSchema).optional(),
  ip: z.string().optional(),
  mtu: z.int().positive().optional(),
  dns: z.array(z.string()).optional(),
  'dns-search': z.array(z.string()).optional(),
  'dns-opts': z.array(z.string()).optional(),
  'log-level': z.enum(['debug', 'info', 'warn', 'error']).optional(),
  debug: z.boolean().optional(),
  'registry-mirrors': z.array(z.string()).optional(),
  'insecure-registries': z.array(z.string()).optional(),
  'registry-certs-dir': z.string().optional(),
  runtimes: z.record(z.string(), z.strictObject({ path: z.string() })).optional(),
  'default-runtime': z.string().optional(),
  'storage-driver': z.enum(['overlay2', 'vfs']).optional(),
  'log-driver': z.string().optional(),
  'log-opts': z.record(z.string(), z.string()).optional(),
  labels: z.array(z.string()).optional(),
  'cgroup-parent': z.string().optional(),
  tls: z.boolean().optional(),
  tlsverify: z.boolean().optional(),
  tlscacert: z.string().optional(),
  tlscert: z.string().optional(),
  tlskey: z.string().optional(),
  'allow-insecure-tcp': z.boolean().optional(),
  'max-concurrent-downloads': z.int().positive().optional(),
  'max-concurrent-uploads': z.int().positive().optional(),
  'shutdown-timeout': z.int().min(0).optional(),
});

/** Content of the configuration file, decoded. */
export type ConfigFile = z.infer<typeof fileSchema>;

/** What holds when neither flag nor file says anything. */
const DEFAULTS: Defaults = {
  hosts: ['unix:///run/gantry/docker.sock'],
  'data-root': '/var/lib/gantry',
  'exec-root': '/run/gantry',
  bridge: 'gantry0',
  'default-address-pools': [...DEFAULT_ADDRESS_POOLS],
  ip: '',
  dns: [],
  'dns-search': [],
  'dns-opts': [],
  'log-level': 'info',
  debug: false,
  'registry-mirrors': [],
  'insecure-registries': [],
  'registry-certs-dir': '/etc/docker/certs.d',
  runtimes: {},
  'log-driver': 'json-file',
  'log-opts': {},
  labels: [],
  'cgroup-parent': '/gantry',
  'allow-insecure-tcp': false,
  'max-concurrent-downloads': 3,
  'max-concurrent-uploads': 5,
  'shutdown-timeout': 15,
};

type WithoutDefault =
  | 'group'
  | 'bip'
  | 'mtu'
  | 'default-runtime'
  | 'storage-driver'
  | 'tls'
  | 'tlsverify'
  | 'tlscacert'
  | 'tlscert'
  | 'tlskey';
type Defaults = { [K in Exclude<keyof ConfigFile, WithoutDefault>]-?: NonNullable<ConfigFile[K]> };

/** `defaults`, with what was given in their place. */
function complete<T extends object>(defaults: T, given: { [K in keyof T]?: T[K] | undefined }): T {
  const result = { ...defaults };
  for (const key of Object.keys(defaults) as (keyof T)[]) {
    const value = given[key];
    if (value !== undefined) {
      result[key] = value;
    }
  }
  return result;
}

const FLAGS = {
  host: { type: 'string', short: 'H', multiple: true },
  'data-root': { type: 'string' },
  'exec-root': { type: 'string' },
  group: { type: 'string', short: 'G' },
  bridge: { type: 'string', short: 'b' },
  bip: { type: 'string' },
  'default-address-pool': { type: 'string', multiple: true },
  ip: { type: 'string' },
  mtu: { type: 'string' },
  dns: { type: 'string', multiple: true },
  'dns-search': { type: 'string', multiple: true },
  'dns-opt': { type: 'string', multiple: true },
  'log-level': { type: 'string', short: 'l' },
  debug: { type: 'boolean', short: 'D' },
  'registry-mirror': { type: 'string', multiple: true },
  'insecure-registry': { type: 'string', multiple: true },
  'registry-certs-dir': { type: 'string' },
  'add-runtime': { type: 'string', multiple: true },
  'default-runtime': { type: 'string' },
  'storage-driver': { type: 'string', short: 's' },
  'log-driver': { type: 'string' },
  'log-opt': { type: 'string', multiple: true },
  label: { type: 'string', multiple: true },
  'cgroup-parent': { type: 'string' },
  tls: { type: 'boolean' },
  tlsverify: { type: 'boolean' },
  tlscacert: { type: 'string' },
  tlscert: { type: 'string' },
  tlskey: { type: 'string' },
  'allow-insecure-tcp': { type: 'boolean' },
  'max-concurrent-downloads': { type: 'string' },
  'max-concurrent-uploads': { type: 'string' },
  'shutdown-timeout': { type: 'string' },
  'config-file': { type: 'string' },
} as const;

/** Names of all flags, for the usage text. */
export const FLAG_NAMES: readonly string[] = Object.keys(FLAGS).map((name) => `--${name}`);

function parsePool(text: string): AddressPool {
  const fields = new Map(
    text.split(',').map((field): [string, string] => {
      const [key = '', value = ''] = field.split('=');
      return [key.trim(), value.trim()];
    }),
  );
  const parsed = addressPoolSchema.safeParse({
    base: fields.get('base'),
    size: Number(fields.get('size')),
  });
  if (!parsed.success) {
    throw new InvalidParameterError(
      `--default-address-pool must look like base=10.10.0.0/16,size=24, got ${text}`,
    );
  }
  return parsed.data;
}

function parsePairs(flag: string, texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      if (at <= 0) {
        throw new InvalidParameterError(`${flag} must look like name=value, got ${text}`);
      }
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

/** Decodes flags into the file's form. @throws InvalidParameterError  naming the flag */
function flagsAsFile(args: readonly string[]): {
  file: ConfigFile;
  configPath: string | undefined;
} {
  let values: ReturnType<typeof parseRaw>;
  try {
    values = parseRaw(args);
  } catch (cause) {
    throw new InvalidParameterError(messageOf(cause), { cause });
  }
  const number = (
    name: 'mtu' | 'max-concurrent-downloads' | 'max-concurrent-uploads' | 'shutdown-timeout',
  ) => {
    const text = values[name];
    return text === undefined ? undefined : Number(text);
  };
  const runtimes = parsePairs('--add-runtime', values['add-runtime'] ?? []);
  const raw: Record<string, unknown> = {
    ...values,
    hosts: values.host,
    'default-address-pools': values['default-address-pool']?.map(parsePool),
    'dns-opts': values['dns-opt'],
    'registry-mirrors': values['registry-mirror'],
    'insecure-registries': values['insecure-registry'],
    'log-opts': values['log-opt'] && parsePairs('--log-opt', values['log-opt']),
    labels: values.label,
    runtimes:
      values['add-runtime'] &&
      Object.fromEntries(Object.entries(runtimes).map(([name, path]) => [name, { path }])),
    mtu: number('mtu'),
    'max-concurrent-downloads': number('max-concurrent-downloads'),
    'max-concurrent-uploads': number('max-concurrent-uploads'),
    'shutdown-timeout': number('shutdown-timeout'),
  };
  for (const name of Object.keys(raw)) {
    if (raw[name] === undefined || !(name in fileSchema.shape)) {
      delete raw[name];
    }
  }
  return { file: decodeFile(raw, 'flags'), configPath: values['config-file'] };
}

function parseRaw(args: readonly string[]) {
  return parseArgs({ args: [...args], options: FLAGS, strict: true, allowPositionals: false })
    .values;
}

function decodeFile(data: unknown, subject: string): ConfigFile {
  const parsed = fileSchema.safeParse(data);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const path = issue?.path.join('.') ?? '';
    throw new InvalidParameterError(
      `${subject}: ${path === '' ? '' : `${path}: `}${issue?.message ?? 'not valid'}`,
    );
  }
  return parsed.data;
}

/**
 * Reads the configuration file.
 *
 * @returns undefined when it is not there
 * @throws InvalidParameterError  not JSON, an unknown key (named) or a bad value
 */
export function readConfigFile(path: string): ConfigFile | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw error;
  }
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw new InvalidParameterError(`${path}: ${messageOf(cause)}`, { cause });
  }
  return decodeFile(data, path);
}

function tlsOf(settings: ConfigFile): EngineConfig['tls'] {
  if (settings.tls !== true && settings.tlsverify !== true) {
    return undefined;
  }
  const folder = '/etc/gantry/tls';
  return {
    caPath: settings.tlscacert ?? (settings.tlsverify === true ? `${folder}/ca.pem` : undefined),
    certPath: settings.tlscert ?? `${folder}/cert.pem`,
    keyPath: settings.tlskey ?? `${folder}/key.pem`,
    isMutual: settings.tlsverify === true,
  };
}

function checkHosts(hosts: readonly string[], tls: EngineConfig['tls'], isAllowed: boolean): void {
  for (const host of hosts) {
    if (!/^(unix:\/\/\/.+|tcp:\/\/.+)$/.test(host)) {
      throw new InvalidParameterError(
        `host must be unix:///PATH or tcp://ADDRESS:PORT, got ${host}`,
      );
    }
    if (host.startsWith('tcp://') && tls?.isMutual !== true && !isAllowed) {
      throw new InvalidParameterError(
        `${host} without --tlsverify would give everybody who reaches it root; say --allow-insecure-tcp if that is meant`,
      );
    }
  }
}

/**
 * Parses flags, reads the configuration file and fills in defaults.
 *
 * @throws InvalidParameterError  naming the flag or key; also when both give the same one
 */
export function parseConfig(args: readonly string[]): EngineConfig {
  const { file: flags, configPath } = flagsAsFile(args);
  const path = configPath ?? DEFAULT_CONFIG_PATH;
  const file = readConfigFile(path);
  if (file === undefined && configPath !== undefined) {
    throw new InvalidParameterError(`configuration file ${path} does not exist`);
  }
  const given: ConfigFile = { ...file, ...flags };
  const settings = complete(DEFAULTS, given);
  const tls = tlsOf(given);
  checkHosts(settings.hosts, tls, settings['allow-insecure-tcp']);
  return Object.freeze({
    hosts: settings.hosts,
    dataRoot: settings['data-root'],
    execRoot: settings['exec-root'],
    socketGroup: given.group,
    bridgeName: settings.bridge,
    bridgeAddress: given.bip,
    addressPools: settings['default-address-pools'],
    defaultBindAddress: settings.ip,
    mtu: given.mtu,
    dns: settings.dns,
    dnsSearch: settings['dns-search'],
    dnsOptions: settings['dns-opts'],
    logLevel: settings.debug ? 'debug' : settings['log-level'],
    registryMirrors: settings['registry-mirrors'],
    insecureRegistries: settings['insecure-registries'],
    registryCertsDir: settings['registry-certs-dir'],
    runtimes: new Map(
      Object.entries(settings.runtimes).map(([name, runtime]) => [name, runtime.path]),
    ),
    defaultRuntime: given['default-runtime'],
    storageDriver: given['storage-driver'],
    logDriver: settings['log-driver'],
    logOptions: settings['log-opts'],
    labels: settings.labels,
    cgroupParent: settings['cgroup-parent'],
    tls,
    isInsecureTcpAllowed: settings['allow-insecure-tcp'],
    maxConcurrentDownloads: settings['max-concurrent-downloads'],
    maxConcurrentUploads: settings['max-concurrent-uploads'],
    shutdownTimeoutSec: settings['shutdown-timeout'],
    configPath: path,
  });
}
