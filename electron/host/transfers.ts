import type { z } from 'zod';
import { pathSegment } from '../../engine/api/client/client.ts';
import { type ApiProgress, progressSchema } from '../../engine/api/client/responses.ts';
import { BridgeError } from '../contract/error.ts';
import type { LayerProgress, TransferItem } from '../contract/image-channels.ts';
import type { registryAuthSchema } from '../contract/shared.ts';
import type { StreamContext } from './bridge-server.ts';
import type { EngineLink } from './engine-link.ts';

/** Layer progress is gathered this long. */
const PROGRESS_INTERVAL_MS = 100;

/** Engine's words to phases, first match wins. */
const PHASES: readonly (readonly [RegExp, LayerProgress['phase']])[] = [
  [/^retrying/i, 'retrying'],
  [/^downloading/i, 'downloading'],
  [/^verifying/i, 'verifying'],
  [/^download complete/i, 'downloaded'],
  [/^extracting/i, 'extracting'],
  [/^pull complete|^pushed/i, 'complete'],
  [/^already exists|^layer already exists|^mounted from/i, 'exists'],
  [/^pushing/i, 'uploading'],
  [/^waiting|^preparing|^pulling fs layer/i, 'waiting'],
];

/** The layer a line of progress is about; undefined when it is about the whole. */
export function layerOf(line: ApiProgress): LayerProgress | undefined {
  const phase = PHASES.find(([pattern]) => pattern.test(line.status))?.[1];
  if (line.id === '' || phase === undefined) {
    return undefined;
  }
  const { current = 0, total = 0 } = line.progressDetail ?? {};
  return {
    id: line.id,
    phase,
    status: line.status,
    ...(current > 0 ? { currentBytes: current } : {}),
    ...(total > 0 ? { totalBytes: total } : {}),
  };
}

/** Value of `X-Registry-Auth`. */
export function registryAuthHeader(
  auth: z.infer<typeof registryAuthSchema> | undefined,
): Record<string, string> {
  if (auth === undefined) {
    return {};
  }
  const { username, password, serverAddress } = auth;
  const json = JSON.stringify({ username, password, serveraddress: serverAddress ?? '' });
  return { 'x-registry-auth': Buffer.from(json).toString('base64url') };
}

/** Splits `name:tag` or `name@digest`; the tag is `latest` when there is none. */
export function splitReference(reference: string): { name: string; tag: string } {
  const at = reference.indexOf('@');
  if (at !== -1) {
    return { name: reference.slice(0, at), tag: reference.slice(at + 1) };
  }
  const colon = reference.lastIndexOf(':');
  return colon > reference.lastIndexOf('/')
    ? { name: reference.slice(0, colon), tag: reference.slice(colon + 1) }
    : { name: reference, tag: 'latest' };
}

function throwIfFailed(line: ApiProgress): void {
  const message = line.errorDetail?.message ?? line.error;
  if (message !== '') {
    throw transferError(message);
  }
}

function transferError(message: string): BridgeError {
  if (/unauthorized|authentication required|denied/i.test(message)) {
    return new BridgeError('unauthorized', message, {
      hint: 'The registry wants a user name and a password, or the image does not exist.',
    });
  }
  if (/not found|manifest unknown|no such/i.test(message)) {
    return new BridgeError('not-found', message, { hint: 'Check the name and the tag.' });
  }
  if (/no such host|timeout|refused|unreachable|dial tcp|ENOTFOUND|ECONN/i.test(message)) {
    return new BridgeError('unavailable', message, {
      hint: 'The registry could not be reached. Check the network and the name of the registry.',
    });
  }
  return new BridgeError('system', message);
}

type TransferContext = StreamContext<TransferItem, never>;

/** Forwards progress: layers gathered, everything else at once. */
async function forward(
  lines: AsyncIterable<ApiProgress>,
  context: TransferContext,
): Promise<string | undefined> {
  const changed = new Map<string, LayerProgress>();
  let lastSentAt = 0;
  let digest: string | undefined;
  const flush = async (): Promise<void> => {
    if (changed.size > 0) {
      const layers = [...changed.values()];
      changed.clear();
      lastSentAt = performance.now();
      await context.send({ type: 'layers', layers });
    }
  };
  for await (const line of lines) {
    throwIfFailed(line);
    const layer = layerOf(line);
    digest = line.aux?.Digest || /^Digest: (\S+)/.exec(line.status)?.[1] || digest;
    if (layer !== undefined) {
      changed.set(layer.id, layer);
      // Steps of a transfer that nobody would see change are merged; ends of steps are not held back by a timer.
      if (performance.now() - lastSentAt >= PROGRESS_INTERVAL_MS) {
        await flush();
      }
    } else if (line.status !== '') {
      await flush();
      const message = line.id === '' ? line.status : `${line.id}: ${line.status}`;
      await context.send({ type: 'status', message });
    }
  }
  await flush();
  return digest;
}

/** Serves `images.pull`. Aborting the signal drops the connection, which is how an engine is told to stop. */
export async function pullImage(
  link: EngineLink,
  params: {
    reference: string;
    platform?: string | undefined;
    auth?: z.infer<typeof registryAuthSchema> | undefined;
  },
  context: TransferContext,
): Promise<void> {
  const { name, tag } = splitReference(params.reference);
  const lines = link.client.lines('POST', '/images/create', progressSchema, {
    query: { fromImage: name, tag, platform: params.platform },
    headers: registryAuthHeader(params.auth),
    signal: context.signal,
  });
  const digest = await forward(lines, context);
  await context.send({
    type: 'done',
    reference: tag.includes(':') ? `${name}@${tag}` : `${name}:${tag}`,
    ...(digest === undefined ? {} : { digest }),
  });
}

/** Serves `images.push`. */
export async function pushImage(
  link: EngineLink,
  params: { reference: string; auth?: z.infer<typeof registryAuthSchema> | undefined },
  context: TransferContext,
): Promise<void> {
  const { name, tag } = splitReference(params.reference);
  const auth = params.auth ?? { username: '', password: '' };
  const lines = link.client.lines('POST', `/images/${pathSegment(name)}/push`, progressSchema, {
    query: { tag },
    headers: registryAuthHeader(auth),
    signal: context.signal,
  });
  const digest = await forward(lines, context);
  await context.send({
    type: 'done',
    reference: `${name}:${tag}`,
    ...(digest === undefined ? {} : { digest }),
  });
}

/** Between two reports of how much has arrived. */
const RECEIVED_STEP_BYTES = 1024 * 1024;

/** Serves `images.load`: passes the page's bytes on as they come. */
export async function loadImages(
  link: EngineLink,
  context: StreamContext<
    | { type: 'received'; bytes: number }
    | { type: 'message'; text: string }
    | { type: 'done'; references: string[] },
    never
  >,
): Promise<void> {
  async function* upload(): AsyncGenerator<Uint8Array, void, void> {
    let received = 0;
    let reported = 0;
    for await (const bytes of context.input) {
      received += bytes.byteLength;
      yield bytes;
      if (received - reported >= RECEIVED_STEP_BYTES) {
        reported = received;
        await context.send({ type: 'received', bytes: received });
      }
    }
    await context.send({ type: 'received', bytes: received });
  }
  const references: string[] = [];
  const lines = link.client.lines('POST', '/images/load', progressSchema, {
    headers: { 'content-type': 'application/x-tar' },
    body: upload(),
    signal: context.signal,
  });
  for await (const line of lines) {
    throwIfFailed(line);
    const text = line.stream.trim() || line.status;
    const loaded = /^Loaded image(?: ID)?: (.+)$/.exec(text);
    if (loaded?.[1] !== undefined) {
      references.push(loaded[1]);
    }
    if (text !== '' && (line.progressDetail ?? undefined) === undefined) {
      await context.send({ type: 'message', text });
    }
  }
  await context.send({ type: 'done', references });
}
