import { ChevronRight } from 'lucide-react';
import { type ReactNode, useMemo, useState } from 'react';
import { Segmented } from './controls.tsx';
import { CopyButton } from './copy-button.tsx';
import { cx } from './cx.ts';
import { SearchInput } from './field.tsx';
import { countMatches, filterJson, type Json } from './json-model.ts';
import { text } from './text.ts';

/** Raw JSON as a tree that folds, or as text; with a search that keeps only what matches and where it is. */
export function JsonView({ value, label }: { readonly value: Json; readonly label: string }) {
  const [query, setQuery] = useState('');
  const [view, setView] = useState<'tree' | 'raw'>('tree');
  const shown = useMemo(() => (query === '' ? value : filterJson(value, query)), [value, query]);
  const matches = useMemo(() => (query === '' ? 0 : countMatches(value, query)), [value, query]);
  const raw = useMemo(() => JSON.stringify(shown, null, 2) ?? '', [shown]);
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <div className="flex shrink-0 items-center gap-2 border-b border-line px-3 py-2">
        <SearchInput label={text.json.filter} value={query} onChange={setQuery} className="w-72" />
        {query !== '' && (
          <span role="status" className="nums text-xs text-ink-3">
            {text.json.matches(matches)}
          </span>
        )}
        <div className="ml-auto flex items-center gap-2">
          <Segmented
            label={label}
            value={view}
            options={[
              { value: 'tree', label: text.json.tree },
              { value: 'raw', label: text.json.raw },
            ]}
            onChange={setView}
          />
          <CopyButton value={raw} />
        </div>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard */}
      <div
        role="region"
        aria-label={label}
        tabIndex={0}
        className="min-h-0 flex-1 select-text overflow-auto px-3 py-2 font-mono text-xs leading-5 focus-visible:-outline-offset-2"
      >
        {shown === undefined ? (
          <p className="py-4 text-center font-sans text-sm text-ink-3">{text.json.noMatch}</p>
        ) : view === 'raw' ? (
          <pre className="whitespace-pre-wrap break-words">{raw}</pre>
        ) : (
          <Node name={undefined} value={shown} depth={0} query={query} isLast />
        )}
      </div>
    </div>
  );
}

interface NodeProps {
  readonly name: string | undefined;
  readonly value: Json;
  readonly depth: number;
  readonly query: string;
  readonly isLast: boolean;
}

function Node({ name, value, depth, query, isLast }: NodeProps) {
  const [isOpen, setIsOpen] = useState(depth < 2);
  const isFiltered = query !== '';
  if (value === null || typeof value !== 'object') {
    return (
      <div className="break-words pl-4.5">
        <Name name={name} query={query} />
        <Leaf value={value} query={query} />
        {!isLast && <span className="text-ink-3">,</span>}
      </div>
    );
  }
  const isList = Array.isArray(value);
  const entries: readonly (readonly [string, Json])[] = isList
    ? value.map((element, index) => [String(index), element] as const)
    : Object.entries(value);
  const open = isOpen || isFiltered;
  const summary = isList ? text.json.items(entries.length) : text.json.keys(entries.length);
  const key = name ?? 'root';
  return (
    <div>
      <div className="flex items-center">
        <button
          type="button"
          aria-expanded={open}
          aria-label={open ? text.json.collapse(key) : text.json.expand(key)}
          disabled={entries.length === 0}
          onClick={() => setIsOpen(!open)}
          className="flex size-4.5 shrink-0 items-center justify-center rounded-xs text-ink-3 hover:bg-active hover:text-ink disabled:invisible"
        >
          <ChevronRight
            aria-hidden
            className={cx('size-3 transition-transform', open && 'rotate-90')}
          />
        </button>
        <span className="min-w-0 break-words">
          <Name name={name} query={query} />
          <span className="text-ink-3">{isList ? '[' : '{'}</span>
          {(!open || entries.length === 0) && (
            <span className="text-ink-3">
              {entries.length > 0 && ` ${summary} `}
              {isList ? ']' : '}'}
              {!isLast && ','}
            </span>
          )}
        </span>
      </div>
      {open && entries.length > 0 && (
        <>
          <div className="ml-2 border-l border-line pl-2.5">
            {entries.map(([entryName, entry], index) => (
              <Node
                key={entryName}
                name={entryName}
                value={entry}
                depth={depth + 1}
                query={query}
                isLast={index === entries.length - 1}
              />
            ))}
          </div>
          <div className="pl-4.5 text-ink-3">
            {isList ? ']' : '}'}
            {!isLast && ','}
          </div>
        </>
      )}
    </div>
  );
}

function Name({ name, query }: { readonly name: string | undefined; readonly query: string }) {
  return name === undefined ? null : (
    <>
      <span className="text-accent-ink">
        <Marked value={name} query={query} />
      </span>
      <span className="text-ink-3">: </span>
    </>
  );
}

function Leaf({
  value,
  query,
}: {
  readonly value: string | number | boolean | null;
  readonly query: string;
}) {
  if (typeof value === 'string') {
    return (
      <span className="text-ok-ink">
        "<Marked value={value} query={query} />"
      </span>
    );
  }
  return (
    <span className={value === null ? 'text-ink-3' : 'text-warn-ink'}>
      <Marked value={String(value)} query={query} />
    </span>
  );
}

function Marked({ value, query }: { readonly value: string; readonly query: string }): ReactNode {
  const at = query === '' ? -1 : value.toLowerCase().indexOf(query.toLowerCase());
  return at === -1 ? (
    value
  ) : (
    <>
      {value.slice(0, at)}
      <mark className="rounded-[2px] bg-(--match) text-ink">
        {value.slice(at, at + query.length)}
      </mark>
      {value.slice(at + query.length)}
    </>
  );
}
