import type { HostConfig } from '../../api/types/container.ts';
import { InvalidParameterError, NotFoundError } from '../../base/errors.ts';
import type { Container } from '../container.ts';
import type { ContainerCore } from '../core.ts';
import type { LinkRecord } from '../record.ts';
import { containerMode } from './validate.ts';

/** `name[:alias]`, also the stored form `/child:/parent/alias`. @throws InvalidParameterError */
export function parseLink(text: string): { readonly ref: string; readonly alias: string } {
  const parts = text.split(':');
  if (text === '' || parts.length > 2) {
    throw new InvalidParameterError(
      text === '' ? 'empty string specified for links' : `bad format for links: ${text}`,
    );
  }
  const [name = '', alias = name] = parts;
  const last = alias.slice(alias.lastIndexOf('/') + 1);
  return { ref: name.startsWith('/') ? name.slice(1) : name, alias: last };
}

/** Resolves `--link`. @throws InvalidParameterError  a container that is not there */
export function resolveLinks(core: ContainerCore, host: HostConfig): readonly LinkRecord[] {
  return (host.Links ?? []).map((text) => {
    const { ref, alias } = parseLink(text);
    let child: Container;
    try {
      child = core.registry.get(ref);
      for (
        let owner = containerMode(child.record.hostConfig.NetworkMode);
        owner !== undefined;
        owner = containerMode(child.record.hostConfig.NetworkMode)
      ) {
        child = core.registry.get(owner);
      }
    } catch (cause) {
      if (cause instanceof NotFoundError) {
        throw new InvalidParameterError(`could not get container for ${ref}: ${cause.message}`, {
          cause,
        });
      }
      throw cause;
    }
    if (child.record.hostConfig.NetworkMode === 'host') {
      throw new InvalidParameterError(
        "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
      );
    }
    return { containerId: child.id, alias };
  });
}
