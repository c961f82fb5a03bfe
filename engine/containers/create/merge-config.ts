import type { ContainerConfig, HealthConfig } from '../../api/types/container.ts';
import { InvalidParameterError } from '../../base/errors.ts';
import type { RunConfig } from '../../images/contract.ts';

function envName(entry: string): string {
  return entry.split('=', 1)[0] ?? entry;
}

function mergeHealthcheck(
  own: HealthConfig | undefined,
  image: RunConfig['Healthcheck'],
): HealthConfig | undefined {
  if (image === undefined) {
    return own;
  }
  const base = own ?? {};
  return {
    Test: base.Test?.length ? base.Test : image.Test === undefined ? undefined : [...image.Test],
    Interval: base.Interval || image.Interval,
    Timeout: base.Timeout || image.Timeout,
    StartPeriod: base.StartPeriod || image.StartPeriod,
    StartInterval: base.StartInterval || image.StartInterval,
    Retries: base.Retries || image.Retries,
  };
}

function copySet(
  image: Readonly<Record<string, object>> | undefined,
  own: Record<string, Record<string, never>> | undefined,
): Record<string, Record<string, never>> | undefined {
  if (image === undefined && own === undefined) {
    return undefined;
  }
  const names = [...Object.keys(image ?? {}), ...Object.keys(own ?? {})];
  return Object.fromEntries(names.map((name) => [name, {}]));
}

/** Fills what the user left open from the image, by Docker's rules. Also used for commit (container over changes). */
export function mergeConfig(own: ContainerConfig, image: RunConfig): ContainerConfig {
  const ownNames = new Set((own.Env ?? []).map(envName));
  const hasOwnEntrypoint = (own.Entrypoint?.length ?? 0) > 0;
  const healthcheck = mergeHealthcheck(own.Healthcheck, image.Healthcheck);
  return {
    ...own,
    User: own.User || image.User,
    ExposedPorts: copySet(image.ExposedPorts, own.ExposedPorts),
    Env: [
      ...(own.Env ?? []),
      ...(image.Env ?? []).filter((entry) => !ownNames.has(envName(entry))),
    ],
    Labels: { ...image.Labels, ...own.Labels },
    Cmd: !hasOwnEntrypoint && !own.Cmd?.length ? image.Cmd && [...image.Cmd] : own.Cmd,
    Entrypoint: own.Entrypoint ?? (image.Entrypoint && [...image.Entrypoint]),
    ...(healthcheck === undefined ? {} : { Healthcheck: healthcheck }),
    WorkingDir: own.WorkingDir || image.WorkingDir,
    Volumes: copySet(image.Volumes, own.Volumes),
    StopSignal: own.StopSignal || image.StopSignal,
    Shell: own.Shell ?? (image.Shell && [...image.Shell]),
  };
}

/**
 * Program and arguments of a merged configuration. An entrypoint of one empty text means none.
 *
 * @throws InvalidParameterError "no command specified"
 */
export function commandOf(config: ContainerConfig): {
  readonly config: ContainerConfig;
  readonly path: string;
  readonly args: readonly string[];
} {
  const isReset = config.Entrypoint?.length === 1 && config.Entrypoint[0] === '';
  const entrypoint = isReset ? [] : (config.Entrypoint ?? []);
  const [path, ...args] = [...entrypoint, ...(config.Cmd ?? [])];
  if (path === undefined) {
    throw new InvalidParameterError('no command specified');
  }
  return { config: isReset ? { ...config, Entrypoint: undefined } : config, path, args };
}
