import { FitAddon } from '@xterm/addon-fit';
import { SearchAddon } from '@xterm/addon-search';
import { Unicode11Addon } from '@xterm/addon-unicode11';
import { Terminal } from '@xterm/xterm';
import { styleSafeDocument, withSafeStyles } from './style-document.ts';
import { onThemeChange, terminalTheme } from './theme.ts';

/** A terminal on the page. Dispose of it when its element goes. */
export interface TerminalWidget extends Disposable {
  readonly terminal: Terminal;
  readonly search: SearchAddon;
  /** Adapts columns and rows to the element; the widget does it by itself when the element changes. */
  fit(): void;
  setFontSize(px: number): void;
}

const FONT = '"JetBrains Mono", ui-monospace, "SFMono-Regular", "Cascadia Code", Menlo, monospace';

/** Puts a terminal into `element` and fits it, so that its columns and rows are right from the first byte on. */
export function createTerminal(element: HTMLElement, fontSizePx: number): TerminalWidget {
  const terminal = new Terminal({
    allowProposedApi: true,
    documentOverride: styleSafeDocument(document),
    cursorBlink: !window.matchMedia('(prefers-reduced-motion: reduce)').matches,
    fontFamily: FONT,
    fontSize: fontSizePx,
    lineHeight: 1.25,
    letterSpacing: 0,
    scrollback: 10_000,
    minimumContrastRatio: 4.5,
    rightClickSelectsWord: false,
    theme: terminalTheme(),
    // Container output may not open anything nor write to the clipboard by itself: no link handler, no OSC 52.
    linkHandler: null,
  });
  const fit = new FitAddon();
  const search = new SearchAddon();
  terminal.loadAddon(fit);
  terminal.loadAddon(search);
  terminal.loadAddon(new Unicode11Addon());
  terminal.unicode.activeVersion = '11';
  withSafeStyles(document, () => terminal.open(element));
  const doFit = (): void => {
    if (element.clientWidth > 0 && element.clientHeight > 0) {
      fit.fit();
    }
  };
  doFit();
  void useGpu(terminal);
  const observer = new ResizeObserver(() => doFit());
  observer.observe(element);
  const stopTheme = onThemeChange(() => {
    terminal.options.theme = terminalTheme();
  });
  return {
    terminal,
    search,
    fit: doFit,
    setFontSize: (px) => {
      terminal.options.fontSize = px;
      doFit();
    },
    [Symbol.dispose]: () => {
      observer.disconnect();
      stopTheme();
      terminal.dispose();
    },
  };
}

/** Draws with the GPU where there is one; a software renderer is slower than plain elements. */
async function useGpu(terminal: Terminal): Promise<void> {
  if (!hasGpu()) {
    return;
  }
  try {
    const { WebglAddon } = await import('@xterm/addon-webgl');
    const addon = new WebglAddon();
    addon.onContextLoss(() => addon.dispose());
    terminal.loadAddon(addon);
  } catch {
    // Plain elements it is.
  }
}

function hasGpu(): boolean {
  const gl = document.createElement('canvas').getContext('webgl2');
  if (gl === null) {
    return false;
  }
  const info = gl.getExtension('WEBGL_debug_renderer_info');
  const renderer: unknown = info === null ? '' : gl.getParameter(info.UNMASKED_RENDERER_WEBGL);
  gl.getExtension('WEBGL_lose_context')?.loseContext();
  return (
    typeof renderer === 'string' && !/swiftshader|llvmpipe|software|basic render/i.test(renderer)
  );
}
