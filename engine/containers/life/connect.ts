import { ConflictError, InvalidParameterError, NotFoundError } from '../../base/errors.ts';
import type { EndpointSettings, Sandbox } from '../../network/contract.ts';
import type { Container } from '../container.ts';
import type { ContainerCore } from '../core.ts';
import { dnsNames, findNetwork, isUserDefined } from '../create/networks.ts';
import { containerMode } from '../create/validate.ts';
import { portTable, writeSandboxFiles } from './network.ts';

function assertNotGoing(container: Container): void {
  const { state } = container.record;
  if (state.isRemoving || state.isDead) {
    throw new ConflictError(
      `Container ${container.id} is marked for removal and cannot be connected or disconnected to the network`,
    );
  }
}

function assertCompatible(container: Container, network: string, driver: string): void {
  const { hostConfig, networks } = container.record;
  if (hostConfig.NetworkMode !== 'host' && driver === 'host') {
    throw new InvalidParameterError(
      'cannot connect container to host network - container must be created in host network mode',
    );
  }
  if (containerMode(hostConfig.NetworkMode) !== undefined) {
    throw new InvalidParameterError(
      'container sharing network namespace with another container or host cannot be connected to any other network',
    );
  }
  const others = Object.keys(networks).filter((name) => name !== network);
  if (others.includes('host') || (others.length > 0 && driver === 'host')) {
    throw new InvalidParameterError(
      'container sharing network namespace with another container or host cannot be connected to any other network',
    );
  }
  if (others.includes('none') || (others.length > 0 && network === 'none')) {
    throw new InvalidParameterError(
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    );
  }
}

async function applyLive(
  core: ContainerCore,
  container: Container,
  sandbox: Sandbox,
): Promise<void> {
  const { record } = container;
  const networks: Record<string, EndpointSettings> = {};
  for (const [name, actual] of sandbox.endpoints) {
    networks[name] = { ...record.networks[name], ...actual };
  }
  record.networks = networks;
  record.ports = portTable(container, sandbox.ports);
  await writeSandboxFiles(core, container, sandbox);
}

/** Implements {@link ContainerService.connectNetwork}. */
export async function connectNetwork(
  core: ContainerCore,
  ref: string,
  networkRef: string,
  settings: EndpointSettings,
): Promise<void> {
  const container = core.registry.get(ref);
  await core.lock.run(container.id, async () => {
    assertNotGoing(container);
    const { record } = container;
    const found = await findNetwork(core, networkRef);
    const name = found?.Name ?? networkRef;
    assertCompatible(container, name, found?.Driver ?? '');
    const own: EndpointSettings = isUserDefined(name)
      ? {
          ...settings,
          DNSNames: dnsNames({
            name: record.name,
            id: container.id,
            hostname: record.config.Hostname ?? '',
            aliases: settings.Aliases ?? [],
          }),
        }
      : settings;
    if (container.isUp) {
      if (record.networks[name]?.EndpointID) {
        throw new ConflictError(
          `endpoint with name ${record.name} already exists in network ${name}`,
        );
      }
      record.networks[name] = own;
      try {
        await applyLive(
          core,
          container,
          await core.ports.networks.connect(container.id, name, own),
        );
      } catch (error) {
        delete record.networks[name];
        throw error;
      }
    } else {
      await core.ports.networks.validate(new Map([[name, own]]));
      record.networks[name] = own;
    }
    await core.saveState(container, true);
  });
}

/** Implements {@link ContainerService.disconnectNetwork}. */
export async function disconnectNetwork(
  core: ContainerCore,
  ref: string,
  networkRef: string,
  isForced: boolean,
): Promise<void> {
  const network = await findNetwork(core, networkRef);
  const container = core.registry.find(ref);
  if (container === undefined) {
    if (isForced && network !== undefined) {
      return;
    }
    throw new NotFoundError(`No such container: ${ref}`);
  }
  await core.lock.run(container.id, async () => {
    assertNotGoing(container);
    const { record } = container;
    if (network === undefined && !isForced) {
      throw new NotFoundError(`network ${networkRef} not found`);
    }
    const name = network?.Name ?? networkRef;
    if (record.hostConfig.NetworkMode === 'host' && network?.Driver === 'host') {
      throw new InvalidParameterError(
        'cannot disconnect container from host network - container was created in host network mode',
      );
    }
    if (record.networks[name] === undefined) {
      throw new NotFoundError(`container ${container.id} is not connected to the network ${name}`);
    }
    if (container.isUp && network !== undefined) {
      const sandbox = await core.ports.networks.disconnect(container.id, name);
      delete record.networks[name];
      await applyLive(core, container, sandbox);
    } else {
      delete record.networks[name];
    }
    await core.saveState(container, true);
  });
}
