import type {
  BulkResult,
  ContainerSummary,
} from '../../../electron/contract/container-channels.ts';
import { toast } from '../../components/toast.tsx';
import { bridge, download, problemOf } from '../../data/bridge.ts';
import { type PendingVerb, withPending } from '../../data/pending.ts';
import { text } from './text.ts';

/** Actions that need no further question. */
export type PlainAction = 'start' | 'stop' | 'restart' | 'pause' | 'unpause' | 'kill';

const VERBS: Record<PlainAction | 'remove', PendingVerb> = {
  start: 'starting',
  stop: 'stopping',
  restart: 'restarting',
  pause: 'pausing',
  unpause: 'resuming',
  kill: 'killing',
  remove: 'removing',
};

/** Runs an action on one container; a failure is a toast. */
export async function runAction(container: ContainerSummary, action: PlainAction): Promise<void> {
  try {
    await withPending([container.id], VERBS[action], () =>
      bridge.call(`containers.${action}`, { id: container.id }),
    );
  } catch (error) {
    const problem = problemOf(error);
    toast.error(text.failed[action](container.name), { description: describe(problem) });
  }
}

/** Runs an action on many; failures are gathered in one toast. */
export async function runBulk(
  containers: readonly ContainerSummary[],
  action: PlainAction | 'remove',
  options: { readonly force?: boolean; readonly volumes?: boolean } = {},
): Promise<void> {
  const ids = containers.map((container) => container.id);
  if (ids.length === 0) {
    return;
  }
  try {
    const { results } = await withPending(ids, VERBS[action], () =>
      bridge.call('containers.bulk', { ids, action, ...options }),
    );
    reportFailures(results);
  } catch (error) {
    toast.error(text.bulkFailed(ids.length), { description: describe(problemOf(error)) });
  }
}

/** Runs an action on a compose project in the order of its dependencies. */
export async function runProjectAction(
  project: string,
  containers: readonly ContainerSummary[],
  action: 'start' | 'stop' | 'restart' | 'remove',
  options: { readonly volumes?: boolean } = {},
): Promise<void> {
  try {
    const { results } = await withPending(
      containers.map((container) => container.id),
      VERBS[action],
      () => bridge.call('projects.action', { project, action, ...options }),
    );
    reportFailures(results);
  } catch (error) {
    toast.error(text.failed[action](project), { description: describe(problemOf(error)) });
  }
}

/** Removes one container. @throws BridgeError, for the dialog that asked */
export async function removeContainer(
  container: ContainerSummary,
  options: { readonly force: boolean; readonly volumes: boolean },
): Promise<void> {
  await withPending([container.id], 'removing', () =>
    bridge.call('containers.remove', { id: container.id, ...options }),
  );
}

/** Saves the container's files as a tar. */
export async function exportContainer(container: ContainerSummary): Promise<void> {
  try {
    const { path } = await bridge.call('containers.export', { id: container.id });
    download(path);
  } catch (error) {
    toast.error(text.failed.export(container.name), { description: describe(problemOf(error)) });
  }
}

function reportFailures(results: readonly BulkResult[]): void {
  const failed = results.filter((result) => result.error !== undefined);
  if (failed.length > 0) {
    toast.error(text.bulkFailed(failed.length), {
      description: failed
        .map((result) => `${result.name}: ${result.error?.message ?? ''}`)
        .join('\n'),
    });
  }
}

function describe(problem: {
  readonly message: string;
  readonly hint: string | undefined;
}): string {
  return problem.hint === undefined ? problem.message : `${problem.message} ${problem.hint}`;
}
