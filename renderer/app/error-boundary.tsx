import { Component, type ReactNode } from 'react';
import { Button } from '../components/button.tsx';
import { text } from './text.ts';

interface State {
  readonly message: string | undefined;
}

/** Shows what went wrong instead of a blank page. */
export class ErrorBoundary extends Component<{ readonly children: ReactNode }, State> {
  override state: State = { message: undefined };

  static getDerivedStateFromError(error: unknown): State {
    return { message: error instanceof Error ? error.message : String(error) };
  }

  override render(): ReactNode {
    if (this.state.message === undefined) {
      return this.props.children;
    }
    return (
      <main
        role="alert"
        className="flex h-full flex-1 flex-col items-center justify-center gap-2 p-8 text-center"
      >
        <h1 className="text-lg font-semibold">{text.crash.title}</h1>
        <p className="max-w-xl select-text break-words font-mono text-xs text-ink-2">
          {this.state.message}
        </p>
        <Button className="mt-3" tone="primary" onClick={() => window.location.reload()}>
          {text.crash.reload}
        </Button>
      </main>
    );
  }
}
