import type { LucideIcon } from 'lucide-react';
import { useId, useState } from 'react';
import { cx } from './cx.ts';
import { Input } from './field.tsx';

/** A completion that a {@link Combobox} offers. */
export interface ComboboxOption {
  readonly value: string;
  readonly hint?: string;
}

interface ComboboxProps {
  readonly id: string;
  readonly 'aria-describedby': string | undefined;
  readonly 'aria-invalid': true | undefined;
  readonly label: string;
  readonly placeholder?: string;
  readonly value: string;
  readonly options: readonly ComboboxOption[];
  readonly icon: LucideIcon;
  readonly onChange: (value: string) => void;
}

const MAX_SHOWN = 40;

/**
 * A line of text with completions below it. Any text is allowed. Unlike a menu it leaves the rest of the dialog
 * in reach while its list is open.
 */
export function Combobox({
  label,
  placeholder,
  value,
  options,
  icon: Icon,
  onChange,
  ...ids
}: ComboboxProps) {
  const listId = useId();
  const [isOpen, setIsOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const needle = value.trim().toLowerCase();
  const shown = options
    .filter((option) => option.value.toLowerCase().includes(needle))
    .slice(0, MAX_SHOWN);
  // One completion that says what is there already is none.
  const hasList = isOpen && shown.length > 0 && !(shown.length === 1 && shown[0]?.value === value);
  const choose = (option: ComboboxOption | undefined): void => {
    if (option !== undefined) {
      onChange(option.value);
    }
    setIsOpen(false);
    setActive(-1);
  };
  const optionId = (index: number): string => `${listId}-${index}`;
  return (
    <div className="relative">
      <Input
        {...ids}
        role="combobox"
        aria-expanded={hasList}
        aria-controls={listId}
        aria-autocomplete="list"
        aria-activedescendant={hasList && active >= 0 ? optionId(active) : undefined}
        placeholder={placeholder}
        value={value}
        onChange={(event) => {
          onChange(event.currentTarget.value);
          setIsOpen(true);
          setActive(-1);
        }}
        onClick={() => setIsOpen(true)}
        onBlur={() => setIsOpen(false)}
        onKeyDown={(event) => {
          if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
            event.preventDefault();
            setIsOpen(true);
            const step = event.key === 'ArrowDown' ? 1 : -1;
            setActive(
              (active + step + shown.length + (active === -1 && step === -1 ? 1 : 0)) %
                Math.max(1, shown.length),
            );
          } else if (event.key === 'Enter' && hasList && active >= 0) {
            event.preventDefault();
            choose(shown[active]);
          } else if (event.key === 'Escape' && hasList) {
            event.preventDefault();
            event.stopPropagation();
            choose(undefined);
          }
        }}
      />
      <div
        id={listId}
        role="listbox"
        aria-label={label}
        className={cx(
          'absolute top-full right-0 left-0 z-10 mt-1 max-h-64 overflow-y-auto rounded-md border border-line bg-raised p-1 shadow-pop',
          !hasList && 'hidden',
        )}
      >
        {hasList &&
          shown.map((option, index) => (
            <div
              key={option.value}
              id={optionId(index)}
              role="option"
              aria-selected={index === active}
              tabIndex={-1}
              // Before the input loses the focus and with it its list.
              onPointerDown={(event) => {
                event.preventDefault();
                choose(option);
              }}
              onPointerMove={() => setActive(index)}
              className={cx(
                'flex select-none items-center gap-2 rounded-xs px-2 py-1.5 text-sm',
                index === active && 'bg-hover',
              )}
            >
              <Icon aria-hidden className="size-3.5 shrink-0 text-ink-3" />
              <span className="min-w-0 flex-1 truncate">{option.value}</span>
              {option.hint !== undefined && (
                <span className="nums text-xs text-ink-3">{option.hint}</span>
              )}
            </div>
          ))}
      </div>
    </div>
  );
}
