import {
  ArrowDown,
  ArrowDownToLine,
  ArrowUp,
  CaseSensitive,
  Clock,
  Copy,
  Download,
  Ellipsis,
  Eraser,
  FileText,
  Filter,
  Regex,
  Undo2,
  WrapText,
} from 'lucide-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { useStore } from 'zustand';
import { Dot, type Tone } from '../../../components/badge.tsx';
import { Button, IconButton } from '../../../components/button.tsx';
import { copyText } from '../../../components/copy-button.tsx';
import { cx } from '../../../components/cx.ts';
import { ConfirmDialog } from '../../../components/dialog.tsx';
import { SearchInput } from '../../../components/field.tsx';
import { formatCount } from '../../../components/format.ts';
import { type Action, Menu } from '../../../components/menu.tsx';
import { EmptyState, ErrorState, Skeleton } from '../../../components/state.tsx';
import { toast } from '../../../components/toast.tsx';
import { bridge, download, openExternal, problemOf } from '../../../data/bridge.ts';
import { useSettings } from '../../../data/queries.ts';
import { text } from '../text.ts';
import { stripAnsi } from './ansi.ts';
import { toPattern } from './line-segments.ts';
import { formatTimestamp } from './log-line-view.tsx';
import { type LogSession, type LogState, logSession } from './log-session.ts';
import { type LogSource, LogViewport, type LogViewportHandle } from './log-viewport.tsx';

/** Lines that are copied at most; more are a file. */
const MAX_COPIED_LINES = 20_000;

/** The log of one container, or of several merged by time. */
export function LogView({
  containerIds,
  sources,
}: {
  readonly containerIds: readonly string[];
  readonly sources: readonly LogSource[];
}) {
  const key = containerIds.join(' ');
  const session = useMemo(() => logSession(key.split(' ')), [key]);
  useEffect(() => session.start(), [session]);
  return <OpenLog key={key} session={session} sources={sources} />;
}

function OpenLog({
  session,
  sources,
}: {
  readonly session: LogSession;
  readonly sources: readonly LogSource[];
}) {
  const { settings, change } = useSettings();
  const state = useStore(session.state);
  const [isFollowing, setIsFollowing] = useState(true);
  const [seenCount, setSeenCount] = useState(0);
  const [link, setLink] = useState<string>();
  const viewport = useRef<LogViewportHandle>(null);
  const pattern = useMemo(() => toPattern(state.search), [state.search]);
  const isWrapped = settings?.logWrap ?? true;
  const hasTimestamps = settings?.logTimestamps ?? false;
  if (isFollowing && seenCount !== state.lineCount) {
    setSeenCount(state.lineCount);
  }

  const step = (direction: 1 | -1): void => {
    const from = viewport.current?.firstVisibleLine() ?? 0;
    const line = session.stepMatch(direction, from);
    if (line !== undefined) {
      viewport.current?.showLine(line);
    }
  };
  const rowCount = session.rowCount;
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <LogToolbar
        session={session}
        state={state}
        isWrapped={isWrapped}
        hasTimestamps={hasTimestamps}
        isFollowing={isFollowing}
        onWrap={() => change({ logWrap: !isWrapped })}
        onTimestamps={() => change({ logTimestamps: !hasTimestamps })}
        onFollow={() => setIsFollowing(!isFollowing)}
        onStep={step}
      />
      <div className="relative flex min-h-0 flex-1 flex-col">
        {state.status === 'failed' ? (
          <ErrorState
            title={text.logs.failed}
            message={state.problem?.message ?? ''}
            hint={state.problem?.hint}
          />
        ) : state.status === 'opening' ? (
          <LogSkeleton />
        ) : (
          <>
            <LogViewport
              ref={viewport}
              session={session}
              sources={sources.length > 1 ? sources : []}
              pattern={pattern}
              isWrapped={isWrapped}
              hasTimestamps={hasTimestamps}
              isFollowing={isFollowing}
              onFollowingChange={setIsFollowing}
              onLink={setLink}
            />
            {rowCount === 0 && <EmptyLog state={state} />}
            {!isFollowing && rowCount > 0 && (
              <Button
                icon={ArrowDownToLine}
                className="absolute bottom-4 left-1/2 -translate-x-1/2 rounded-full shadow-pop"
                onClick={() => setIsFollowing(true)}
              >
                {text.logs.jump}
                {state.lineCount > seenCount && (
                  <span className="nums text-ink-3">
                    {text.logs.newLines(formatCount(state.lineCount - seenCount))}
                  </span>
                )}
              </Button>
            )}
          </>
        )}
      </div>
      <LogStatus state={state} />
      <ConfirmDialog
        isOpen={link !== undefined}
        isDangerous={false}
        title={text.logs.openLink}
        body={text.logs.openLinkBody}
        confirmLabel={text.logs.open}
        onClose={() => setLink(undefined)}
        onConfirm={async () => {
          if (link !== undefined) {
            await openExternal(link);
          }
        }}
      >
        <code className="select-text break-all rounded-sm bg-sunken p-2 text-xs">{link}</code>
      </ConfirmDialog>
    </div>
  );
}

function EmptyLog({ state }: { readonly state: LogState }) {
  const isFiltered = state.isOnlyMatches && state.search.query !== '';
  const [title, body] = isFiltered
    ? [text.logs.emptyFilter, undefined]
    : state.clearedBelow > 0
      ? [text.logs.cleared, undefined]
      : [text.logs.empty, text.logs.emptyBody];
  return (
    <div className="pointer-events-none absolute inset-0 flex bg-surface">
      <EmptyState icon={FileText} title={title} {...(body === undefined ? {} : { body })} />
    </div>
  );
}

function LogSkeleton() {
  return (
    <div className="flex flex-1 flex-col gap-2.5 bg-surface p-4">
      {['w-2/3', 'w-1/2', 'w-3/4', 'w-2/5', 'w-3/5', 'w-1/3'].map((width) => (
        <Skeleton key={width} className={width} />
      ))}
    </div>
  );
}

interface LogToolbarProps {
  readonly session: LogSession;
  readonly state: LogState;
  readonly isWrapped: boolean;
  readonly hasTimestamps: boolean;
  readonly isFollowing: boolean;
  readonly onWrap: () => void;
  readonly onTimestamps: () => void;
  readonly onFollow: () => void;
  readonly onStep: (direction: 1 | -1) => void;
}

function LogToolbar({
  session,
  state,
  isWrapped,
  hasTimestamps,
  isFollowing,
  onWrap,
  onTimestamps,
  onFollow,
  onStep,
}: LogToolbarProps) {
  const searchRef = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const onKeyDown = (event: globalThis.KeyboardEvent): void => {
      const isFind = (event.ctrlKey || event.metaKey) && event.key === 'f' && !event.shiftKey;
      const isTyping =
        event.target instanceof HTMLElement && /^(INPUT|TEXTAREA)$/.test(event.target.tagName);
      if (isFind || (event.key === '/' && !isTyping && !event.ctrlKey && !event.metaKey)) {
        event.preventDefault();
        searchRef.current?.focus();
        searchRef.current?.select();
      }
    };
    window.addEventListener('keydown', onKeyDown);
    return () => window.removeEventListener('keydown', onKeyDown);
  }, []);
  const { search } = state;
  const isSearching = search.query !== '';
  const isInvalid = search.isRegex && isSearching && state.searchProblem !== undefined;
  return (
    <div
      role="toolbar"
      aria-label={text.logs.label}
      className="flex shrink-0 items-center gap-1 border-b border-line px-4 py-2"
    >
      <SearchInput
        ref={searchRef}
        label={text.logs.search}
        value={search.query}
        onChange={(query) => session.setSearch({ ...search, query })}
        className="w-72"
        onKeyDown={(event) => {
          if (event.key === 'Enter') {
            event.preventDefault();
            onStep(event.shiftKey ? -1 : 1);
          }
        }}
      />
      <IconButton
        label={text.logs.matchCase}
        icon={CaseSensitive}
        isPressed={search.isCaseSensitive}
        onClick={() => session.setSearch({ ...search, isCaseSensitive: !search.isCaseSensitive })}
      />
      <IconButton
        label={text.logs.regex}
        icon={Regex}
        isPressed={search.isRegex}
        onClick={() => session.setSearch({ ...search, isRegex: !search.isRegex })}
      />
      <IconButton
        label={text.logs.onlyMatches}
        icon={Filter}
        isPressed={state.isOnlyMatches}
        onClick={() => session.setOnlyMatches(!state.isOnlyMatches)}
      />
      {isSearching && (
        <>
          <span
            role="status"
            className={cx(
              'nums ml-1 max-w-64 truncate text-xs',
              isInvalid ? 'text-bad-ink' : 'text-ink-3',
            )}
            title={state.searchProblem?.message}
          >
            {matchLabel(session, state)}
          </span>
          <IconButton
            label={text.logs.previous}
            shortcut="Shift+Enter"
            icon={ArrowUp}
            disabled={state.matchCount === 0}
            onClick={() => onStep(-1)}
          />
          <IconButton
            label={text.logs.next}
            shortcut="Enter"
            icon={ArrowDown}
            disabled={state.matchCount === 0}
            onClick={() => onStep(1)}
          />
        </>
      )}
      <div className="ml-auto flex items-center gap-1">
        <IconButton
          label={text.logs.follow}
          icon={ArrowDownToLine}
          isPressed={isFollowing}
          onClick={onFollow}
        />
        <IconButton label={text.logs.wrap} icon={WrapText} isPressed={isWrapped} onClick={onWrap} />
        <IconButton
          label={text.logs.timestamps}
          icon={Clock}
          isPressed={hasTimestamps}
          onClick={onTimestamps}
        />
        <span aria-hidden className="mx-1 h-5 w-px bg-line" />
        {state.clearedBelow > state.firstLine ? (
          <IconButton
            label={text.logs.undoClear}
            icon={Undo2}
            onClick={() => session.undoClear()}
          />
        ) : (
          <IconButton
            label={text.logs.clear}
            icon={Eraser}
            disabled={state.lineCount === 0}
            onClick={() => session.clear()}
          />
        )}
        <IconButton
          label={text.logs.download}
          icon={Download}
          disabled={state.lineCount === 0}
          onClick={() => saveLog(session, hasTimestamps, false)}
        />
        <Menu label={text.logs.more} actions={moreActions(session, state, hasTimestamps)}>
          <IconButton label={text.logs.more} icon={Ellipsis} hasTooltip={false} />
        </Menu>
      </div>
    </div>
  );
}

function matchLabel(session: LogSession, state: LogState): string {
  if (state.searchProblem !== undefined) {
    return state.searchProblem.message;
  }
  if (state.matchCount === 0) {
    return state.isSearchComplete ? text.logs.noMatches : text.logs.searching;
  }
  return text.logs.matches(
    formatCount(session.currentMatchNumber()),
    formatCount(state.matchCount),
  );
}

function moreActions(
  session: LogSession,
  state: LogState,
  hasTimestamps: boolean,
): readonly Action[] {
  return [
    {
      id: 'copy',
      label: text.logs.copy,
      icon: Copy,
      isDisabled: session.rowCount === 0,
      run: () => {
        void copyLog(session, hasTimestamps);
      },
    },
    {
      id: 'download-matches',
      label: text.logs.downloadMatches,
      icon: Download,
      isDisabled: state.matchCount === 0,
      run: () => saveLog(session, hasTimestamps, true),
    },
  ];
}

/** Copies the newest lines that are shown, without colours. */
async function copyLog(session: LogSession, hasTimestamps: boolean): Promise<void> {
  const { lineCount } = session.state.getState();
  const first = Math.max(session.lineOfRow(0), lineCount - MAX_COPIED_LINES);
  const shown = new Set<number>();
  const { isOnlyMatches, search } = session.state.getState();
  if (isOnlyMatches && search.query !== '') {
    for (let row = 0; row < session.rowCount; row += 1) {
      shown.add(session.lineOfRow(row));
    }
  }
  try {
    const lines = await session.readLines(first, lineCount - first);
    const copied = lines
      .filter((_, index) => shown.size === 0 || shown.has(first + index))
      .map((line) => {
        const plain = stripAnsi(line.text);
        return hasTimestamps ? `${formatTimestamp(line.timeMs)} ${plain}` : plain;
      });
    if (await copyText(`${copied.join('\n')}\n`)) {
      toast.success(text.logs.copied, { description: text.logs.lines(formatCount(copied.length)) });
    }
  } catch (error) {
    toast.error(text.logs.exportFailed, { description: problemOf(error).message });
  }
}

function saveLog(session: LogSession, withTimestamps: boolean, isOnlyMatches: boolean): void {
  const { logId } = session;
  if (logId === undefined) {
    return;
  }
  const { search } = session.state.getState();
  bridge
    .call('logs.export', { logId, withTimestamps, ...(isOnlyMatches ? { query: search } : {}) })
    .then(({ path }) => download(path))
    .catch((error: unknown) =>
      toast.error(text.logs.exportFailed, { description: problemOf(error).message }),
    );
}

const STATUS_TONES: Record<LogState['status'], Tone> = {
  opening: 'warn',
  loading: 'warn',
  following: 'ok',
  ended: 'idle',
  offline: 'bad',
  failed: 'bad',
};

function LogStatus({ state }: { readonly state: LogState }) {
  if (state.status === 'failed') {
    return null;
  }
  const label =
    state.status === 'opening' ? text.logs.states.loading : text.logs.states[state.status];
  return (
    <div className="nums flex h-7 shrink-0 items-center gap-4 border-t border-line bg-sunken px-4 text-2xs text-ink-2">
      <span role="status" className="flex items-center gap-2">
        <Dot
          tone={STATUS_TONES[state.status]}
          isLive={state.status === 'loading' || state.status === 'opening'}
        />
        {label}
      </span>
      <span className="text-ink-3">{text.logs.lines(formatCount(state.lineCount))}</span>
      {state.firstLine > 0 && (
        <span className="text-ink-3">{text.logs.dropped(formatCount(state.firstLine))}</span>
      )}
    </div>
  );
}
