/**
 * Build: a Dockerfile and its context become an image.
 *
 * The route decodes POST /build into a {@link BuildRequest} and relays what `onProgress` says as JSON lines. The service
 * owns everything else: reading the context, parsing, cache, running steps, tagging, events.
 *
 * A build that fails leaves no image and no container behind; steps that succeeded stay in the cache. Aborting `signal`
 * (client gone, `cancel`) stops running steps and rejects with the signal's reason.
 */

import type { ImageRunLimits } from '../api/types/build.ts';
import { EngineError } from '../base/errors.ts';
import type { ProgressSink, RegistryAuth } from '../images/contract.ts';

/** A RUN step ended with a non-zero exit code; `exitCode` is what the answer's errorDetail carries as `code`. */
export class BuildStepError extends EngineError {
  readonly code = 'system';
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Query of POST /build, decoded; the body is `context`. */
export interface BuildRequest {
  /** Tar of the context, plain or compressed; read once, in order. With `remote` usually empty. */
  readonly context: AsyncIterable<Uint8Array>;
  /** URL of a Dockerfile, a tar or a git repository instead of the body; `client-session` means BuildKit. */
  readonly remote: string | undefined;
  /** Path within the context; undefined = Dockerfile. */
  readonly dockerfile: string | undefined;
  /** `NAME[:TAG]` each. */
  readonly tags: readonly string[];
  /** Null: named by the client without a value. */
  readonly buildArgs: ReadonlyMap<string, string | null>;
  readonly labels: Readonly<Record<string, string>>;
  readonly target: string;
  readonly cacheFrom: readonly string[];
  readonly hasNoCache: boolean;
  /** Always ask the registry for newer base images. */
  readonly pullsParent: boolean;
  /** Intermediate containers go after success, and also after failure when forced. */
  readonly removes: boolean;
  readonly forceRemoves: boolean;
  readonly isSquashed: boolean;
  /** No progress wanted; only errors count. */
  readonly isQuiet: boolean;
  /** '' = default; `none`, `host`, `container:ID` or a network's name. */
  readonly networkMode: string;
  /** `HOST:IP`. */
  readonly extraHosts: readonly string[];
  /** `os/arch[/variant]`; undefined = the machine's own. */
  readonly platform: string | undefined;
  readonly limits: ImageRunLimits;
  /** For `cancel`; '' = none. */
  readonly buildId: string;
  /** Registry -> credentials. */
  readonly auths: ReadonlyMap<string, RegistryAuth>;
  readonly onProgress: ProgressSink;
  readonly signal?: AbortSignal | undefined;
}

/** One entry of the build cache in wire form. */
export interface BuildCacheRecord {
  ID: string;
  /** API 1.42 and newer. */
  Parents?: string[] | null;
  Type: string;
  Description: string;
  InUse: boolean;
  Shared: boolean;
  /** Bytes. */
  Size: number;
  CreatedAt: string;
  LastUsedAt: string | null;
  UsageCount: number;
}

/** What may go from the cache; sizes in bytes, 0 = not limited. */
export interface BuildPruneRequest {
  readonly isAll: boolean;
  readonly filters: ReadonlyMap<string, readonly string[]>;
  readonly reservedBytes: number;
  readonly maxUsedBytes: number;
  readonly minFreeBytes: number;
}

/** The builder of one engine. Publishes image events through the image service and `builder` prune events. */
export interface BuildService {
  /**
   * @returns id of the built image, `sha256:...`
   * @throws InvalidParameterError  the Dockerfile or a parameter is wrong; NotFoundError  a base image or file is missing;
   *   SystemError with Docker's text when a step fails
   */
  build(request: BuildRequest): Promise<{ readonly imageId: string }>;
  /** Stops the build of that id; unknown ids are ignored. */
  cancel(buildId: string): void;
  prune(
    request: BuildPruneRequest,
  ): Promise<{ readonly deleted: readonly string[]; readonly reclaimedBytes: number }>;
  /** For system/df. */
  diskUsage(): Promise<readonly BuildCacheRecord[]>;
}
