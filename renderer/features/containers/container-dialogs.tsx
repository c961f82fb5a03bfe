import { useState } from 'react';
import type { ContainerSummary } from '../../../electron/contract/container-channels.ts';
import { Switch } from '../../components/controls.tsx';
import { ConfirmDialog } from '../../components/dialog.tsx';
import { Field, Input } from '../../components/field.tsx';
import { Notice } from '../../components/state.tsx';
import { bridge } from '../../data/bridge.ts';
import { useContainers } from '../../data/queries.ts';
import { removeContainer, runBulk, runProjectAction } from './actions.ts';
import { isActive } from './container-state.ts';
import { text } from './text.ts';

/** What is asked to be removed. */
export interface RemoveRequest {
  readonly containers: readonly ContainerSummary[];
  readonly project?: string;
}

/** Asks before containers go: how many run, and what becomes of their anonymous volumes. */
export function RemoveDialog({
  request,
  onClose,
  onRemoved,
}: {
  readonly request: RemoveRequest | undefined;
  readonly onClose: () => void;
  readonly onRemoved?: () => void;
}) {
  const [withVolumes, setWithVolumes] = useState(false);
  const containers = request?.containers ?? [];
  const [only] = containers;
  const runningCount = containers.filter(isActive).length;
  const title =
    request?.project === undefined
      ? containers.length === 1 && only !== undefined
        ? text.removeDialog.titleOne(only.name)
        : text.removeDialog.titleMany(containers.length)
      : text.removeDialog.titleProject(request.project);
  const confirm = async (): Promise<void> => {
    if (request?.project !== undefined) {
      void runProjectAction(request.project, containers, 'remove', { volumes: withVolumes });
    } else if (containers.length === 1 && only !== undefined) {
      await removeContainer(only, { force: isActive(only), volumes: withVolumes });
    } else {
      void runBulk(containers, 'remove', { force: true, volumes: withVolumes });
    }
    onRemoved?.();
  };
  return (
    <ConfirmDialog
      isOpen={request !== undefined}
      title={title}
      body={text.removeDialog.body}
      confirmLabel={text.removeDialog.confirm}
      onClose={onClose}
      onConfirm={confirm}
    >
      {runningCount > 0 && (
        <Notice tone="warn">
          {containers.length === 1
            ? text.removeDialog.runningOne
            : text.removeDialog.running(runningCount)}
        </Notice>
      )}
      <Switch
        label={text.removeDialog.volumes}
        hint={text.removeDialog.volumesHint}
        isOn={withVolumes}
        onChange={setWithVolumes}
      />
    </ConfirmDialog>
  );
}

/** Gives a container another name, checked while typing. */
export function RenameDialog({
  container,
  onClose,
}: {
  readonly container: ContainerSummary | undefined;
  readonly onClose: () => void;
}) {
  return container === undefined ? null : (
    <RenameForm key={container.id} container={container} onClose={onClose} />
  );
}

function RenameForm({
  container,
  onClose,
}: {
  readonly container: ContainerSummary;
  readonly onClose: () => void;
}) {
  const [name, setName] = useState(container.name);
  const isTaken =
    useContainers()?.items.some((other) => other.id !== container.id && other.name === name) ??
    false;
  const isValid = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name);
  const error = isTaken ? text.renameDialog.taken : isValid ? undefined : text.renameDialog.invalid;
  return (
    <ConfirmDialog
      isOpen
      isDangerous={false}
      title={text.renameDialog.title(container.name)}
      confirmLabel={text.renameDialog.confirm}
      onClose={onClose}
      onConfirm={async () => {
        if (error !== undefined) {
          throw new Error(error);
        }
        if (name !== container.name) {
          await bridge.call('containers.rename', { id: container.id, name });
        }
      }}
    >
      <Field label={text.renameDialog.label} error={error}>
        {(ids) => (
          <Input {...ids} value={name} onChange={(event) => setName(event.currentTarget.value)} />
        )}
      </Field>
    </ConfirmDialog>
  );
}
