import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { HostConfig } from '../api/types/container.ts';
import { shortId } from '../base/ids.ts';
import type { ContainerService } from '../containers/contract.ts';
import type { ProgressSink, RunConfig } from '../images/contract.ts';
import type { Digest } from '../snapshots/contract.ts';
import { type BuildRequest, BuildStepError } from './contract.ts';

/** One RUN. */
export interface RunStepRequest {
  readonly imageId: Digest;
  readonly config: RunConfig;
  readonly command: readonly string[];
  readonly env: readonly string[];
  /** Content of the file that the command runs; undefined for none. */
  readonly script: string | undefined;
  readonly output: ProgressSink;
  readonly signal: AbortSignal | undefined;
}

/** A container that ended well; disposing removes it if the build wants that. */
export interface FinishedStep extends AsyncDisposable {
  readonly containerId: string;
}

/** Runs a command in a new container. @throws BuildStepError  it ended with another code than 0 */
export type RunStep = (request: RunStepRequest) => Promise<FinishedStep>;

/** Where a here-document with an interpreter line of its own is put for the step. */
export const SCRIPT_PATH = '/dev/pipes/script';

function hostConfigOf(request: BuildRequest, scriptFile: string | undefined): HostConfig {
  const { limits } = request;
  const number = (value: number): number | undefined => (value === 0 ? undefined : value);
  return {
    NetworkMode: request.networkMode || 'default',
    ExtraHosts: [...request.extraHosts],
    Memory: number(limits.memoryBytes),
    MemorySwap: number(limits.memorySwapBytes),
    CpuShares: number(limits.cpuShares),
    CpuPeriod: number(limits.cpuPeriod),
    CpuQuota: number(limits.cpuQuota),
    CpusetCpus: limits.cpusetCpus || undefined,
    CpusetMems: limits.cpusetMems || undefined,
    CgroupParent: limits.cgroupParent || undefined,
    ShmSize: number(limits.shmSizeBytes),
    Ulimits: limits.ulimits.map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
    Binds: scriptFile === undefined ? undefined : [`${scriptFile}:${SCRIPT_PATH}:ro`],
    // Nobody reads the log of a step again: its output goes to the client.
    LogConfig: { Type: 'none', Config: {} },
  };
}

/**
 * Makes the function that runs the RUN steps of one build.
 *
 * @param scriptFile  path on the host for scripts of here-documents; below the build's folder
 */
export function runStepsWith(
  containers: ContainerService,
  request: BuildRequest,
  scriptFile: string,
): RunStep {
  const remove = async (id: string, isWanted: boolean): Promise<void> => {
    if (isWanted) {
      await containers.remove(id, { isForced: true, withVolumes: true, isLink: false });
    }
  };
  return async (step) => {
    const file = step.script === undefined ? undefined : `${scriptFile}-${shortId(step.imageId)}`;
    if (file !== undefined && step.script !== undefined) {
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, step.script, { mode: 0o755 });
    }
    const { id } = await containers.create({
      name: undefined,
      platform: undefined,
      config: {
        Image: step.imageId,
        Cmd: [...step.command],
        // One empty text: no entrypoint, not even the image's.
        Entrypoint: [''],
        Env: [...step.env],
        WorkingDir: step.config.WorkingDir,
        User: step.config.User,
        Labels: { ...step.config.Labels },
        Healthcheck: { Test: ['NONE'] },
      },
      hostConfig: hostConfigOf(request, file),
      endpoints: new Map(),
      ...(step.signal === undefined ? {} : { signal: step.signal }),
    });
    step.output({ stream: ` ---> Running in ${shortId(id)}\n` });
    try {
      await runContainer(containers, id, step);
    } catch (error) {
      await remove(id, request.forceRemoves || step.signal?.aborted === true);
      throw error;
    }
    return {
      containerId: id,
      [Symbol.asyncDispose]: async () => {
        await remove(id, request.removes || request.forceRemoves);
        if (request.removes || request.forceRemoves) {
          step.output({ stream: ` ---> Removed intermediate container ${shortId(id)}\n` });
        }
      },
    };
  };
}

async function runContainer(
  containers: ContainerService,
  id: string,
  step: RunStepRequest,
): Promise<void> {
  await using session = await containers.attach(id, {
    wantsLogs: false,
    wantsStream: true,
    wantsStdin: false,
    wantsStdout: true,
    wantsStderr: true,
    detachKeys: undefined,
  });
  const { result } = await containers.wait(id, { condition: 'next-exit' });
  // Awaited below; a failing start must not leave it unhandled.
  result.catch(() => {});
  await containers.start(id);
  const onAbort = (): void => {
    // The container may have ended meanwhile.
    containers.kill(id).catch(() => {});
  };
  step.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
    for await (const { stream, data } of session.output) {
      const text = decoders[stream].decode(data, { stream: true });
      step.output({ stream: stream === 'stderr' ? `\u001b[91m${text}\u001b[0m` : text });
    }
    const { statusCode } = await result;
    step.signal?.throwIfAborted();
    if (statusCode !== 0) {
      throw new BuildStepError(
        `The command '${step.command.join(' ')}' returned a non-zero code: ${statusCode}`,
        statusCode,
      );
    }
  } finally {
    step.signal?.removeEventListener('abort', onAbort);
  }
}
