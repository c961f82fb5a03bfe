import { ConflictError } from '../base/errors.ts';
import type { Container } from './container.ts';
import type { ContainerCore } from './core.ts';

const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Adds settings to an environment: `NAME=value` replaces or appends, `NAME` alone removes.
 */
export function mergeEnvironment(
  base: readonly string[],
  overrides: readonly string[],
): readonly string[] {
  const byName = new Map(base.map((entry) => [nameOf(entry), entry]));
  for (const entry of overrides) {
    if (entry.includes('=')) {
      byName.set(nameOf(entry), entry);
    } else {
      byName.delete(entry);
    }
  }
  return [...byName.values()];
}

function nameOf(entry: string): string {
  const end = entry.indexOf('=');
  return end === -1 ? entry : entry.slice(0, end);
}

interface ExposedPort {
  readonly port: string;
  readonly protocol: string;
}

function exposedPorts(container: Container): ExposedPort[] {
  return Object.keys(container.record.config.ExposedPorts ?? {})
    .map((key) => {
      const [port = '', protocol = 'tcp'] = key.split('/');
      return { port, protocol };
    })
    .sort((a, b) => Number(a.port) - Number(b.port) || a.protocol.localeCompare(b.protocol));
}

/** Variables that tell a container about one linked to it (`--link`), as old images expect them. */
export function linkVariables(
  parentName: string,
  alias: string,
  child: Container,
): readonly string[] {
  const prefix = alias.toUpperCase().replaceAll('-', '_');
  const address = child.record.networks['bridge']?.IPAddress ?? '';
  const ports = exposedPorts(child);
  const lines: string[] = [`${prefix}_NAME=/${parentName}/${alias}`];
  const first = ports[0];
  if (first !== undefined) {
    lines.unshift(`${prefix}_PORT=${first.protocol}://${address}:${first.port}`);
  }
  for (const { port, protocol } of ports) {
    const name = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
    lines.push(
      `${name}=${protocol}://${address}:${port}`,
      `${name}_ADDR=${address}`,
      `${name}_PORT=${port}`,
      `${name}_PROTO=${protocol}`,
    );
  }
  for (const entry of child.record.config.Env ?? []) {
    const name = nameOf(entry);
    if (name !== 'HOME' && name !== 'PATH' && entry.includes('=')) {
      lines.push(`${prefix}_ENV_${entry}`);
    }
  }
  return lines;
}

/** Running children of `--link` with their aliases. @throws ConflictError  one does not run */
export function linkedContainers(
  core: ContainerCore,
  container: Container,
): readonly { readonly alias: string; readonly child: Container }[] {
  return container.record.links.flatMap(({ containerId, alias }) => {
    const child = core.registry.byId(containerId);
    if (child === undefined) {
      return [];
    }
    if (!child.record.state.isRunning) {
      throw new ConflictError(
        `Cannot link to a non running container: /${child.record.name} AS /${container.record.name}/${alias}`,
      );
    }
    return [{ alias, child }];
  });
}

/** The complete environment of a process in a container, before what an exec adds. */
export function containerEnvironment(
  core: ContainerCore,
  container: Container,
  hasTty: boolean,
): readonly string[] {
  const { config, networks, name } = container.record;
  const links =
    networks['bridge'] === undefined || container.record.links.length === 0
      ? []
      : linkedContainers(core, container).flatMap(({ alias, child }) =>
          linkVariables(name, alias, child),
        );
  const base = [
    DEFAULT_PATH,
    `HOSTNAME=${config.Hostname ?? ''}`,
    ...(hasTty ? ['TERM=xterm'] : []),
    ...links,
  ];
  return mergeEnvironment(base, config.Env ?? []);
}
