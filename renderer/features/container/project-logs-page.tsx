import { FileText } from 'lucide-react';
import { useMemo, useState } from 'react';
import { useParams } from 'react-router';
import type { ContainerSummary } from '../../../electron/contract/container-channels.ts';
import { useNotConnected } from '../../app/not-connected.tsx';
import { cx } from '../../components/cx.ts';
import { DetailHeader } from '../../components/detail-page.tsx';
import { EmptyState, Skeleton } from '../../components/state.tsx';
import { useContainers } from '../../data/queries.ts';
import { LogView } from './logs/log-view.tsx';
import { text } from './text.ts';

/** Told apart also by people who confuse red and green; from the terminal palette, so readable in both themes. */
const COLORS = [4, 3, 6, 5, 2, 1].map((index) => `var(--ansi-${index})`);

/** Containers without a service were put into the project by hand. */
function nameOf({ project, name }: ContainerSummary): string {
  return project === undefined || project.service === '' ? name : project.service;
}

/** The logs of a compose project's containers, merged by time; containers can be left out. */
export default function ProjectLogsPage() {
  const { project = '' } = useParams();
  const list = useContainers();
  const notConnected = useNotConnected();
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const members = useMemo(
    () =>
      (list?.items ?? [])
        .filter((container) => container.project?.name === project)
        .sort((a, b) => a.name.localeCompare(b.name))
        .map((container, index) => ({
          id: container.id,
          label: nameOf(container),
          name: container.name,
          color: COLORS[index % COLORS.length] ?? '',
        })),
    [list, project],
  );
  const shown = members.filter((member) => !hidden.has(member.id)).slice(0, 50);
  return (
    <>
      <DetailHeader
        parent={{ label: text.parent, path: '/containers' }}
        title={text.logs.project(project)}
      />
      {list === undefined ? (
        (notConnected ?? <Skeleton className="m-5 h-40" />)
      ) : (
        <>
          <div
            role="group"
            aria-label={text.logs.sources}
            className="flex shrink-0 flex-wrap gap-1.5 border-b border-line px-4 pb-3"
          >
            {members.map((member) => {
              const isShown = !hidden.has(member.id);
              return (
                <button
                  key={member.id}
                  type="button"
                  aria-pressed={isShown}
                  onClick={() => {
                    const next = new Set(hidden);
                    if (isShown) {
                      next.add(member.id);
                    } else {
                      next.delete(member.id);
                    }
                    setHidden(next);
                  }}
                  className={cx(
                    'flex h-6 items-center gap-1.5 rounded-full border px-2.5 text-xs',
                    isShown
                      ? 'border-line-strong bg-surface text-ink'
                      : 'border-line text-ink-3 line-through',
                  )}
                >
                  <span
                    aria-hidden
                    className="size-2 rounded-full"
                    style={{ backgroundColor: member.color }}
                  />
                  {member.label}
                </button>
              );
            })}
          </div>
          {shown.length === 0 ? (
            <EmptyState icon={FileText} title={text.logs.empty} />
          ) : (
            <LogView
              containerIds={shown.map((member) => member.id)}
              sources={shown.map(({ label, color }) => ({ label, color }))}
            />
          )}
        </>
      )}
    </>
  );
}
