import { ArrowDown, ArrowUp, ClipboardPaste, Copy, Eraser, Search, X } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import type { TerminalSession } from '../../../../electron/contract/terminal-channels.ts';
import { Button, IconButton } from '../../../components/button.tsx';
import { copyText } from '../../../components/copy-button.tsx';
import { SearchInput } from '../../../components/field.tsx';
import { type Action, FloatingMenu, type MenuAnchor } from '../../../components/menu.tsx';
import { bridge, type Problem, problemOf } from '../../../data/bridge.ts';
import { useSettings } from '../../../data/queries.ts';
import { attachTerminal, type SessionStatus } from '../../../terminal/attach.ts';
import { createTerminal, type TerminalWidget } from '../../../terminal/widget.ts';
import { text } from '../text.ts';

/** What a new session runs. */
export interface SessionRequest {
  readonly kind: 'exec' | 'attach';
  readonly command?: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
}

interface TerminalPaneProps {
  readonly containerId: string;
  /** An existing session, or what to start. */
  readonly target: TerminalSession | SessionRequest;
  readonly onOpened: (session: TerminalSession) => void;
  readonly onFailed: (problem: Problem) => void;
  readonly onAgain: () => void;
}

/** One terminal: starts or joins its session, with the size measured before the first byte. */
export default function TerminalPane({
  containerId,
  target,
  onOpened,
  onFailed,
  onAgain,
}: TerminalPaneProps) {
  const element = useRef<HTMLDivElement>(null);
  const [widget, setWidget] = useState<TerminalWidget>();
  const [status, setStatus] = useState<SessionStatus>();
  const [isFinding, setIsFinding] = useState(false);
  const [menuAt, setMenuAt] = useState<MenuAnchor>();
  const fontSize = useSettings().settings?.terminalFontSizePx ?? 13;
  const callbacks = useRef({ onOpened, onFailed, fontSize });
  useEffect(() => {
    callbacks.current = { onOpened, onFailed, fontSize };
  });
  const initialTarget = useRef(target);

  useEffect(() => {
    const host = element.current;
    if (host === null) {
      return undefined;
    }
    const abort = new AbortController();
    const created = createTerminal(host, callbacks.current.fontSize);
    setWidget(created);
    created.terminal.attachCustomKeyEventHandler((event) =>
      handleKey(event, created, () => setIsFinding(true)),
    );
    const run = async (): Promise<void> => {
      try {
        const session = await openSession(containerId, initialTarget.current, created);
        if (!abort.signal.aborted) {
          initialTarget.current = session;
          callbacks.current.onOpened(session);
          created.terminal.focus();
          await attachTerminal(created.terminal, session.sessionId, abort.signal, setStatus);
        }
      } catch (error) {
        if (!abort.signal.aborted) {
          callbacks.current.onFailed(problemOf(error));
        }
      }
    };
    // Strict mode mounts twice: a session must not be started for the mount that is thrown away.
    const timer = setTimeout(() => {
      void run();
    }, 0);
    return () => {
      clearTimeout(timer);
      abort.abort();
      created[Symbol.dispose]();
      setWidget(undefined);
    };
  }, [containerId]);

  useEffect(() => widget?.setFontSize(fontSize), [widget, fontSize]);

  const title = 'title' in target ? target.title : '';
  return (
    <div className="relative flex min-h-0 flex-1 flex-col bg-surface">
      <section
        ref={element}
        aria-label={text.terminal.label(title)}
        onContextMenu={(event) => {
          event.preventDefault();
          setMenuAt({ x: event.clientX, y: event.clientY });
        }}
        className="min-h-0 flex-1 overflow-hidden py-2 pl-3"
      />
      {isFinding && widget !== undefined && (
        <FindBar
          widget={widget}
          onClose={() => {
            setIsFinding(false);
            widget.search.clearDecorations();
            widget.terminal.focus();
          }}
        />
      )}
      <StatusLine status={status} onAgain={onAgain} />
      <FloatingMenu
        label={text.terminal.options}
        anchor={menuAt}
        actions={widget === undefined ? [] : menuActions(widget, () => setIsFinding(true))}
        onClose={() => setMenuAt(undefined)}
      />
    </div>
  );
}

async function openSession(
  containerId: string,
  target: TerminalSession | SessionRequest,
  widget: TerminalWidget,
): Promise<TerminalSession> {
  if ('sessionId' in target) {
    return target;
  }
  const { cols, rows } = widget.terminal;
  return await bridge.call('terminal.open', {
    containerId,
    kind: target.kind,
    cols,
    rows,
    ...(target.command === undefined ? {} : { command: [...target.command] }),
    ...(target.user === undefined ? {} : { user: target.user }),
    ...(target.workdir === undefined ? {} : { workdir: target.workdir }),
  });
}

/** Keys that are ours and not the program's. */
function handleKey(event: KeyboardEvent, widget: TerminalWidget, find: () => void): boolean {
  if (event.type !== 'keydown' || !event.ctrlKey || !event.shiftKey) {
    return true;
  }
  switch (event.code) {
    case 'KeyC':
      event.preventDefault();
      copySelection(widget);
      return false;
    case 'KeyV':
      event.preventDefault();
      pasteClipboard(widget);
      return false;
    case 'KeyF':
      event.preventDefault();
      find();
      return false;
    default:
      return true;
  }
}

function copySelection(widget: TerminalWidget): void {
  const selection = widget.terminal.getSelection();
  if (selection !== '') {
    void copyText(selection).then(() => widget.terminal.focus());
  }
}

function pasteClipboard(widget: TerminalWidget): void {
  navigator.clipboard.readText().then(
    (clip) => {
      widget.terminal.paste(clip);
      widget.terminal.focus();
    },
    () => {
      // The browser did not allow it; its own paste shortcut still works.
      widget.terminal.focus();
    },
  );
}

function menuActions(widget: TerminalWidget, find: () => void): readonly Action[] {
  return [
    {
      id: 'copy',
      label: text.terminal.copy,
      icon: Copy,
      shortcut: 'Ctrl+Shift+C',
      isDisabled: !widget.terminal.hasSelection(),
      run: () => copySelection(widget),
    },
    {
      id: 'paste',
      label: text.terminal.paste,
      icon: ClipboardPaste,
      shortcut: 'Ctrl+Shift+V',
      run: () => pasteClipboard(widget),
    },
    {
      id: 'find',
      label: text.terminal.find,
      icon: Search,
      shortcut: 'Ctrl+Shift+F',
      hasSeparator: true,
      run: find,
    },
    {
      id: 'clear',
      label: text.terminal.clear,
      icon: Eraser,
      run: () => {
        widget.terminal.clear();
        widget.terminal.focus();
      },
    },
  ];
}

function FindBar({
  widget,
  onClose,
}: {
  readonly widget: TerminalWidget;
  readonly onClose: () => void;
}) {
  const [query, setQuery] = useState('');
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  const find = (isBackwards: boolean): void => {
    if (isBackwards) {
      widget.search.findPrevious(query);
    } else {
      widget.search.findNext(query);
    }
  };
  return (
    <div className="absolute top-2 right-4 z-2 flex items-center gap-1 rounded-md border border-line-strong bg-raised p-1.5 shadow-pop">
      <SearchInput
        ref={input}
        label={text.terminal.search}
        value={query}
        className="w-56"
        onChange={(value) => {
          setQuery(value);
          widget.search.findNext(value, { incremental: true });
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter') {
            event.preventDefault();
            find(event.shiftKey);
          } else if (event.key === 'Escape') {
            event.preventDefault();
            onClose();
          }
        }}
      />
      <IconButton label={text.terminal.previous} icon={ArrowUp} onClick={() => find(true)} />
      <IconButton label={text.terminal.next} icon={ArrowDown} onClick={() => find(false)} />
      <IconButton label={text.terminal.closeSearch} icon={X} onClick={onClose} />
    </div>
  );
}

function StatusLine({
  status,
  onAgain,
}: {
  readonly status: SessionStatus | undefined;
  readonly onAgain: () => void;
}) {
  if (status === undefined || status.type === 'attached') {
    return null;
  }
  const message =
    status.type === 'lost'
      ? text.terminal.lost
      : status.type === 'failed'
        ? status.problem.message
        : (status.reason ?? text.terminal.ended(status.code));
  return (
    <div
      role="status"
      className="flex shrink-0 items-center gap-3 border-t border-line bg-sunken px-4 py-2 text-sm text-ink-2"
    >
      <span className="min-w-0 flex-1">{message}</span>
      {status.type !== 'lost' && (
        <Button size="sm" onClick={onAgain}>
          {text.terminal.again}
        </Button>
      )}
    </div>
  );
}
