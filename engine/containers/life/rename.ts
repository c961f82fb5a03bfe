import { InvalidParameterError } from '../../base/errors.ts';
import type { ContainerCore } from '../core.ts';
import { dnsNames, isUserDefined } from '../create/networks.ts';
import { validateName } from '../names.ts';
import { withPrefix } from '../rewrap.ts';

/** Implements {@link ContainerService.rename}. */
export async function renameContainer(
  core: ContainerCore,
  ref: string,
  newName: string,
): Promise<void> {
  if (ref === '' || newName === '') {
    throw new InvalidParameterError('Neither old nor new names may be empty');
  }
  const container = core.registry.get(ref);
  await core.lock.run(container.id, async () => {
    const { record } = container;
    const oldName = record.name;
    if (newName.replace(/^\//, '') === oldName) {
      throw new InvalidParameterError(
        'Renaming a container with the same name as its current name',
      );
    }
    let name: string;
    try {
      name = validateName(newName);
      core.registry.reserveName(name, container.id);
    } catch (error) {
      throw withPrefix(error, 'Error when allocating new name');
    }
    const networksBefore = record.networks;
    record.name = name;
    record.networks = Object.fromEntries(
      Object.entries(networksBefore).map(([network, settings]) => [
        network,
        isUserDefined(network)
          ? {
              ...settings,
              DNSNames: dnsNames({
                name,
                id: container.id,
                hostname: record.config.Hostname ?? '',
                aliases: settings.Aliases ?? [],
              }),
            }
          : settings,
      ]),
    );
    try {
      await core.store.save(record, true);
      if (record.state.isRunning) {
        await core.ports.networks.rename(container.id, name);
      }
    } catch (error) {
      record.name = oldName;
      record.networks = networksBefore;
      core.registry.releaseName(name, container.id);
      await core.saveState(container, true);
      throw error;
    }
    for (const { alias, containerId } of record.links) {
      core.registry.removeLink(oldName, alias);
      core.registry.addLink(name, alias, containerId);
    }
    core.registry.releaseName(oldName, container.id);
    core.publish(container, 'rename', { oldName: `/${oldName}` });
  });
}
