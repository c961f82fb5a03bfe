import { createStore } from 'zustand/vanilla';

/** What is open above the pages. */
export interface UiState {
  readonly isPaletteOpen: boolean;
  /** Set while the run dialog is open. */
  readonly run: { readonly image: string } | undefined;
  /** Set while the pull dialog is open. */
  readonly pull: { readonly reference: string } | undefined;
}

/** State of the frame; features open the shared dialogs through it. */
export const ui = createStore<UiState>(() => ({
  isPaletteOpen: false,
  run: undefined,
  pull: undefined,
}));

/** Opens the run dialog, with an image already chosen when given. */
export function openRunDialog(image = ''): void {
  ui.setState({ run: { image } });
}

/** Opens the pull dialog, with a reference already typed when given. */
export function openPullDialog(reference = ''): void {
  ui.setState({ pull: { reference } });
}
