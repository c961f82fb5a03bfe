import { ClipboardPaste, FileUp } from 'lucide-react';
import { useRef, useState } from 'react';
import { Button } from '../../components/button.tsx';
import { ConfirmDialog } from '../../components/dialog.tsx';
import { Field, TextArea } from '../../components/field.tsx';
import { newPair, type Pair } from '../../components/pairs.ts';
import { PairsEditor } from '../../components/pairs-editor.tsx';
import { type EnvEntry, parseEnvFile } from './env-file.ts';
import { text } from './text.ts';

/** Rows with variables added: those of the same name are replaced, empty rows go. */
export function mergeEnv(pairs: readonly Pair[], entries: readonly EnvEntry[]): readonly Pair[] {
  const names = new Set(entries.map((entry) => entry.name));
  const kept = pairs.filter((pair) => pair.name !== '' && !names.has(pair.name));
  return [...kept, ...entries.map((entry) => newPair(entry.name, entry.value))];
}

/** Environment variables: rows, a pasted block, or a file. */
export function EnvSection({
  pairs,
  onChange,
}: {
  readonly pairs: readonly Pair[];
  readonly onChange: (pairs: readonly Pair[]) => void;
}) {
  const [block, setBlock] = useState<string>();
  const file = useRef<HTMLInputElement>(null);
  return (
    <div className="flex flex-col gap-3">
      <div className="flex gap-2">
        <Button size="sm" icon={ClipboardPaste} onClick={() => setBlock('')}>
          {text.env.paste}
        </Button>
        <Button size="sm" icon={FileUp} onClick={() => file.current?.click()}>
          {text.env.load}
        </Button>
        <input
          ref={file}
          type="file"
          aria-label={text.env.load}
          tabIndex={-1}
          className="hidden"
          onChange={(event) => {
            void event.currentTarget.files?.[0]?.text().then(setBlock);
            event.currentTarget.value = '';
          }}
        />
      </div>
      <PairsEditor
        label={text.env.label}
        nameLabel={text.env.name}
        valueLabel={text.env.value}
        addLabel={text.env.add}
        pairs={pairs}
        onChange={onChange}
        onPasteBlock={(pasted) => {
          const { entries } = parseEnvFile(pasted);
          if (!pasted.includes('=') || entries.length === 0) {
            return false;
          }
          onChange(mergeEnv(pairs, entries));
          return true;
        }}
      />
      {block !== undefined && (
        <PasteDialog
          initialBlock={block}
          onClose={() => setBlock(undefined)}
          onAdd={(entries) => onChange(mergeEnv(pairs, entries))}
        />
      )}
    </div>
  );
}

function PasteDialog({
  initialBlock,
  onClose,
  onAdd,
}: {
  readonly initialBlock: string;
  readonly onClose: () => void;
  readonly onAdd: (entries: readonly EnvEntry[]) => void;
}) {
  const [block, setBlock] = useState(initialBlock);
  const { entries, badLines } = parseEnvFile(block);
  return (
    <ConfirmDialog
      isOpen
      isDangerous={false}
      title={text.env.pasteTitle}
      confirmLabel={text.env.pasteConfirm}
      onClose={onClose}
      onConfirm={() => onAdd(entries)}
    >
      <Field
        label={text.env.pasteLabel}
        hint={entries.length > 0 ? text.env.found(entries.length) : text.env.pasteHint}
        error={badLines.length > 0 ? text.env.badLines(badLines.join(', ')) : undefined}
      >
        {(ids) => (
          <TextArea
            {...ids}
            rows={10}
            value={block}
            onChange={(event) => setBlock(event.currentTarget.value)}
          />
        )}
      </Field>
    </ConfirmDialog>
  );
}
