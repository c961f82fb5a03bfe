import { useState } from 'react';
import type { VolumeSummary } from '../../../electron/contract/storage-channels.ts';
import { ConfirmDialog } from '../../components/dialog.tsx';
import { Field, Input } from '../../components/field.tsx';
import { type Pair, pairsToRecord } from '../../components/pairs.ts';
import { PairsEditor } from '../../components/pairs-editor.tsx';
import { Notice } from '../../components/state.tsx';
import { toast } from '../../components/toast.tsx';
import { bridge, problemOf } from '../../data/bridge.ts';
import { useVolumes } from '../../data/queries.ts';
import { text } from './text.ts';

/** Asks before volumes go: their data goes with them. */
export function RemoveVolumesDialog({
  volumes,
  onClose,
  onRemoved,
}: {
  readonly volumes: readonly VolumeSummary[] | undefined;
  readonly onClose: () => void;
  readonly onRemoved?: () => void;
}) {
  const list = volumes ?? [];
  const [only] = list;
  const users = [...new Set(list.flatMap((volume) => volume.usedBy.map((user) => user.name)))];
  const remove = async (): Promise<void> => {
    const failures: string[] = [];
    for (const volume of list) {
      try {
        await bridge.call('volumes.remove', { id: volume.id, force: false });
      } catch (error) {
        if (list.length === 1) {
          throw error;
        }
        failures.push(`${volume.id}: ${problemOf(error).message}`);
      }
    }
    if (failures.length > 0) {
      toast.error(text.removeDialog.failed(failures.length), { description: failures.join('\n') });
    }
    onRemoved?.();
  };
  return (
    <ConfirmDialog
      isOpen={volumes !== undefined}
      title={
        list.length === 1 && only !== undefined
          ? text.removeDialog.titleOne(only.id)
          : text.removeDialog.titleMany(list.length)
      }
      body={text.removeDialog.body}
      confirmLabel={text.removeDialog.confirm}
      onClose={onClose}
      onConfirm={remove}
    >
      {users.length > 0 && <Notice tone="warn">{text.removeDialog.used(users.join(', '))}</Notice>}
    </ConfirmDialog>
  );
}

/** Creates a volume. */
export function CreateVolumeDialog({ onClose }: { readonly onClose: () => void }) {
  const [name, setName] = useState('');
  const [driver, setDriver] = useState('local');
  const [options, setOptions] = useState<readonly Pair[]>([]);
  const [labels, setLabels] = useState<readonly Pair[]>([]);
  const isTaken = useVolumes()?.byId.has(name) ?? false;
  const isInvalid = name !== '' && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name);
  const error = isTaken
    ? text.createDialog.nameTaken
    : isInvalid
      ? text.createDialog.nameInvalid
      : undefined;
  return (
    <ConfirmDialog
      isOpen
      isDangerous={false}
      title={text.createDialog.title}
      confirmLabel={text.createDialog.confirm}
      onClose={onClose}
      onConfirm={async () => {
        if (error !== undefined) {
          throw new Error(error);
        }
        const { id } = await bridge.call('volumes.create', {
          ...(name === '' ? {} : { name }),
          driver: driver.trim() === '' ? 'local' : driver.trim(),
          options: pairsToRecord(options),
          labels: pairsToRecord(labels),
        });
        toast.success(text.createDialog.created(id));
      }}
    >
      <Field label={text.createDialog.name} hint={text.createDialog.nameHint} error={error}>
        {(ids) => (
          <Input {...ids} value={name} onChange={(event) => setName(event.currentTarget.value)} />
        )}
      </Field>
      <Field label={text.createDialog.driver}>
        {(ids) => (
          <Input
            {...ids}
            value={driver}
            onChange={(event) => setDriver(event.currentTarget.value)}
          />
        )}
      </Field>
      <Pairs
        label={text.createDialog.options}
        nameLabel={text.createDialog.option}
        addLabel={text.createDialog.addOption}
        pairs={options}
        onChange={setOptions}
      />
      <Pairs
        label={text.createDialog.labels}
        nameLabel={text.createDialog.labelName}
        addLabel={text.createDialog.addLabel}
        pairs={labels}
        onChange={setLabels}
      />
    </ConfirmDialog>
  );
}

function Pairs({
  label,
  nameLabel,
  addLabel,
  pairs,
  onChange,
}: {
  readonly label: string;
  readonly nameLabel: string;
  readonly addLabel: string;
  readonly pairs: readonly Pair[];
  readonly onChange: (pairs: readonly Pair[]) => void;
}) {
  return (
    <div className="flex flex-col gap-1">
      <span className="text-xs font-medium text-ink-2">{label}</span>
      <PairsEditor
        label={label}
        nameLabel={nameLabel}
        valueLabel={text.createDialog.value}
        addLabel={addLabel}
        pairs={pairs}
        onChange={onChange}
      />
    </div>
  );
}
