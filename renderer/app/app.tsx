import { CSPProvider } from '@base-ui/react/csp-provider';
import { Tooltip } from '@base-ui/react/tooltip';
import { QueryClientProvider } from '@tanstack/react-query';
import { useEffect } from 'react';
import { HashRouter } from 'react-router';
import { Toaster } from '../components/toast.tsx';
import { queryClient, useSettings } from '../data/queries.ts';
import { ErrorBoundary } from './error-boundary.tsx';
import { Shell } from './shell.tsx';
import { applyTheme } from './theme.ts';

/** The application: providers around the frame. */
export function App() {
  return (
    <ErrorBoundary>
      {/* The content policy allows no inline style elements; the few rules needed are in the style sheet. */}
      <CSPProvider disableStyleElements>
        <QueryClientProvider client={queryClient}>
          <Tooltip.Provider delay={500} closeDelay={0}>
            <HashRouter>
              <ThemeFromSettings />
              <Shell />
            </HashRouter>
            <Toaster />
          </Tooltip.Provider>
        </QueryClientProvider>
      </CSPProvider>
    </ErrorBoundary>
  );
}

function ThemeFromSettings() {
  const theme = useSettings().settings?.theme;
  useEffect(() => {
    if (theme !== undefined) {
      applyTheme(theme);
    }
  }, [theme]);
  return null;
}
