import type { ReactNode } from 'react';
import { CopyButton } from './copy-button.tsx';
import { cx } from './cx.ts';
import { text } from './text.ts';

/** A titled block of a details page. */
export function Section({
  title,
  aside,
  children,
}: {
  readonly title: string;
  readonly aside?: ReactNode;
  readonly children: ReactNode;
}) {
  return (
    <section
      aria-label={title}
      className="overflow-hidden rounded-md border border-line bg-surface"
    >
      <header className="flex h-9 items-center justify-between gap-3 border-b border-line bg-sunken px-3">
        <h2 className="text-xs font-semibold text-ink-2">{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  );
}

/** One line of {@link Facts}. */
export interface Fact {
  readonly label: string;
  readonly value: ReactNode;
  /** Text for the copy button, when there should be one. */
  readonly copy?: string | undefined;
  readonly isMono?: boolean;
}

/** Names and values in two columns. */
export function Facts({ facts }: { readonly facts: readonly Fact[] }) {
  return (
    <dl className="divide-y divide-line">
      {facts.map((fact) => (
        <div key={fact.label} className="group flex min-h-8 items-center gap-3 px-3 py-1.5">
          <dt className="w-36 shrink-0 text-xs text-ink-3">{fact.label}</dt>
          <dd
            className={cx(
              'min-w-0 flex-1 select-text break-words text-ink',
              fact.isMono === true ? 'font-mono text-xs' : 'text-sm',
            )}
          >
            <span className="flex min-w-0 items-center gap-3">
              <span className="min-w-0 flex-1">{fact.value}</span>
              {fact.copy !== undefined && (
                <CopyButton value={fact.copy} label={`${text.copy} ${fact.label}`} />
              )}
            </span>
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** A small static table of a details page. */
export function DataTable({
  label,
  columns,
  rows,
}: {
  readonly label: string;
  readonly columns: readonly {
    readonly id: string;
    readonly label: string;
    readonly className?: string;
  }[];
  readonly rows: readonly { readonly id: string; readonly cells: readonly ReactNode[] }[];
}) {
  return (
    <div className="overflow-x-auto">
      <table aria-label={label} className="w-full border-collapse text-left text-sm">
        <thead>
          <tr className="border-b border-line">
            {columns.map((column) => (
              <th
                key={column.id}
                scope="col"
                className={cx(
                  'h-8 whitespace-nowrap px-3 text-xs font-medium text-ink-3',
                  column.className,
                )}
              >
                {column.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {rows.map((row) => (
            <tr key={row.id}>
              {row.cells.map((cell, index) => (
                <td
                  key={columns[index]?.id ?? index}
                  className={cx(
                    'select-text break-words px-3 py-1.5 align-top',
                    columns[index]?.className,
                  )}
                >
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
