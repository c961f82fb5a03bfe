import { Search, X } from 'lucide-react';
import {
  type InputHTMLAttributes,
  type ReactNode,
  type Ref,
  type TextareaHTMLAttributes,
  useId,
} from 'react';
import { cx } from './cx.ts';
import { text } from './text.ts';

const BOX =
  'w-full rounded-sm border border-line-strong bg-surface text-sm text-ink shadow-tiny transition-colors duration-100 focus:border-accent focus:outline-2 focus:outline-offset-0 focus:outline-accent/30 disabled:bg-sunken disabled:text-ink-3 aria-invalid:border-bad aria-invalid:focus:outline-bad/30';

interface InputProps extends InputHTMLAttributes<HTMLInputElement> {
  readonly isMono?: boolean;
  readonly ref?: Ref<HTMLInputElement> | undefined;
}

/** A line of text. Give it a label with {@link Field} or `aria-label`. */
export function Input({ className, isMono = false, ...rest }: InputProps) {
  return (
    <input
      type="text"
      autoComplete="off"
      autoCorrect="off"
      spellCheck={false}
      {...rest}
      className={cx(BOX, 'h-8 px-2.5', isMono && 'font-mono text-xs', className)}
    />
  );
}

interface TextAreaProps extends TextareaHTMLAttributes<HTMLTextAreaElement> {
  readonly ref?: Ref<HTMLTextAreaElement> | undefined;
}

/** Several lines of text in the code font. */
export function TextArea({ className, ...rest }: TextAreaProps) {
  return (
    <textarea
      spellCheck={false}
      {...rest}
      className={cx(BOX, 'min-h-20 resize-y px-2.5 py-2 font-mono text-xs leading-5', className)}
    />
  );
}

interface FieldProps {
  readonly label: string;
  readonly hint?: ReactNode;
  readonly error?: string | undefined;
  readonly isOptional?: boolean;
  readonly className?: string;
  /** Gets the ids to put on the control, so that label, hint and error belong to it. */
  readonly children: (ids: {
    readonly id: string;
    readonly 'aria-describedby': string | undefined;
    readonly 'aria-invalid': true | undefined;
  }) => ReactNode;
}

/** A control with its label above, and a hint or the error below. */
export function Field({ label, hint, error, className, children }: FieldProps) {
  const id = useId();
  const noteId = `${id}-note`;
  const note = error ?? hint;
  return (
    <div className={cx('flex min-w-0 flex-col gap-1', className)}>
      <label htmlFor={id} className="text-xs font-medium text-ink-2">
        {label}
      </label>
      {children({
        id,
        'aria-describedby': note === undefined ? undefined : noteId,
        'aria-invalid': error === undefined ? undefined : true,
      })}
      {note !== undefined && (
        <div
          id={noteId}
          className={cx('text-xs', error === undefined ? 'text-ink-3' : 'text-bad-ink')}
        >
          {note}
        </div>
      )}
    </div>
  );
}

interface SearchInputProps {
  readonly label: string;
  readonly placeholder?: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly onKeyDown?: InputHTMLAttributes<HTMLInputElement>['onKeyDown'];
  readonly className?: string;
  readonly ref?: Ref<HTMLInputElement> | undefined;
}

/** A search box with its magnifier and a clear button. Escape clears, then leaves. */
export function SearchInput({
  label,
  placeholder = label,
  value,
  onChange,
  onKeyDown,
  className,
  ref,
}: SearchInputProps) {
  return (
    <div className={cx('relative flex items-center', className)}>
      <Search aria-hidden className="pointer-events-none absolute left-2.5 size-3.5 text-ink-3" />
      <Input
        ref={ref}
        type="search"
        aria-label={label}
        placeholder={placeholder}
        value={value}
        onChange={(event) => onChange(event.currentTarget.value)}
        onKeyDown={(event) => {
          onKeyDown?.(event);
          if (event.key === 'Escape' && !event.defaultPrevented) {
            event.stopPropagation();
            event.preventDefault();
            if (value === '') {
              event.currentTarget.blur();
            } else {
              onChange('');
            }
          }
        }}
        className="pr-7 pl-8 [&::-webkit-search-cancel-button]:hidden"
      />
      {value !== '' && (
        <button
          type="button"
          aria-label={text.clearSearch}
          onClick={() => onChange('')}
          className="absolute right-1.5 flex size-5 items-center justify-center rounded-xs text-ink-3 hover:bg-active hover:text-ink"
        >
          <X aria-hidden className="size-3.5" />
        </button>
      )}
    </div>
  );
}
