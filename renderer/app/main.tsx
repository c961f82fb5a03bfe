import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { queryClient, startLiveData } from '../data/queries.ts';
import { App } from './app.tsx';

startLiveData(queryClient);

const root = document.querySelector('#root');
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
