import { Plus, X } from 'lucide-react';
import { useId } from 'react';
import { Button, IconButton } from '../../components/button.tsx';
import { Checkbox, Select } from '../../components/controls.tsx';
import { Input } from '../../components/field.tsx';
import { newRowId } from '../../components/pairs.ts';
import { useVolumes } from '../../data/queries.ts';
import type { FieldProblem, MountRow } from './run-form.ts';
import { text } from './text.ts';

const TYPES = [
  { value: 'volume', label: text.mounts.types.volume },
  { value: 'bind', label: text.mounts.types.bind },
  { value: 'tmpfs', label: text.mounts.types.tmpfs },
] as const;

/** A new row of mounts. */
export function newMount(target = ''): MountRow {
  return { id: newRowId(), type: 'volume', source: '', target, isReadOnly: false };
}

const GRID = 'grid grid-cols-[112px_1fr_1fr_72px_32px] items-center gap-2';

/** Volumes, folders of the machine and memory file systems. */
export function MountRows({
  rows,
  problems,
  onChange,
}: {
  readonly rows: readonly MountRow[];
  readonly problems: readonly FieldProblem[];
  readonly onChange: (rows: readonly MountRow[]) => void;
}) {
  const listId = useId();
  const volumes = useVolumes();
  const set = (id: number, change: Partial<MountRow>): void =>
    onChange(rows.map((row) => (row.id === id ? { ...row, ...change } : row)));
  return (
    <div className="flex flex-col gap-2">
      <datalist id={listId}>
        {volumes?.items
          .filter((volume) => !volume.isAnonymous)
          .map((volume) => (
            <option key={volume.id} value={volume.id}>
              {volume.id}
            </option>
          ))}
      </datalist>
      {rows.length > 0 && (
        <div aria-hidden className={`${GRID} text-xs font-medium text-ink-2`}>
          <span>{text.mounts.type}</span>
          <span>{text.mounts.source}</span>
          <span>{text.mounts.target}</span>
          <span>{text.mounts.readOnly}</span>
        </div>
      )}
      {rows.map((row, index) => {
        const problem = problems.find(
          (candidate) => candidate.field === `mount:${row.id}`,
        )?.message;
        return (
          <div key={row.id}>
            <div className={GRID}>
              <Select
                label={`${text.mounts.type} ${index + 1}`}
                value={row.type}
                options={TYPES}
                onChange={(type) => set(row.id, { type })}
              />
              <Input
                isMono
                aria-label={`${text.mounts.source} ${index + 1}`}
                disabled={row.type === 'tmpfs'}
                list={row.type === 'volume' ? listId : undefined}
                placeholder={
                  row.type === 'bind'
                    ? text.mounts.folderPlaceholder
                    : row.type === 'volume'
                      ? text.mounts.volumePlaceholder
                      : ''
                }
                value={row.type === 'tmpfs' ? '' : row.source}
                onChange={(event) => set(row.id, { source: event.currentTarget.value })}
              />
              <Input
                isMono
                aria-label={`${text.mounts.target} ${index + 1}`}
                aria-invalid={problem !== undefined || undefined}
                placeholder="/data"
                value={row.target}
                onChange={(event) => set(row.id, { target: event.currentTarget.value })}
              />
              <span className="flex justify-center">
                <Checkbox
                  label={`${text.mounts.readOnly} ${index + 1}`}
                  isChecked={row.isReadOnly}
                  isDisabled={row.type === 'tmpfs'}
                  onChange={(isReadOnly) => set(row.id, { isReadOnly })}
                />
              </span>
              <IconButton
                label={text.mounts.remove(index + 1)}
                icon={X}
                hasTooltip={false}
                onClick={() => onChange(rows.filter((other) => other.id !== row.id))}
              />
            </div>
            {problem !== undefined && (
              <p role="status" className="mt-1 text-xs text-bad-ink">
                {problem}
              </p>
            )}
          </div>
        );
      })}
      <Button
        size="sm"
        icon={Plus}
        className="self-start"
        onClick={() => onChange([...rows, newMount()])}
      >
        {text.mounts.add}
      </Button>
    </div>
  );
}
