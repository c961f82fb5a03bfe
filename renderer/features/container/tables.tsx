import { Eye, EyeOff } from 'lucide-react';
import { useMemo, useState } from 'react';
import { Button, IconButton } from '../../components/button.tsx';
import { CopyButton } from '../../components/copy-button.tsx';
import { Section } from '../../components/facts.tsx';
import { SearchInput } from '../../components/field.tsx';
import { isSecretName, splitEnv } from './secrets.ts';
import { text } from './text.ts';

/** More rows than this get a filter box. */
const FILTER_FROM = 8;
const MASK = '••••••••';

/** Environment variables, sorted, with values that look like secrets masked until asked for. */
export function EnvTable({
  title,
  env,
}: {
  readonly title: string;
  readonly env: readonly string[];
}) {
  const rows = useMemo(() => env.map(splitEnv).sort((a, b) => a.name.localeCompare(b.name)), [env]);
  const [isRevealed, setIsRevealed] = useState(false);
  const hasSecrets = rows.some((row) => isSecretName(row.name));
  return (
    <PairTable
      title={title}
      rows={rows}
      isMasked={(name) => !isRevealed && isSecretName(name)}
      aside={
        hasSecrets && (
          <Button
            size="sm"
            tone="ghost"
            icon={isRevealed ? EyeOff : Eye}
            onClick={() => setIsRevealed(!isRevealed)}
          >
            {isRevealed ? text.inspect.hideSecrets : text.inspect.showSecrets}
          </Button>
        )
      }
    />
  );
}

/** Labels, sorted. */
export function LabelTable({
  title,
  labels,
}: {
  readonly title: string;
  readonly labels: Readonly<Record<string, string>>;
}) {
  const rows = useMemo(
    () =>
      Object.entries(labels)
        .map(([name, value]) => ({ name, value }))
        .sort((a, b) => a.name.localeCompare(b.name)),
    [labels],
  );
  return <PairTable title={title} rows={rows} />;
}

interface Row {
  readonly name: string;
  readonly value: string;
}

function PairTable({
  title,
  rows,
  aside,
  isMasked = () => false,
}: {
  readonly title: string;
  readonly rows: readonly Row[];
  readonly aside?: React.ReactNode;
  readonly isMasked?: (name: string) => boolean;
}) {
  const [query, setQuery] = useState('');
  const needle = query.toLowerCase();
  const shown = rows.filter(
    (row) =>
      needle === '' ||
      row.name.toLowerCase().includes(needle) ||
      (!isMasked(row.name) && row.value.toLowerCase().includes(needle)),
  );
  return (
    <Section title={title} aside={aside}>
      {rows.length >= FILTER_FROM && (
        <div className="border-b border-line px-3 py-2">
          <SearchInput
            label={`${text.inspect.filter} ${title}`}
            value={query}
            onChange={setQuery}
          />
        </div>
      )}
      <dl className="divide-y divide-line">
        {shown.map((row) => (
          <PairRow key={row.name} row={row} isMasked={isMasked(row.name)} />
        ))}
      </dl>
    </Section>
  );
}

function PairRow({ row, isMasked }: { readonly row: Row; readonly isMasked: boolean }) {
  const [isShown, setIsShown] = useState(false);
  const hidden = isMasked && !isShown;
  return (
    <div className="flex min-h-8 items-center gap-3 px-3 py-1">
      <dt className="w-64 shrink-0 select-text break-words font-mono text-xs text-ink-2">
        {row.name}
      </dt>
      <dd className="flex min-w-0 flex-1 items-center gap-3 font-mono text-xs text-ink">
        <span className="min-w-0 flex-1 select-text break-all">
          {hidden ? <span className="text-ink-3">{MASK}</span> : row.value}
        </span>
        {isMasked && (
          <IconButton
            size="sm"
            label={hidden ? `${text.inspect.show} ${row.name}` : `${text.inspect.hide} ${row.name}`}
            icon={hidden ? Eye : EyeOff}
            onClick={() => setIsShown(!isShown)}
          />
        )}
        <CopyButton value={row.value} label={`${text.inspect.copy} ${row.name}`} />
      </dd>
    </div>
  );
}
