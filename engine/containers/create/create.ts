import { hostname } from 'node:os';
import type { ContainerConfig, HostConfig } from '../../api/types/container.ts';
import { messageOf } from '../../base/errors.ts';
import { newId } from '../../base/ids.ts';
import { formatPlatform, hostPlatform, type Image, parsePlatform } from '../../images/contract.ts';
import { Container } from '../container.ts';
import type { CreateContainerRequest, CreatedContainer } from '../contract.ts';
import type { ContainerCore } from '../core.ts';
import { generateName, validateName } from '../names.ts';
import { type ContainerRecord, freshState, type LinkRecord } from '../record.ts';
import { allDone } from '../rewrap.ts';
import { nowText } from '../times.ts';
import { hostnameOf, withDefaults } from './defaults.ts';
import { resolveLinks } from './links.ts';
import { commandOf, mergeConfig } from './merge-config.ts';
import { initialNetworks } from './networks.ts';
import { checkBindSources, checkConfig, checkHostConfig } from './validate.ts';
import { dropVolumes, fillVolumes, prepareMounts } from './volumes.ts';

interface Plan {
  readonly id: string;
  readonly name: string;
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  readonly path: string;
  readonly args: readonly string[];
  readonly image: Image | undefined;
  readonly links: readonly LinkRecord[];
  readonly request: CreateContainerRequest;
}

/** Log options that are taken but change nothing. */
function logWarnings(host: HostConfig): string[] {
  return host.LogConfig?.Config?.['compress'] === 'true'
    ? ['log option compress is ignored: rotated log files are kept as they are']
    : [];
}

function platformWarnings(image: Image | undefined, request: CreateContainerRequest): string[] {
  const own = hostPlatform();
  if (
    image === undefined ||
    request.platform !== undefined ||
    (image.platform.architecture === own.architecture && image.platform.os === own.os)
  ) {
    return [];
  }
  return [
    `The requested image's platform (${formatPlatform(image.platform)}) does not match the detected host platform (${formatPlatform(own)}) and no specific platform was requested`,
  ];
}

/** Implements {@link ContainerService.create}. */
export async function createContainer(
  core: ContainerCore,
  request: CreateContainerRequest,
): Promise<CreatedContainer> {
  const { runtime, networks, images } = core.ports;
  const config = checkConfig(request.config);
  const checked = checkHostConfig(config, request.hostConfig, runtime);
  await checkBindSources(checked.hostConfig);
  if (request.endpoints.size > 0) {
    await networks.validate(request.endpoints);
  }
  const hostConfig = withDefaults(core, checked.hostConfig);
  await using lease = config.Image
    ? await images.acquire(config.Image, {
        platform: request.platform ? parsePlatform(request.platform) : undefined,
      })
    : undefined;
  const image = lease?.image;
  const command = commandOf(
    image === undefined ? config : mergeConfig(config, image.config.config),
  );
  const merged = checkConfig(command.config);
  request.signal?.throwIfAborted();
  const links = resolveLinks(core, hostConfig);
  const id = newId();
  const name = request.name
    ? validateName(request.name)
    : generateName((candidate) => core.registry.isNameTaken(candidate));
  core.registry.reserveName(name, id);
  const plan: Plan = {
    id,
    name,
    config: { ...merged, Hostname: hostnameOf(merged, hostConfig, id, hostname()) },
    hostConfig,
    path: command.path,
    args: command.args,
    image,
    links,
    request,
  };
  try {
    await build(core, plan);
  } catch (error) {
    core.registry.releaseName(name, id);
    throw error;
  }
  const warnings = [
    ...checked.warnings,
    ...logWarnings(hostConfig),
    ...platformWarnings(image, request),
  ];
  return { id, warnings };
}

async function build(core: ContainerCore, plan: Plan): Promise<void> {
  const { snapshots } = core.ports;
  const { id, config, hostConfig } = plan;
  let madeVolumes: readonly string[] = [];
  try {
    const [, , prepared] = await allDone([
      core.store.makeFolder(id),
      snapshots.createWritable(id, plan.image?.chainId),
      prepareMounts(core, config, hostConfig, plan.request.isReadOnlyNonRecursive).then((done) => {
        madeVolumes = done.madeVolumes;
        return done;
      }),
    ] as const);
    await fillVolumes(core, id, prepared.mounts);
    const record = await recordOf(core, plan, prepared.mounts);
    await Promise.all([core.store.save(record, true), core.store.syncRoot()]);
    const container = new Container(record);
    for (const link of record.links) {
      core.registry.addLink(record.name, link.alias, link.containerId);
    }
    core.registry.add(container);
    core.publish(container, 'create');
  } catch (error) {
    await undo(core, id, madeVolumes);
    throw error;
  }
}

async function undo(
  core: ContainerCore,
  id: string,
  madeVolumes: readonly string[],
): Promise<void> {
  const steps = [
    async () => await core.ports.snapshots.removeWritable(id),
    async () => await core.store.remove(id),
    async () => await dropVolumes(core, madeVolumes),
  ];
  for (const step of steps) {
    await step().catch((error: unknown) => {
      core.logger.warn('leftover of a failed creation', { id, problem: messageOf(error) });
    });
  }
}

async function recordOf(
  core: ContainerCore,
  plan: Plan,
  mounts: ContainerRecord['mounts'],
): Promise<ContainerRecord> {
  const { id, name, config, hostConfig, image } = plan;
  return {
    id,
    name,
    createdAt: nowText(),
    path: plan.path,
    args: plan.args,
    config,
    hostConfig,
    imageId: image?.id ?? '',
    imageChainId: image?.chainId ?? '',
    platform: image?.platform ?? hostPlatform(),
    imageDescriptor: image?.descriptor,
    mounts,
    networks: await initialNetworks(core, {
      id,
      name,
      config,
      hostConfig,
      endpoints: plan.request.endpoints,
    }),
    ports: {},
    sandboxId: '',
    sandboxKey: '',
    links: plan.links,
    restartCount: 0,
    isManuallyStopped: false,
    hasBeenStarted: false,
    state: freshState(),
  };
}
