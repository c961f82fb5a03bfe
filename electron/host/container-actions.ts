import { pathSegment } from '../../engine/api/client/client.ts';
import { createdSchema, imageInspectSchema } from '../../engine/api/client/responses.ts';
import { Semaphore } from '../../engine/base/async.ts';
import { EngineError, NotFoundError } from '../../engine/base/errors.ts';
import type { BulkResult, ContainerSummary } from '../contract/container-channels.ts';
import { BridgeError } from '../contract/error.ts';
import type { RunSpec } from '../contract/run-spec.ts';
import { describeError } from './bridge-server.ts';
import type { EngineLink } from './engine-link.ts';
import { createBody } from './run-request.ts';
import { pullImage } from './transfers.ts';

/** Actions on several containers at once. */
const BULK_CONCURRENCY = 4;

/** An action with what it needs to know. */
export interface ContainerAction {
  readonly action: 'start' | 'stop' | 'restart' | 'kill' | 'pause' | 'unpause' | 'remove';
  readonly timeoutSec?: number | undefined;
  readonly signal?: string | undefined;
  readonly force?: boolean | undefined;
  readonly volumes?: boolean | undefined;
}

/** Makes the engine's words about names and ports a code that the page can act on. */
export function explainCreateError(error: unknown): unknown {
  if (!(error instanceof EngineError)) {
    return error;
  }
  const { message } = error;
  const port = /port is already allocated|address already in use|port .* (?:in use|taken)/i;
  if (port.test(message)) {
    return new BridgeError('port-in-use', message, {
      hint: 'Choose another host port, or stop what uses this one.',
      cause: error,
    });
  }
  if (/name .* is already in use/i.test(message)) {
    return new BridgeError('name-in-use', message, {
      hint: 'Choose another name, or remove the container that has it.',
      cause: error,
    });
  }
  return error;
}

/** Does one action on one container. Doing what is done already is no error. */
export async function actOn(link: EngineLink, id: string, options: ContainerAction): Promise<void> {
  const path = `/containers/${pathSegment(id)}`;
  const { client } = link;
  if (options.action === 'remove') {
    await client.run('DELETE', path, {
      query: { force: options.force ?? false, v: options.volumes ?? false },
    });
    return;
  }
  const query =
    options.action === 'stop' || options.action === 'restart'
      ? { t: options.timeoutSec }
      : options.action === 'kill'
        ? { signal: options.signal }
        : {};
  try {
    await client.run('POST', `${path}/${options.action}`, { query });
  } catch (error) {
    throw options.action === 'start' || options.action === 'restart'
      ? explainCreateError(error)
      : error;
  }
}

/** Does one action on many; every outcome is in the answer, in the order of `targets`. */
export async function actOnMany(
  link: EngineLink,
  targets: readonly { readonly id: string; readonly name: string }[],
  options: ContainerAction,
): Promise<BulkResult[]> {
  const limit = new Semaphore(BULK_CONCURRENCY);
  return await Promise.all(
    targets.map(({ id, name }) =>
      limit.run(async () => {
        try {
          await actOn(link, id, options);
          return { id, name };
        } catch (error) {
          return { id, name, error: describeError(error) };
        }
      }),
    ),
  );
}

/** Services that a compose container waits for, from its label `service:condition:restart,…`. */
function dependenciesOf(container: ContainerSummary): string[] {
  const label = container.labels['com.docker.compose.depends_on'] ?? '';
  return label
    .split(',')
    .map((entry) => entry.split(':')[0] ?? '')
    .filter((name) => name !== '');
}

/** Containers of a project in waves: each wave depends on earlier ones only. A cycle ends up in one wave. */
export function dependencyWaves(containers: readonly ContainerSummary[]): ContainerSummary[][] {
  const waves: ContainerSummary[][] = [];
  let left = [...containers];
  while (left.length > 0) {
    const waiting = new Set(left.map((container) => container.project?.service ?? ''));
    const ready = left.filter(
      (container) =>
        !dependenciesOf(container).some(
          (service) => waiting.has(service) && service !== container.project?.service,
        ),
    );
    const wave = ready.length > 0 ? ready : left;
    waves.push(wave);
    left = left.filter((container) => !wave.includes(container));
  }
  return waves;
}

/** Does one action on all containers of a compose project, in the order of their dependencies. */
export async function actOnProject(
  link: EngineLink,
  containers: readonly ContainerSummary[],
  options: { action: 'start' | 'stop' | 'restart' | 'remove'; volumes?: boolean | undefined },
): Promise<BulkResult[]> {
  const waves = dependencyWaves(containers);
  if (options.action === 'stop' || options.action === 'remove') {
    waves.reverse();
  }
  const results: BulkResult[] = [];
  for (const wave of waves) {
    const action: ContainerAction =
      options.action === 'remove'
        ? { action: 'remove', force: true, volumes: options.volumes }
        : { action: options.action };
    results.push(...(await actOnMany(link, wave, action)));
  }
  return results;
}

async function hasImage(link: EngineLink, image: string): Promise<boolean> {
  try {
    await link.client.get(`/images/${pathSegment(image)}/json`, imageInspectSchema);
    return true;
  } catch (error) {
    if (error instanceof NotFoundError) {
      return false;
    }
    throw error;
  }
}

/** Pulls without showing progress. */
async function pullSilently(link: EngineLink, spec: RunSpec, signal: AbortSignal): Promise<void> {
  await pullImage(
    link,
    { reference: spec.image, platform: spec.platform },
    {
      signal,
      send: () => Promise.resolve(),
      sendBytes: () => Promise.resolve(),
      hasCredit: () => true,
      input: (async function* nothing() {})(),
    },
  );
}

/** Serves `containers.create`. */
export async function runContainer(
  link: EngineLink,
  spec: RunSpec,
  signal: AbortSignal,
): Promise<{
  id: string;
  warnings: string[];
  startError?: { code: string; message: string; hint?: string | undefined };
}> {
  const policy = spec.pull ?? 'missing';
  if (policy === 'always' || (policy === 'missing' && !(await hasImage(link, spec.image)))) {
    await pullSilently(link, spec, signal);
  }
  signal.throwIfAborted();
  let created: { Id: string; Warnings: string[] };
  try {
    created = await link.client.post('/containers/create', createdSchema, {
      query: { name: spec.name, platform: spec.platform },
      json: createBody(spec),
    });
  } catch (error) {
    throw explainCreateError(error);
  }
  const answer = { id: created.Id, warnings: created.Warnings };
  if (spec.start === false) {
    return answer;
  }
  try {
    await actOn(link, created.Id, { action: 'start' });
    return answer;
  } catch (error) {
    return { ...answer, startError: describeError(error) };
  }
}
