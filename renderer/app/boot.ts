import './styles.css';
import { takeToken } from '../../electron/contract/page-token.ts';
import { applyRememberedTheme } from './theme.ts';

/*
 * The first and smallest script of the page. Containers change the networks of this very machine, and a browser drops
 * what it is loading when they do: what was dropped is asked for again here instead of leaving a blank page.
 */
const RETRY_DELAYS_MS = [50, 200, 500, 1000, 2000, 4000];

async function start(): Promise<void> {
  for (const delayMs of RETRY_DELAYS_MS) {
    try {
      await import('./main.tsx');
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }
  await import('./main.tsx');
}

function repairStyles(): void {
  for (const link of document.querySelectorAll<HTMLLinkElement>('link[rel="stylesheet"]')) {
    if (link.sheet === null) {
      const again = document.createElement('link');
      again.rel = 'stylesheet';
      again.href = link.href;
      again.addEventListener('error', () => setTimeout(repairStyles, 500));
      link.replaceWith(again);
    }
  }
}

// Before anything else, so that no navigation can lose it.
if (!('gantry' in window)) {
  takeToken(window);
}
applyRememberedTheme();
window.addEventListener('load', repairStyles);
void start();
