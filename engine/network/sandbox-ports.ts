/** Published ports of a sandbox, sockets and firewall together. */
import { ConflictError, InvalidParameterError, messageOf, SystemError } from '../base/errors.ts';
import type { NetworkCore } from './core.ts';
import type { SandboxState } from './sandbox.ts';

/** Error of another message and the same kind. */
function reworded(error: unknown, message: string): Error {
  if (error instanceof ConflictError) {
    return new ConflictError(message, { cause: error });
  }
  if (error instanceof InvalidParameterError) {
    return new InvalidParameterError(message, { cause: error });
  }
  return new SystemError(message, { cause: error });
}

/**
 * Takes all requested ports.
 *
 * @throws ConflictError  one is taken; sockets are closed again, the firewall is the caller's to clear
 */
export async function openPorts(
  core: NetworkCore,
  state: SandboxState,
  isHostIPv6Usable: boolean,
): Promise<void> {
  const { record } = state;
  if (record.requestedPorts.length === 0 || record.netns === '') {
    return;
  }
  try {
    await state.ports.open(record.requestedPorts, state.portTarget(isHostIPv6Usable));
    await core.firewall.setPorts(record.containerId, state.ports.firewallPorts);
  } catch (error) {
    const endpointId = state.portEndpoint?.endpointId ?? '';
    throw reworded(
      error,
      `driver failed programming external connectivity on endpoint ${record.containerName} (${endpointId}): ${messageOf(error)}`,
    );
  }
}

/** Leads published ports to where the default gateway is now; host ports that were chosen stay. */
export async function movePorts(
  core: NetworkCore,
  state: SandboxState,
  isHostIPv6Usable: boolean,
): Promise<void> {
  const { record } = state;
  if (
    record.requestedPorts.length === 0 ||
    state.ports.leadsTo(state.portTarget(isHostIPv6Usable))
  ) {
    return;
  }
  const chosen = new Map(
    state.ports.bindings
      .filter((binding) => binding.hostPort !== 0)
      .map((binding) => [`${binding.protocol} ${binding.containerPort}`, binding.hostPort]),
  );
  const requested = record.requestedPorts;
  await state.ports.close();
  await core.firewall.setPorts(record.containerId, []);
  record.requestedPorts = requested.map((port) => {
    const before = chosen.get(`${port.protocol} ${port.containerPort}`);
    const isExact = port.hostPort !== 0 && (port.hostPortEnd ?? port.hostPort) === port.hostPort;
    return isExact || before === undefined
      ? port
      : { ...port, hostPort: before, hostPortEnd: before };
  });
  try {
    await openPorts(core, state, isHostIPv6Usable);
  } finally {
    record.requestedPorts = requested;
  }
}
