import { Cpu, RefreshCw } from 'lucide-react';
import { useState } from 'react';
import type { ContainerSummary } from '../../../electron/contract/container-channels.ts';
import { Button } from '../../components/button.tsx';
import { DataTable, Section } from '../../components/facts.tsx';
import { EmptyState, ErrorState, Skeleton } from '../../components/state.tsx';
import { problemOf } from '../../data/bridge.ts';
import { useCall } from '../../data/queries.ts';
import { text } from './text.ts';

/** Processes of a container, as of the last visit or refresh. */
export function ProcessesTab({ container }: { readonly container: ContainerSummary }) {
  const isRunning = container.state === 'running' || container.state === 'paused';
  const [visit, setVisit] = useState(() => Date.now());
  const { data, error, isFetching } = useCall(
    'containers.top',
    { id: container.id },
    { isEnabled: isRunning, version: visit },
  );
  if (!isRunning) {
    return <EmptyState icon={Cpu} title={text.processes.empty} body={text.processes.emptyBody} />;
  }
  if (error !== null) {
    const problem = problemOf(error);
    return (
      <ErrorState
        message={problem.message}
        hint={problem.hint}
        onRetry={() => setVisit(Date.now())}
      />
    );
  }
  return (
    <div className="min-h-0 flex-1 overflow-y-auto p-5">
      <div className="mx-auto max-w-6xl">
        {data === undefined ? (
          <Skeleton className="h-40 w-full rounded-md" />
        ) : (
          <Section
            title={text.processes.count(data.processes.length)}
            aside={
              <Button
                size="sm"
                tone="ghost"
                icon={RefreshCw}
                isBusy={isFetching}
                onClick={() => setVisit(Date.now())}
              >
                {text.processes.refresh}
              </Button>
            }
          >
            <DataTable
              label={text.tabs.processes}
              columns={data.titles.map((title) => ({
                id: title,
                label: title,
                className: /^(CMD|COMMAND|ARGS)$/i.test(title)
                  ? 'font-mono text-xs break-all'
                  : 'nums whitespace-nowrap',
              }))}
              rows={data.processes.map((cells, index) => ({ id: `${index}`, cells }))}
            />
          </Section>
        )}
      </div>
    </div>
  );
}
