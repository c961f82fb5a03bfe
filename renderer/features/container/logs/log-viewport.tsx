import {
  type KeyboardEvent,
  type RefObject,
  useCallback,
  useEffect,
  useImperativeHandle,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import { useStore } from 'zustand';
import { cx } from '../../../components/cx.ts';
import { text } from '../text.ts';
import { LINE_HEIGHT_PX, LogLineView } from './log-line-view.tsx';
import type { LogSession } from './log-session.ts';
import {
  clampTop,
  moveByPx,
  rowsFromEnd,
  type ScrollGeometry,
  scrollHeightPx,
  scrollOfTop,
  topLimit,
  topOfScroll,
} from './scroll-map.ts';

/** What the toolbar can tell the viewport to do. */
export interface LogViewportHandle {
  /** Brings a line into the middle of the window and stops following. */
  showLine(line: number): void;
  jumpToEnd(): void;
  /** Number of the first line on the screen. */
  firstVisibleLine(): number;
}

/** Where a container's name and colour come from in a log of several. */
export interface LogSource {
  readonly label: string;
  readonly color: string;
}

interface LogViewportProps {
  readonly session: LogSession;
  readonly sources: readonly LogSource[];
  readonly pattern: RegExp | undefined;
  readonly isWrapped: boolean;
  readonly hasTimestamps: boolean;
  readonly isFollowing: boolean;
  readonly onFollowingChange: (isFollowing: boolean) => void;
  readonly onLink: (url: string) => void;
  readonly ref: RefObject<LogViewportHandle | null>;
}

/**
 * The lines on the screen. The scrolled element only stands for the log's length (see scroll-map.ts); the lines are
 * drawn into a sticky window. Wheel and keys move by pixels and lines, whatever a pixel of the scroll bar stands for.
 */
export function LogViewport({
  session,
  sources,
  pattern,
  isWrapped,
  hasTimestamps,
  isFollowing,
  onFollowingChange,
  onLink,
  ref,
}: LogViewportProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const lines = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [top, setTop] = useState(0);
  const [widestPx, setWidestPx] = useState(0);
  /** How many rows fill the window at the end of the log while lines are wrapped; measured when they are drawn. */
  const [wrappedRowsAtEnd, setWrappedRowsAtEnd] = useState(0);
  // What is drawn comes from the session's cache: every revision draws again.
  useStore(session.state, (state) => state.revision);
  const currentLine = useStore(session.state, (state) => state.currentLine);
  /** The offset that was set from here, to tell the reader's scrolling from our own. */
  const ownScrollTop = useRef(-1);

  const rowCount = session.rowCount;
  const heightOf = useCallback(
    (row: number): number => {
      if (!isWrapped) {
        return LINE_HEIGHT_PX;
      }
      const drawn = lines.current?.querySelector<HTMLElement>(`[data-row="${row}"]`);
      return drawn?.offsetHeight ?? LINE_HEIGHT_PX;
    },
    [isWrapped],
  );
  const plainRows = size.height / LINE_HEIGHT_PX;
  // Until something was drawn and measured, wrapped lines count as plain ones: without rows nothing is ever measured.
  const rowsAtEnd = Math.min(rowCount, isWrapped ? wrappedRowsAtEnd || plainRows : plainRows);
  const geometry = useMemo<ScrollGeometry>(
    () => ({ rowCount, rowHeightPx: LINE_HEIGHT_PX, viewportPx: size.height, rowsAtEnd }),
    [rowCount, size.height, rowsAtEnd],
  );
  const shownTop = isFollowing ? topLimit(geometry) : clampTop(geometry, top);
  const firstRow = Math.max(0, Math.floor(shownTop));
  const drawnCount = Math.min(rowCount - firstRow, Math.ceil(size.height / LINE_HEIGHT_PX) + 2);

  useEffect(() => {
    session.setFollowing(isFollowing);
  }, [session, isFollowing]);

  useEffect(() => {
    session.ensureRows(firstRow, drawnCount);
  });

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) {
      return undefined;
    }
    const measure = (): void =>
      setSize({ width: element.clientWidth, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  // The scroll bar follows the position, not the other way round.
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element !== null) {
      const wanted = isFollowing ? element.scrollHeight : scrollOfTop(geometry, shownTop);
      if (Math.abs(element.scrollTop - wanted) >= 1) {
        element.scrollTop = wanted;
      }
      ownScrollTop.current = element.scrollTop;
    }
    if (lines.current !== null) {
      const offsetPx = isFollowing ? 0 : (shownTop - firstRow) * heightOf(firstRow);
      lines.current.style.transform = `translateY(${-offsetPx}px)`;
    }
  });

  // What the lines measure is known once they are laid out.
  const measureLines = useRef<() => void>(() => {});
  useLayoutEffect(() => {
    measureLines.current = () => {
      if (!isWrapped) {
        const width = lines.current?.offsetWidth ?? 0;
        setWidestPx((before) => Math.max(before, width));
      } else if (firstRow + drawnCount >= rowCount) {
        const measured = rowsFromEnd(
          { rowCount, viewportPx: size.height, rowHeightPx: LINE_HEIGHT_PX },
          heightOf,
        );
        setWrappedRowsAtEnd((before) => (Math.abs(measured - before) > 0.05 ? measured : before));
      }
    };
  });
  useLayoutEffect(() => {
    const element = lines.current;
    if (element === null) {
      return undefined;
    }
    const observer = new ResizeObserver(() => measureLines.current());
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const moveTo = useCallback(
    (next: number): void => {
      const limit = topLimit(geometry);
      const isEnd = next >= limit - 0.01;
      setTop(isEnd ? limit : Math.max(0, next));
      if (isEnd !== isFollowing) {
        onFollowingChange(isEnd);
      }
    },
    [geometry, isFollowing, onFollowingChange],
  );

  const moveBy = useCallback(
    (deltaPx: number): void => {
      if (!isFollowing || deltaPx < 0) {
        moveTo(moveByPx(shownTop, deltaPx, rowCount, heightOf));
      }
    },
    [isFollowing, rowCount, heightOf, shownTop, moveTo],
  );

  useEffect(() => {
    const element = scroller.current;
    if (element === null) {
      return undefined;
    }
    const onWheel = (event: WheelEvent): void => {
      if (event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) {
        return;
      }
      event.preventDefault();
      const unit = event.deltaMode === 1 ? LINE_HEIGHT_PX : event.deltaMode === 2 ? size.height : 1;
      moveBy(event.deltaY * unit);
    };
    element.addEventListener('wheel', onWheel, { passive: false });
    return () => element.removeEventListener('wheel', onWheel);
  }, [moveBy, size.height]);

  useImperativeHandle(
    ref,
    () => ({
      showLine: (line) => {
        const row = session.rowOfLine(line);
        const middle = Math.floor(size.height / LINE_HEIGHT_PX / 2);
        setTop(Math.max(0, row - (isWrapped ? 3 : middle)));
        onFollowingChange(false);
      },
      jumpToEnd: () => onFollowingChange(true),
      firstVisibleLine: () => session.lineOfRow(firstRow),
    }),
    [session, size.height, isWrapped, firstRow, onFollowingChange],
  );

  const onKeyDown = (event: KeyboardEvent): void => {
    const page = Math.max(LINE_HEIGHT_PX, size.height - 2 * LINE_HEIGHT_PX);
    const moves: Record<string, number> = {
      ArrowUp: -LINE_HEIGHT_PX,
      ArrowDown: LINE_HEIGHT_PX,
      PageUp: -page,
      PageDown: page,
    };
    const move = moves[event.key];
    if (move !== undefined) {
      moveBy(move);
    } else if (event.key === 'Home') {
      moveTo(0);
    } else if (event.key === 'End') {
      onFollowingChange(true);
    } else {
      return;
    }
    event.preventDefault();
  };

  const rows: number[] = [];
  for (let row = firstRow; row < firstRow + drawnCount; row += 1) {
    rows.push(row);
  }
  return (
    <div
      ref={scroller}
      role="log"
      aria-label={text.logs.label}
      aria-live="off"
      tabIndex={0}
      onKeyDown={onKeyDown}
      onScroll={(event) => {
        const { scrollTop, clientHeight } = event.currentTarget;
        // A change of the window's size moves the bar too; that is nobody's scrolling.
        const isSized = clientHeight === size.height;
        if (isSized && Math.abs(scrollTop - ownScrollTop.current) > 1.5) {
          ownScrollTop.current = scrollTop;
          moveTo(topOfScroll(geometry, scrollTop));
        }
      }}
      className="relative min-h-0 flex-1 overflow-x-auto overflow-y-scroll bg-surface [overflow-anchor:none] font-mono text-xs focus-visible:-outline-offset-2"
    >
      <div style={{ height: Math.max(1, scrollHeightPx(geometry)) }}>
        <div
          className="sticky top-0 overflow-y-clip"
          style={{
            height: size.height,
            minWidth: '100%',
            width: isWrapped ? '100%' : Math.max(widestPx, size.width),
          }}
        >
          <div
            ref={lines}
            className={cx('absolute select-text py-1', isWrapped ? 'w-full' : 'w-max min-w-full')}
            // At the end the last line stands at the lower edge; a short log begins at the top all the same.
            style={isFollowing ? { bottom: 0, minHeight: '100%' } : { top: 0 }}
          >
            {rows.map((row) => {
              const number = session.lineOfRow(row);
              const line = session.line(number);
              return (
                <LogLineView
                  key={number}
                  row={row}
                  line={line}
                  source={line === undefined ? undefined : sources[line.source]}
                  pattern={pattern}
                  isCurrent={number === currentLine}
                  hasTimestamp={hasTimestamps}
                  isWrapped={isWrapped}
                  onLink={onLink}
                />
              );
            })}
          </div>
        </div>
      </div>
    </div>
  );
}
