import { Plus, X } from 'lucide-react';
import { Button, IconButton } from './button.tsx';
import { Input } from './field.tsx';
import { newPair, type Pair } from './pairs.ts';
import { text } from './text.ts';

interface PairsEditorProps {
  readonly label: string;
  readonly nameLabel: string;
  readonly valueLabel: string;
  readonly addLabel: string;
  readonly pairs: readonly Pair[];
  readonly onChange: (pairs: readonly Pair[]) => void;
  /** Gets text pasted into a name field that is more than one line; true when it was taken over. */
  readonly onPasteBlock?: (block: string) => boolean;
}

/** Names and values in rows that can be added and taken away: labels, options, variables. */
export function PairsEditor({
  label,
  nameLabel,
  valueLabel,
  addLabel,
  pairs,
  onChange,
  onPasteBlock,
}: PairsEditorProps) {
  const set = (id: number, change: Partial<Pair>): void =>
    onChange(pairs.map((pair) => (pair.id === id ? { ...pair, ...change } : pair)));
  return (
    <div role="group" aria-label={label} className="flex flex-col gap-2">
      {pairs.map((pair, index) => (
        <div key={pair.id} className="grid grid-cols-[2fr_3fr_auto] items-center gap-2">
          <Input
            isMono
            aria-label={`${nameLabel} ${index + 1}`}
            placeholder={nameLabel}
            value={pair.name}
            onChange={(event) => set(pair.id, { name: event.currentTarget.value })}
            onPaste={(event) => {
              if (onPasteBlock?.(event.clipboardData.getData('text')) === true) {
                event.preventDefault();
              }
            }}
          />
          <Input
            isMono
            aria-label={`${valueLabel} ${index + 1}`}
            placeholder={valueLabel}
            value={pair.value}
            onChange={(event) => set(pair.id, { value: event.currentTarget.value })}
          />
          <IconButton
            label={`${text.remove} ${pair.name || String(index + 1)}`}
            icon={X}
            hasTooltip={false}
            onClick={() => onChange(pairs.filter((other) => other.id !== pair.id))}
          />
        </div>
      ))}
      <Button
        size="sm"
        icon={Plus}
        className="self-start"
        onClick={() => onChange([...pairs, newPair()])}
      >
        {addLabel}
      </Button>
    </div>
  );
}
