import { writeFile } from 'node:fs/promises';
import { abortable } from '../../base/async.ts';
import { SystemError, UnavailableError } from '../../base/errors.ts';
import { type ConnectedChild, spawnConnected } from '../../base/node/spawn-connected.ts';
import type { LaunchOptions, LaunchResult, LaunchShim, ShimClient } from './contract.ts';
import type { Reply } from './protocol.ts';
import { runtimeMessageOf } from './runtime-message.ts';
import { SocketShimClient } from './shim-client.ts';
import { CONFIG_NAME, encodeShimConfig } from './shim-config.ts';

/** What the shim says about the start, or why it will not say anything. */
async function awaitVerdict(
  child: ConnectedChild,
  client: SocketShimClient,
  verdict: Promise<Reply>,
): Promise<Reply> {
  const failed = child.exited.then(({ exitCode, stderr }) =>
    exitCode === 0
      ? new Promise<never>(() => {})
      : Promise.reject(new SystemError(stderr.trim() || `gantry-shim ended with ${exitCode}`)),
  );
  const lost = client.closed.then(async () => {
    // A shim that refuses to begin says why on standard error and closes the connection: the former counts.
    const { exitCode } = await child.exited;
    if (exitCode === 0) {
      throw new SystemError('the shim died while it started the container');
    }
    return await new Promise<never>(() => {});
  });
  return await Promise.race([verdict, failed, lost]);
}

async function prepareOutput(client: SocketShimClient, options: LaunchOptions): Promise<void> {
  if (options.beforeOutput !== undefined) {
    await options.beforeOutput(client);
    try {
      await client.release();
    } catch (error) {
      // The shim ended after a failed start: the verdict says so.
      if (!(error instanceof UnavailableError)) {
        throw error;
      }
    }
  }
}

function resultOf(reply: Reply, client: ShimClient): LaunchResult {
  if (reply.type === 'launched') {
    const { process, startedAtNs } = reply;
    return { kind: 'started', client, process, startedAtNs };
  }
  if (reply.type === 'startFailed') {
    return {
      kind: 'start-failed',
      runtimeMessage: runtimeMessageOf(reply),
      exitCode: reply.exitCode,
    };
  }
  throw new SystemError(`the shim sent an unexpected ${reply.type}`);
}

/** See {@link LaunchShim}. */
export const launchShim: LaunchShim = async (config, options) => {
  options.signal?.throwIfAborted();
  const holdsOutput = options.beforeOutput !== undefined;
  await writeFile(`${config.runDir}/${CONFIG_NAME}`, encodeShimConfig(config, holdsOutput), {
    mode: 0o600,
  });
  const { promise: verdict, resolve } = Promise.withResolvers<Reply>();
  const child = spawnConnected(options.shimPath, [config.runDir]);
  const client = new SocketShimClient(config.runDir, child.socket, (reply) => {
    if (reply.type === 'launched' || reply.type === 'startFailed') {
      resolve(reply);
    }
  });
  try {
    const greeted = client.hello().then(
      () => prepareOutput(client, options),
      (error: unknown) => {
        // A shim that is gone before it greets is judged by `awaitVerdict`.
        if (!(error instanceof UnavailableError)) {
          throw error;
        }
      },
    );
    const [reply] = await abortable(
      Promise.all([awaitVerdict(child, client, verdict), greeted]),
      options.signal,
    );
    const result = resultOf(reply, client);
    if (result.kind === 'start-failed') {
      await client[Symbol.asyncDispose]();
    }
    return result;
  } catch (error) {
    await client.shutdown().catch(() => {});
    await client[Symbol.asyncDispose]();
    throw error;
  }
};
