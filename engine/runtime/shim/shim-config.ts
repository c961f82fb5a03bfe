import { readFile } from 'node:fs/promises';
import { InvalidParameterError, isMissing, SystemError } from '../../base/errors.ts';
import type { ShimConfig } from './contract.ts';

/** Name of the file in the run folder. */
export const CONFIG_NAME = 'shim.conf';

type Entry = readonly [key: string, value: string | number];

function consoleEntries(config: ShimConfig): Entry[] {
  const entries: Entry[] = [];
  if (config.hasTty) {
    entries.push(['tty', 1]);
    if (config.consoleSize !== undefined) {
      entries.push(['columns', config.consoleSize.columns], ['rows', config.consoleSize.rows]);
    }
  }
  if (config.hasStdin) {
    entries.push(['stdin', 1], ['stdin-once', config.isStdinOnce ? 1 : 0]);
  }
  return entries;
}

function logEntries(config: ShimConfig): Entry[] {
  const { log } = config;
  if (log === undefined) {
    return [];
  }
  const entries: Entry[] = [['log-path', log.path]];
  if (log.maxSizeBytes !== undefined) {
    entries.push(['log-max-size', log.maxSizeBytes]);
  }
  if (log.maxFiles !== undefined) {
    entries.push(['log-max-files', log.maxFiles]);
  }
  if (log.attributes !== undefined && Object.keys(log.attributes).length > 0) {
    entries.push(['log-attrs', JSON.stringify(log.attributes)]);
  }
  return entries;
}

/**
 * Text of `shim.conf`; the keys are in `native/shim/README.md`.
 *
 * @param holdsOutput  no output is read before RELEASE
 * @throws InvalidParameterError  a value has a NUL character
 */
export function encodeShimConfig(config: ShimConfig, holdsOutput: boolean): string {
  const entries: Entry[] = [
    ['version', 1],
    ['id', config.containerId],
    ['bundle', config.bundleDir],
    ['runtime', config.runtime.path],
    ...config.runtime.args.map((value): Entry => ['runtime-arg', value]),
    ['mode', config.isStartedAtOnce === false ? 'create' : 'run'],
    ['hold', holdsOutput ? 1 : 0],
    ...consoleEntries(config),
    ...logEntries(config),
    ['exit-record', config.exitRecordPath],
    ...(config.cgroupDirs ?? []).map((value): Entry => ['cgroup-dir', value]),
  ];
  if (config.oomFile !== undefined) {
    entries.push(['oom-file', config.oomFile]);
  }
  if (config.runtimeStateDir !== undefined) {
    entries.push(['state-dir', config.runtimeStateDir]);
  }
  return entries
    .map(([key, value]) => {
      if (String(value).includes('\0')) {
        throw new InvalidParameterError(`${key} of container ${config.containerId} has a NUL`);
      }
      return `${key}=${value}\0`;
    })
    .join('');
}

/** Path of the exit record that the shim of a run folder writes; undefined when the folder has no configuration. */
export async function findExitRecordPath(runDir: string): Promise<string | undefined> {
  try {
    const text = await readFile(`${runDir}/${CONFIG_NAME}`, 'utf8');
    const prefix = 'exit-record=';
    return text
      .split('\0')
      .find((entry) => entry.startsWith(prefix))
      ?.slice(prefix.length);
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw new SystemError(`${runDir}/${CONFIG_NAME} cannot be read`, { cause: error });
  }
}
