import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import { onThemeChange, resolveToken } from '../../../terminal/theme.ts';

/** One line of a chart. */
export interface ChartLine {
  readonly label: string;
  /** Colour token, e.g. `--chart-1`. */
  readonly token: string;
  readonly values: readonly (number | null)[];
  /** Dashed and without area: a limit. */
  readonly isLimit?: boolean;
}

interface ChartProps {
  /** For assistive technology: what is shown, with the latest value. */
  readonly label: string;
  readonly timesSec: readonly number[];
  readonly lines: readonly ChartLine[];
  readonly format: (value: number) => string;
  /** Least upper end of the scale, so that noise near zero does not fill the chart. */
  readonly minMax: number;
  /** Steps of the scale: powers of two for memory, so that they are round in MiB. */
  readonly base?: 10 | 2;
}

const BINARY_STEPS = Array.from({ length: 45 }, (_, index) => 2 ** index);

const HEIGHT_PX = 148;

/** A line chart over time. The numbers are also in the text beside it. */
export function Chart(props: ChartProps) {
  // Other lines make another chart; new values do not.
  const shape = props.lines
    .map((line) => `${line.label}|${line.token}|${line.isLimit === true}`)
    .join();
  return <Plot key={shape} {...props} />;
}

function Plot({ label, timesSec, lines, format, minMax, base = 10 }: ChartProps) {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const latest = useRef({ timesSec, lines, format, minMax, base });

  useEffect(() => {
    latest.current = { timesSec, lines, format, minMax, base };
    plot.current?.setData(toData(timesSec, lines));
  }, [timesSec, lines, format, minMax, base]);

  useEffect(() => {
    const host = element.current;
    if (host === null) {
      return undefined;
    }
    const build = (): void => {
      plot.current?.destroy();
      const now = latest.current;
      plot.current = new uPlot(
        options(host.clientWidth, latest),
        toData(now.timesSec, now.lines),
        host,
      );
    };
    build();
    const observer = new ResizeObserver(() => {
      if (plot.current !== undefined && host.clientWidth !== plot.current.width) {
        plot.current.setSize({ width: host.clientWidth, height: HEIGHT_PX });
      }
    });
    observer.observe(host);
    const stopTheme = onThemeChange(build);
    return () => {
      observer.disconnect();
      stopTheme();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, []);

  return (
    <div ref={element} role="img" aria-label={label} className="h-37 w-full overflow-hidden" />
  );
}

function toData(timesSec: readonly number[], lines: readonly ChartLine[]): uPlot.AlignedData {
  return [[...timesSec], ...lines.map((line) => [...line.values])];
}

interface Latest {
  readonly current: Omit<ChartProps, 'label'>;
}

function options(width: number, latest: Latest): uPlot.Options {
  const ink = resolveToken('--ink-3');
  const grid = resolveToken('--line');
  const font = '11px Inter, system-ui, sans-serif';
  const axis = { stroke: ink, font, ticks: { show: false }, grid: { stroke: grid, width: 1 } };
  return {
    width: Math.max(100, width),
    height: HEIGHT_PX,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { points: { size: 6 }, drag: { x: false, y: false } },
    scales: {
      x: { time: true },
      y: {
        range: (_, __, max) => {
          const limit = Math.max(latest.current.minMax, Number.isFinite(max) ? max : 0);
          return [0, limit * 1.08];
        },
      },
    },
    axes: [
      {
        ...axis,
        size: 24,
        grid: { show: false },
        space: 80,
        values: (_, splits) => splits.map(clock),
      },
      {
        ...axis,
        size: 64,
        space: 36,
        ...(latest.current.base === 2 ? { incrs: BINARY_STEPS } : {}),
        values: (_, splits) => splits.map((value) => latest.current.format(value)),
      },
    ],
    series: [
      {},
      ...latest.current.lines.map((line): uPlot.Series => {
        const stroke = resolveToken(line.token);
        return {
          label: line.label,
          stroke,
          width: line.isLimit === true ? 1 : 1.5,
          points: { show: false },
          spanGaps: false,
          ...(line.isLimit === true
            ? { dash: [4, 4] }
            : { fill: stroke.replace('rgb(', 'rgba(').replace(')', ', 0.10)') }),
        };
      }),
    ],
  };
}

function clock(timeSec: number): string {
  const date = new Date(timeSec * 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
