import { Checkbox as BaseCheckbox } from '@base-ui/react/checkbox';
import { Select as BaseSelect } from '@base-ui/react/select';
import { Switch as BaseSwitch } from '@base-ui/react/switch';
import { Check, ChevronsUpDown, Minus } from 'lucide-react';
import type { ReactNode } from 'react';
import { cx } from './cx.ts';

interface CheckboxProps {
  readonly label: string;
  readonly isChecked: boolean;
  readonly isIndeterminate?: boolean;
  readonly isDisabled?: boolean;
  readonly tabIndex?: number;
  readonly onChange: (isChecked: boolean) => void;
}

/** A bare check box whose label is for assistive technology. */
export function Checkbox({
  label,
  isChecked,
  isIndeterminate = false,
  isDisabled = false,
  tabIndex,
  onChange,
}: CheckboxProps) {
  return (
    <BaseCheckbox.Root
      aria-label={label}
      checked={isChecked}
      indeterminate={isIndeterminate}
      disabled={isDisabled}
      {...(tabIndex === undefined ? {} : { tabIndex })}
      onCheckedChange={(checked) => onChange(checked)}
      className="flex size-4 shrink-0 items-center justify-center rounded-xs border border-line-strong bg-surface shadow-tiny transition-colors data-checked:border-accent data-checked:bg-accent data-indeterminate:border-accent data-indeterminate:bg-accent data-disabled:opacity-45"
    >
      <BaseCheckbox.Indicator className="flex text-on-accent data-unchecked:hidden">
        {isIndeterminate ? (
          <Minus aria-hidden className="size-3" strokeWidth={3} />
        ) : (
          <Check aria-hidden className="size-3" strokeWidth={3} />
        )}
      </BaseCheckbox.Indicator>
    </BaseCheckbox.Root>
  );
}

interface SwitchProps {
  readonly label: string;
  readonly hint?: ReactNode;
  readonly isOn: boolean;
  readonly isDisabled?: boolean;
  readonly onChange: (isOn: boolean) => void;
}

/** An on/off choice with its visible label. */
export function Switch({ label, hint, isOn, isDisabled = false, onChange }: SwitchProps) {
  return (
    <label className="flex min-w-0 items-start gap-2.5">
      <BaseSwitch.Root
        checked={isOn}
        disabled={isDisabled}
        onCheckedChange={(checked) => onChange(checked)}
        className="mt-px flex h-4.5 w-8 shrink-0 rounded-full bg-idle p-0.5 transition-colors data-checked:bg-accent data-disabled:opacity-45"
      >
        <BaseSwitch.Thumb className="size-3.5 rounded-full bg-white shadow-tiny transition-transform duration-120 data-checked:translate-x-3.5" />
      </BaseSwitch.Root>
      <span className="min-w-0">
        <span className="block text-sm text-ink">{label}</span>
        {hint !== undefined && <span className="block text-xs text-ink-3">{hint}</span>}
      </span>
    </label>
  );
}

/** One choice of a {@link Select}. */
export interface SelectOption<V extends string> {
  readonly value: V;
  readonly label: string;
  readonly hint?: string;
}

interface SelectProps<V extends string> {
  readonly label?: string;
  readonly id?: string;
  readonly value: V;
  readonly options: readonly SelectOption<V>[];
  readonly onChange: (value: V) => void;
  readonly className?: string;
  readonly size?: 'sm' | 'md';
  readonly isDisabled?: boolean;
}

/** One of several values. Give it `label`, or `id` inside a Field. */
export function Select<V extends string>({
  label,
  id,
  value,
  options,
  onChange,
  className,
  size = 'md',
  isDisabled = false,
}: SelectProps<V>) {
  return (
    <BaseSelect.Root
      items={options}
      value={value}
      disabled={isDisabled}
      onValueChange={(next) => {
        const option = options.find((candidate) => candidate.value === next);
        if (option !== undefined) {
          onChange(option.value);
        }
      }}
    >
      <BaseSelect.Trigger
        {...(id === undefined ? {} : { id })}
        aria-label={label}
        className={cx(
          'flex select-none items-center justify-between gap-2 rounded-sm border border-line-strong bg-raised text-ink shadow-tiny hover:bg-hover data-disabled:text-ink-3',
          size === 'sm' ? 'h-7 px-2 text-xs' : 'h-8 px-2.5 text-sm',
          className,
        )}
      >
        <BaseSelect.Value className="truncate" />
        <BaseSelect.Icon className="flex text-ink-3">
          <ChevronsUpDown aria-hidden className="size-3.5" />
        </BaseSelect.Icon>
      </BaseSelect.Trigger>
      <BaseSelect.Portal>
        <BaseSelect.Positioner
          sideOffset={4}
          alignItemWithTrigger={false}
          className="z-60 outline-none"
        >
          <BaseSelect.Popup className="pop-motion max-h-80 min-w-(--anchor-width) overflow-y-auto rounded-md border border-line bg-raised p-1 shadow-pop outline-none">
            {options.map((option) => (
              <BaseSelect.Item
                key={option.value}
                value={option.value}
                className="flex cursor-default select-none items-center gap-2 rounded-xs px-2 py-1.5 text-sm outline-none data-highlighted:bg-hover"
              >
                <span className="flex w-3.5 shrink-0">
                  <BaseSelect.ItemIndicator>
                    <Check aria-hidden className="size-3.5 text-accent-ink" />
                  </BaseSelect.ItemIndicator>
                </span>
                <BaseSelect.ItemText className="truncate">{option.label}</BaseSelect.ItemText>
                {option.hint !== undefined && (
                  <span className="ml-auto pl-4 text-xs text-ink-3">{option.hint}</span>
                )}
              </BaseSelect.Item>
            ))}
          </BaseSelect.Popup>
        </BaseSelect.Positioner>
      </BaseSelect.Portal>
    </BaseSelect.Root>
  );
}

interface SegmentedProps<V extends string> {
  readonly label: string;
  readonly value: V;
  readonly options: readonly {
    readonly value: V;
    readonly label: string;
    readonly count?: number;
  }[];
  readonly onChange: (value: V) => void;
}

/** A few exclusive choices side by side: filters, views. */
export function Segmented<V extends string>({
  label,
  value,
  options,
  onChange,
}: SegmentedProps<V>) {
  return (
    <div
      role="radiogroup"
      aria-label={label}
      className="flex h-8 shrink-0 items-center gap-0.5 rounded-sm bg-(--track) p-0.5"
    >
      {options.map((option, index) => {
        const isActive = option.value === value;
        return (
          // biome-ignore lint/a11y/useSemanticElements: a group of toggles that looks like one control
          <button
            key={option.value}
            type="button"
            role="radio"
            aria-checked={isActive}
            aria-label={option.label}
            tabIndex={isActive ? 0 : -1}
            onClick={() => onChange(option.value)}
            onKeyDown={(event) => {
              const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
              const next = options[(index + step + options.length) % options.length];
              if (step !== 0 && next !== undefined) {
                event.preventDefault();
                event.stopPropagation();
                onChange(next.value);
                const group = event.currentTarget.parentElement;
                const target = group?.children[(index + step + options.length) % options.length];
                if (target instanceof HTMLElement) {
                  target.focus();
                }
              }
            }}
            className={cx(
              'flex h-7 select-none items-center gap-1.5 rounded-[5px] px-2.5 text-xs font-medium transition-colors',
              isActive ? 'bg-(--track-active) text-ink shadow-tiny' : 'text-ink-2 hover:text-ink',
            )}
          >
            {option.label}
            {option.count !== undefined && (
              <span className={cx('nums text-2xs', isActive ? 'text-ink-3' : 'text-ink-2')}>
                {option.count}
              </span>
            )}
          </button>
        );
      })}
    </div>
  );
}
