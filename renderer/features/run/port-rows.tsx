import { Plus, X } from 'lucide-react';
import { useEffect, useState } from 'react';
import type { Result } from '../../../electron/contract/channels.ts';
import { Button, IconButton } from '../../components/button.tsx';
import { Select } from '../../components/controls.tsx';
import { Input } from '../../components/field.tsx';
import { newRowId } from '../../components/pairs.ts';
import { bridge } from '../../data/bridge.ts';
import { type FieldProblem, type PortRow, parsePort } from './run-form.ts';
import { text } from './text.ts';

/** Typing is over when nothing was typed for so long. */
const CHECK_DELAY_MS = 250;

const PROTOCOLS = [
  { value: 'tcp', label: 'TCP' },
  { value: 'udp', label: 'UDP' },
] as const;

/** A new row of ports. */
export function newPort(container = '', host = '', protocol: 'tcp' | 'udp' = 'tcp'): PortRow {
  return { id: newRowId(), hostIp: '', host, container, protocol };
}

interface PortRowsProps {
  readonly rows: readonly PortRow[];
  readonly problems: readonly FieldProblem[];
  readonly onChange: (rows: readonly PortRow[]) => void;
}

/** Published ports; each host port is looked up while typing, and a taken one names its owner. */
export function PortRows({ rows, problems, onChange }: PortRowsProps) {
  const set = (id: number, change: Partial<PortRow>): void =>
    onChange(rows.map((row) => (row.id === id ? { ...row, ...change } : row)));
  return (
    <div className="flex flex-col gap-2">
      {rows.length > 0 && (
        <div
          aria-hidden
          className="grid grid-cols-[1fr_120px_120px_96px_32px] gap-2 text-xs font-medium text-ink-2"
        >
          <span>{text.ports.hostIp}</span>
          <span>{text.ports.host}</span>
          <span>{text.ports.container}</span>
          <span>{text.ports.protocol}</span>
        </div>
      )}
      {rows.map((row, index) => (
        <PortRowView
          key={row.id}
          row={row}
          index={index + 1}
          problem={problems.find((candidate) => candidate.field === `port:${row.id}`)?.message}
          onChange={(change) => set(row.id, change)}
          onRemove={() => onChange(rows.filter((other) => other.id !== row.id))}
        />
      ))}
      <Button
        size="sm"
        icon={Plus}
        className="self-start"
        onClick={() => onChange([...rows, newPort()])}
      >
        {text.ports.add}
      </Button>
    </div>
  );
}

interface PortRowViewProps {
  readonly row: PortRow;
  readonly index: number;
  readonly problem: string | undefined;
  readonly onChange: (change: Partial<PortRow>) => void;
  readonly onRemove: () => void;
}

function PortRowView({ row, index, problem, onChange, onRemove }: PortRowViewProps) {
  const check = usePortCheck(row);
  const hostPort = parsePort(row.host);
  const taken =
    problem === undefined && check !== undefined && !check.isFree && hostPort !== undefined
      ? takenText(check, hostPort)
      : undefined;
  const suggestion = taken === undefined ? undefined : check?.suggestion;
  const isWrong = problem !== undefined || taken !== undefined;
  return (
    <div>
      <div className="grid grid-cols-[1fr_120px_120px_96px_32px] items-center gap-2">
        <Input
          isMono
          aria-label={`${text.ports.hostIp} ${index}`}
          placeholder={text.ports.any}
          value={row.hostIp}
          onChange={(event) => onChange({ hostIp: event.currentTarget.value })}
        />
        <Input
          isMono
          inputMode="numeric"
          aria-label={`${text.ports.host} ${index}`}
          aria-invalid={isWrong || undefined}
          placeholder={text.ports.random}
          value={row.host}
          onChange={(event) => onChange({ host: event.currentTarget.value })}
        />
        <Input
          isMono
          inputMode="numeric"
          aria-label={`${text.ports.container} ${index}`}
          aria-invalid={problem !== undefined || undefined}
          value={row.container}
          onChange={(event) => onChange({ container: event.currentTarget.value })}
        />
        <Select
          label={`${text.ports.protocol} ${index}`}
          value={row.protocol}
          options={PROTOCOLS}
          onChange={(protocol) => onChange({ protocol })}
        />
        <IconButton
          label={text.ports.remove(index)}
          icon={X}
          hasTooltip={false}
          onClick={onRemove}
        />
      </div>
      {isWrong && (
        <p role="status" className="mt-1 flex flex-wrap items-center gap-2 text-xs text-bad-ink">
          {problem ?? taken}
          {suggestion !== undefined && (
            <Button size="sm" onClick={() => onChange({ host: String(suggestion) })}>
              {text.ports.use(suggestion)}
            </Button>
          )}
        </p>
      )}
    </div>
  );
}

type PortCheck = Result<'ports.check'>;

function takenText(check: PortCheck, port: number): string {
  const { owner } = check;
  if (owner?.kind === 'container') {
    return text.ports.takenByContainer(port, owner.name, owner.project);
  }
  if (owner?.kind === 'process') {
    return text.ports.takenByProcess(port, owner.name, owner.pid);
  }
  return text.ports.taken(port);
}

/** Whether the row's host port is free; undefined while it is not known. */
function usePortCheck(row: PortRow): PortCheck | undefined {
  const hostPort = parsePort(row.host);
  const hostIp = row.hostIp.trim();
  const key = hostPort === undefined ? '' : `${hostIp} ${hostPort} ${row.protocol}`;
  const [answer, setAnswer] = useState<{ readonly key: string; readonly check: PortCheck }>();
  useEffect(() => {
    if (hostPort === undefined) {
      return undefined;
    }
    const abort = new AbortController();
    const timer = setTimeout(() => {
      bridge
        .call(
          'ports.check',
          { hostPort, protocol: row.protocol, ...(hostIp === '' ? {} : { hostIp }) },
          { signal: abort.signal },
        )
        .then(
          (check) => setAnswer({ key, check }),
          () => {
            // Not known: the engine will say it at the start.
          },
        );
    }, CHECK_DELAY_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [key, hostPort, hostIp, row.protocol]);
  return answer?.key === key ? answer.check : undefined;
}
