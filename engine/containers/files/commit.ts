import type { ContainerConfig } from '../../api/types/container.ts';
import { ConflictError } from '../../base/errors.ts';
import {
  applyConfigChanges,
  type ImageReference,
  parseReference,
  type RunConfig,
  withDefaultTag,
} from '../../images/contract.ts';
import type { Digest } from '../../snapshots/contract.ts';
import type { CommitRequest } from '../contract.ts';
import type { ContainerCore } from '../core.ts';
import { mergeConfig } from '../create/merge-config.ts';
import type { Lifecycle } from '../life/lifecycle.ts';
import { nowText } from '../times.ts';

function targetReference(request: CommitRequest): ImageReference | undefined {
  if (!request.repo) {
    return undefined;
  }
  const text = request.tag ? `${request.repo}:${request.tag}` : request.repo;
  return withDefaultTag(parseReference(text));
}

/** The part of a container's configuration that an image keeps. */
function imageConfig(config: ContainerConfig): RunConfig {
  return {
    Hostname: config.Hostname,
    Domainname: config.Domainname,
    User: config.User,
    ExposedPorts: config.ExposedPorts,
    Env: config.Env,
    Cmd: config.Cmd,
    Entrypoint: config.Entrypoint,
    Volumes: config.Volumes,
    WorkingDir: config.WorkingDir,
    Labels: config.Labels,
    StopSignal: config.StopSignal,
    StopTimeout: config.StopTimeout,
    Healthcheck: config.Healthcheck,
    Shell: config.Shell,
    OnBuild: config.OnBuild,
  };
}

/** Copy that may be changed where the image's form is read-only. */
function asContainerConfig(config: RunConfig): ContainerConfig {
  return structuredClone(config) as ContainerConfig;
}

/** Implements {@link ContainerService.commit}. */
export async function commitContainer(
  core: ContainerCore,
  lifecycle: Lifecycle,
  ref: string,
  request: CommitRequest,
): Promise<{ readonly id: string }> {
  const container = core.registry.get(ref);
  const { record } = container;
  if (record.state.isDead) {
    throw new ConflictError(`You cannot commit container ${container.id} which is Dead`);
  }
  if (record.state.isRemoving) {
    throw new ConflictError(`You cannot commit container ${container.id} which is being removed`);
  }
  const reference = targetReference(request);
  const base = request.config ?? record.config;
  const changed = applyConfigChanges(imageConfig(base), request.changes);
  const config = mergeConfig(asContainerConfig(changed), imageConfig(record.config));
  const { images } = core.ports;
  const parent = record.imageId === '' ? undefined : images.get(record.imageId as Digest);
  await using lease = images.lease();
  const isPausing = request.pauses && container.isUp && !record.state.isPaused;
  if (isPausing) {
    await lifecycle.pause(container.id);
  }
  let layer: Awaited<ReturnType<typeof lease.commitWritable>>;
  try {
    layer = await lease.commitWritable(container.id);
  } finally {
    if (isPausing && container.record.state.isPaused) {
      await lifecycle.unpause(container.id);
    }
  }
  const created = nowText();
  const before = parent?.config.history ?? [];
  const image = await images.createImage({
    lease,
    chainId: layer.chainId,
    config: {
      architecture: record.platform.architecture,
      os: record.platform.os,
      ...(record.platform.variant === undefined ? {} : { variant: record.platform.variant }),
      created,
      author: request.author,
      comment: request.comment,
      container: container.id,
      config: imageConfig(config),
      container_config: imageConfig(record.config),
      history: [
        ...before,
        {
          created,
          created_by: (record.config.Cmd ?? []).join(' '),
          ...(request.author === '' ? {} : { author: request.author }),
          ...(request.comment === '' ? {} : { comment: request.comment }),
        },
      ],
    },
    ...(parent === undefined ? {} : { parent: parent.id }),
    ...(reference === undefined ? {} : { references: [reference] }),
  });
  core.publish(container, 'commit', {
    comment: request.comment,
    imageID: image.id,
    imageRef: reference?.familiar ?? '',
  });
  return { id: image.id };
}
