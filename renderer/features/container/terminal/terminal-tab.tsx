import { Plus, Settings2, SquareTerminal, X } from 'lucide-react';
import { Suspense, useEffect, useState } from 'react';
import type { ContainerSummary } from '../../../../electron/contract/container-channels.ts';
import type { TerminalSession } from '../../../../electron/contract/terminal-channels.ts';
import { Button, IconButton } from '../../../components/button.tsx';
import { cx } from '../../../components/cx.ts';
import { ConfirmDialog } from '../../../components/dialog.tsx';
import { Field, Input } from '../../../components/field.tsx';
import { EmptyState, ErrorState, Skeleton } from '../../../components/state.tsx';
import { bridge, type Problem, problemOf } from '../../../data/bridge.ts';
import { lazyPage } from '../../../data/lazy-page.ts';
import { parseShellWords } from '../../../data/shell-words.ts';
import { runAction } from '../../containers/actions.ts';
import { text } from '../text.ts';
import type { SessionRequest } from './terminal-pane.tsx';

const TerminalPane = lazyPage(() => import('./terminal-pane.tsx'));

/** One tab of the terminals of a container. */
interface Pane {
  /** Ours, so that a tab keeps its terminal when its session gets an id. */
  readonly key: string;
  readonly target: TerminalSession | SessionRequest;
}

let lastKey = 0;

function newPane(target: TerminalSession | SessionRequest): Pane {
  lastKey += 1;
  return { key: 'sessionId' in target ? target.sessionId : `new-${lastKey}`, target };
}

/** Terminals of a container: those the host has kept, else a new one at once. */
export function TerminalTab({ container }: { readonly container: ContainerSummary }) {
  const [panes, setPanes] = useState<readonly Pane[]>();
  const [activeKey, setActiveKey] = useState<string>();
  const [problem, setProblem] = useState<Problem>();
  const [isChoosing, setIsChoosing] = useState(false);
  const isRunning = container.state === 'running';

  useEffect(() => {
    let isCurrent = true;
    bridge.call('terminal.list', { containerId: container.id }).then(
      ({ sessions }) => {
        if (isCurrent) {
          const alive = sessions.filter((session) => session.exit === undefined);
          setPanes(alive.map(newPane));
          setActiveKey(alive.at(-1)?.sessionId);
        }
      },
      (error: unknown) => {
        if (isCurrent) {
          setProblem(problemOf(error));
          setPanes([]);
        }
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [container.id]);

  const add = (request: SessionRequest): void => {
    const pane = newPane(request);
    setProblem(undefined);
    setPanes((before) => [...(before ?? []), pane]);
    setActiveKey(pane.key);
  };
  const drop = (key: string): void => {
    setPanes((before) => {
      const left = (before ?? []).filter((pane) => pane.key !== key);
      setActiveKey((active) => (active === key ? left.at(-1)?.key : active));
      return left;
    });
  };
  // The first visit opens a terminal without being asked.
  if (panes?.length === 0 && isRunning && problem === undefined) {
    add({ kind: 'exec' });
  }
  const close = (pane: Pane): void => {
    if ('sessionId' in pane.target) {
      bridge.call('terminal.close', { sessionId: pane.target.sessionId }).catch(() => {
        // Gone already.
      });
    }
    if (panes?.length === 1) {
      // Closing the last one is meant: do not open another by itself.
      setProblem({ code: 'closed', message: '', hint: undefined });
    }
    drop(pane.key);
  };

  if (panes === undefined) {
    return <Skeleton className="m-5 h-40" />;
  }
  const active = panes.find((pane) => pane.key === activeKey);
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <div className="flex h-10 shrink-0 items-center gap-1 border-b border-line bg-sunken px-4">
        <div role="group" aria-label={text.terminal.sessions} className="flex min-w-0 gap-1">
          {panes.map((pane) => (
            <PaneTab
              key={pane.key}
              title={titleOf(pane)}
              isActive={pane.key === activeKey}
              onSelect={() => setActiveKey(pane.key)}
              onClose={() => close(pane)}
            />
          ))}
        </div>
        <IconButton
          label={text.terminal.newSession}
          icon={Plus}
          size="sm"
          disabled={!isRunning}
          onClick={() => add({ kind: 'exec' })}
        />
        <div className="ml-auto flex gap-1">
          {container.hasTty === true && (
            <Button
              size="sm"
              tone="ghost"
              disabled={!isRunning}
              onClick={() => add({ kind: 'attach' })}
            >
              {text.terminal.attach}
            </Button>
          )}
          <IconButton
            label={text.terminal.options}
            icon={Settings2}
            size="sm"
            disabled={!isRunning}
            onClick={() => setIsChoosing(true)}
          />
        </div>
      </div>
      {active === undefined ? (
        <NoTerminal container={container} problem={problem} onOpen={() => add({ kind: 'exec' })} />
      ) : (
        <Suspense fallback={<Skeleton className="m-5 h-40" />}>
          <TerminalPane
            key={active.key}
            containerId={container.id}
            target={active.target}
            onOpened={(session) =>
              setPanes((before) =>
                (before ?? []).map((pane) =>
                  pane.key === active.key ? { ...pane, target: session } : pane,
                ),
              )
            }
            onFailed={(failure) => {
              setProblem(failure);
              drop(active.key);
            }}
            onAgain={() => {
              drop(active.key);
              add({ kind: 'exec' });
            }}
          />
        </Suspense>
      )}
      {isChoosing && <OptionsDialog onClose={() => setIsChoosing(false)} onOpen={add} />}
    </div>
  );
}

function titleOf(pane: Pane): string {
  if ('sessionId' in pane.target) {
    return pane.target.title === 'attach' ? text.terminal.attachTitle : pane.target.title;
  }
  return '…';
}

function PaneTab({
  title,
  isActive,
  onSelect,
  onClose,
}: {
  readonly title: string;
  readonly isActive: boolean;
  readonly onSelect: () => void;
  readonly onClose: () => void;
}) {
  return (
    <div
      role="presentation"
      className={cx(
        'flex h-7 min-w-0 items-center rounded-sm pr-1 text-xs',
        isActive ? 'bg-surface text-ink shadow-tiny' : 'text-ink-2 hover:bg-hover',
      )}
    >
      <button
        type="button"
        aria-pressed={isActive}
        onClick={onSelect}
        className="flex h-7 min-w-0 items-center gap-1.5 rounded-sm px-2 font-mono"
      >
        <SquareTerminal aria-hidden className="size-3.5 shrink-0" />
        <span className="truncate">{title}</span>
      </button>
      <button
        type="button"
        aria-label={text.terminal.closeSession(title)}
        onClick={onClose}
        className="flex size-4.5 items-center justify-center rounded-xs text-ink-3 hover:bg-active hover:text-ink"
      >
        <X aria-hidden className="size-3" />
      </button>
    </div>
  );
}

function NoTerminal({
  container,
  problem,
  onOpen,
}: {
  readonly container: ContainerSummary;
  readonly problem: Problem | undefined;
  readonly onOpen: () => void;
}) {
  if (container.state !== 'running') {
    return (
      <EmptyState
        icon={SquareTerminal}
        title={text.terminal.notRunning}
        body={text.terminal.notRunningBody}
      >
        <Button
          tone="primary"
          onClick={() => {
            void runAction(container, container.state === 'paused' ? 'unpause' : 'start');
          }}
        >
          {text.terminal.start}
        </Button>
      </EmptyState>
    );
  }
  if (problem?.code === 'no-shell') {
    return (
      <EmptyState
        icon={SquareTerminal}
        title={text.terminal.noShell}
        body={text.terminal.noShellBody}
      />
    );
  }
  if (problem !== undefined && problem.message !== '') {
    return (
      <ErrorState
        title={text.terminal.failed}
        message={problem.message}
        hint={problem.hint}
        onRetry={onOpen}
      />
    );
  }
  return (
    <EmptyState
      icon={SquareTerminal}
      title={text.terminal.newSession}
      body={text.terminal.commandHint}
    >
      <Button tone="primary" onClick={onOpen}>
        {text.terminal.open}
      </Button>
    </EmptyState>
  );
}

function OptionsDialog({
  onClose,
  onOpen,
}: {
  readonly onClose: () => void;
  readonly onOpen: (request: SessionRequest) => void;
}) {
  const [command, setCommand] = useState('');
  const [user, setUser] = useState('');
  const [workdir, setWorkdir] = useState('');
  const parsed = parseShellWords(command);
  return (
    <ConfirmDialog
      isOpen
      isDangerous={false}
      title={text.terminal.newSession}
      confirmLabel={text.terminal.open}
      onClose={onClose}
      onConfirm={() => {
        if (parsed.error !== undefined) {
          throw new Error(parsed.error);
        }
        onOpen({
          kind: 'exec',
          ...(parsed.words.length === 0 ? {} : { command: parsed.words }),
          ...(user.trim() === '' ? {} : { user: user.trim() }),
          ...(workdir.trim() === '' ? {} : { workdir: workdir.trim() }),
        });
      }}
    >
      <Field label={text.terminal.command} hint={text.terminal.commandHint} error={parsed.error}>
        {(ids) => (
          <Input
            {...ids}
            isMono
            value={command}
            placeholder="bash -l"
            onChange={(event) => setCommand(event.currentTarget.value)}
          />
        )}
      </Field>
      <Field label={text.terminal.user}>
        {(ids) => (
          <Input
            {...ids}
            isMono
            value={user}
            onChange={(event) => setUser(event.currentTarget.value)}
          />
        )}
      </Field>
      <Field label={text.terminal.workdir}>
        {(ids) => (
          <Input
            {...ids}
            isMono
            value={workdir}
            onChange={(event) => setWorkdir(event.currentTarget.value)}
          />
        )}
      </Field>
    </ConfirmDialog>
  );
}
