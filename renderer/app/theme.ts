/** The user's choice; `system` follows the desktop. */
export type ThemeChoice = 'system' | 'light' | 'dark';

const KEY = 'gantry-theme';

/** Applies what was chosen last, before the host has answered: no flash of the other theme. */
export function applyRememberedTheme(): void {
  const remembered = localStorage.getItem(KEY);
  if (remembered === 'light' || remembered === 'dark') {
    document.documentElement.dataset['theme'] = remembered;
  }
}

/** Applies a choice and remembers it for the next first paint. */
export function applyTheme(choice: ThemeChoice): void {
  if (choice === 'system') {
    delete document.documentElement.dataset['theme'];
  } else {
    document.documentElement.dataset['theme'] = choice;
  }
  localStorage.setItem(KEY, choice);
}
