import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { queryClient, startLiveData } from '../data/queries.ts';
import { App } from './app.tsx';
import { applyRememberedTheme } from './theme.ts';

applyRememberedTheme();
startLiveData(queryClient);

const root = document.querySelector('#root');
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
