import type { ITheme } from '@xterm/xterm';

/** The present value of a colour token as `rgb(…)`. */
export function resolveToken(token: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${token})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

const NAMES = [
  'black',
  'red',
  'green',
  'yellow',
  'blue',
  'magenta',
  'cyan',
  'white',
  'brightBlack',
  'brightRed',
  'brightGreen',
  'brightYellow',
  'brightBlue',
  'brightMagenta',
  'brightCyan',
  'brightWhite',
] as const;

/** The page's theme as the terminal widget takes it. */
export function terminalTheme(): ITheme {
  const palette = Object.fromEntries(
    NAMES.map((name, index) => [name, resolveToken(`--ansi-${index}`)]),
  );
  const background = resolveToken('--surface');
  return {
    ...palette,
    background,
    foreground: resolveToken('--ink'),
    cursor: resolveToken('--accent-ink'),
    cursorAccent: background,
    selectionBackground: `${toHex(resolveToken('--accent'))}55`,
  };
}

function toHex(rgb: string): string {
  const parts = /(\d+)\D+(\d+)\D+(\d+)/.exec(rgb);
  const channels = parts === null ? [68, 86, 214] : parts.slice(1, 4).map(Number);
  return `#${channels.map((channel) => channel.toString(16).padStart(2, '0')).join('')}`;
}

/** Calls `listener` when the theme changes, by choice or by the system. */
export function onThemeChange(listener: () => void): () => void {
  const observer = new MutationObserver(listener);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
  const media = window.matchMedia('(prefers-color-scheme: dark)');
  media.addEventListener('change', listener);
  return () => {
    observer.disconnect();
    media.removeEventListener('change', listener);
  };
}
